# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue demo`: what it refuses, and what its exit code says."""

from __future__ import annotations

import io
import tempfile
from argparse import Namespace

import pytest

from otel_revenue import cli
from otel_revenue.analytics.orders import Query
from otel_revenue.cli import demo
from otel_revenue.cli._demo_buyers import Walk
from otel_revenue.cli._demo_check import Sum
from otel_revenue.cli._demo_show import Show
from otel_revenue.testing.fake_stripe.summary import Traffic


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--buyers", "7"], "--buyers 7: expected a number from 8 to 5000, one of each kind"),
        (["--pace", "-1"], "--pace -1.0: expected a number from 0 to 100"),
        (["--pace", "nan"], "--pace nan: expected a number from 0 to 100"),
        (["--shop", "/nowhere/shop.py"], "name a copy of it with --shop FILE"),
        (["--shop", "{folder}/my-shop.py"], "Python cannot import a file of that name"),
        (["--keep", "{folder}"], "not empty"),
        (["--keep", "{folder}/my-shop.py/x"], "no such folder can be made"),
    ],
    ids=["too few", "backwards", "no number", "no shop", "no module", "old data", "no folder"],
)
def test_what_cannot_be_done_is_said_before_anything_starts(tmp_path, capsys, words, said):
    """
    A wrong argument is named with its remedy; exit code 2.
    """
    (tmp_path / "my-shop.py").touch()
    code = cli.main(["demo", *(word.format(folder=tmp_path) for word in words)])
    out, err = capsys.readouterr()

    assert (2, "") == (code, out)
    assert said in err


def test_no_place_for_temporary_files_is_said_with_the_remedy(monkeypatch, capsys):
    """
    A container with a read-only root: the user reads which setting helps.
    """

    def full(*_, **__):
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    code = cli.main(["demo"])

    assert 2 == code
    assert "set TMPDIR to a folder that can be written, or name one with --keep" in capsys.readouterr().err


class Scene:
    """What `_account` asks, with given answers."""

    def __init__(self, books, known):
        self._books, self._known = books, known

    def traffic(self):
        return Traffic(events=1, deliveries=2, doubled=1, late=0, failed=0, gave_up=0)

    def report(self):
        from otel_revenue.analytics.period import Period
        from otel_revenue.analytics.report import build
        from otel_revenue.analytics.store import Store

        with Store(None) as store:
            return build(store, Query(Period(0, 10**18, "UTC"), live=False), now_ns=0)

    def funnel(self):
        from otel_revenue.analytics import funnel
        from otel_revenue.analytics.period import Period
        from otel_revenue.analytics.store import Store

        with Store(None) as store:
            return funnel.build(store, Query(Period(0, 10**18, "UTC"), live=False), now_ns=0)

    def trace(self, order_id):
        assert order_id is None

    def books(self):
        return self._books

    def known(self):
        return self._known

    def complaints(self):
        return " Its last lines (shop.log):\n  | WARNING: disk is full"


@pytest.mark.parametrize(
    ("books", "known", "errors", "code"),
    [
        ({"EUR": Sum(1, 100)}, {"EUR": Sum(1, 100)}, [], 0),
        ({"EUR": Sum(1, 100)}, {"EUR": Sum(1, 101)}, [], 1),
        ({"EUR": Sum(1, 100)}, {"EUR": Sum(2, 100)}, [], 1),
        ({"EUR": Sum(1, 100)}, {"EUR": Sum(1, 100)}, ["buyer 1: HTTP 500"], 1),
        ({}, {}, [], 1),
    ],
    ids=["agree", "a cent", "a payment", "a buyer was sent away", "nobody paid"],
)
def test_the_exit_code_is_the_answer(books, known, errors, code):
    """
    0 only if telemetry and Stripe's books agree and every buyer got through; else the output says why.
    """
    out = io.StringIO()

    assert code == demo._account(Scene(books, known), Walk(errors=errors), Show(out))
    assert (books != known) is ("disk is full" in out.getvalue()) or not books
    assert bool(errors) is ("buyer 1: HTTP 500" in out.getvalue())


def test_the_shop_is_the_one_of_this_repository():
    """
    Without further words the demo plays in examples/shop_fastapi, wherever it is called.
    """
    assert "examples/shop_fastapi/shop.py" == "/".join(demo.shop_file(None).parts[-3:])


def test_the_wait_ends_when_the_payments_are_known(monkeypatch):
    """
    The demo goes on as soon as telemetry knows as many payments as Stripe, and shows the way there.
    """
    monkeypatch.setattr(demo.time, "sleep", lambda _: None)
    answers = iter([0, 1, 3])
    seen = []
    demo._wait_for(lambda: None, lambda: next(answers), 3, seen.append)

    assert [0, 1, 3] == seen


def test_the_wait_ends_when_nothing_comes_any_more(monkeypatch):
    """
    A payment that never becomes known does not keep the demo for ever; one that is slow, but comes, is waited for.
    """
    clock = iter(range(0, 10**6, 20))
    monkeypatch.setattr(demo.time, "sleep", lambda _: None)
    monkeypatch.setattr(demo.time, "monotonic", lambda: next(clock))
    seen = []
    answers = iter([0, 0, 1, 1, 2, *[2] * 99])
    demo._wait_for(lambda: None, lambda: next(answers), 3, seen.append)

    assert [0, 0, 1, 1] == seen[:4]
    assert 2 == seen[-1]
    assert len(seen) < 15


def test_arguments_have_defaults():
    """
    `otel-revenue demo` needs no words.
    """
    import argparse

    parser = argparse.ArgumentParser()
    demo.configure(parser)

    assert Namespace(serve=False, buyers=80, seed=7, pace=1.0, shop=None, keep=None) == parser.parse_args([])
