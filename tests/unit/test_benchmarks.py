"""The benchmarks are code that users run: they must not rot between two releases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import figures, scrubbing, sink
from benchmarks.privacy import scrubbers

from support import corpus

ROOT = Path(__file__).parents[2]
EVERYTHING = {
    "Funnel event, caller's thread, inside a recording SERVER span (8 attributes; p50 of a call)",
    "Funnel event, caller's thread, outside of a span (8 attributes; p50 of a call)",
    "CPU of the process per delivered event (chunks of 100 with 20 ms between)",
    "An event on every request: requests per second, 8 connections, one uvicorn worker",
    "The same: p99 of a request over one connection, with delivery running",
    "Stages from routes: requests per second of a FastAPI application, 8 connections, one uvicorn worker",
    "Payment webhook until ledger and outbox are on disk (added to the app's verification of the signature)",
    "Report and funnel over the local database",
    "Masking a record of 10 values × 60 characters, 2 % of them with personal data",
    "Flood of 300 posts over 8 connections: the application's own route meanwhile (p50)",
    "The same: CPU of the process per request",
    "Import on top of the OTel SDK (CPU time, so that other work on the machine does not count)",
}


def test_every_comparison_runs_and_nothing_is_lost_in_it(tmp_path: Path) -> None:
    """A short run of all comparisons ends well, shows a table for each, and every contender delivers all of its events."""
    file = tmp_path / "figures.json"
    page = tmp_path / "RESULTS.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--folder", str(tmp_path)]
    command += ["--json", str(file), "--results", str(page)]
    run = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=110, check=False)

    assert (run.returncode, "LOST" in run.stdout) == (0, False), run.stderr
    tables = json.loads(file.read_text())["tables"]
    assert {table["title"] for table in tables} == EVERYTHING
    assert all(line["median"] > 0 for table in tables for line in table["lines"])
    assert {line[3:] for line in page.read_text().splitlines() if line.startswith("## ")} == EVERYTHING


def test_a_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Stores that a run makes are gone when it ends."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--folder", str(tmp_path), "webhook"]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)

    assert list(tmp_path.iterdir()) == []


def test_a_ratio_is_that_of_the_rounds_and_not_of_the_medians() -> None:
    """What slows a whole round down leaves the ratio alone."""
    assert figures.ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2.0


def test_the_receiver_counts_an_event_once() -> None:
    """A batch that is sent again adds nothing to what was delivered, so that a loss cannot hide behind a retry."""
    batch = json.dumps({"batch": [{"properties": {"order_id": "a"}}, {"properties": {"order_id": "b"}}]}).encode()

    assert sink.counted([("/posthog/batch/", False, batch)] * 2) == {"posthog": 2}


def test_records_to_mask_are_as_long_as_they_are_said_to_be() -> None:
    """Ten values of sixty characters each, some of them with personal data, the same ones in every run."""
    records = scrubbing.records()

    assert {(len(record), len(value)) for record in records for value in record} == {(10, 60)}
    assert records == scrubbing.records()


def test_the_detectors_are_compared_on_the_whole_corpus() -> None:
    """What is measured of a scrubber counts each text of the corpus once."""
    counts = scrubbers.found(scrubbers.otel_revenue())
    sums = {part: sum(of for _, of in counts[part].values()) for part in ("masked", "changed")}

    assert {"masked": len(corpus.masked()), "changed": len(corpus.kept())} == sums
    assert [] == [kind for kind, (hit, of) in counts["masked"].items() if hit != of]
