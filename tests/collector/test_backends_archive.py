# SPDX-License-Identifier: Apache-2.0
"""The archive: nothing of it is overwritten, and a line of it is a request that can be sent again."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from collector.backends.sinks import ArchiveSink, OtlpSink
from support.collector import CONFIG, TOKEN, Collector
from support.otlp_events import event, logs_request, paid
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = ("backends/archive-file.yaml",)
PAGE = CONFIG.parent / "docs" / "collector.md"
RECORD = {"REVENUE_RECORD": "otlp_http/archive_record"}


@pytest.fixture
def sink(tmp_path: Path) -> ArchiveSink:
    return ArchiveSink(tmp_path)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[OtlpSink]:
    backend = OtlpSink(tmp_path)
    backend.up()
    yield backend
    backend.down()


def test_a_payment_is_in_the_file_when_it_is_acknowledged(tmp_path: Path, sink: ArchiveSink) -> None:
    """
    As the backend of record, the archive's 200 means that the line is written: a kill -9 right after it takes nothing away,
    and the next start goes on after it.
    """
    with Collector(tmp_path / "collector", FILES, {**sink.variables, **RECORD}) as collector:
        answers = []
        for n in range(3):
            answers.append(collector.post(logs_request([paid(f"o-{n}")])).status_code)
            collector.kill()
            collector.start()

    assert ([200] * 3, ["o-0", "o-1", "o-2"]) == (answers, sorted(sink.orders()))


def test_full_files_are_kept(tmp_path: Path, sink: ArchiveSink) -> None:
    """
    A file that is full is renamed, and none is ever removed.
    """
    environ = {**sink.variables, **RECORD, "REVENUE_ARCHIVE_MEGABYTES": "1"}
    names = [f"o-{n}" for n in range(3600)]
    with Collector(tmp_path / "collector", FILES, environ) as collector:
        for first in range(0, len(names), 600):  # about 400 kB each
            assert 200 == collector.post(logs_request([paid(name) for name in names[first : first + 600]])).status_code
    files = list(sink.file.parent.glob("*.jsonl"))

    assert (True, sorted(names)) == (len(files) > 1, sorted(sink.orders()))


def test_the_archive_can_be_replayed(tmp_path: Path, sink: ArchiveSink, backend: OtlpSink) -> None:
    """
    The documentation's own lines of shell give a backend the archive's events as they were, under the same ids.
    """
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    bodies = [
        paid("o-1", 9_007_199_254_740_993),
        event("checkout.start", order_id="o-2", skus=["a", "b"], livemode=True),
    ]
    with Collector(tmp_path / "first", FILES, {**sink.variables, **RECORD}) as collector:
        answers = [collector.post(logs_request([body])).status_code for body in bodies]
        assert wait_for(lambda: len(sink.orders()) == 2, 45)
    recipe = re.search(r"^set -o pipefail\n.*?^\)$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert recipe is not None
    environ = {**backend.variables, "REVENUE_RECORD": "otlp_http/otlp_record"}
    with Collector(tmp_path / "second", ("backends/otlp.yaml",), environ) as collector:
        for body in bodies:
            answers.append(collector.post(logs_request([body])).status_code)
        assert wait_for(lambda: len(backend.receiver.logs) == 2, 45)
        (tmp_path / "token").write_text(TOKEN)
        script = recipe[0].replace("http://localhost:4318", collector.url)
        paid_line, start_line = sorted(sink.lines(), key=lambda line: "checkout.start" in line)
        (tmp_path / "archive" / "full-disk.jsonl").write_text(f"{paid_line[:200]}{start_line}\n")
        assert (0, b"") == replay(script, tmp_path)
        assert wait_for(lambda: len(backend.receiver.logs) == 5, 45)
        (tmp_path / "archive" / "torn.jsonl").write_text('{"resourceLogs": [\n')
        assert 1 == replay(script.replace("--retry 20", "--retry 0"), tmp_path)[0]
        assert wait_for(lambda: len(backend.receiver.logs) == 8, 45)  # up to the line that was refused
    seen = sorted(backend.receiver.logs, key=lambda log: log.name)

    assert ([200] * 4, [seen[0]] * 5, [seen[5]] * 3) == (answers, seen[:5], seen[5:])


def replay(script: str, folder: Path) -> tuple[int, bytes]:
    """Run it; returns the exit code, and what it said of errors."""
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stderr
