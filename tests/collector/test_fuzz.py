"""An address in every place and under every key, in every type: nothing of it leaves, and no request fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from otel_revenue.schema._table import EVENTS
from support.canaries import Canaries, text
from support.everything import Everything

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = sorted({key for fields in EVENTS.values() for key in fields})
TECHNICAL = [
    "http.route",
    "http.response.status_code",
    "server.address",
    "exception.type",
    "event.name",
    "undeclared.key",
]
RESOURCE = [
    "service.name",
    "service.version",
    "telemetry.sdk.version",
    "k8s.pod.name",
    "host.name",
    "process.command_line",
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with Everything(tmp_path_factory.mktemp("everything")) as running:
        yield running


@pytest.fixture
def everything(running: Everything) -> Everything:
    running.receiver.bodies.clear()
    return running


def attributed(
    make: Any, canaries: Canaries, place: str, keys: list[str], leave_out: tuple[str, ...] = ()
) -> list[Any]:
    """One of what *make* makes for each key and shape."""
    return [make(pair) for key in keys for pair in canaries.values(key, place, leave_out)]


def around(canaries: Canaries, place: str) -> tuple[Resource, InstrumentationScope, str]:
    """A resource and a scope with addresses in all their places, and one for the schema's URL."""
    resource = Resource(attributes=[pair for key in RESOURCE for pair in canaries.values(key, f"{place} resource")])
    scope = InstrumentationScope(
        name=canaries.one(f"{place} scope name"),
        version=canaries.one(f"{place} scope version"),
        attributes=canaries.values("k", f"{place} scope"),
    )
    return resource, scope, f"https://{canaries.one(f'{place} schema url')}/1"


@pytest.mark.parametrize("name", ["order.paid", "order.unknown_to_this_file", "checkout.start", "", "some.other.event"])
def test_no_address_leaves_in_a_log(everything: Everything, name: str) -> None:
    """Of money, funnel events and ordinary logs no attribute, body, text, resource or scope takes an address out."""
    canaries = everything.canaries
    resource, scope, url = around(canaries, name)
    records = attributed(
        lambda pair: LogRecord(event_name=name, attributes=[pair]), canaries, "log", [*KEYS, *TECHNICAL]
    )
    records += [LogRecord(event_name=name, body=pair.value) for pair in canaries.values("", "body")]
    records.append(LogRecord(event_name=name, severity_text=canaries.one("severity")))
    records.append(LogRecord(event_name=f"{name}{canaries.one('name')}"))
    scoped = ScopeLogs(scope=scope, log_records=records, schema_url=url)
    request = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=resource, scope_logs=[scoped], schema_url=url)]
    )

    status = everything.send(request, "/v1/logs")

    assert (200, [], True) == (status, everything.leaks(), bool(everything.receiver.bodies))


def test_no_address_leaves_in_a_trace(everything: Everything) -> None:
    """No name, status, state, attribute, event or link of a span takes an address out."""
    canaries = everything.canaries
    resource, scope, url = around(canaries, "traces")
    ids = {"trace_id": b"t" * 16, "span_id": b"s" * 8}
    spans = attributed(lambda pair: Span(**ids, attributes=[pair]), canaries, "span", [*KEYS, *TECHNICAL])
    spans += attributed(
        lambda pair: Span(**ids, events=[Span.Event(name="order.paid", attributes=[pair])]),
        canaries,
        "span event",
        [*KEYS, "exception.type", "exception.message", "exception.stacktrace"],
    )
    spans += attributed(lambda pair: Span(**ids, links=[Span.Link(**ids, attributes=[pair])]), canaries, "link", ["k"])
    state = f"k={canaries.one('state').replace('@', '_')}"
    spans += [
        Span(**ids, name=f"GET /u/{canaries.one('span name')}"),
        Span(**ids, status=Status(code=2, message=canaries.one("status"))),
        Span(**ids, trace_state=state),
        Span(**ids, links=[Span.Link(**ids, trace_state=state)]),
        Span(**ids, events=[Span.Event(name=canaries.one("span event name"))]),
    ]
    scoped = ScopeSpans(scope=scope, spans=spans, schema_url=url)
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[scoped], schema_url=url)]
    )

    status = everything.send(request, "/v1/traces")

    assert (200, [], True) == (status, everything.leaks(), bool(everything.receiver.bodies))


def test_no_address_leaves_in_a_metric(everything: Everything) -> None:
    """No name, unit, description, attribute or exemplar of a metric takes an address out."""
    canaries = everything.canaries
    resource, scope, url = around(canaries, "metrics")
    point = NumberDataPoint(as_int=1)
    metrics = [
        Metric(name="m", gauge={"data_points": [NumberDataPoint(as_int=1, attributes=[pair])]})
        for pair in canaries.values("some.key", "point", leave_out=("bytes", "list-bytes", "map-bytes"))
    ]
    metrics += [
        Metric(name=canaries.one("metric name"), gauge={"data_points": [point]}),
        Metric(name="m", unit=canaries.one("unit"), gauge={"data_points": [point]}),
        Metric(name="m", description=canaries.one("description"), gauge={"data_points": [point]}),
        Metric(name="m", metadata=canaries.values("k", "metadata"), gauge={"data_points": [point]}),
        Metric(
            name="m",
            gauge={
                "data_points": [
                    NumberDataPoint(as_int=1, exemplars=[{"filtered_attributes": canaries.values("k", "exemplar")}])
                ]
            },
        ),
        Metric(name="m", sum={"data_points": [{"attributes": [KeyValue(key="k", value=text(canaries.one("sum")))]}]}),
        Metric(
            name="m",
            histogram={"data_points": [{"attributes": [KeyValue(key="k", value=text(canaries.one("histogram")))]}]},
        ),
        Metric(
            name="m",
            summary={"data_points": [{"attributes": [KeyValue(key="k", value=text(canaries.one("summary")))]}]},
        ),
        Metric(
            name="m",
            exponential_histogram={
                "data_points": [{"attributes": [KeyValue(key="k", value=text(canaries.one("exponential")))]}]
            },
        ),
        Metric(name="m", gauge={"data_points": [{"attributes": [KeyValue(key=canaries.one("key"), value=text("v"))]}]}),
    ]
    scoped = ScopeMetrics(scope=scope, metrics=metrics, schema_url=url)
    request = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=[scoped], schema_url=url)]
    )

    status = everything.send(request, "/v1/metrics")

    assert (200, [], True) == (status, everything.leaks(), bool(everything.receiver.bodies))
