# SPDX-License-Identifier: Apache-2.0
"""
What stands where in OTLP, as the Collector's file exporter or an HTTP request has it: JSON lines, one JSON document, or protobuf.

Source: opentelemetry-proto 1.x, "JSON Protobuf Encoding"; the Collector's file exporter.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_revenue.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEEPEST: Final = 64


class Attributes(NamedTuple):
    """Attributes of one thing: of which signal, and where."""

    signal: str
    place: str
    values: dict[str, Any]


class Text(NamedTuple):
    """
    Something else that holds text.

    Attributes:
        signal, place: where.
        what: `name`, `status`, `body`, ...
        value: text; of a body whatever it is.
        scope: name of the instrumentation scope.
        beside: attributes of the same thing.
    """

    signal: str
    place: str
    what: str
    value: Any
    scope: str
    beside: Mapping[str, Any]


Part = Attributes | Text


def parts(document: Any) -> Iterator[Part]:
    """
    Yield all parts of an export request as JSON has it.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(document, dict) or not any(f"resource{kind}" in document for kind in _WALKS):
        raise ValueError("no resourceSpans, resourceLogs or resourceMetrics")
    try:
        for kind, (signal, walk) in _WALKS.items():
            for resource in document.get(f"resource{kind}") or ():
                yield Attributes(signal, "resource", _attributes(resource.get("resource") or {}))
                for scoped in resource.get(f"scope{kind}") or ():
                    scope = scoped.get("scope") or {}
                    name = scope.get("name", "")
                    yield Text(signal, "scope", "name", name, name, {})
                    yield Attributes(signal, "scope", _attributes(scope))
                    for thing in scoped.get({"Spans": "spans", "Logs": "logRecords", "Metrics": "metrics"}[kind]) or ():
                        yield from walk(thing, name)
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"not of OTLP's shape: {type(error).__name__}") from None


def from_protobuf(data: bytes, signal: str | None) -> Any:
    """
    Return an export request in protobuf as JSON has it; of *signal*, or of the one that its content looks like.

    Raises:
        ValueError: it is none.
        MissingExtra: opentelemetry-proto is not installed.
    """
    try:
        from google.protobuf.json_format import MessageToDict
        from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
        from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
        from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
    except ImportError:
        raise MissingExtra('protobuf is read with opentelemetry-proto: pip install "otel-revenue[local]"') from None
    # A request for an export has the same bytes as data at rest.
    for name, message in (("traces", TracesData), ("logs", LogsData), ("metrics", MetricsData)):
        if signal not in (None, name):
            continue
        try:
            request = message.FromString(data)
        except Exception:  # noqa: BLE001, S112 - protobuf's DecodeError is another class in each of its implementations
            continue
        document: dict[str, Any] = MessageToDict(request)
        if signal is not None or _looks_like(name, document):
            return document
    raise ValueError("no export request in protobuf; if it is one, say of what: --signal traces|logs|metrics")


def _looks_like(signal: str, document: Mapping[str, Any]) -> bool:
    """All three requests begin alike; inside, fields of one are unknown in the others."""
    kind, inner, fields = {
        "traces": ("Spans", "spans", ("traceId",)),
        "logs": ("Logs", "logRecords", ("timeUnixNano", "observedTimeUnixNano")),
        "metrics": ("Metrics", "metrics", ("sum", "gauge", "histogram", "exponentialHistogram", "summary")),
    }[signal]
    things = [
        thing
        for resource in document.get(f"resource{kind}", ())
        for scoped in resource.get(f"scope{kind}", ())
        for thing in scoped.get(inner, ())
    ]
    return bool(things) and all(any(field in thing for field in fields) for thing in things)


def _span(span: dict[str, Any], scope: str) -> Iterator[Part]:
    own = _attributes(span)
    yield Text("traces", "span", "name", span.get("name", ""), scope, own)
    yield Text("traces", "span", "status", (span.get("status") or {}).get("message", ""), scope, own)
    yield Attributes("traces", "span", own)
    for event in span.get("events") or ():
        yield Text("traces", "span event", "name", event.get("name", ""), scope, {})
        yield Attributes("traces", "span event", _attributes(event))
    for link in span.get("links") or ():
        yield Attributes("traces", "link", _attributes(link))


def _log(record: dict[str, Any], scope: str) -> Iterator[Part]:
    if "body" in record:
        yield Text("logs", "log record", "body", _value(record["body"]), scope, {})
    for what, field in (("name", "eventName"), ("severity", "severityText")):
        yield Text("logs", "log record", what, record.get(field, ""), scope, {})
    yield Attributes("logs", "log record", _attributes(record))


def _metric(metric: dict[str, Any], scope: str) -> Iterator[Part]:
    del scope
    for kind in ("sum", "gauge", "histogram", "exponentialHistogram", "summary"):
        for point in (metric.get(kind) or {}).get("dataPoints") or ():
            yield Attributes("metrics", "data point", _attributes(point))
            for exemplar in point.get("exemplars") or ():
                yield Attributes("metrics", "exemplar", _attributes(exemplar, "filteredAttributes"))


_WALKS: Final = {"Spans": ("traces", _span), "Logs": ("logs", _log), "Metrics": ("metrics", _metric)}


def _attributes(thing: Mapping[str, Any], field: str = "attributes") -> dict[str, Any]:
    return {str(item["key"]): _value(item.get("value")) for item in thing.get(field) or ()}


def _value(value: Any, depth: int = 0) -> Any:
    if not value or depth > _DEEPEST:
        return None
    ((kind, inner),) = value.items()
    if kind == "arrayValue":
        return [_value(item, depth + 1) for item in inner.get("values") or ()]
    if kind == "kvlistValue":
        return {str(item["key"]): _value(item.get("value"), depth + 1) for item in inner.get("values") or ()}
    if kind == "bytesValue":
        try:
            return base64.b64decode(inner)
        except (binascii.Error, TypeError):
            return str(inner)
    return int(inner) if kind == "intValue" else inner
