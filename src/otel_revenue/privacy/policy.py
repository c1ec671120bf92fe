# SPDX-License-Identifier: Apache-2.0
"""
What a profile does to the value under a key, before anybody looks at the value.

`revenue` masks what looks like personal data, `strict` lets out what is known to be harmless, `off` changes nothing. Rules of the
shop stand above the profile: keep, drop, mask or hash a key, or all keys that begin so (`http.request.header.*`).
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_revenue.schema._table import EVENTS

from .keys import kind_of
from .semconv import HARMLESS, HARMLESS_PREFIXES, IDENTIFIERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_revenue._parsers import SigningKey

REVENUE: Final = "revenue"
STRICT: Final = "strict"
OFF: Final = "off"

_OURS: Final = frozenset(key for fields in EVENTS.values() for key in fields)
"""Attributes of the schema: their numbers are money and counts, whatever they look like."""

_MESSAGES: Final = frozenset({"exception.message", "error.message", "otel.status_description"})
_STACKS: Final = frozenset({"exception.stacktrace", "code.stacktrace", "thread.stacktrace"})
_SQL: Final = frozenset({"db.statement", "db.query.text"})
_DATA: Final = ("db.query.parameter.", "db.operation.parameter.", "db.sql.parameter.")


class Action(enum.Enum):
    """
    What happens to a value: it stays, goes, is masked or hashed as a whole, or is searched in the way that its key asks for.

    `NUMBER`: a number stays. `PLAIN`: a number stays, and a plain word that may be read as an address of a machine.
    """

    KEEP = "keep"
    DROP = "drop"
    MASK = "mask"
    HASH = "hash"
    SEARCH = "search"
    NUMBER = "number"
    PLAIN = "plain"
    MESSAGE = "message"
    STACK = "stack"
    SQL = "sql"


def digest(key: SigningKey, value: str) -> str:
    """
    Return what stands for *value*: equal for equal values under one key (HMAC-SHA-256, RFC 2104; its first 128 bits).

    The key's name is in front, so that keys can be changed.
    """
    signed = hmac.new(key.secret.encode(), value.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"hmac:{key.name}:{signed.hexdigest()[:32]}"


@dataclass(frozen=True)
class Policy:
    """
    A profile and the shop's rules.

    Attributes:
        profile: `revenue`, `strict` or `off`.
        keep, drop, mask, hashed: keys, or beginnings of keys that end in `*`. Where several fit, an exact name wins over a beginning, a
            longer beginning over a shorter one, and among equal ones drop, mask, hash, keep in this order.
        hash_keys: the newest first; it signs.
    """

    profile: str = REVENUE
    keep: Sequence[str] = ()
    drop: Sequence[str] = ()
    mask: Sequence[str] = ()
    hashed: Sequence[str] = ()
    hash_keys: Sequence[SigningKey] = ()

    def judge(self, key: str) -> tuple[Action, str]:
        """Return what happens to the value under *key*, and the kind of data that the name tells, for a mask."""
        ruled = self._ruled(key)
        kind = kind_of(key)
        if ruled is not None:
            return ruled, kind or "masked"
        if self.profile == OFF:
            return Action.KEEP, ""
        if key in _OURS or key in IDENTIFIERS:
            return Action.NUMBER if key in _OURS else Action.PLAIN, ""
        if key in _MESSAGES:
            return Action.MESSAGE, "message"
        if key in _STACKS:
            return Action.STACK, "message"
        if self.profile == STRICT:
            harmless = key in HARMLESS or key.startswith(HARMLESS_PREFIXES)
            return (Action.SEARCH, "") if harmless and not kind else (Action.DROP, kind or "unknown")
        if kind or key.startswith(_DATA):
            return Action.MASK, kind or "text"
        return (Action.SQL, "") if key in _SQL else (Action.SEARCH, "")

    def _ruled(self, key: str) -> Action | None:
        best: tuple[int, int, Action] | None = None
        rules = (
            (Action.DROP, self.drop),
            (Action.MASK, self.mask),
            (Action.HASH, self.hashed),
            (Action.KEEP, self.keep),
        )
        for rank, (action, patterns) in enumerate(rules):
            for pattern in patterns:
                start = pattern.endswith("*")
                if key.startswith(pattern[:-1]) if start else key == pattern:
                    fits = (len(pattern) if start else len(key) + 1, -rank, action)
                    best = fits if best is None or fits[:2] > best[:2] else best
        return None if best is None else best[2]
