# SPDX-License-Identifier: Apache-2.0
"""
One rule for each attribute of the schema: from a value as it comes to the clean one and its bytes, or to nothing.

Text is masked where it looks like personal data, then cut; ids are replaced as a whole or left out. Nothing is converted
that was not meant. On the hot path: what labels and codes are made of comes again, and is remembered with its bytes.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.privacy.clip import LIMIT, clip_id, clip_list, clip_text, hash_id
from otel_revenue.privacy.plain import is_plain
from otel_revenue.privacy.values import MAX_SCANNED, scrub

from . import otlp

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any], Any]
    Encode = Callable[[Any], bytes]
    Made = tuple[Any, bytes]
    Rule = Callable[[Any], "Made | None"]
    Make = Callable[[Encode, str, str], Rule]

MAX_INT: Final = 2**63 - 1
MEMO_LIMIT: Final = 256
"""Values that one attribute remembers. Emptied when full: what comes often is soon there again."""

_CLEAN_MEMO_LIMIT: Final = 2048
_clean_ids: dict[str, str] = {}
"""Ids that were searched and found clean. Emptied when full: an id comes back within minutes or never."""

_PROSE: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]{2,}\s+[^\W\d_]{2,}")
"""Two words of letters: no detector knows a name, but no order is numbered like that."""


def clean_id(value: str, *, prose: bool = False) -> str | None:
    """
    Return an id as it may leave: unchanged, or its hash where it is too long or reads like prose ("Jane Doe" in a field
    that the shop took for its order id, unless *prose* is fine); None where it looks like personal data.
    """
    if is_plain(value):
        return value
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
        if len(_clean_ids) >= _CLEAN_MEMO_LIMIT:
            _clean_ids.clear()
        _clean_ids[value] = value
    return result


@functools.cache
def rule(key: str, kind: str, pattern: str) -> Rule:
    """Return the rule of one attribute; events that share the attribute share it."""
    return _KINDS[kind](otlp.encoder(key, kind), key, pattern)


def _each(check: Check) -> Make:
    def make(encode: Encode, _key: str, _pattern: str) -> Rule:
        def apply(value: Any) -> Made | None:
            checked = check(value)
            return None if checked is None else (checked, encode(checked))

        return apply

    return make


def _one_id(encode: Encode, key: str, _pattern: str) -> Rule:
    heads = otlp.text_heads(key)

    def apply(value: Any) -> Made | None:
        if type(value) is str and is_plain(value):
            raw = value.encode()
            return value, heads[len(raw)] + raw
        checked = _id(value)
        return None if checked is None else (checked, encode(checked))

    return apply


def _integers(encode: Encode, _key: str, _pattern: str) -> Rule:
    def apply(value: Any) -> Made | None:
        return (value, encode(value)) if type(value) is int and 0 <= value <= MAX_INT else None

    return apply


def _remembering(encode: Encode, check: Check) -> Rule:
    memo: dict[str, Made] = {}

    def apply(value: Any) -> Made | None:
        # Of strings proper alone: 1 and True are one key of a dict.
        text = value if type(value) is str else _text(value)
        if text is None:
            return None
        known = memo.get(text)
        if known is not None:
            return known
        checked = check(text)
        if checked is None:
            return None
        made = (checked, encode(checked))
        if checked == text:
            if len(memo) >= MEMO_LIMIT:
                memo.clear()
            memo[text] = made
        return made

    return apply


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


def _label(text: str) -> str | None:
    return clip_text(scrub(text)).strip() or None


def _code(pattern: str) -> Check:
    match = re.compile(pattern).fullmatch
    return lambda text: text if match(text) else None


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


_KINDS: Final[dict[str, Make]] = {
    "id": _one_id,
    "label": lambda encode, _key, _pattern: _remembering(encode, _label),
    "code": lambda encode, _key, pattern: _remembering(encode, _code(pattern)),
    "count": _integers,
    "minor": _integers,
    "major": _each(_number),
    "flag": _each(_flag),
    "ids": _each(_ids),
}
