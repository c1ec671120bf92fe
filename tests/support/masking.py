"""What holds of the masking whatever comes: for a fuzzer, which makes bytes, and for hypothesis."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Final

from otel_revenue.privacy.policy import REVENUE, STRICT, Policy
from otel_revenue.privacy.redactor import MAX_SCANNED, Redactor

PLANTS: Final = (
    "xanthippe@example.com",
    "4242424242424242",
    "sk_live_" + "X4nth1pp3" * 2,
    "+49 171 1234567",
    "192.0.2.146",
)
_KEYS: Final = (
    "note",
    "http.route",
    "exception.stacktrace",
    "exception.message",
    "db.query.text",
    "order_id",
    "customer.name",
)
_GROWTH: Final = 4
"""How much longer a text may become: each of its marks is longer than what it stands for, a parameter of one letter at worst."""


def check(data: bytes) -> None:
    """
    Make values out of *data*, with something personal in each, and mask them.

    Raises:
        AssertionError: something of it is left, what was masked grew without bound, or a text that was masked is masked again.
    """
    head, body = data[:4].ljust(4, b"\0"), data[4:]
    text = (
        body.decode("utf-8", "surrogatepass" if head[0] & 1 else "replace")
        if _decodes(body)
        else body.decode("latin-1")
    )
    plant = PLANTS[head[1] % len(PLANTS)]
    if plant in "".join(str(unicodedata.decimal(c, c)) for c in unicodedata.normalize("NFKC", text)):
        return  # it may stand there inside of a longer number, and stay
    at = int.from_bytes(head[2:4], "big") % (len(text) + 1)
    value = f"{text[:at]} {plant} {text[at:]}"
    counted: list[str] = []
    redactor = Redactor(Policy(STRICT if head[0] & 2 else REVENUE), counted.append)
    key = _KEYS[head[0] // 4 % len(_KEYS)]
    results: list[Any] = [
        redactor.text(value),
        redactor.body(value),
        redactor.body({"list": [value, {"note": value}], value: 1}),
        redactor.attributes({key: value, "bytes": value.encode("utf-8", "surrogatepass"), value: [value]}),
    ]

    assert not [found for found in results if plant in _printed(found)]
    assert counted
    assert len(results[0]) <= _GROWTH * min(len(value), MAX_SCANNED) + 8192


def _printed(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda other: bytes(other).decode("utf-8", "surrogatepass"))


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
