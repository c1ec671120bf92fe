# SPDX-License-Identifier: Apache-2.0
"""
What the local database says about the way to a payment: stages, drop-offs, conversion, declines. Values only, no rendering.

The definitions are in `orders.sql` and `funnel.sql`; in words, with how each of them can mislead, in docs/dashboard.md.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from .figures import Ratio
from .funnel_figures import DeclineCode, Declines, FunnelReport, LeftOut, Slice, Step
from .orders import Query, prepare
from .statements import load

if TYPE_CHECKING:
    import duckdb

    from .store import Store

_SQL: Final = {**load("funnel.sql"), "paid_orders": load("report.sql")["paid_orders"]}

DESIGN_STARTED: Final = "design.started"
DESIGN_APPROVED: Final = "design.approved"
START: Final = "checkout.start"
SESSION: Final = "checkout.session_created"
PAID: Final = "order.paid"

_Rows = dict[str, list[Any]]


def build(store: Store, query: Query, *, now_ns: int | None = None) -> FunnelReport:
    """
    Answer *query* from one consistent view of the data.

    Args:
        now_ns: the time by which cohorts are young or old, nanoseconds since the epoch; now when None.

    Raises:
        StoreError: the database failed.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    with store.reading() as db:
        from_start = prepare(db, query, now_ns)
        rows = _answers(db)
    slices = [(row[0], _slice(row[1:])) for row in rows["slices"]]
    return FunnelReport(
        generated_ns=now_ns,
        since_ns=query.period.since_ns,
        until_ns=query.period.until_ns,
        timezone=query.period.timezone,
        live=query.live,
        window_days=query.window_days,
        from_start=from_start,
        steps=_steps(rows, from_start=from_start),
        total=next((found for dimension, found in slices if not dimension), _slice(("", 0, 0, 0, 0, 0, 0))),
        surfaces=tuple(found for dimension, found in slices if dimension == "surface"),
        tiers=tuple(found for dimension, found in slices if dimension == "tier"),
        countries=tuple(found for dimension, found in slices if dimension == "country"),
        paid_orders=rows["paid_orders"][0][0],
        declines=_declines(rows),
        expired=Ratio(*rows["expired"][0]),
        no_mode=rows["no_mode"][0][0],
        left_out=tuple(LeftOut(*row) for row in rows["left_out"] if row[1] or row[2]),
    )


def _answers(db: duckdb.DuckDBPyConnection) -> _Rows:
    rows: _Rows = {}
    for name, statement in _SQL.items():
        answer = db.execute(statement)
        if not name.startswith("base_"):
            rows[name] = answer.fetchall()
    return rows


def _steps(rows: _Rows, *, from_start: bool) -> tuple[Step, ...]:
    names = (DESIGN_STARTED, DESIGN_APPROVED, START, SESSION, PAID)
    reached = dict(zip(names, rows["reached"][0], strict=True))
    begun, sessions, paid = rows["kept"][0]
    made = {row[0]: row[1:] for row in rows["steps"]}
    approved = made[DESIGN_APPROVED][0] if DESIGN_APPROVED in made else 0
    kept = {
        DESIGN_STARTED: reached[DESIGN_STARTED],
        DESIGN_APPROVED: approved,
        START: begun,
        SESSION: sessions,
        PAID: paid,
    }
    stages = [START, SESSION, PAID] if from_start else [SESSION, PAID]
    if reached[DESIGN_STARTED] or reached[DESIGN_APPROVED]:
        stages[:0] = [DESIGN_STARTED, DESIGN_APPROVED]
    return tuple(_step(name, reached[name], kept[name], made.get(name)) for name in stages)


def _step(name: str, reached: int, kept: int, made: Any) -> Step:
    optional = name in (DESIGN_STARTED, DESIGN_APPROVED)
    if made is None:
        return Step(name, optional, reached, kept)
    hits, of, settled_hits, settled, provisional, times = made
    return Step(
        name, optional, reached, kept, Ratio(hits, of), Ratio(settled_hits, settled), provisional, *(times or ())
    )


def _slice(row: Any) -> Slice:
    label, begun, sessions, converted, settled, settled_converted, provisional = row
    return Slice(label, sessions, Ratio(converted, begun), Ratio(settled_converted, settled), provisional)


def _declines(rows: _Rows) -> Declines:
    failed, paid, renewals = rows["attempts"][0]
    orders, recovered, provisional = rows["declined"][0]
    codes = tuple(DeclineCode(code, attempts, Ratio(back, of)) for code, attempts, of, back in rows["decline_codes"])
    return Declines(Ratio(failed, failed + paid), Ratio(recovered, orders), provisional, renewals, codes)
