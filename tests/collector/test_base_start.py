"""A Collector starts with what it needs, and refuses to start without."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.collector import BASE, CONFIG, Collector, ask

if TYPE_CHECKING:
    from pathlib import Path

OTLP = {"REVENUE_OTLP_URL": "http://127.0.0.1:1", "REVENUE_OTLP_HEADERS": "{authorization: Bearer key}"}
RECORD = {"REVENUE_RECORD": "otlp_http/otlp_record"}
WITH_OTLP = (*BASE, "backends/otlp.yaml")


@pytest.mark.parametrize("files", [WITH_OTLP, (*WITH_OTLP, "browser.yaml")])
def test_base_with_one_backend_is_valid(files: tuple[str, ...]) -> None:
    """The base, the allow-list and one backend are a whole configuration, with and without the browsers' receiver."""
    answer = ask("validate", files, {**OTLP, **RECORD, "REVENUE_BROWSER_ORIGINS": '["https://shop.example"]'})

    assert (0, "") == (answer.returncode, answer.stderr)


@pytest.mark.parametrize(
    ("files", "environ", "named"),
    [
        pytest.param(("base.yaml", "backends/otlp.yaml"), {**OTLP, **RECORD}, 'processor "', id="no-allow-list"),
        pytest.param(WITH_OTLP, OTLP, "set_REVENUE_RECORD", id="nobody-answers-for-money"),
        pytest.param(WITH_OTLP, {**OTLP, "REVENUE_RECORD": ""}, "logs/money_record", id="set-to-nothing"),
        pytest.param(WITH_OTLP, {**OTLP, "REVENUE_RECORD": "otlp_http/typo"}, "otlp_http/typo", id="unknown-record"),
        pytest.param(BASE, RECORD, "otlp_http/otlp_record", id="record-without-its-file"),
        pytest.param(BASE, {"REVENUE_RECORD": "nop/queued"}, "forward/money_copies", id="queued-without-a-backend"),
        pytest.param(WITH_OTLP, RECORD, "endpoint", id="backend-without-its-url"),
    ],
)
def test_what_would_lose_money_or_privacy_does_not_start(
    files: tuple[str, ...], environ: dict[str, str], named: str
) -> None:
    """Without allow-list, backend of record, or any backend, the Collector refuses, and names what is missing."""
    answer = ask("validate", files, environ)

    assert (1, True) == (answer.returncode, named in answer.stderr)


def test_without_a_place_for_its_queue_it_does_not_start(tmp_path: Path) -> None:
    """Where the queue's folder cannot be made, the Collector ends and says so: it would have nowhere to put what it acknowledges."""
    (tmp_path / "file").write_text("")
    environ = {**OTLP, **RECORD, "REVENUE_QUEUE_DIR": str(tmp_path / "file" / "queue")}

    with pytest.raises(AssertionError, match="file/queue"), Collector(tmp_path, ("backends/otlp.yaml",), environ):
        pass


def test_every_variable_is_told_of() -> None:
    """The table of settings names each variable of the base and its layers, and none beside."""
    text = "".join((CONFIG / name).read_text() for name in (*BASE, "browser.yaml", "mtls.yaml"))
    table = (CONFIG / "README.md").read_text().partition("## Settings")[2].partition("## What passes")[0]

    assert set(re.findall(r"env:(REVENUE_\w+)", text)) == set(re.findall(r"`(REVENUE_\w+)`", table))
