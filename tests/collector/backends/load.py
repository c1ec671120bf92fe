# SPDX-License-Identifier: Apache-2.0
"""What is sent: payments and funnel events, spans, or a counter; and personal data in every place that has room for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, Sum
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.otlp_events import SECOND, event, logs_request, paid

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY: Final = "jane.roe@canary-mail.example"
MARK: Final = b"canary-mail"
"""What is looked for: it must be nowhere, masked or not."""
POISONED: Final = "poisoned"
"""The order by which what holds it is known again."""

Request = tuple[str, bytes]
"""Path and body."""


def logs(first: int, count: int) -> tuple[set[str], list[Request]]:
    """*count* payments and as many funnel events, one a request; the order ids by which they are known again."""
    orders = range(first, first + count)
    names = {f"{kind}-{n}" for n in orders for kind in ("paid", "start")}
    bodies = [
        body for n in orders for body in (paid(f"paid-{n}"), event("checkout.start", order_id=f"start-{n}", tier="pro"))
    ]
    return names, [("/v1/logs", logs_request([body])) for body in bodies]


def traces(first: int, count: int) -> tuple[set[str], list[Request]]:
    """As many traces of one span each, with an order."""
    orders = range(first, first + count)
    bodies = [_trace(_span(n, [_pair("order_id", f"span-{n}")])) for n in orders]
    return {f"span-{n}" for n in orders}, [("/v1/traces", body) for body in bodies]


def metrics(first: int, count: int) -> tuple[set[str], list[Request]]:
    """One counter that grows: its last value stands for all before it."""
    counts, now = range(first, first + count), time.time_ns()
    bodies = [_counter(n + 1, [_pair("currency", "EUR")], now + n * 1_000_000) for n in counts]
    return {f"count-{n}" for n in counts}, [("/v1/metrics", body) for body in bodies]


LOADS: Final[dict[str, Callable[[int, int], tuple[set[str], list[Request]]]]] = {
    "logs": logs,
    "traces": traces,
    "metrics": metrics,
}


def poisoned() -> list[Request]:
    """One request of each signal, with personal data wherever a value has room for it."""
    record = LogRecord.FromString(paid(POISONED))
    record.severity_text = CANARY
    record.body.string_value = CANARY
    record.attributes.extend([_pair("email", CANARY), _pair("surface", f"for {CANARY}"), _pair("tier", CANARY)])
    ordinary = LogRecord(body=AnyValue(string_value=f"login of {CANARY}"), attributes=[_pair("user", CANARY)])
    span = _span(10**6, [_pair("order_id", POISONED), _pair("enduser.id", CANARY), _pair("http.route", f"/u/{CANARY}")])
    span.name, span.trace_state = f"GET /u/{CANARY}", f"a={CANARY}"
    span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=CANARY))
    span.events.add(
        name="exception", attributes=[_pair("exception.message", CANARY), _pair("exception.type", "ValueError")]
    )
    span.links.add(trace_id=span.trace_id, span_id=span.span_id, attributes=[_pair("note", CANARY)])
    return [
        ("/v1/logs", _logs(record)),
        ("/v1/logs", _logs(ordinary)),
        ("/v1/traces", _trace(span)),
        ("/v1/metrics", _counter(0, [_pair("currency", "USD"), _pair("user", CANARY)], time.time_ns())),
    ]


_RESOURCE: Final = Resource(
    attributes=[
        KeyValue(key="service.name", value=AnyValue(string_value="shop")),
        KeyValue(key="process.command_line", value=AnyValue(string_value=f"serve --admin {CANARY}")),
    ]
)
_SCOPE: Final = InstrumentationScope(
    name=CANARY, version=CANARY, attributes=[KeyValue(key="owner", value=AnyValue(string_value=CANARY))]
)
_BEGAN: Final = 1_790_000_000 * SECOND


def _logs(record: LogRecord) -> bytes:
    request = ExportLogsServiceRequest()
    whole = request.resource_logs.add(resource=_RESOURCE, schema_url=f"https://{CANARY}")
    whole.scope_logs.add(scope=_SCOPE, log_records=[record], schema_url=f"https://{CANARY}")
    return request.SerializeToString()


def _trace(span: Span) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add(resource=_RESOURCE).scope_spans.add(scope=_SCOPE, spans=[span])
    return request.SerializeToString()


def _span(number: int, attributes: list[KeyValue]) -> Span:
    return Span(
        trace_id=(number + 1).to_bytes(16, "big"),
        span_id=(number + 1).to_bytes(8, "big"),
        name="POST /checkout",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=_BEGAN,
        end_time_unix_nano=_BEGAN + SECOND // 10,
        attributes=attributes,
    )


def _counter(value: int, attributes: list[KeyValue], time_ns: int) -> bytes:
    """The counter at *value*. Prometheus takes no old samples, and of one millisecond no second one."""
    point = NumberDataPoint(start_time_unix_nano=_BEGAN, time_unix_nano=time_ns, as_int=value, attributes=attributes)
    cumulative = Sum(data_points=[point], is_monotonic=True, aggregation_temporality=2)  # type: ignore[arg-type]
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add(resource=_RESOURCE).scope_metrics.add(scope=_SCOPE)
    scope.metrics.append(Metric(name="revenue.orders", unit="{order}", sum=cumulative))
    return request.SerializeToString()


def _pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
