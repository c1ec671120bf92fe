# SPDX-License-Identifier: Apache-2.0
"""Text to value, one small function per shape of a setting: each returns the value or raises ValueError, and says nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ._store_url import SCHEMES, StoreUrl

if TYPE_CHECKING:
    from collections.abc import Callable


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of seconds from *least* to *most*."""

    def parse(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return parse


_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CENTURY: Final = 36500 * 86400


def duration(text: str) -> int:
    """Return seconds from a number and a unit: 90s, 15m, 36h, 400d; at most a hundred years."""
    match = re.fullmatch(r"([0-9]{1,10})([smhd])", text.strip())
    value = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < value <= _CENTURY:
        raise ValueError
    return value


_SIZES: Final = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def size(text: str) -> int:
    """Return bytes, 1 MiB to 1 EiB, from a number and an optional unit: KiB, MiB, GiB."""
    match = re.fullmatch(r"([0-9]{1,19})\s*(KiB|MiB|GiB|)", text.strip())
    if not match:
        raise ValueError
    value = int(match[1]) * _SIZES[match[2]]
    if not 1024**2 <= value <= 1024**6:
        raise ValueError
    return value


def flag(text: str) -> bool:
    """Return a truth value."""
    # The OTel specification: "true" (any case) is true, everything else false; ours refuses what is neither.
    value = {"true": True, "1": True, "false": False, "0": False, "": False}.get(text.strip().lower())
    if value is None:
        raise ValueError
    return value


def one_of(*values: str) -> Callable[[str], str]:
    """Return a parser of one of *values*, in any case."""

    def parse(text: str) -> str:
        if text.strip().lower() not in values:
            raise ValueError
        return text.strip().lower()

    return parse


def sources(pattern: str) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of comma-separated names that match *pattern*; a name twice counts once."""
    compiled = re.compile(pattern)

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        if not names or not all(compiled.fullmatch(name) for name in names):
            raise ValueError
        return tuple(dict.fromkeys(names))

    return parse


_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")


def origins(text: str) -> tuple[str, ...]:
    """Return comma-separated origins, as a browser writes them: scheme, host, port, in lower case."""
    found = tuple(part.strip().lower().rstrip("/") for part in text.split(",") if part.strip())
    if not all(_ORIGIN.fullmatch(origin) for origin in found):
        raise ValueError
    return tuple(dict.fromkeys(found))


def header(text: str) -> str:
    """Return the name of an HTTP header, in lower case (RFC 9110, section 5.6.2)."""
    value = text.strip().lower()
    if not re.fullmatch(r"[a-z0-9-]{1,64}", value):
        raise ValueError
    return value


def records(text: str) -> tuple[dict[str, Any], ...]:
    """Return the objects of a JSON list."""
    found = json.loads(text or "[]")
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError
    return tuple(found)


KEY: Final = r"[^,\[\]]{1,40}"


def keys(text: str) -> tuple[str, ...]:
    """Return comma-separated attribute keys, each perhaps with a `*` at its end; a key twice counts once."""
    return sources(r"[^,*\s]{1,254}\*?|\*")(text)


@dataclass(frozen=True)
class SigningKey:
    """A secret with a name, which whatever prints it prints without the secret."""

    name: str
    secret: str = field(repr=False)


def signing_keys(text: str) -> tuple[SigningKey, ...]:
    """Return comma-separated secrets, each as NAME:SECRET with a secret of 16 characters or more."""
    found = []
    for part in text.split(","):
        name, _, secret = part.strip().partition(":")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name) or len(secret) < 16 or not secret.isprintable():
            raise ValueError
        found.append(SigningKey(name, secret))
    return tuple(found)


def store(text: str) -> str:
    """Return where the store is: a folder, `sqlite:///path`, a `StoreUrl` of a database, or `:memory:`."""
    value = text.strip()
    if value.startswith(SCHEMES):
        if not value.isprintable() or " " in value:
            raise ValueError
        return StoreUrl(value)
    if not value or ("://" in value and not value.startswith("sqlite:///")) or value == "sqlite:///":
        raise ValueError
    return value


def folder(text: str) -> str:
    """Return a folder's path."""
    value = text.strip()
    if not value or "://" in value or value == ":memory:":
        raise ValueError
    return value
