# SPDX-License-Identifier: Apache-2.0
"""OTLP attribute values as JSON text. What JSON or DuckDB cannot hold (NaN, infinity, bytes) becomes text."""

from __future__ import annotations

import base64
import functools
import json
import math
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_quoted = json.encoder.encode_basestring_ascii
MEMO_LIMIT: Final = 16_384
MEMO_BYTES: Final = 256
"""Longer attributes are not remembered."""


def quoted(text: str) -> str:
    """Return *text* as a JSON string. NUL becomes U+FFFD: what reads the database afterwards need not survive it."""
    return _quoted(text if "\0" not in text else text.replace("\0", "\ufffd"))


@functools.lru_cache(maxsize=1024)
def _key(name: bytes) -> str:
    return quoted(name.decode())


def plain(value: AnyValue) -> Any:
    """Return a value as JSON's types can hold it; None for one that is not set."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    held = getattr(value, kind)
    if kind == "bytes_value":
        return base64.b64encode(held).decode()
    if kind == "double_value" and not math.isfinite(held):
        return "NaN" if math.isnan(held) else "Infinity" if held > 0 else "-Infinity"
    return held


class Members:
    """
    Encoded `KeyValue` bytes to a member of a JSON object, `"tier":"pro"`.

    Most attributes of a batch repeat (tier, currency, surface): they are found by their bytes and not decoded again.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, str] = {}

    def decode(self, data: bytes) -> str:
        """Decode one that is not in `known`, and remember it while there is room. *data* is a valid message."""
        member = _usual_member(data) or self._any_member(data)
        if len(data) <= MEMO_BYTES:
            if len(self.known) >= MEMO_LIMIT:
                self.known.clear()
            self.known[data] = member
        return member

    @staticmethod
    def _any_member(data: bytes) -> str:
        pair = KeyValue.FromString(data)
        text = json.dumps(plain(pair.value))
        return f"{quoted(pair.key)}:{text.replace(chr(92) + 'u0000', chr(92) + 'ufffd')}"

    def joined(self, pairs: list[bytes]) -> str:
        """Return the JSON object of encoded `KeyValue` messages that are known to be valid."""
        found = [*map(self.known.get, pairs)]
        if None in found:
            found = [known or self.decode(data) for known, data in zip(found, pairs, strict=True)]
        return "{" + ",".join(found) + "}"  # type: ignore[arg-type]

    def object_of(self, pairs: Any) -> str:
        """Return the JSON object of parsed `KeyValue` messages."""
        return self.joined([pair.SerializeToString() for pair in pairs])


def _usual_member(data: bytes) -> str | None:
    """The usual forms, read in place: a key and a string below 128 bytes, or an integer of one piece. None for any other."""
    size = data[1]
    at = size + 2  # the value's tag, its length, then tag and content of the one field in it
    if data[0] != 0x0A or size >= 0x80 or len(data) < at + 4 or data[at] != 0x12 or at + 2 + data[at + 1] != len(data):
        return None
    kind = data[at + 2]
    if kind == 0x0A and at + 4 + data[at + 3] == len(data) and data[at + 3] < 0x80:
        text = data[at + 4 :].decode()
        return f"{_key(data[2:at])}:{_quoted(text) if chr(0) not in text else quoted(text)}"
    if kind == 0x18:
        value = shift = 0
        for byte in data[at + 3 :]:
            value |= (byte & 0x7F) << shift
            shift += 7
        ends_once = data[-1] < 0x80 and all(byte >= 0x80 for byte in data[at + 3 : -1])
        return f"{_key(data[2:at])}:{value}" if ends_once and value < 2**63 else None
    return None
