# SPDX-License-Identifier: Apache-2.0
"""Reads what `otlp` wrote, and the answer to an export. Bounded, and strict about malformed bytes: ValueError, nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 8
"""How deep lists and maps may be nested in a value."""

_FIELD_NUMBERS: Final = 2**29


@dataclass(frozen=True, slots=True)
class DecodedRecord:
    """One `LogRecord`. Times in nanoseconds since the epoch; ids as integers, 0 when absent."""

    time_ns: int = 0
    observed_ns: int = 0
    event_name: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    trace_id: int = 0
    span_id: int = 0
    flags: int = 0
    severity_number: int = 0
    severity_text: str = ""


@dataclass(frozen=True, slots=True)
class PartialSuccess:
    """What an `ExportLogsServiceResponse` says: how many records were rejected, and the receiver's words (which may hold values)."""

    rejected: int = 0
    message: str = ""


def decode_log_record(data: bytes) -> DecodedRecord:
    """
    Decode one `LogRecord`; unknown fields are skipped.

    Raises:
        ValueError: malformed bytes.
    """
    values: dict[str, Any] = {"attributes": {}}
    for number, value in _fields(data):
        if number in (1, 11):
            values["time_ns" if number == 1 else "observed_ns"] = _integer(value)
        elif number == 2:
            values["severity_number"] = _integer(value)
        elif number in (3, 12):
            values["severity_text" if number == 3 else "event_name"] = _string(value)
        elif number == 6:
            key, item = _key_value(_bytes(value), depth=0)
            values["attributes"][key] = item
        elif number == 8:
            values["flags"] = _integer(value)
        elif number in (9, 10):
            values["trace_id" if number == 9 else "span_id"] = _id(value, 16 if number == 9 else 8)
    return DecodedRecord(**values)


def decode_export_logs_response(data: bytes) -> PartialSuccess:
    """
    Decode an `ExportLogsServiceResponse`.

    Raises:
        ValueError: malformed bytes, such as a login page.
    """
    rejected, message = 0, ""
    for number, value in _fields(data):
        if number != 1:
            continue
        for inner, item in _fields(_bytes(value)):
            if inner == 1:
                rejected = _signed(_integer(item))
            elif inner == 2:
                message = _string(item)
    return PartialSuccess(rejected, message)


def decode_retry_delay(data: bytes) -> float | None:
    """
    Return the seconds of the `google.rpc.RetryInfo` in a `google.rpc.Status` (gRPC's `grpc-status-details-bin`), None without one.

    Raises:
        ValueError: malformed bytes.
    """
    for number, detail in _fields(data):
        if number != 3:
            continue
        kind, body = "", b""
        for inner, item in _fields(_bytes(detail)):
            if inner == 1:
                kind = _string(item)
            elif inner == 2:
                body = _bytes(item)
        if kind.rpartition("/")[2] == "google.rpc.RetryInfo":
            delay = next((_bytes(item) for inner, item in _fields(body) if inner == 1), b"")
            parts = {inner: _signed(_integer(item)) for inner, item in _fields(delay)}
            return parts.get(1, 0) + parts.get(2, 0) / 1e9
    return None


def _key_value(data: bytes, depth: int) -> tuple[str, Any]:
    key, value = "", None
    for number, item in _fields(data):
        if number == 1:
            key = _string(item)
        elif number == 2:
            value = _any(_bytes(item), depth)
    return key, value


def _any(data: bytes, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    result: Any = None
    for number, value in _fields(data):
        if number == 1:
            result = _string(value)
        elif number == 2:
            result = bool(_integer(value))
        elif number == 3:
            result = _signed(_integer(value))
        elif number == 4:
            result = struct.unpack("<d", struct.pack("<Q", _integer(value)))[0]
        elif number == 5:
            result = [_any(_bytes(item), depth + 1) for inner, item in _fields(_bytes(value)) if inner == 1]
        elif number == 6:
            result = dict(_key_value(_bytes(item), depth + 1) for inner, item in _fields(_bytes(value)) if inner == 1)
        elif number == 7:
            result = _bytes(value)
    return result


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < _FIELD_NUMBERS:
            raise ValueError("no such field number")
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError("unknown wire type")
        chunk = data[at : at + size]
        if len(chunk) != size:
            raise ValueError("ends too early")
        at += size
        yield number, chunk if wire == 2 else int.from_bytes(chunk, "little")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("malformed varint")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & (2**64 - 1), at
        shift += 7


def _integer(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a number was expected")  # noqa: TRY004 - it is the data that is wrong
    return value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("bytes were expected")  # noqa: TRY004 - as above
    return value


def _id(value: int | bytes, size: int) -> int:
    data = _bytes(value)
    if len(data) not in (0, size):
        raise ValueError("an id of another length")
    return int.from_bytes(data, "big")


def _string(value: int | bytes) -> str:
    return _bytes(value).decode("utf-8")  # UnicodeDecodeError is a ValueError


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
