# SPDX-License-Identifier: Apache-2.0
"""The bytes that we write by hand, held against the library that everybody reads them with."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otel_revenue.schema._table import EVENTS
from otel_revenue.signals import otlp
from otel_revenue.signals.otlp_decode import (
    MAX_DEPTH,
    DecodedRecord,
    decode_export_logs_response,
    decode_log_record,
    decode_retry_delay,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # surrogates and NUL among them
VALUES = {
    "id": TEXT,
    "label": TEXT,
    "code": TEXT,
    "count": INT64,
    "minor": INT64,
    "major": st.floats(),
    "flag": st.booleans(),
    "ids": st.lists(TEXT, max_size=20),
}
TIMES = st.integers(0, 2**64 - 1)
PAIRS = st.one_of([st.tuples(TEXT, st.just(kind), values) for kind, values in VALUES.items()])
RECORDS = st.fixed_dictionaries(
    {
        "time_ns": TIMES,
        "observed_ns": TIMES,
        "event_name": TEXT,
        "trace_id": st.integers(0, 2**128 - 1),
        "span_id": st.integers(0, 2**64 - 1),
        "flags": st.integers(0, 2**32 - 1),
        "severity_number": st.integers(0, 24),
        "severity_text": TEXT,
        "pairs": st.lists(PAIRS, max_size=8, unique_by=lambda pair: _clean(pair[0])),
    }
)


def _clean(value: Any) -> Any:
    """What arrives of *value*: text with "?" for what no UTF-8 can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_clean(item) for item in value] if isinstance(value, (list, tuple)) else value


def _of_proto(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_of_proto(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def _comparable(value: Any) -> Any:
    """Floats by their bits: NaN is equal to itself here, and 0.0 is not -0.0; a bool is not an int."""
    if isinstance(value, float):
        return ("float", struct.pack("<d", value) if not math.isnan(value) else "nan")
    return [_comparable(item) for item in value] if isinstance(value, list) else (type(value).__name__, value)


def _encode(given_: dict[str, Any]) -> bytes:
    rest = {key: value for key, value in given_.items() if key != "pairs"}
    attributes = [otlp.encoder(key, kind)(value) for key, kind, value in given_["pairs"]]
    return otlp.encode_log_record(attributes=attributes, **rest)


@settings(deadline=None)
@given(RECORDS)
def test_a_record_is_read_back_by_protobuf_exactly(values: dict[str, Any]) -> None:
    """
    Every record that we encode is parsed by opentelemetry-proto to the values that were given, types included.
    """
    parsed = LogRecord.FromString(_encode(values))

    traced = bool(values["trace_id"] and values["span_id"])
    assert (
        values["time_ns"],
        values["observed_ns"],
        _clean(values["event_name"]),
        values["severity_number"],
        _clean(values["severity_text"]),
        values["trace_id"].to_bytes(16, "big") if traced else b"",
        values["span_id"].to_bytes(8, "big") if traced else b"",
        values["flags"] if traced else 0,
        [(_clean(key), _comparable(_clean(value))) for key, _, value in values["pairs"]],
    ) == (
        parsed.time_unix_nano,
        parsed.observed_time_unix_nano,
        parsed.event_name,
        parsed.severity_number,
        parsed.severity_text,
        parsed.trace_id,
        parsed.span_id,
        parsed.flags,
        [(pair.key, _comparable(_of_proto(pair.value))) for pair in parsed.attributes],
    )


@settings(deadline=None)
@given(RECORDS)
def test_decoding_is_the_inverse_of_encoding(values: dict[str, Any]) -> None:
    """
    What we wrote to disk we read back as it was.
    """
    decoded = decode_log_record(_encode(values))

    traced = bool(values["trace_id"] and values["span_id"])
    expected = DecodedRecord(
        time_ns=values["time_ns"],
        observed_ns=values["observed_ns"],
        event_name=_clean(values["event_name"]),
        attributes={},
        trace_id=values["trace_id"] if traced else 0,
        span_id=values["span_id"] if traced else 0,
        flags=values["flags"] if traced else 0,
        severity_number=values["severity_number"],
        severity_text=_clean(values["severity_text"]),
    )
    attributes = {key: _comparable(value) for key, value in decoded.attributes.items()}
    decoded.attributes.clear()
    assert (expected, {_clean(k): _comparable(_clean(v)) for k, _, v in values["pairs"]}) == (decoded, attributes)


def test_every_kind_of_the_schema_is_covered() -> None:
    """
    The properties here run over every kind of attribute that the schema knows.
    """
    assert set(VALUES) >= {kind for fields in EVENTS.values() for kind, _ in fields.values()}


@pytest.mark.parametrize("time_ns", [-1, 2**64, 10**40])
def test_a_time_that_otlp_cannot_hold_is_unknown(time_ns: int) -> None:
    """
    An absurd time does not cost the event: it becomes 0, which is OTLP's word for unknown.
    """
    encoded = otlp.encode_log_record(time_ns=time_ns, observed_ns=time_ns, event_name="order.paid", attributes=[])
    parsed = LogRecord.FromString(encoded)

    assert (0, 0) == (parsed.time_unix_nano, parsed.observed_time_unix_nano)


@settings(deadline=None)
@given(st.integers(min_value=2**63) | st.integers(max_value=-(2**63) - 1))
def test_an_integer_beyond_64_bits_is_refused(value: int) -> None:
    """
    A number that OTLP cannot hold is never cut to another number.
    """
    with pytest.raises(OverflowError):
        otlp.encode_key_value("amount_minor", value)


RESOURCE_VALUES = st.recursive(
    TEXT | st.integers() | st.floats() | st.booleans() | st.binary(max_size=20) | st.none() | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(TEXT, RESOURCE_VALUES, max_size=6))
@example({"huge": 10**9000})
@example({"tuple": ("a", None, 2**70)})
def test_a_resource_of_anything_is_encoded(attributes: dict[str, Any]) -> None:
    """
    Whatever an application declares as its resource, the encoding succeeds and keeps every key.
    """
    parsed = Resource.FromString(otlp.encode_resource(attributes))

    assert [_clean(key) for key in attributes] == [pair.key for pair in parsed.attributes]


@settings(deadline=None)
@given(st.dictionaries(TEXT, TEXT | INT64 | st.booleans() | st.lists(TEXT | INT64, max_size=4), max_size=6))
def test_a_resource_keeps_its_values(attributes: dict[str, Any]) -> None:
    """
    Values that OTLP has a type for arrive as they are.
    """
    parsed = Resource.FromString(otlp.encode_resource(attributes))

    assert [_comparable(_clean(value)) for value in attributes.values()] == [
        _comparable(_of_proto(pair.value)) for pair in parsed.attributes
    ]


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=5), st.dictionaries(TEXT, TEXT, max_size=3), TEXT, TEXT, TEXT)
def test_a_request_is_its_records_in_order(
    records: list[dict[str, Any]], resource: dict[str, str], name: str, version: str, schema_url: str
) -> None:
    """
    A request holds one resource, one scope, and every record, whole and in order.
    """
    encoded = [_encode(record) for record in records]
    body = otlp.frame_request(
        encoded,
        resource=otlp.encode_resource(resource),
        scope=otlp.encode_scope(name, version),
        schema_url=schema_url,
    )
    request = ExportLogsServiceRequest.FromString(body)

    (resource_logs,) = request.resource_logs
    (scope_logs,) = resource_logs.scope_logs
    assert (
        {_clean(key): _clean(value) for key, value in resource.items()},
        InstrumentationScope(name=_clean(name), version=_clean(version)),
        _clean(schema_url),
        [LogRecord.FromString(record).SerializeToString(deterministic=True) for record in encoded],
    ) == (
        {pair.key: pair.value.string_value for pair in resource_logs.resource.attributes},
        scope_logs.scope,
        scope_logs.schema_url,
        [record.SerializeToString(deterministic=True) for record in scope_logs.log_records],
    )


def _nested(levels: int, *, maps: bool) -> bytes:
    value = b"\x0a\x01x"
    for _ in range(levels):
        item = b"\x0a\x01k\x12" + otlp.varint(len(value)) + value if maps else value
        inner = b"\x0a" + otlp.varint(len(item)) + item
        value = (b"\x32" if maps else b"\x2a") + otlp.varint(len(inner)) + inner
    pair = b"\x0a\x01k\x12" + otlp.varint(len(value)) + value
    return b"\x32" + otlp.varint(len(pair)) + pair


@pytest.mark.parametrize("maps", [False, True], ids=["lists", "maps"])
def test_depth_is_bounded(maps: bool) -> None:
    """
    Values nested without end are malformed bytes, not a full stack.
    """
    assert {"k"} == set(decode_log_record(_nested(MAX_DEPTH, maps=maps)).attributes)

    with pytest.raises(ValueError, match="nested"):
        decode_log_record(_nested(3000, maps=maps))


MUTATED = st.builds(
    lambda record, at, byte: record[: at % len(record)] + bytes([byte]) + record[at % len(record) + 1 :],
    RECORDS.map(_encode),
    st.integers(0, 10_000),
    st.integers(0, 255),
)


@settings(deadline=None)
@given(st.binary(max_size=2000) | MUTATED)
@example(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
@example(b"\xff" * 12)
def test_arbitrary_bytes_are_a_value_error_or_a_value(data: bytes) -> None:
    """
    Whatever the bytes are, decoding ends with a value or a ValueError.
    """
    for decode in (decode_log_record, decode_export_logs_response, decode_retry_delay):
        try:
            result: object = decode(data)
        except ValueError:
            continue

        assert isinstance(result, object)


@settings(deadline=None)
@given(INT64, st.text(max_size=40))
def test_a_partial_success_is_read(rejected: int, message: str) -> None:
    """
    The count of rejected records in an answer is read as protobuf wrote it.
    """
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = rejected
    answer.partial_success.error_message = message
    read = decode_export_logs_response(answer.SerializeToString())

    assert (rejected, message) == (read.rejected, read.message)


def test_the_retry_delay_of_a_grpc_status_is_read() -> None:
    """
    A `RetryInfo` among a status' details is found, other details are not taken for one.
    """
    from google.rpc.error_details_pb2 import DebugInfo, RetryInfo
    from google.rpc.status_pb2 import Status

    status = Status(code=8, message="busy")
    status.details.add().Pack(DebugInfo(detail="x"))
    bare = status.SerializeToString()
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(2500)
    status.details.add().Pack(info)

    assert (None, 2.5) == (decode_retry_delay(bare), decode_retry_delay(status.SerializeToString()))
