# SPDX-License-Identifier: Apache-2.0
"""Orders out of events, for one question: what the numbers of report and funnel are taken from. Definitions in `orders.sql`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .statements import load

if TYPE_CHECKING:
    import duckdb

    from .period import Period

WINDOW_DAYS: Final = 14
"""Conversion window W: delayed payment methods settle within about that."""

_DAY_NS: Final = 86_400 * 10**9
_SQL: Final = load("orders.sql")


@dataclass(frozen=True, slots=True)
class Query:
    """
    What is asked.

    Attributes:
        period: from when to when, in which time zone.
        live: live payments; False for Stripe's test mode. Never both.
        window_days: conversion window W.
    """

    period: Period
    live: bool = True
    window_days: int = WINDOW_DAYS


def prepare(db: duckdb.DuckDBPyConnection, query: Query, now_ns: int) -> bool:
    """
    Make the tables that the numbers are taken from, in the transaction that *db* is in.

    Args:
        now_ns: the time by which cohorts are young or old, nanoseconds since the epoch.

    Returns:
        whether the application records `checkout.start`: then the funnel begins there, else with the Session.
    """
    values: dict[str, int] = {
        "live": query.live,
        "since_ns": query.period.since_ns,
        "until_ns": query.period.until_ns,
        "window_ns": query.window_days * _DAY_NS,
        "now_ns": now_ns,
    }
    for name, value in values.items():
        db.execute(_SQL[f"set_{name}"], {"value": value})
    for name, statement in _SQL.items():
        if name.startswith("base_") and name != "base_cohort":
            db.execute(statement)
    row = db.execute(_SQL["has_starts"]).fetchone()
    has_starts = bool(row and row[0])
    db.execute(_SQL["set_has_starts"], {"value": has_starts})
    db.execute(_SQL["base_cohort"])
    return has_starts
