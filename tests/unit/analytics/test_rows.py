"""From OTLP bytes to rows: nothing is lost on the way, nothing that is no OTLP gets in, whatever the encoding."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_revenue.analytics.body import Refused
from otel_revenue.analytics.logs import MAX_RECORD, read_logs
from otel_revenue.analytics.otlp_json import to_protobuf
from otel_revenue.analytics.spans import KINDS, STATUSES, read_spans
from otel_revenue.analytics.values import Members
from support.otlp_events import logs_request, paid

from .strategies import log_records, plain_attributes, spans, without_nul

MAX_TIME = 2**63 - 1


def logs(*records: LogRecord, service: str = "shop") -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add()
    scope.resource.attributes.add(key="service.name").value.string_value = service
    scope.scope_logs.add().log_records.extend(records)
    return request


def as_row(record: LogRecord, service: str) -> dict[str, Any]:
    return {
        "n": without_nul(record.event_name),
        "t": min(record.time_unix_nano, MAX_TIME),
        "o": min(record.observed_time_unix_nano, MAX_TIME),
        "i": record.trace_id.hex(),
        "s": record.span_id.hex(),
        "v": without_nul(service),
        "a": plain_attributes(record.attributes),
    }


@settings(max_examples=150)
@given(records=st.lists(log_records(), max_size=4), service=st.text(st.characters(codec="utf-8"), max_size=150))
def test_reading_in_place_says_what_the_parser_says(records: list[LogRecord], service: str) -> None:
    """
    The rows of a request hold what protobuf's own parser finds in it, for any record of any sender.
    """
    rows = read_logs(logs(*records, service=service).SerializeToString(), Members())

    expected = [as_row(record, service) for record in records if record.event_name]
    assert expected == [json.loads(line) for line in rows.lines]
    assert len(records) - len(expected) == rows.others


@settings(max_examples=50)
@given(records=st.lists(log_records(), min_size=1, max_size=3))
def test_a_memory_of_attributes_changes_nothing(records: list[LogRecord]) -> None:
    """
    What was decoded before does not change what is decoded next.
    """
    data, members = logs(*records).SerializeToString(), Members()

    first, second = read_logs(data, members), read_logs(data, members)

    assert first == second


def test_our_own_encoder_is_understood() -> None:
    """
    Records as the application's side encodes them arrive with name, time, trace and typed attributes.
    """
    body = logs_request([paid(order_id="o-1", amount_minor=4999, at=17, observed=18, ids=(0xA, 0xB, 1))])

    (line,) = read_logs(body, Members()).lines

    row = json.loads(line)
    assert ("order.paid", 17, 18, f"{0xA:032x}", f"{0xB:016x}", "shop") == tuple(row[key] for key in "ntoisv")
    assert 4999 == row["a"]["amount_minor"]
    assert row["a"]["livemode"] is True


@settings(max_examples=200)
@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_request_are_refused(data: bytes) -> None:
    """
    Any bytes are either a request or refused with 400: nothing else happens.
    """
    for read in (read_logs, read_spans):
        try:
            rows = read(data, Members())
        except Refused as refused:
            status = refused.status
        else:
            status = 400 if rows is None else 200

        assert status in (200, 400)


@settings(max_examples=100)
@given(records=st.lists(log_records(), min_size=1, max_size=2), at=st.integers(0), byte=st.integers(0, 255))
def test_a_damaged_request_is_read_or_refused(records: list[LogRecord], at: int, byte: int) -> None:
    """
    One wrong byte anywhere in a request raises nothing but the refusal.
    """
    data = bytearray(logs(*records).SerializeToString())
    data[at % len(data)] = byte

    status, lines = 200, []
    try:
        lines = read_logs(bytes(data), Members()).lines
    except Refused as refused:
        status = refused.status

    assert status in (200, 400)
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_record_that_is_too_large_is_rejected_alone() -> None:
    """
    A huge record is counted as rejected; its neighbours go through.
    """
    huge = LogRecord(event_name="x", severity_text="z" * (MAX_RECORD + 1))

    rows = read_logs(logs(LogRecord(event_name="a"), huge, LogRecord(event_name="b")).SerializeToString(), Members())

    assert ["a", "b"] == [json.loads(line)["n"] for line in rows.lines]
    assert 1 == rows.rejected


@settings(max_examples=80)
@given(given_spans=st.lists(spans(), max_size=3))
def test_a_span_keeps_what_it_says(given_spans: list[Any]) -> None:
    """
    Ids, parent, name, kind, times, status, attributes, links and events of a span are in its row; one without ids is rejected.
    """
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(given_spans)

    rows = read_spans(request.SerializeToString(), Members())

    whole = [span for span in given_spans if span.trace_id and span.span_id]
    found = [json.loads(line) for line in rows.lines]
    assert len(given_spans) - len(whole) == rows.rejected
    for span, row in zip(whole, found, strict=True):
        assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (row["i"], row["s"], row["p"])
        assert (without_nul(span.name), KINDS[span.kind], STATUSES[span.status.code]) == (row["n"], row["k"], row["c"])
        assert (min(span.start_time_unix_nano, MAX_TIME), min(span.end_time_unix_nano, MAX_TIME)) == (
            row["b"],
            row["e"],
        )
        assert plain_attributes(span.attributes) == row["a"]
        assert [link.trace_id.hex() for link in span.links] == [link["trace_id"] for link in row["l"]]
        assert [plain_attributes(event.attributes) for event in span.events] == [
            event["attributes"] for event in row["x"]
        ]


def as_otlp_json(request: Any) -> bytes:
    """OTLP/JSON as a sender writes it: protobuf's mapping, ids in hexadecimal."""
    content = json_format.MessageToDict(request, use_integers_for_enums=True)
    for resource in content.get("resourceLogs", []):
        for scope in resource.get("scopeLogs", []):
            for wanted, record in zip(
                request.resource_logs[0].scope_logs[0].log_records, scope.get("logRecords", []), strict=True
            ):
                record.pop("traceId", None), record.pop("spanId", None)
                if wanted.trace_id:
                    record["traceId"] = wanted.trace_id.hex()
                if wanted.span_id:
                    record["spanId"] = wanted.span_id.hex().upper()
    return json.dumps(content).encode()


@settings(max_examples=60)
@given(records=st.lists(log_records(), max_size=3))
def test_json_and_protobuf_give_the_same_rows(records: list[LogRecord]) -> None:
    """
    The encoding of a request changes nothing about its rows.
    """
    request = logs(*records)

    from_protobuf = read_logs(request.SerializeToString(), Members())
    from_json = read_logs(to_protobuf(as_otlp_json(request), ExportLogsServiceRequest()), Members())

    assert [json.loads(line) for line in from_protobuf.lines] == [json.loads(line) for line in from_json.lines]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"resourceLogs":' * 2000, b'{"resourceLogs": {}}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "zz"}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "\\ud800"}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": -1}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": 1e400}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": [{"key": "a", "value": {"intValue": "99999999999999999999"}}]}]}]}]}',
    ],
)  # fmt: skip
def test_hostile_json_is_refused(body: bytes) -> None:
    """
    What is no JSON, or no request, is refused with 400, however it is made.
    """
    with pytest.raises(Refused) as refused:
        to_protobuf(body, ExportLogsServiceRequest())

    assert 400 == refused.value.status
