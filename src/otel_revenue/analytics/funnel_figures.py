# SPDX-License-Identifier: Apache-2.0
"""The funnel as values: frozen, and the same again after a trip through JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import jsonable
from .figures import Ratio


@dataclass(frozen=True, slots=True)
class Step:
    """
    One stage, in orders.

    Attributes:
        name: the event.
        optional: no condition for the stages after it.
        reached: orders that reached it in the period, whatever came before (open).
        kept: orders of the cohort that reached it with all required stages before it, in order (closed).
        conversion: out of the orders at the stage before; None for the first.
        settled: the same, of the orders alone whose window is over: what is missing in it has dropped off.
        provisional: orders at the stage before that may still come.
        p50_s, p90_s, p95_s: seconds since the stage before, of those that made the step.
    """

    name: str
    optional: bool
    reached: int
    kept: int
    conversion: Ratio | None = None
    settled: Ratio | None = None
    provisional: int = 0
    p50_s: int | None = None
    p90_s: int | None = None
    p95_s: int | None = None

    @property
    def drop_off(self) -> Ratio | None:
        """The orders that did not come, out of those whose window is over."""
        return None if self.settled is None else Ratio(self.settled.of - self.settled.hits, self.settled.of)

    def aside(self) -> dict[str, Any]:
        """The drop-off, for readers of the JSON."""
        return {"drop_off": jsonable.to_json(self.drop_off)}


@dataclass(frozen=True, slots=True)
class Slice:
    """Closed conversion of the orders of one surface, tier or country; *sessions* of them got a Session."""

    label: str
    sessions: int
    conversion: Ratio
    settled: Ratio
    """The same, of the orders alone whose window is over."""
    provisional: int
    """Orders that are unpaid and may still pay."""


@dataclass(frozen=True, slots=True)
class DeclineCode:
    """One decline code: failed attempts, the orders they belong to, and those of them that were paid after it."""

    code: str
    attempts: int
    recovered: Ratio


@dataclass(frozen=True, slots=True)
class Declines:
    """Attempts to pay that failed, renewals apart."""

    attempts: Ratio
    """Failed attempts out of failed attempts and payments."""
    recovered: Ratio
    """Orders that were paid after a decline, out of orders with one."""
    provisional: int
    """Orders with a decline that are unpaid and may still pay."""
    renewals: int
    """Failed attempts at a renewal: in no other number."""
    codes: tuple[DeclineCode, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Events of one name that are in no order: they name none, or are synthetic traffic's."""

    name: str
    without_key: int
    synthetic: int


@dataclass(frozen=True, slots=True)
class FunnelReport:
    """One answer. *from_start*: the funnel begins with `checkout.start`; else with `checkout.session_created`."""

    generated_ns: int
    since_ns: int
    until_ns: int
    timezone: str
    live: bool
    window_days: int
    from_start: bool
    steps: tuple[Step, ...]
    total: Slice
    """All orders that began in the period."""
    surfaces: tuple[Slice, ...]
    tiers: tuple[Slice, ...]
    countries: tuple[Slice, ...]
    paid_orders: int
    """Paid orders of the period, whenever they began. Over the orders that began it is the open conversion."""
    declines: Declines
    expired: Ratio
    """Orders that were paid all the same, out of orders of which a payment could no more be made."""
    no_mode: int
    """Orders of the cohort of which nothing says live or test: in both views."""
    left_out: tuple[LeftOut, ...]

    @property
    def open_conversion(self) -> float | None:
        """Paid orders of the period per order that began in it; may exceed 1, therefore no ratio with an interval."""
        begun = self.total.conversion.of
        return self.paid_orders / begun if begun else None

    def aside(self) -> dict[str, Any]:
        """The open conversion, for readers of the JSON."""
        return {"open_conversion": self.open_conversion}

    def to_json(self) -> dict[str, Any]:
        """Return JSON's types; shares stand beside counts, for readers."""
        content: dict[str, Any] = jsonable.to_json(self)
        return content
