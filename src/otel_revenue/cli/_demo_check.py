# SPDX-License-Identifier: Apache-2.0
"""Telemetry against Stripe's own books: counts and minor units per currency. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._words import count, money

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Sum:
    """Payments of one currency: how many, and how much in minor units."""

    count: int = 0
    minor: int = 0


@dataclass(frozen=True)
class Line:
    """One currency on both sides."""

    currency: str
    stripe: Sum
    telemetry: Sum

    @property
    def same(self) -> bool:
        """Whether count and amount agree, to the minor unit."""
        return self.stripe == self.telemetry


def compare(stripe: Mapping[str, Sum], telemetry: Mapping[str, Sum]) -> list[Line]:
    """Return one line per currency that either side knows, in alphabetical order."""
    return [Line(code, stripe.get(code, Sum()), telemetry.get(code, Sum())) for code in sorted({*stripe, *telemetry})]


def verdict(lines: list[Line]) -> str:
    """Return one line for people: that both sides agree, or where they differ."""
    if not lines:
        return "Nobody paid: there is nothing to compare."
    if all(line.same for line in lines):
        total = sum(line.stripe.count for line in lines)
        amounts = ", ".join(money(line.stripe.minor, line.currency) for line in lines)
        return f"Telemetry and Stripe's books agree to the cent: {count(total, 'payment')}, {amounts}."
    differing = "; ".join(
        f"{line.currency}: Stripe has {count(line.stripe.count, 'payment')}, {money(line.stripe.minor, line.currency)}, "
        f"telemetry {line.telemetry.count}, {money(line.telemetry.minor, line.currency)}"
        for line in lines
        if not line.same
    )
    return f"Telemetry and Stripe's books differ. {differing}."
