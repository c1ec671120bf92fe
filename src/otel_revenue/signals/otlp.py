# SPDX-License-Identifier: Apache-2.0
"""
OTLP log records, encoded by hand.

The schema fixes names and types, so a record is a join of few pieces, most of them constant: a tenth of what the general
encoder costs, and the bytes are final: a batch is a concatenation.

Source: opentelemetry-proto, logs/v1/logs.proto, common/v1/common.proto, collector/logs/v1/logs_service.proto.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

SEVERITY_INFO: Final = 9

_stamp = struct.Struct("<BQ").pack
_TRACE = struct.Struct("<BIBB16sBB8s").pack
_double = struct.Struct("<d").pack
_MASK64: Final = 2**64 - 1
_LONGEST_KEPT: Final = 255  # strings of ours stay below
_LONGEST_INT: Final = 4096  # bits; Python refuses to write much longer ones as text


def varint(value: int) -> bytes:
    """Encode a non-negative integer."""
    if value < 0x80:
        return _ONE[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_ONE: Final = tuple(bytes([i]) for i in range(0x80))


def _delimited(tag: bytes, body: bytes) -> bytes:
    return tag + varint(len(body)) + body


def _text(value: str) -> bytes:
    return value.encode("utf-8", "replace")


def _any_str(value: str) -> bytes:
    return _delimited(b"\x0a", _text(value))


def _any_bool(value: bool) -> bytes:  # noqa: FBT001 - the value itself
    return b"\x10\x01" if value else b"\x10\x00"


def _any_int(value: int) -> bytes:
    if not -(2**63) <= value < 2**63:
        raise OverflowError("an OTLP integer has 64 bits")
    return b"\x18" + varint(value & _MASK64)


def _any_float(value: float) -> bytes:
    return b"\x21" + _double(value)


def _any_list(value: Sequence[Any]) -> bytes:
    return _delimited(b"\x2a", b"".join(_delimited(b"\x0a", _any(item)) for item in value))


def _any(value: Any) -> bytes:
    if isinstance(value, str):
        return _any_str(value)
    if isinstance(value, bool):
        return _any_bool(value)
    if isinstance(value, int):
        return _any_int(value)
    if isinstance(value, float):
        return _any_float(value)
    if isinstance(value, (list, tuple)):
        return _any_list(value)
    if isinstance(value, bytes):
        return _delimited(b"\x3a", value)
    raise TypeError(f"{type(value).__name__} is no OTLP value of ours")


_KINDS: Final[dict[str, Callable[[Any], bytes]]] = {
    "id": _any_str,
    "label": _any_str,
    "code": _any_str,
    "count": _any_int,
    "minor": _any_int,
    "major": _any_float,
    "flag": _any_bool,
    "ids": _any_list,
}


@functools.lru_cache(maxsize=512)
def encoder(key: str, kind: str) -> Callable[[Any], bytes]:
    """Return a function that encodes one attribute of a fixed key and schema kind, framed as field 6 of a `LogRecord`."""
    encode = _KINDS[kind]
    heads = _Heads(key)
    if encode is _any_int:
        two = heads[3] + b"\x18"

        def framed_int(value: int) -> bytes:
            if 0x80 <= value < 0x4000:  # most counts and amounts
                return two + bytes((value & 0x7F | 0x80, value >> 7))
            body = _any_int(value)
            return heads[len(body)] + body

        return framed_int
    if encode is not _any_str:

        def framed(value: Any) -> bytes:
            body = encode(value)
            return heads[len(body)] + body

        return framed
    texts = text_heads(key)

    def framed_text(value: str) -> bytes:
        raw = value.encode("utf-8", "replace")
        return texts[len(raw)] + raw

    return framed_text


@functools.lru_cache(maxsize=512)
def text_heads(key: str) -> Mapping[int, bytes]:
    """Return what stands before the UTF-8 bytes of a text attribute, framed as `encoder` does, by their number."""
    return _TextHeads(_Heads(key))


class _Heads(dict[int, bytes]):
    """What stands before the value of one attribute, by the value's size: short ones are made once."""

    def __init__(self, key: str) -> None:
        self._key = _delimited(b"\x0a", _text(key))

    def __missing__(self, size: int) -> bytes:
        length = varint(size)
        head = b"\x32" + varint(len(self._key) + 1 + len(length) + size) + self._key + b"\x12" + length
        return self.setdefault(size, head) if size <= _LONGEST_KEPT else head


class _TextHeads(dict[int, bytes]):
    """The same for text, by the size of the text."""

    def __init__(self, heads: _Heads) -> None:
        self._heads = heads

    def __missing__(self, size: int) -> bytes:
        start = b"\x0a" + varint(size)
        head = self._heads[len(start) + size] + start
        return self.setdefault(size, head) if size <= _LONGEST_KEPT else head


def encode_key_value(key: str, value: Any) -> bytes:
    """
    Encode a `KeyValue` of any supported type.

    Raises:
        TypeError: for None and other types.
        OverflowError: for an integer beyond 64 bits.
    """
    return _delimited(b"\x0a", _text(key)) + _delimited(b"\x12", _any(value))


@functools.lru_cache(maxsize=256)
def record_end(event_name: str, severity_number: int = SEVERITY_INFO, severity_text: str = "INFO") -> bytes:
    """Encode what all log records of one event have in common, for `join_log_record`."""
    return (
        b"\x10"
        + varint(severity_number)
        + _delimited(b"\x1a", _text(severity_text))
        + _delimited(b"\x62", _text(event_name))
    )


def join_log_record(
    common: bytes, attributes: Iterable[bytes], time_ns: int, observed_ns: int, ids: tuple[int, int, int]
) -> bytes:
    """Join one `LogRecord` of its parts; see `encode_log_record`."""
    first = _stamp(0x09, time_ns if 0 <= time_ns <= _MASK64 else 0)
    last = _stamp(0x59, observed_ns if 0 <= observed_ns <= _MASK64 else 0)
    trace_id, span_id, flags = ids
    if not trace_id or not span_id:
        return b"".join((first, common, *attributes, last))
    trace = _TRACE(0x45, flags, 0x4A, 16, trace_id.to_bytes(16, "big"), 0x52, 8, span_id.to_bytes(8, "big"))
    return b"".join((first, common, *attributes, trace, last))


def encode_log_record(
    *,
    time_ns: int,
    observed_ns: int,
    event_name: str,
    attributes: Iterable[bytes],
    trace_id: int = 0,
    span_id: int = 0,
    flags: int = 0,
    severity_number: int = SEVERITY_INFO,
    severity_text: str = "INFO",
) -> bytes:
    """
    Encode one `LogRecord`.

    Args:
        time_ns: when it happened, nanoseconds since the epoch; beyond 64 bits it becomes 0, OTLP's word for unknown.
        observed_ns: when it was learnt.
        attributes: each encoded and framed by an `encoder`.
        trace_id, span_id, flags: of the request; zeros outside a trace.
    """
    common = record_end(event_name, severity_number, severity_text)
    return join_log_record(common, attributes, time_ns, observed_ns, (trace_id, span_id, flags))


def encode_resource(attributes: Mapping[str, Any]) -> bytes:
    """Encode a `Resource`; values that OTLP has no type for become text, so this never fails on what an application declares."""
    return b"".join(_delimited(b"\x0a", encode_key_value(key, _plain(value))) for key, value in attributes.items())


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain_scalar(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value) if value.bit_length() < _LONGEST_INT else "integer too large"
    return value if isinstance(value, (str, bool, int, float, bytes)) else str(value)


def encode_scope(name: str, version: str) -> bytes:
    """Encode an `InstrumentationScope`."""
    return _delimited(b"\x0a", _text(name)) + _delimited(b"\x12", _text(version))


def frame_request(records: Sequence[bytes], *, resource: bytes, scope: bytes, schema_url: str = "") -> bytes:
    """Join encoded records into one `ExportLogsServiceRequest` with one resource and one scope."""
    scope_logs = [_delimited(b"\x0a", scope)]
    heads = {size: b"\x12" + varint(size) for size in set(map(len, records))}  # few sizes, many records
    for record in records:
        scope_logs += heads[len(record)], record
    if schema_url:
        scope_logs.append(_delimited(b"\x1a", _text(schema_url)))
    inner = b"".join(scope_logs)
    resource_logs = _delimited(b"\x0a", resource) + b"\x12" + varint(len(inner)) + inner
    return b"\x0a" + varint(len(resource_logs)) + resource_logs
