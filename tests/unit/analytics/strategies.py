"""Hypothesis strategies for OTLP messages of any sender."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

times = st.integers(0, 2**64 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=200)
trace_ids = st.just(b"") | st.binary(min_size=16, max_size=16)
span_ids = st.just(b"") | st.binary(min_size=8, max_size=8)

scalars = st.one_of(
    st.builds(lambda v: AnyValue(string_value=v), texts),
    st.builds(lambda v: AnyValue(bool_value=v), st.booleans()),
    st.builds(lambda v: AnyValue(int_value=v), st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda v: AnyValue(double_value=v), st.floats()),
    st.builds(lambda v: AnyValue(bytes_value=v), st.binary(max_size=20)),
    st.just(AnyValue()),
)


def _nested(inner: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    return st.one_of(
        st.builds(lambda v: AnyValue(array_value=ArrayValue(values=v)), st.lists(inner, max_size=3)),
        st.builds(lambda v: AnyValue(kvlist_value=KeyValueList(values=v)), st.lists(pairs_of(inner), max_size=3)),
    )


def pairs_of(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[KeyValue]:
    return st.builds(lambda key, value: KeyValue(key=key, value=value), texts, values)


values = st.recursive(scalars, _nested, max_leaves=5)
attributes = st.lists(pairs_of(values), max_size=6, unique_by=lambda pair: pair.key)


@st.composite
def log_records(draw: st.DrawFn) -> LogRecord:
    """Any record a sender may write, with the fields that we do not read."""
    return LogRecord(
        time_unix_nano=draw(times),
        observed_time_unix_nano=draw(times),
        severity_number=draw(st.integers(0, 24)),
        severity_text=draw(texts),
        body=draw(scalars),
        attributes=draw(attributes),
        dropped_attributes_count=draw(st.integers(0, 2**32 - 1)),
        flags=draw(st.integers(0, 2**32 - 1)),
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        event_name=draw(st.just("") | texts),
    )


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """Any span a sender may write."""
    events = [
        Span.Event(time_unix_nano=draw(times), name=draw(texts), attributes=draw(attributes))
        for _ in range(draw(st.integers(0, 2)))
    ]
    links = [
        Span.Link(trace_id=draw(trace_ids), span_id=draw(span_ids), attributes=draw(attributes))
        for _ in range(draw(st.integers(0, 2)))
    ]
    return Span(
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        parent_span_id=draw(span_ids),
        name=draw(texts),
        kind=draw(st.integers(0, 5)),  # type: ignore[arg-type]
        start_time_unix_nano=draw(times),
        end_time_unix_nano=draw(times),
        attributes=draw(attributes),
        events=events,
        links=links,
        status=Status(code=draw(st.integers(0, 2))),  # type: ignore[arg-type]
    )


def plain(value: AnyValue) -> Any:
    """What an attribute's value is in the database: written apart from the code, as a reader of the proto would."""
    import base64
    import math

    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {without_nul(pair.key): plain(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value.double_value, "NaN")
    if kind == "string_value":
        return without_nul(value.string_value)
    return getattr(value, kind) if kind else None


def without_nul(text: str) -> str:
    return text.replace("\0", "\ufffd")


def plain_attributes(pairs: Any) -> dict[str, Any]:
    return {without_nul(pair.key): plain(pair.value) for pair in pairs}
