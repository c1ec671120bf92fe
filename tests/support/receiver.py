"""A real OTLP/HTTP receiver on loopback that keeps every byte it was sent."""

from __future__ import annotations

import gzip
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Log:
    name: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    time_ns: int
    trace_id: str
    span_id: str


@dataclass(frozen=True)
class Span:
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    events: dict[str, dict[str, Any]]
    links: list[str]
    """Trace ids."""


@dataclass
class Receiver:
    """`status` is answered to /v1/logs while it is not 200, after `delay_s` seconds; `port` 0 picks one."""

    port: int = 0
    status: int = 200
    delay_s: float = 0.0
    logs: list[Log] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    metrics: dict[str, list[tuple[dict[str, Any], float]]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Receiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status = receiver.status if self.path == "/v1/logs" else 200
                if status == 200:
                    receiver.take(self.path, body)
                if self.path == "/v1/logs":
                    time.sleep(receiver.delay_s)
                answer = ExportLogsServiceResponse().SerializeToString() if status == 200 else b""
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/logs":
            self.logs.extend(_logs(ExportLogsServiceRequest.FromString(body)))
        elif path == "/v1/traces":
            self.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
        elif path == "/v1/metrics":
            self._metrics(ExportMetricsServiceRequest.FromString(body))

    def named(self, name: str) -> list[Log]:
        return [log for log in self.logs if log.name == name]

    def _metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = metric.sum if metric.HasField("sum") else metric.gauge
                    points = [(_attributes(p.attributes), p.as_int or p.as_double) for p in data.data_points]
                    self.metrics[metric.name] = points


def wait_for(condition: Callable[[], bool], timeout: float = 60.0) -> bool:
    """Wait until *condition* holds; the time is a bound against hanging, never a promise."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def _logs(request: ExportLogsServiceRequest) -> list[Log]:
    return [
        Log(
            r.event_name,
            _attributes(r.attributes),
            _attributes(resource.resource.attributes),
            r.time_unix_nano,
            r.trace_id.hex(),
            r.span_id.hex(),
        )
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for r in scope.log_records
    ]


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        Span(
            s.name,
            s.kind,
            s.trace_id.hex(),
            s.span_id.hex(),
            s.parent_span_id.hex(),
            _attributes(s.attributes),
            {e.name: _attributes(e.attributes) for e in s.events},
            [link.trace_id.hex() for link in s.links],
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for s in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(v) for v in value.array_value.values]
    return getattr(value, kind) if kind else None
