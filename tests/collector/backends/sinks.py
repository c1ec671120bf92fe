# SPDX-License-Identifier: Apache-2.0
"""The backends: fakes that keep every byte, and real ones where they can be had."""

from __future__ import annotations

import atexit
import functools
import json
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.clickhouse_server import ClickHouse
from support.far_end import GrpcFarEnd, acknowledged
from support.kafka_server import Door, Kafka
from support.ports import free_port
from support.prometheus import Prometheus
from support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = Path(__file__).resolve().parents[3] / "collector-config" / "clickhouse" / "schema.sql"


class Sink(Protocol):
    """
    A backend that can be away: `up` and `down` keep its address and what it has taken.

    Attributes:
        restart: whether a Collector must start again to notice that it is back.
    """

    restart: bool

    @property
    def variables(self) -> Mapping[str, str]:
        """What its file in backends/ wants to know."""

    def up(self) -> None: ...

    def down(self) -> None: ...

    def end(self) -> None:
        """Leave no process behind."""

    def orders(self) -> list[str]:
        """Order ids of all that it took, copies included."""

    def everything(self) -> bytes:
        """All that it took, in whatever form."""


def orders_in_json(request: Mapping[str, Any]) -> list[str]:
    """Return the order ids of an OTLP JSON request for logs."""
    return [
        pair["value"]["stringValue"]
        for resource in request["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
        for pair in record.get("attributes", ())
        if pair["key"] == "order_id"
    ]


@dataclass
class OtlpSink:
    """Any OTLP backend over HTTP."""

    folder: Path
    receiver: Receiver = field(default_factory=lambda: Receiver(port=free_port()))
    restart: bool = False

    @property
    def variables(self) -> dict[str, str]:
        return {"REVENUE_OTLP_URL": self.receiver.url, "REVENUE_OTLP_HEADERS": "{authorization: Bearer key}"}

    def up(self) -> None:
        self.receiver.__enter__()

    def down(self) -> None:
        self.receiver.__exit__()

    end = down

    def orders(self) -> list[str]:
        return [str(log.attributes["order_id"]) for log in self.receiver.logs if "order_id" in log.attributes]

    def everything(self) -> bytes:
        return b"".join(self.receiver.bodies)


class _JsonReceiver(Receiver):
    def take(self, path: str, body: bytes) -> None:
        json.loads(body)
        self.bodies.append(body)


@dataclass
class BridgeSink(OtlpSink):
    """What the bridge is told: OTLP JSON."""

    receiver: Receiver = field(default_factory=lambda: _JsonReceiver(port=free_port()))

    @property
    def variables(self) -> dict[str, str]:
        return {"REVENUE_BRIDGE_URL": self.receiver.url}

    def orders(self) -> list[str]:
        return [order for body in list(self.receiver.bodies) for order in orders_in_json(json.loads(body))]


@dataclass
class TracingSink:
    """A tracing backend, over gRPC."""

    folder: Path
    restart: bool = False

    def __post_init__(self) -> None:
        method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        self.far_end = GrpcFarEnd(acknowledged, method=method, port=free_port())

    @property
    def variables(self) -> dict[str, str]:
        return {
            "REVENUE_TRACING_ENDPOINT": f"127.0.0.1:{self.far_end.port}",
            "REVENUE_TRACING_INSECURE": "true",
            "REVENUE_TRACING_WAIT": "1s",
            "REVENUE_TRACING_PERCENT": "0",
        }

    def up(self) -> None:
        self.far_end.__enter__()

    def down(self) -> None:
        self.far_end.__exit__()

    end = down

    def orders(self) -> list[str]:
        return [
            pair.value.string_value
            for body in list(self.far_end.bodies)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            for pair in span.attributes
            if pair.key == "order_id"
        ]

    def everything(self) -> bytes:
        return b"".join(self.far_end.bodies)


@dataclass
class ClickHouseSink:
    """ClickHouse with our schema."""

    folder: Path
    restart: bool = False

    def __post_init__(self) -> None:
        self.server = ClickHouse(self.folder, password="of the tests")

    @property
    def variables(self) -> dict[str, str]:
        return {
            "REVENUE_CLICKHOUSE_ENDPOINT": self.server.url,
            "REVENUE_CLICKHOUSE_PASSWORD": self.server.password,
            "REVENUE_CLICKHOUSE_COMPRESS": "none",
        }

    def up(self) -> None:
        self.server.start()
        self.server.run(SCHEMA.read_text(encoding="utf-8"))

    def down(self) -> None:
        self.server.kill()

    end = down

    def orders(self) -> list[str]:
        rows = self.server.query("SELECT order_id FROM revenue.otel_events WHERE order_id IS NOT NULL")
        return [str(row["order_id"]) for row in rows]

    def everything(self) -> bytes:
        return json.dumps(self.server.query("SELECT * FROM revenue.otel_events")).encode()


@dataclass
class ArchiveSink:
    """Files. Away means a full disk, which is noticed again when the Collector opens the file anew."""

    folder: Path
    restart: bool = True

    def __post_init__(self) -> None:
        self.file = self.folder / "archive" / "events.jsonl"
        self.port = free_port()

    @property
    def variables(self) -> dict[str, str]:
        return {"REVENUE_ARCHIVE_FILE": str(self.file), "REVENUE_ARCHIVE_LOOPBACK": f"127.0.0.1:{self.port}"}

    def up(self) -> None:
        if self.file.is_symlink():
            self.file.unlink()

    def down(self) -> None:
        self.file.parent.mkdir(exist_ok=True)
        if self.file.exists():
            self.file.rename(self.file.with_name("before.jsonl"))
        self.file.symlink_to("/dev/full")

    def end(self) -> None:
        pass

    def lines(self) -> list[str]:
        """The requests, of full files too."""
        return [
            line
            for path in self.file.parent.glob("*.jsonl")
            if path.is_file()
            for line in path.read_text().splitlines()
        ]

    def orders(self) -> list[str]:
        return [order for line in self.lines() for order in orders_in_json(json.loads(line))]

    def everything(self) -> bytes:
        return "".join(self.lines()).encode()


@dataclass
class KafkaSink:
    """A topic of its own on a broker that all share."""

    folder: Path
    restart: bool = False
    _messages: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.topic = f"events-{secrets.token_hex(6)}"
        self.there = False

    @property
    def variables(self) -> dict[str, str]:
        address = broker().address if self.there else "127.0.0.1:9092"
        return {
            "REVENUE_KAFKA_BROKERS": f"[{address}]",
            "REVENUE_KAFKA_TOPIC": self.topic,
            "REVENUE_KAFKA_COMPRESSION": "gzip",
        }

    def up(self) -> None:
        broker().door.open()
        if not self.there:
            broker().make(self.topic)
            self.there = True

    def down(self) -> None:
        broker().door.shut()

    end = down

    def orders(self) -> list[str]:
        self._messages = tuple(broker().messages(self.topic))
        return [order for message in self._messages for order in orders_in_json(json.loads(message))]

    def everything(self) -> bytes:
        return b"".join(self._messages)


@functools.cache
def broker() -> Kafka:
    """The one broker of this process: it takes long to start."""
    folder = Path(tempfile.mkdtemp(prefix="otel-revenue-kafka-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    started = Kafka(folder).__enter__()
    atexit.register(started.__exit__)
    started.door.shut()
    return started


@dataclass
class RemoteWriteSink:
    """A real Prometheus. What it has is a counter: its value stands for all before it."""

    folder: Path
    restart: bool = False

    def __post_init__(self) -> None:
        self.door = Door()
        self.server = Prometheus(self.folder)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "REVENUE_REMOTE_WRITE_ENDPOINT": f"http://127.0.0.1:{self.door.port}/api/v1/write",
            "REVENUE_REMOTE_WRITE_HEADERS": "{}",
        }

    def up(self) -> None:
        if not self.door.to:
            self.server.__enter__()
            self.door.to = self.server.port
        self.door.open()

    def down(self) -> None:
        self.door.shut()

    def end(self) -> None:
        self.down()
        self.server.__exit__()

    def orders(self) -> list[str]:
        values = self.server.query('revenue_orders_total{currency="EUR"}').values()
        return [f"count-{n}" for n in range(int(max(values, default=0)))]

    def everything(self) -> bytes:
        return repr(self.server.query('{__name__=~".+"}')).encode()


@dataclass
class ScrapeSink:
    """Whoever scrapes the Collector. It has nothing to be away with."""

    folder: Path
    restart: bool = False
    port: int = field(default_factory=free_port)

    @property
    def variables(self) -> dict[str, str]:
        return {"REVENUE_PROMETHEUS_ENDPOINT": f"127.0.0.1:{self.port}"}

    def up(self) -> None:
        pass

    down = end = up

    def orders(self) -> list[str]:
        values = re.findall(
            r'^revenue_orders_total{.*currency="EUR".*} (\S+)', self.everything().decode(), re.MULTILINE
        )
        return [f"count-{n}" for n in range(int(max(map(float, values), default=0)))]

    def everything(self) -> bytes:
        return requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30).content


@dataclass
class DebugSink:
    """The Collector's own log."""

    folder: Path
    restart: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    def up(self) -> None:
        pass

    down = end = up

    def orders(self) -> list[str]:
        return re.findall(r"order_id: Str\((\S+)\)", self.everything().decode())

    def everything(self) -> bytes:
        return (self.folder.parent / "collector" / "collector.log").read_bytes()
