"""A Collector that sends everything which passes the base to one far end, unqueued, and prints it too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from .canaries import Canaries
from .collector import BASE, Collector
from .receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FILE = Path(__file__).resolve().parents[1] / "collector" / "everything.yaml"


@dataclass
class Everything:
    """The Collector and its far end; `canaries` knows what was planted in what it is sent."""

    folder: Path
    files: Sequence[str | Path] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    canaries: Canaries = field(default_factory=Canaries)
    base: Sequence[str | Path] = BASE

    def __enter__(self) -> Everything:
        self.receiver = Receiver().__enter__()
        environ = {"REVENUE_RECORD": "nop/queued", "FAR_END": self.receiver.url, **self.environ}
        self.collector = Collector(self.folder, (FILE, *self.files), environ, self.base)
        self.collector.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.collector.kill()
        self.receiver.__exit__()

    def send(self, request: Any, path: str) -> int:
        """Post a message of OTLP and return the status."""
        return self.collector.post(request.SerializeToString(), path).status_code

    def send_logs(self, records: Iterable[LogRecord], **around: Any) -> int:
        """Post records of one resource and scope."""
        scope = ScopeLogs(log_records=records)
        return self.send(
            ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[scope], **around)]), "/v1/logs"
        )

    def send_spans(self, spans: Iterable[Span]) -> int:
        """Post spans of one resource and scope."""
        scope = ScopeSpans(spans=spans)
        return self.send(ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope])]), "/v1/traces")

    def logs(self) -> list[LogRecord]:
        """Return the records that arrived."""
        requests = map(ExportLogsServiceRequest.FromString, self.receiver.bodies)
        return [
            r for request in requests for rl in request.resource_logs for sl in rl.scope_logs for r in sl.log_records
        ]

    def spans(self) -> list[Span]:
        """Return the spans that arrived."""
        requests = map(ExportTraceServiceRequest.FromString, self.receiver.bodies)
        return [s for request in requests for rs in request.resource_spans for ss in rs.scope_spans for s in ss.spans]

    def leaks(self) -> list[str]:
        """Return where addresses had been planted that arrived or were printed."""
        return self.canaries.found(*self.receiver.bodies, self.collector.said().encode())
