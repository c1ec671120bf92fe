# SPDX-License-Identifier: Apache-2.0
"""The allow-list that the command line writes: events of an application's own pass a real Collector, as strictly as ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from support.canaries import Canaries, attributes
from support.collector import CONFIG
from support.everything import Everything

OWN = [
    {
        "name": "quote.requested",
        "meaning": "The buyer asked for a quote.",
        "attributes": {
            "quote_id": {"kind": "id", "meaning": "The shop's id of the quote.", "example": "q-7"},
            "quote_pages": {"kind": "count", "unit": "{page}", "meaning": "Number of pages.", "example": 12},
            "quote_code": {"kind": "code", "pattern": "[a-z0-9@.]{1,80}", "meaning": "Anything.", "example": "a"},
        },
    }
]


def written(events: object, *more: str | Path) -> subprocess.CompletedProcess[str]:
    """What the command says, with these events in the settings."""
    command = [Path(sys.executable).with_name("otel-revenue"), "collector", "allow-list", *more]
    environ = {"OTEL_REVENUE_EVENTS": json.dumps(events)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_events_of_ones_own_pass_with_their_attributes(tmp_path: Path) -> None:
    """An event that the settings declare passes with what they declare for it, and no address under its keys does."""
    file = tmp_path / "allowlist.yaml"
    assert ("", "", 0) == ((answer := written(OWN, "--output", file)).stdout, answer.stderr, answer.returncode)
    canaries = Canaries()
    said = {"quote_id": "q-7", "quote_pages": 12, "undeclared": "x"}
    hostile = [pair for key in ("quote_id", "quote_pages", "quote_code") for pair in canaries.values(key, "own")]
    with Everything(tmp_path / "run", base=("base.yaml", file), canaries=canaries) as everything:
        everything.send_logs([LogRecord(event_name="quote.requested", attributes=attributes(said))])
        passed = everything.receiver.named("quote.requested")[0].attributes
        status = everything.send_logs([LogRecord(event_name="quote.requested", attributes=[pair]) for pair in hostile])
        leaks = everything.leaks()

    assert {"quote_id": "q-7", "quote_pages": 12, "event.name": "quote.requested"} == passed
    assert (200, []) == (status, leaks)


def test_without_events_of_ones_own_it_is_the_shipped_file() -> None:
    """The command writes what is in collector-config/, but for the line that says who wrote it."""
    shipped = (CONFIG / "allowlist.yaml").read_text()

    assert shipped.splitlines()[2:] == written([]).stdout.splitlines()[2:]


def test_an_event_that_is_declared_wrongly_is_named() -> None:
    """Where a declaration is wrong nothing is written, and the reason is said."""
    answer = written([{"name": "order.mine", "meaning": "Money of my own."}])

    assert ("", True) == (answer.stdout, "order.mine" in answer.stderr)
    assert answer.returncode != 0
