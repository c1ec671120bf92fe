# SPDX-License-Identifier: Apache-2.0
"""
The body of an OTLP/HTTP request: its type, its compression, its size. Pure.

Source: OTLP specification, "OTLP/HTTP Request" and "Failures".
"""

from __future__ import annotations

import enum
import zlib
from typing import Any, Final, TypeVar

from google.protobuf.message import DecodeError

from otel_revenue.errors import RevenueError

_Request = TypeVar("_Request", bound=Any)
"""A protobuf message; they have no types."""

MAX_BODY: Final = 20 * 1024 * 1024
"""Bytes of a body after decompression; the Collector's own default."""


class Refused(RevenueError):
    """A request that is not taken. `status` is the HTTP status; the text is for whoever sent it and holds none of its values."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Encoding(enum.Enum):
    """The two encodings of OTLP/HTTP, by media type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


def encoding_of(content_type: str) -> Encoding:
    """
    Return the encoding that a `Content-Type` header names; parameters (`; charset=utf-8`) are ignored.

    Raises:
        Refused: 415.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        return Encoding(media_type)
    except ValueError:
        raise Refused(415, "expected Content-Type application/x-protobuf or application/json") from None


def unpack(body: bytes, content_encoding: str, limit: int = MAX_BODY) -> bytes:
    """
    Undo `Content-Encoding`: none, gzip (also of several members) or deflate (with or without a zlib header).

    Never holds more than *limit* bytes of result, whatever a small body claims to grow to.

    Raises:
        Refused: 413 beyond *limit*, 415 for another coding, 400 for a damaged body.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        if len(body) > limit:
            raise too_large(limit)
        return body
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 16 + zlib.MAX_WBITS, limit)
    if coding == "deflate":
        return _inflate(body, zlib.MAX_WBITS if _has_zlib_header(body) else -zlib.MAX_WBITS, limit)
    raise Refused(415, "expected Content-Encoding gzip, deflate or none")


def parsed(message: _Request, data: bytes) -> _Request:
    """
    Fill an empty protobuf message from bytes and return it.

    Raises:
        Refused: 400, the bytes are not such a message.
    """
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise Refused(400, f"the body is not a protobuf {type(message).__name__}") from None
    return message


def too_large(limit: int) -> Refused:
    """Return the refusal of a body beyond *limit* bytes."""
    return Refused(413, f"the body is larger than {limit} bytes; send smaller batches")


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    while True:
        engine = zlib.decompressobj(wbits)
        try:
            part = engine.decompress(body, room + 1)  # 0 would mean: without a bound
        except zlib.error:
            raise Refused(400, "the compressed body is damaged") from None
        room -= len(part)
        if room < 0:
            raise too_large(limit)
        parts.append(part)
        if not engine.eof:
            raise Refused(400, "the compressed body ends too early")
        body = engine.unused_data
        if not body or wbits <= zlib.MAX_WBITS:  # only gzip knows several members
            return b"".join(parts)


def _has_zlib_header(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
