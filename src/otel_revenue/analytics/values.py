# SPDX-License-Identifier: Apache-2.0
"""OTLP attribute values as JSON text. What JSON or DuckDB cannot hold (NaN, infinity, bytes) becomes text."""

from __future__ import annotations

import base64
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
        member = _text_member(data) or self._any_member(data)
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

    def object_of(self, pairs: Any) -> str:
        """Return the JSON object of decoded `KeyValue` messages."""
        known = self.known.get
        found = []
        for pair in pairs:
            data = pair.SerializeToString()
            found.append(known(data) or self.decode(data))
        return "{" + ",".join(found) + "}"


def _text_member(data: bytes) -> str | None:
    """The usual form, read in place: key, then a string value, both below 128 bytes. None for any other."""
    try:
        size = data[1]
        at = size + 2
        if (
            data[0] == 0x0A
            and size < 0x80
            and data[at] == 0x12
            and data[at + 2] == 0x0A
            and data[at + 3] < 0x80
            and at + 4 + data[at + 3] == len(data)
        ):
            return f"{quoted(data[2:at].decode())}:{quoted(data[at + 4 :].decode())}"
    except IndexError:
        pass
    return None
