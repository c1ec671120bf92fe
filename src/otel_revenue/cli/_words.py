# SPDX-License-Identifier: Apache-2.0
"""How the command line says amounts, durations, sizes and values. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_revenue.errors import UnknownCurrency
from otel_revenue.schema.money import to_major

if TYPE_CHECKING:
    from collections.abc import Mapping


def money(minor: int, currency: str) -> str:
    """Return an amount, exact, with the decimals that its currency has in Stripe's table."""
    try:
        return f"{to_major(minor, currency):,} {currency}"
    except UnknownCurrency:
        return f"{minor:,} minor units of {currency}"


def amounts(by_currency: Mapping[str, int]) -> str:
    """Return amounts of several currencies (minor units), in alphabetical order; "" for none."""
    return ", ".join(money(minor, code) for code, minor in sorted(by_currency.items()) if code)


def age(nanoseconds: int) -> str:
    """Return a duration in the largest unit that fits, whole; one that is negative (clocks differ) as 0s."""
    seconds = max(0, nanoseconds // 10**9)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def size(number: int) -> str:
    """Return a number of bytes in the largest unit that fits."""
    for unit, one in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return f"{number} B"


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def shown(value: Any) -> str:
    """Return a value as JSON; escaped where a terminal would obey it instead of showing it."""
    readable = json.dumps(value, ensure_ascii=False, default=repr)
    return readable if readable.isprintable() else json.dumps(value, default=repr).replace("\x7f", "\\u007f")
