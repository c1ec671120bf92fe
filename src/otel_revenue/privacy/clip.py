# SPDX-License-Identifier: Apache-2.0
"""
Length limits that keep joins true.

Text is cut, an id never: an over-long id becomes its hash. Limits count characters and UTF-8 bytes, because backends
count either. What not every backend can hold (NUL, lone surrogates) becomes "?" in text, and makes an id its hash.
Clip after scrubbing: a cut inside an address hides it from every detector.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT: Final = 254
"""Strings stay below 255 characters and bytes."""

HASH_PREFIX: Final = "sha256:"


def clip_text(value: str, limit: int = LIMIT) -> str:
    """Return *value* cut to at most *limit* characters and bytes, never inside a character."""
    raw = value[:limit].encode("utf-8", "replace")
    if b"\0" in raw:
        raw = raw.replace(b"\0", b"?")
    return raw[:limit].decode("utf-8", "ignore")


def clip_id(value: str, limit: int = LIMIT) -> str:
    """
    Return *value*, or a stable hash of it where it cannot leave as it is.

    A cut id would join what is not one; so would an id in which two characters became the same "?".
    """
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError:
        raw = value.encode("utf-8", "surrogatepass")
    else:
        if len(raw) <= limit and b"\0" not in raw:
            return value
    return _hashed(raw)


def hash_id(value: str) -> str:
    """Return the hash that stands for an id: equal ids stay equal, different ones different."""
    return _hashed(value.encode("utf-8", "surrogatepass"))


def _hashed(raw: bytes) -> str:
    return f"{HASH_PREFIX}{hashlib.sha256(raw).hexdigest()[:32]}"


def clip_list(values: Sequence[str], limit: int = LIMIT) -> tuple[list[str], int]:
    """Return as many of *values*, each clipped as an id, as stay within *limit* when joined by commas, and how many were cut."""
    kept: list[str] = []
    room = limit
    for value in values:
        short = clip_id(value)
        size = len(short.encode()) + (1 if kept else 0)
        if size > room:
            break
        kept.append(short)
        room -= size
    return kept, len(values) - len(kept)
