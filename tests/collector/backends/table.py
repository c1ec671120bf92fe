# SPDX-License-Identifier: Apache-2.0
"""The backends: one row for each file in collector-config/backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.collector import OLDER, PROGRAM

from .sinks import (
    ArchiveSink,
    BridgeSink,
    ClickHouseSink,
    DebugSink,
    KafkaSink,
    OtlpSink,
    RemoteWriteSink,
    ScrapeSink,
    TracingSink,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .sinks import Sink


@dataclass(frozen=True)
class Backend:
    """
    One file.

    Attributes:
        name: of the file, without `.yaml`.
        sink: what stands behind it in the tests.
        record: its exporter for REVENUE_RECORD; empty where it cannot answer for money.
        signal: what it takes.
        program: the Collector that has its exporter.
        queued: whether it keeps anything, so that being killed means something to it.
        quick: the columns that `make test` plays; `make collector-table` plays all.
    """

    name: str
    sink: Callable[[Path], Sink]
    record: str = ""
    signal: str = "logs"
    program: str = PROGRAM
    queued: bool = True
    quick: tuple[str, ...] = ("validated", "killed", "dead neighbour", "of record")

    @property
    def file(self) -> str:
        return f"backends/{self.name}.yaml"


BACKENDS: Final = (
    Backend("otlp", OtlpSink, "otlp_http/otlp_record"),
    Backend("clickhouse", ClickHouseSink, "clickhouse/clickhouse_record"),
    Backend("bridge", BridgeSink, "otlp_http/bridge_record"),
    Backend("archive-file", ArchiveSink, "otlp_http/archive_record"),
    Backend("kafka", KafkaSink, "kafka/kafka_record", program=OLDER, quick=("validated",)),
    Backend("tracing", TracingSink, signal="traces"),
    Backend("prometheus-remote-write", RemoteWriteSink, signal="metrics", quick=("validated", "killed")),
    Backend("prometheus", ScrapeSink, signal="metrics", program=OLDER, quick=("validated", "killed")),
    Backend("debug", DebugSink, queued=False, quick=("validated", "run")),
)

BY_NAME: Final = {backend.name: backend for backend in BACKENDS}


def neighbour(backend: Backend) -> Backend:
    """The one that stands beside it: it takes money, for those that take none."""
    return BY_NAME["bridge" if backend.name == "otlp" else "otlp"]
