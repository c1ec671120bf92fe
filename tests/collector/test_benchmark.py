# SPDX-License-Identifier: Apache-2.0
"""The Collector's benchmark is code that users run: it must not rot between two releases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.collector import otelcol

ROOT = Path(__file__).parents[2]


def test_the_comparison_runs_and_shows_every_way_of_sending(tmp_path: Path) -> None:
    """A short run ends well, with a rate and a cost for each way of sending, and leaves nothing behind."""
    page = tmp_path / "page.md"
    folder = tmp_path / "queues"
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.collector", "--rounds", "1", "--requests", "4"]
    environ = {**os.environ, "PYTHONPATH": "tests", "OTEL_REVENUE_TEST_OTELCOL": otelcol()}
    run = subprocess.run(
        [*command, "--folder", folder, "--results", page],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert 0 == run.returncode, run.stderr
    assert [2, 2, 4, 4] == [part.count("\n| ba") for part in page.read_text().split("## ")[1:]]
    assert [] == list(folder.iterdir())
