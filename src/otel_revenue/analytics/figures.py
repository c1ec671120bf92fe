# SPDX-License-Identifier: Apache-2.0
"""The report as values: frozen, and the same again after a trip through JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from otel_revenue.errors import UnknownCurrency
from otel_revenue.schema.money import to_major

from . import jsonable

_Z: Final = 1.96


@dataclass(frozen=True, slots=True)
class Ratio:
    """*hits* out of *of*, both counts."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the share; None of nothing."""
        if not self.of:
            return None
        n, p, z2 = self.of, self.hits / self.of, _Z * _Z
        middle = p + z2 / (2 * n)
        half = _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        scale = 1 + z2 / n
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)

    def aside(self) -> dict[str, Any]:
        """Share and interval, for readers of the JSON."""
        return {"value": self.value, "interval_95": self.interval}


@dataclass(frozen=True, slots=True)
class Revenue:
    """Payments and gross revenue of one currency, in minor units; *label* says of what, "" for all."""

    label: str
    currency: str
    payments: int
    gross_minor: int

    def aside(self) -> dict[str, Any]:
        """The amount in major units, as text: exact; None where Stripe's table does not know the currency."""
        return {"gross": _major(self.gross_minor, self.currency)}


@dataclass(frozen=True, slots=True)
class Tier:
    """Paid orders of one currency and tier (None: all tiers), renewals apart. Minor units."""

    currency: str
    tier: str | None
    orders: int
    gross_minor: int
    aov_minor: int
    median_minor: int

    @classmethod
    def of(cls, currency: str, tier: str | None, orders: int, gross: int, lower: int, upper: int) -> Tier:
        """Make one from a sum and the two middle values; halves of a minor unit are rounded up."""
        return cls(
            currency, tier, orders, int(gross), _half_up(int(gross), orders), _half_up(int(lower) + int(upper), 2)
        )

    def aside(self) -> dict[str, Any]:
        """The amounts in major units, as text: exact; None where Stripe's table does not know the currency."""
        amounts = {"gross": self.gross_minor, "aov": self.aov_minor, "median": self.median_minor}
        return {name: _major(minor, self.currency) for name, minor in amounts.items()}


@dataclass(frozen=True, slots=True)
class Share:
    """Conversion of one country or surface."""

    label: str
    conversion: Ratio


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the funnel: orders that reached it, out of the stage before, and how long that took (seconds)."""

    name: str
    orders: int
    from_previous: Ratio | None = None
    p50_s: int | None = None
    p95_s: int | None = None


@dataclass(frozen=True, slots=True)
class Funnel:
    """The required stages in order, and the optional one beside them: designs approved out of designs started."""

    stages: tuple[Stage, ...]
    designs: Ratio


@dataclass(frozen=True, slots=True)
class Quality:
    """What is in no sum, and how fresh the data is. Counts of events of the period; times in nanoseconds since the epoch."""

    disagreed: int
    """Payments of which copies named different amounts; the copy observed last is counted."""
    unusable: int
    """Payments without a usable amount or currency: in no sum."""
    without_mode: int
    """Payments that say neither live nor test: in no view."""
    other_mode: int
    """Payments of the other mode: in the other view."""
    synthetic: int
    """Events of bots, probes and load tests: left out."""
    last_event_ns: int | None
    last_delay_ns: int | None
    last_paid_ns: int | None
    """The last payment of the asked mode, also outside of the period."""


@dataclass(frozen=True, slots=True)
class Report:
    """One answer. *closed*: conversion is counted from `checkout.start`; else from `checkout.session_created`."""

    generated_ns: int
    since_ns: int
    until_ns: int
    timezone: str
    live: bool
    window_days: int
    currencies: tuple[Revenue, ...]
    paid_orders: int
    orders: tuple[Tier, ...]
    tiers: tuple[Tier, ...]
    payment_kinds: tuple[Revenue, ...]
    countries: tuple[Revenue, ...]
    surfaces: tuple[Revenue, ...]
    closed: bool
    conversion: Ratio
    pending: int
    """Orders of the cohort that are unpaid and younger than the window: they may still pay."""
    no_mode: int
    """Orders of the cohort of which nothing says live or test: in both views."""
    conversion_by_country: tuple[Share, ...]
    conversion_by_surface: tuple[Share, ...]
    funnel: Funnel
    quality: Quality

    @property
    def payments(self) -> int:
        """Payments over all currencies: a count can be added up, money cannot."""
        return sum(row.payments for row in self.currencies)

    def to_json(self) -> dict[str, Any]:
        """Return JSON's types. Amounts stay minor units; text in major units and shares stand beside them, for readers."""
        content: dict[str, Any] = jsonable.to_json(self)
        return content

    @classmethod
    def from_json(cls, content: Any) -> Report:
        """
        Return the report that `to_json` described.

        Raises:
            ValueError: it is not one.
        """
        return jsonable.from_json(cls, content)


def _half_up(total: int, count: int) -> int:
    return (2 * total + count) // (2 * count)


def _major(minor: int, currency: str) -> str | None:
    try:
        return str(to_major(minor, currency))
    except UnknownCurrency:
        return None
