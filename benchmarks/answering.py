# SPDX-License-Identifier: Apache-2.0
"""Report and funnel over many events in the local database, beside one plain aggregation of the same table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from . import figures
from .figures import Line, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

_FROM_S: Final = 1_790_000_000
_DAYS: Final = 90
_PER_ORDER: Final = 2.78
"""Events of an order, as `_MADE` makes them."""

# Every order starts; most get a Session, some are declined, half pay. Every second start knows its journey alone.
_MADE: Final = """
CREATE TEMP TABLE buyer AS
SELECT i, ($from_s + hash(i) % ($days * 86400))::BIGINT * 1000000000 AS t, hash(i * 7 + 1) % 100 AS luck,
  'order-' || i AS order_id, 'j-' || md5(i::VARCHAR) AS journey_id, 'cs_live_' || sha256(i::VARCHAR) AS session_id
FROM range($orders) r(i);
INSERT INTO event
SELECT md5_number(name || '/' || i), name, uuid()::VARCHAR, t + d, t + d + 5, t + d + 5, NULL, NULL, 'shop',
  CASE WHEN i % 2 = 1 OR late THEN order_id END, journey_id, ['basic', 'pro', 'studio'][1 + i % 3], 'EUR',
  ['DE', 'FR', 'US', 'GB', 'NL'][1 + i % 5], ['home', 'mail', 'ad', 'search'][1 + i % 4], true, NULL,
  CASE WHEN name = 'order.paid' THEN 4999 END, CASE WHEN name = 'order.paid' THEN 'one_off' END,
  CASE WHEN late THEN session_id END, CASE WHEN name = 'order.paid' THEN 'pi_' || md5(i::VARCHAR) END, false,
  '{"schema_version":"1.0","decline_code":"expired_card"}'
FROM (
  SELECT *, 'design.started' AS name, 0::BIGINT AS d, false AS late FROM buyer WHERE luck < 40
  UNION ALL SELECT *, 'checkout.start', 60000000000, false FROM buyer
  UNION ALL SELECT *, 'checkout.session_created', 90000000000, true FROM buyer WHERE luck < 75
  UNION ALL SELECT *, 'checkout.payment_failed', 100000000000, true FROM buyer WHERE luck < 8
  UNION ALL SELECT *, 'order.paid', 150000000000, true FROM buyer WHERE luck < 55)
ORDER BY t + d;
"""
_FLOOR: Final = """
SELECT count(first), count(second), count(third) FROM (
  SELECT order_id, min(time_ns) FILTER (WHERE event_name = 'checkout.start') AS first,
    min(time_ns) FILTER (WHERE event_name = 'checkout.session_created') AS second,
    min(time_ns) FILTER (WHERE event_name = 'order.paid') AS third
  FROM event GROUP BY 1)
"""


def answering(folder: Path, *, events: int, rounds: int) -> list[Table]:
    """Time report and funnel over *events* of 90 days."""
    from otel_revenue.analytics import funnel, report
    from otel_revenue.analytics.orders import Query
    from otel_revenue.analytics.period import Period
    from otel_revenue.analytics.store import Store

    path = folder / "events.duckdb"
    made = _fill(path, events)
    begin, second = _FROM_S * 10**9, 10**9
    query = Query(Period(begin, begin + _DAYS * 86_400 * second, "UTC"))
    with Store(path, read_only=True) as store:

        def floor() -> None:
            with store.reading() as db:
                db.execute(_FLOOR).fetchall()

        contenders: dict[str, Callable[[], object]] = {
            "DuckDB: three minima by order_id": floor,
            "otel-revenue report": lambda: report.build(store, query),
            "otel-revenue report --funnel": lambda: funnel.build(store, query),
        }
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, ask in contenders.items():
                start = time.perf_counter()
                ask()
                taken[name].append(time.perf_counter() - start)
    reference = next(iter(taken.values()))
    lines = [
        Line(name, values, None if values is reference else figures.ratio(values, reference))
        for name, values in taken.items()
    ]
    note = f"{made:,} events, {path.stat().st_size >> 20} MiB; every second start is tied to its order by the journey."
    return [Table("Report and funnel over the local database", "s", lines, notes=[note])]


def _fill(path: Path, events: int) -> int:
    import duckdb

    from otel_revenue.analytics.store import Store

    Store(path).close()
    with duckdb.connect(str(path)) as db:
        for statement in _MADE.split(";\n"):
            if statement.strip():
                _run(db, statement, events)
        db.execute("CHECKPOINT")
        row = db.execute("SELECT count(*) FROM event").fetchone()
    return 0 if row is None else int(row[0])


def _run(db: duckdb.DuckDBPyConnection, statement: str, events: int) -> None:
    values = {"from_s": _FROM_S, "days": _DAYS, "orders": int(events / _PER_ORDER)}
    db.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})
