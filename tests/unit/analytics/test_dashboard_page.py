"""The SQL of docs/dashboard.md runs on the local database and says what the report says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from otel_revenue.analytics import funnel
from otel_revenue.analytics.logs import read_logs
from otel_revenue.analytics.orders import Query
from otel_revenue.analytics.period import Period
from otel_revenue.analytics.store import Batch, Store
from otel_revenue.analytics.values import Members
from support.otlp_events import DAY, T0, event, logs_request, paid

PAGE = Path(__file__).parents[3] / "docs" / "dashboard.md"
SNIPPETS = re.findall(
    r"^## ([^\n]+)\n(?:(?!^## ).)*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def declined(order: str, **attributes: Any) -> bytes:
    return event(
        "checkout.payment_failed", order_id=order, **{"livemode": True, "decline_code": "expired_card", **attributes}
    )


RECORDS = [
    *(event("checkout.start", order_id=order, livemode=True) for order in "abcd"),
    *(event("checkout.session_created", order_id=order, livemode=True, at=T0 + 1) for order in "abc"),
    paid("a", 1000, tier="pro", country="DE", at=T0 + DAY),
    paid("a", 500, tier="pro", country="DE", at=T0 + 2 * DAY),
    paid("b", 700, at=T0 + 20 * DAY),
    paid("a", 900, payment_kind="subscription_renewal", at=T0 + 30 * DAY),
    declined("b", at=T0 + 19 * DAY),
    declined("c", at=T0 + 2),
    declined("c", at=T0 + 3),
    declined("a", at=T0 + 30 * DAY, payment_kind="subscription_renewal"),
    declined("t", livemode=False),
    event("checkout.expired", order_id="b", livemode=True, at=T0 + DAY),
    event("checkout.expired", order_id="c", livemode=True),
    paid("t", 1, livemode=False),
    paid("s", 1, synthetic=True),
]
EXPECTED: dict[str, set[Any]] = {
    "Payments and gross revenue": {("EUR", 4, 3100)},
    "Paid orders": {(2,)},
    "Average order value (AOV), by tier": {("EUR", "pro", 1, 1500.0, 1500.0), ("EUR", "unknown", 1, 700.0, 700.0)},
    "By country and surface": {("DE", "EUR", 2, 1500), ("unknown", "EUR", 2, 1600)},
    "Funnel and drop-offs": {(3, 1)},
    "Time between steps": {(1, 86_400, 86_400)},
    "Conversion rate (CVR)": {(4, 1)},
    "Open conversion": {(2, 4)},
    "Declines and what was recovered": {(3, 3, 2, 1)},
    "Expired checkouts": {(2, 1)},
}


def test_every_promised_snippet_is_there() -> None:
    """
    Each number with a definition in SQL is checked below, none is forgotten.
    """
    assert {"Rules for every number", *EXPECTED} == {title for title, _ in SNIPPETS}


@pytest.mark.parametrize("title", EXPECTED)
def test_the_sql_of_the_page_is_right(title: str) -> None:
    """
    A reader who copies the statement gets the number that the text describes.
    """
    rules, wanted = dict(SNIPPETS)["Rules for every number"], dict(SNIPPETS)[title]

    with Store(None) as store:
        store.write(Batch(events=read_logs(logs_request(RECORDS), Members()).lines), received_ns=T0)
        with store.reading() as db:
            db.execute(rules)
            found = db.execute(wanted).fetchall()

    assert EXPECTED[title] == set(found)


def test_the_page_and_the_report_say_the_same() -> None:
    """
    What the page's statements give is what `report --funnel` says of the same events.
    """
    with Store(None) as store:
        store.write(Batch(events=read_logs(logs_request(RECORDS), Members()).lines), received_ns=T0)
        said = funnel.build(store, Query(Period(T0, T0 + 60 * DAY, "UTC")), now_ns=T0 + 365 * DAY)
    session, last = said.steps[-2:]
    declines = said.declines

    assert EXPECTED == EXPECTED | {
        "Funnel and drop-offs": {(session.kept, last.kept)},
        "Time between steps": {(last.kept, last.p50_s, last.p90_s)},
        "Conversion rate (CVR)": {(said.total.conversion.of, said.total.conversion.hits)},
        "Open conversion": {(said.paid_orders, said.total.conversion.of)},
        "Declines and what was recovered": {
            (
                declines.attempts.hits,
                declines.attempts.of - declines.attempts.hits,
                declines.recovered.of,
                declines.recovered.hits,
            )
        },
        "Expired checkouts": {(said.expired.of, said.expired.hits)},
    }


def test_the_warehouse_statement_keeps_the_copy_observed_last() -> None:
    """
    The dedupe for a store that keeps every copy leaves one row per event name and event_id, the last observed.
    """
    statement = re.findall(r"```sql\n(SELECT \* FROM otel_events.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[
        0
    ]
    db = duckdb.connect()
    db.execute(
        "CREATE TABLE otel_events (event_name VARCHAR, event_id VARCHAR, observed_ns BIGINT, amount_minor BIGINT)"
    )
    db.execute(
        "INSERT INTO otel_events VALUES ('order.paid', 'a', 1, 5), ('order.paid', 'a', 2, 6), ('order.paid', 'b', 1, 7), ('x', 'a', 1, 8)"
    )

    found = db.execute(statement).fetchall()

    assert {("order.paid", "a", 2, 6), ("order.paid", "b", 1, 7), ("x", "a", 1, 8)} == set(found)
