# SPDX-License-Identifier: Apache-2.0
"""What the demo prints."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_revenue.analytics.trace import Moment, OrderTrace, SpanNode, TraceTree
from otel_revenue.cli._demo_check import Sum, compare
from otel_revenue.cli._demo_show import Show, program, telling


def _ascii():
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")


def _text(out):
    out.flush()
    return out.buffer.getvalue().decode("ascii")


def test_a_log_in_ascii_gets_readable_lines():
    """
    Without a terminal and without Unicode: plain words, no control codes, no error.
    """
    out = _ascii()
    show = Show(out)
    with show.starting() as started:
        started("shop", "http://127.0.0.1:1")
    with show.progress("buyers done", 8) as advance:
        for done in range(9):
            advance(done)
    show.failed("Ctrl-C \N{EM DASH} [bold]ended[/bold]")

    assert [
        "  ok shop           http://127.0.0.1:1",
        *(f"  buyers done      {done}/8" for done in (0, 2, 4, 6, 8)),
        "  NO Ctrl-C ? [bold]ended[/bold]",
    ] == _text(out).splitlines()


@pytest.mark.parametrize(
    ("books", "telemetry", "same"),
    [
        ({"EUR": Sum(1, 1)}, {"EUR": Sum(1, 1)}, True),
        ({"EUR": Sum(1, 1)}, {"EUR": Sum(1, 2)}, False),
        ({}, {}, False),
    ],
    ids=["agree", "differ", "nobody paid"],
)
def test_only_payments_that_agree_are_a_success(books, telemetry, same):
    """
    A demo in which nobody paid has shown nothing.
    """
    out = _ascii()

    assert same is Show(out).verdict(compare(books, telemetry))
    assert ("  ok " if same else "  NO ") in _text(out)


def _span(name, *, links=(), events=(), children=()):
    return SpanNode("1" * 16, name, "SERVER", "shop", 0, 1, "", {}, tuple(links), tuple(events), tuple(children))


def test_webhooks_that_changed_nothing_are_counted_alone():
    """
    The checkout and the webhook that brought the payment are shown; what only points to them is a number.
    """
    paid = Moment("order.paid", 0, "b", {})
    checkout = TraceTree("a", (_span("POST /checkout"),))
    payment = TraceTree("b", (_span("POST /webhooks/stripe", links="a", events=[paid]),))
    deeper = TraceTree("c", (_span("POST /webhooks/stripe", links="a", children=[_span("handle", events=[paid])]),))
    silent = TraceTree("d", (_span("POST /webhooks/stripe", links="a", children=[_span("http send")]),))

    told, number = telling(OrderTrace("order-1", (paid,), (checkout, silent, payment, deeper, silent)))

    assert ((checkout, payment, deeper), 2) == (told.traces, number)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installation of ours below the working directory."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "otel-revenue"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    return folder


def test_commands_can_be_copied_without_an_activated_environment(installed, monkeypatch):
    """
    Where the shell would not find us, or find another installation, commands are printed with their path.
    """
    below = program()
    (installed / "inner").mkdir()
    monkeypatch.chdir(installed / "inner")
    elsewhere = program()

    assert (str(Path(".venv/bin/otel-revenue")), str(installed / "otel-revenue")) == (below, elsewhere)


def test_commands_are_short_in_an_activated_environment(installed, monkeypatch):
    """
    Where the shell finds us, the name is enough.
    """
    monkeypatch.setenv("PATH", os.pathsep.join(["/nowhere", str(installed)]))

    assert "otel-revenue" == program()


def test_what_runs_is_said_with_commands_to_copy():
    """
    While the demo stays, the user reads where the shop, the report and the database are.
    """
    out = _ascii()
    scene = SimpleNamespace(shop_url="http://127.0.0.1:1", stripe_url="http://127.0.0.1:2", database=Path("/d/x"))
    Show(out).serving(scene, kept=False)
    text = _text(out)

    assert "  curl http://127.0.0.1:1/checkout -H " in text
    assert f"  {program()} report --database /d/x --test-mode\n" in text
    assert (
        "  /d/x\n      the database (DuckDB): locked while this runs, is removed afterwards (keep it: --keep FOLDER)"
        in text
    )
