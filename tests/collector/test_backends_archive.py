# SPDX-License-Identifier: Apache-2.0
"""The archive: nothing of it is overwritten, and a line of it is a request that can be sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from collector.backends.sinks import ArchiveSink, OtlpSink
from support.collector import Collector
from support.otlp_events import event, logs_request, paid
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = ("backends/archive-file.yaml",)
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


def test_a_line_can_be_sent_again(tmp_path: Path, sink: ArchiveSink, backend: OtlpSink) -> None:
    """
    Posted to a Collector as the documentation says, the archive gives a backend the events as they were, under the same ids.
    """
    bodies = [
        paid("o-1", 9_007_199_254_740_993),
        event("checkout.start", order_id="o-2", skus=["a", "b"], livemode=True),
    ]
    with Collector(tmp_path / "first", FILES, {**sink.variables, **RECORD}) as collector:
        answers = [collector.post(logs_request([body])).status_code for body in bodies]
        assert wait_for(lambda: len(sink.orders()) == 2, 45)
    environ = {**backend.variables, "REVENUE_RECORD": "otlp_http/otlp_record"}
    with Collector(tmp_path / "second", ("backends/otlp.yaml",), environ) as collector:
        for body in bodies:
            answers.append(collector.post(logs_request([body])).status_code)
        assert wait_for(lambda: len(backend.receiver.logs) == 2, 45)
        for line in sink.lines():
            headers = {**collector.headers, "Content-Type": "application/json"}
            answers.append(
                requests.post(f"{collector.url}/v1/logs", data=line, headers=headers, timeout=30).status_code
            )
        assert wait_for(lambda: len(backend.receiver.logs) == 4, 45)
    seen = sorted(backend.receiver.logs, key=lambda log: log.name)

    assert ([200] * 6, seen[0], seen[2]) == (answers, seen[1], seen[3])
