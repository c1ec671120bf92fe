# SPDX-License-Identifier: Apache-2.0
"""
An `ExportTraceServiceRequest` as rows of the database: one JSON line per span.

Source: opentelemetry-proto, trace/v1/trace.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .body import parsed
from .logs import MAX_RECORD, service_name
from .values import quoted

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from .values import Members

KINDS: Final = ("", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES: Final = ("", "OK", "ERROR")

_MAX_TIME: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SpanRows:
    """JSON lines for the `stage_spans` statement; spans that are too large or have no ids."""

    lines: list[str]
    rejected: int = 0


def read_spans(data: bytes, members: Members) -> SpanRows:
    """
    Turn a request into rows.

    Args:
        members: remembers decoded attributes from call to call; not to be shared between threads.

    Raises:
        Refused: 400, the bytes are not such a request.
    """
    request = parsed(ExportTraceServiceRequest(), data)
    lines: list[str] = []
    rejected = 0
    for resource_spans in request.resource_spans:
        service = quoted(service_name(resource_spans.resource))
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if len(span.trace_id) != 16 or len(span.span_id) != 8 or span.ByteSize() > MAX_RECORD:
                    rejected += 1
                else:
                    lines.append(_line(span, service, members))
    return SpanRows(lines, rejected)


def _line(span: Span, service: str, members: Members) -> str:
    events = ",".join(
        f'{{"name":{quoted(event.name)},"time_ns":{_time(event.time_unix_nano)},'
        f'"attributes":{members.object_of(event.attributes)}}}'
        for event in span.events
    )
    links = ",".join(
        f'{{"trace_id":"{link.trace_id.hex()}","span_id":"{link.span_id.hex()}",'
        f'"attributes":{members.object_of(link.attributes)}}}'
        for link in span.links
    )
    return (
        f'{{"i":"{span.trace_id.hex()}","s":"{span.span_id.hex()}","p":"{span.parent_span_id.hex()}",'
        f'"n":{quoted(span.name)},"k":"{_word(KINDS, span.kind)}","b":{_time(span.start_time_unix_nano)},'
        f'"e":{_time(span.end_time_unix_nano)},"c":"{_word(STATUSES, span.status.code)}","v":{service},'
        f'"a":{members.object_of(span.attributes)},"l":[{links}],"x":[{events}]}}'
    )


def _time(value: int) -> int:
    return min(value, _MAX_TIME)


def _word(words: tuple[str, ...], number: Any) -> str:
    return words[number] if 0 <= number < len(words) else ""
