# SPDX-License-Identifier: Apache-2.0
"""
What the local database says about a period: payments, revenue, AOV, funnel, conversion. Values only, no rendering.

The definitions are in `orders.sql` and `report.sql`; in words, with how each of them can mislead, in docs/dashboard.md. Money is integers
in minor units, per currency.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from .figures import Funnel, Quality, Ratio, Report, Revenue, Share, Stage, Tier
from .orders import Query, prepare
from .statements import load

if TYPE_CHECKING:
    import duckdb

    from .store import Store

_SQL: Final = load("report.sql")


def build(store: Store, query: Query, *, now_ns: int | None = None) -> Report:
    """
    Answer *query* from one consistent view of the data.

    Args:
        now_ns: the time by which cohorts are young or old, nanoseconds since the epoch; now when None.

    Raises:
        StoreError: the database failed.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    with store.reading() as db:
        return _Builder(db, query, now_ns).report()


class _Builder:
    def __init__(self, db: duckdb.DuckDBPyConnection, query: Query, now_ns: int) -> None:
        self._db = db
        self._query = query
        self._now_ns = now_ns
        self._has_starts = prepare(db, query, now_ns)

    def _rows(self, name: str) -> list[Any]:
        return self._db.execute(_SQL[name]).fetchall()

    def report(self) -> Report:
        period = self._query.period
        tiers = [Tier.of(*row) for row in self._rows("tiers")]
        started, paid, pending, no_mode = self._rows("conversion")[0]
        return Report(
            generated_ns=self._now_ns,
            since_ns=period.since_ns,
            until_ns=period.until_ns,
            timezone=period.timezone,
            live=self._query.live,
            window_days=self._query.window_days,
            currencies=self._revenue("currencies", named=False),
            paid_orders=self._rows("paid_orders")[0][0],
            orders=tuple(tier for tier in tiers if tier.tier is None),
            tiers=tuple(tier for tier in tiers if tier.tier is not None),
            payment_kinds=self._revenue("kinds"),
            countries=self._revenue("revenue_by_country"),
            surfaces=self._revenue("revenue_by_surface"),
            closed=self._has_starts,
            conversion=Ratio(paid, started),
            pending=pending,
            no_mode=no_mode,
            conversion_by_country=self._shares("conversion_by_country"),
            conversion_by_surface=self._shares("conversion_by_surface"),
            funnel=self._funnel(),
            quality=self._quality(),
        )

    def _revenue(self, name: str, *, named: bool = True) -> tuple[Revenue, ...]:
        return tuple(Revenue(*((row[0], *row[1:]) if named else ("", *row))) for row in self._rows(name))

    def _shares(self, name: str) -> tuple[Share, ...]:
        return tuple(Share(label, Ratio(paid, started)) for label, started, paid in self._rows(name))

    def _funnel(self) -> Funnel:
        first, session, paid, to_session, to_paid = self._rows("funnel")[0]
        designs = Ratio(*reversed(self._rows("designs")[0]))
        stages = [
            Stage("checkout.session_created", session),
            Stage("order.paid", paid, Ratio(paid, session), *(to_paid or ())),
        ]
        if self._has_starts:
            stages[0] = Stage("checkout.session_created", session, Ratio(session, first), *(to_session or ()))
            stages.insert(0, Stage("checkout.start", first))
        return Funnel(tuple(stages), designs)

    def _quality(self) -> Quality:
        return Quality(*self._rows("quality")[0], *self._rows("freshness")[0])
