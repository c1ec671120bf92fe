# SPDX-License-Identifier: Apache-2.0
"""
From a name and attributes to one encoded log record: the gate that everything passes that we emit.

Only what the schema declares goes through, in the declared type; text is masked where it looks like personal data,
then cut; ids are replaced as a whole or left out. On the hot path: plain tables, no models.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import SchemaError
from otel_revenue.privacy.clip import LIMIT, clip_id, clip_list, clip_text, hash_id
from otel_revenue.privacy.values import MAX_SCANNED, scrub
from otel_revenue.schema._table import EVENTS, REQUIRED, SCHEMA_VERSION
from otel_revenue.schema.money import EXPONENTS, to_number

from . import otlp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], Any]

MAX_INT: Final = 2**63 - 1

_FEW: Final = 64
_CLEAN_MEMO_LIMIT: Final = 2048
_clean_ids: dict[str, str] = {}
_clean_labels: dict[str, str] = {}
"""Texts that were found clean and leave as they are. Emptied when full: an id comes back within minutes or never."""


_PROSE: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]{2,}\s+[^\W\d_]{2,}")
"""Two words of letters: no detector knows a name, but no order is numbered like that."""


def clean_id(value: str, *, prose: bool = False) -> str | None:
    """
    Return an id as it may leave: unchanged, or its hash where it is too long or reads like prose ("Jane Doe" in a field
    that the shop took for its order id, unless *prose* is fine); None where it looks like personal data.
    """
    known = _clean_ids.get(value)
    if known is not None:
        return known
    seen = value if len(value) <= MAX_SCANNED else value[:MAX_SCANNED]  # beyond that, what leaves is a hash
    words = value.split(None, 1)
    if not words or scrub(seen) != seen:
        return None
    if len(words) > 1 and not prose and _PROSE.search(value[:LIMIT]):
        return hash_id(value)
    # Most ids are short and printable: nothing of them is to be clipped.
    result = value if len(value) <= LIMIT and value.isascii() and value.isprintable() else clip_id(value)
    if result is value and len(words) == 1:
        _remember(_clean_ids, value)
    return result


def _remember(memo: dict[str, str], value: str) -> None:
    if len(memo) >= _CLEAN_MEMO_LIMIT:
        memo.clear()
    memo[value] = value


def _text(value: Any) -> str | None:
    """Return a plain string: of an integer its digits, of an `enum` of strings its value, of other types nothing."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    return str(value) if type(value) is int and -MAX_INT <= value <= MAX_INT else None


def _id(value: Any) -> str | None:
    text = value if type(value) is str else _text(value)
    return None if text is None else clean_id(text)


def _label(value: Any) -> str | None:
    text = value if type(value) is str else _text(value)
    if text is None:
        return None
    known = _clean_labels.get(text)
    if known is not None:
        return known
    result = clip_text(scrub(text)).strip()
    if result and result == text:
        _remember(_clean_labels, text)
    return result or None


def _code(pattern: str) -> Check:
    match = re.compile(pattern).fullmatch
    few: set[str] = set()  # most codes have few values; what is unique fills it once, and is matched then

    def check(value: Any) -> str | None:
        text = value if type(value) is str else _text(value)
        if text is None or text in few:
            return text
        if not match(text):
            return None
        if len(few) < _FEW:
            few.add(text)
        return text

    return check


def _integer(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_INT else None


def _number(value: Any) -> float | None:
    if type(value) is int:
        value = float(value) if abs(value) < 2**53 else math.nan  # beyond that a double is another number
    return value if type(value) is float and 0 <= value < math.inf else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _sku(value: Any) -> str | None:
    """Return an id of the shop's catalogue: of things, which may have names of several words."""
    text = _text(value)
    return None if text is None else clean_id(text, prose=True)


def _ids(value: Any) -> list[str] | None:
    if not isinstance(value, (list, tuple)):
        return None
    kept = [text for item in value[:LIMIT] if (text := _sku(item)) is not None]  # more cannot fit
    return clip_list(kept)[0] or None


_CHECKS: Final[dict[str, Callable[[str], Check]]] = {
    "id": lambda _: _id,
    "label": lambda _: _label,
    "code": _code,
    "count": lambda _: _integer,
    "minor": lambda _: _integer,
    "major": lambda _: _number,
    "flag": lambda _: _flag,
    "ids": lambda _: _ids,
}

_RULES: Final[dict[str, dict[str, tuple[Check, Callable[[Any], bytes]]]]] = {
    name: {key: (_CHECKS[kind](pattern), otlp.encoder(key, kind)) for key, (kind, pattern) in fields.items()}
    for name, fields in EVENTS.items()
}

_COMMON: Final = {
    key: rule for key, rule in _RULES["order.paid"].items() if all(key in rules for rules in _RULES.values())
}

_VERSION: Final = otlp.encoder("schema_version", "code")(SCHEMA_VERSION)


def prepare(
    name: str, attributes: Mapping[str, Any], encoded: dict[str, bytes] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """
    Return the attributes that may leave, clean, and the names of those that may not.

    Where *encoded* is given, each clean attribute is put into it as `encode` wants it: one walk instead of two.

    A subtotal in minor units gets its number in major units beside it, where the currency's decimals are known.
    SKUs that do not fit, or look like personal data, are counted in `skus_cut`.

    Raises:
        SchemaError: the event is not declared, or a required attribute is missing or unusable.
    """
    rules = _RULES.get(name) if isinstance(name, str) else None
    if rules is None:
        raise SchemaError("the event is not declared in the schema")
    clean: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    if encoded is not None:
        encoded["schema_version"] = _VERSION
    refused: list[str] = []
    _walk(rules, attributes, clean, refused, {} if encoded is None else encoded)
    for key in _derived(clean, attributes):
        if encoded is not None:
            encoded[key] = rules[key][1](clean[key])
    for key in REQUIRED[name]:
        if key not in clean:
            raise SchemaError(f"{name} without a usable {key}")
    return clean, refused


def _walk(
    rules: Mapping[str, tuple[Check, Callable[[Any], bytes]]],
    attributes: Mapping[str, Any],
    clean: dict[str, Any],
    refused: list[str],
    encoded: dict[str, bytes],
) -> None:
    for key, value in attributes.items():
        if value is None or key == "schema_version":  # ours to say
            continue
        rule = rules.get(key)
        if rule is None:
            refused.append("undeclared")
            continue
        checked = rule[0](value)
        if checked is None:
            refused.append(key)
            continue
        clean[key] = checked
        encoded[key] = rule[1](checked)


def context(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """
    Return the keys that every event may carry, clean, as they may stand on the request's span; and the names of those whose
    values may not leave. Other names are passed over.
    """
    clean: dict[str, Any] = {}
    refused: list[str] = []
    for key, value in values.items():
        rule = _COMMON.get(key)
        if rule is None or value is None:
            continue
        checked = rule[0](value)
        if checked is None:
            refused.append(key)
        else:
            clean[key] = checked
    _derived(clean, values)
    return clean, refused


def _derived(clean: dict[str, Any], attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Put what follows from other attributes; returns which."""
    put: tuple[str, ...] = ()
    skus = clean.get("skus")
    if skus is not None and len(skus) < len(attributes["skus"]):
        clean["skus_cut"] = len(attributes["skus"]) - len(skus)
        put = ("skus_cut",)
    # What an application binds or tracks is the integer; people and tools get the number beside it.
    minor = clean.get("subtotal_minor")
    if minor is not None and "subtotal" not in clean and clean.get("currency") in EXPONENTS:
        clean["subtotal"] = to_number(minor, clean["currency"])
        put += ("subtotal",)
    return put


def encode(
    name: str,
    attributes: Mapping[str, Any],
    *,
    time_ns: int,
    observed_ns: int,
    ids: tuple[int, int, int] = (0, 0, 0),
    encoded: Mapping[str, bytes] | None = None,
) -> bytes:
    """
    Return one encoded OTLP `LogRecord` of prepared attributes.

    Args:
        time_ns: when it happened, nanoseconds since the epoch.
        observed_ns: when we learnt of it.
        ids: trace id, span id, flags of the request; zeros outside a trace.
        encoded: the attributes as `prepare` has encoded them, if it has.
    """
    if encoded is None:
        rules = _RULES[name]
        encoded = {key: rules[key][1](value) for key, value in attributes.items()}
    return otlp.encode_log_record(
        time_ns=time_ns,
        observed_ns=observed_ns,
        event_name=name,
        attributes=encoded.values(),
        trace_id=ids[0],
        span_id=ids[1],
        flags=ids[2],
    )
