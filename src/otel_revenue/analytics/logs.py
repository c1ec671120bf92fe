# SPDX-License-Identifier: Apache-2.0
"""
An `ExportLogsServiceRequest` as rows of the database: one JSON line per event.

protobuf's own parser (C) checks the bytes; what is then known to be well-formed is read in place, which costs half of a
walk over the parsed messages. Log records without `event_name` are counted, not read.

Source: opentelemetry-proto, logs/v1/logs.proto.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from .body import Refused, parsed
from .values import Members, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RECORD: Final = 1024 * 1024
"""Bytes of one record; a larger one is rejected by itself, in the answer's `partial_success`."""

_MAX_TIME: Final = 2**63 - 1
_fixed64 = struct.Struct("<Q").unpack_from


@dataclass(frozen=True, slots=True)
class LogRows:
    """JSON lines for the `stage_events` statement; log records that are no events; records that are too large."""

    lines: list[str]
    others: int = 0
    rejected: int = 0


def read_logs(data: bytes, members: Members) -> LogRows:
    """
    Turn a request into rows.

    Args:
        members: remembers decoded attributes from call to call; not to be shared between threads.

    Raises:
        Refused: 400, the bytes are not such a request.
    """
    parsed(ExportLogsServiceRequest(), data)
    lines: list[str] = []
    others = rejected = 0
    for resource_logs in _children(data, 0, len(data), 1):
        service = quoted(_service(data, resource_logs))
        for scope_logs in _children(data, *resource_logs, 2):
            for start, end in _children(data, *scope_logs, 2):
                if end - start > MAX_RECORD:
                    rejected += 1
                    continue
                line = _line(data, start, end, service, members)
                if line:
                    lines.append(line)
                else:
                    others += 1
    return LogRows(lines, others, rejected)


def service_name(resource: Resource) -> str:
    """Return a resource's `service.name`, "" when it has none."""
    return next((pair.value.string_value for pair in resource.attributes if pair.key == "service.name"), "")


def _service(data: bytes, resource_logs: tuple[int, int]) -> str:
    resource = b"".join(data[start:end] for start, end in _children(data, *resource_logs, 1))
    return service_name(Resource.FromString(resource))


def _children(data: bytes, at: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each length-delimited field *wanted* of the message in data[at:end]."""
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = _varint(data, at - 1)
        if tag & 7 == 2:
            size = data[at]
            at += 1
            if size >= 0x80:
                size, at = _varint(data, at - 1)
            if tag >> 3 == wanted:
                yield at, at + size
            at += size
        else:
            at = _skip(data, at, tag & 7)


def _line(  # noqa: C901, PLR0912 - a call for each field would cost more than reading it
    data: bytes, at: int, end: int, service: str, members: Members
) -> str:
    """Return the row of one record, "" for one that is no event."""
    attributes: list[bytes] = []
    add = attributes.append
    time = observed = 0
    name = trace_id = span_id = ""
    while at < end:
        tag = data[at]
        at += 1
        while tag == 0x32 and (size := data[at]) < 0x80:  # attributes stand together: the hot loop
            at += 1
            add(data[at : (at := at + size)])
            if at >= end:
                tag = 0
                break
            tag = data[at]
            at += 1
        if tag == 0x59:  # observed_time_unix_nano
            (observed,) = _fixed64(data, at)
            at += 8
        elif tag == 0x09:  # time_unix_nano
            (time,) = _fixed64(data, at)
            at += 8
        elif tag == 0x4A:  # trace_id
            trace_id = data[at + 1 : at + 17].hex() if data[at] == 16 else ""
            at += 1 + data[at]
        elif tag == 0x52:  # span_id
            span_id = data[at + 1 : at + 9].hex() if data[at] == 8 else ""
            at += 1 + data[at]
        elif tag == 0x45:  # flags
            at += 4
        elif tag in (0x62, 0x1A, 0x32):  # event_name, severity_text, a long attribute
            size = data[at]
            at += 1
            if size >= 0x80:
                size, at = _varint(data, at - 1)
            if tag == 0x62:
                name = (_quoted_name if size < 0x80 else _quoted_name.__wrapped__)(data[at : at + size])
            elif tag == 0x32:
                add(data[at : at + size])
            at += size
        elif tag == 0x10 and data[at] < 0x80:  # severity_number
            at += 1
        elif tag:
            tag, at = _varint(data, at - 1)
            at = _skip(data, at, tag & 7)
    if not name:
        return ""
    if time > _MAX_TIME or observed > _MAX_TIME:
        time, observed = min(time, _MAX_TIME), min(observed, _MAX_TIME)
    return (
        f'{{"n":{name},"t":{time},"o":{observed},"i":"{trace_id}","s":"{span_id}","v":{service},'
        f'"a":{members.joined(attributes)}}}'
    )


@functools.lru_cache(maxsize=256)
def _quoted_name(data: bytes) -> str:
    return quoted(data.decode()) if data else ""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _skip(data: bytes, at: int, wire: int) -> int:
    if wire == 0:
        return _varint(data, at)[1]
    if wire == 2:
        size, at = _varint(data, at)
        return at + size
    if wire in (1, 5):
        return at + (8 if wire == 1 else 4)
    # Groups are long gone from OTLP; the parser lets an unknown one pass.
    raise Refused(400, "the body holds a protobuf group")
