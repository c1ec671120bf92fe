"""Buyers whom the real shop and Stripe's page lose or nearly lose: what the funnel says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otel_revenue.analytics.figures import Ratio
from support.local_backend import ALL_TIME, Backend
from support.receiver import wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_revenue.testing import FakeStripe

TEST_MODE = replace(ALL_TIME, live=False)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    running = Backend(tmp_path / "local.duckdb")
    yield running
    running.close()


@pytest.fixture
def shop(fake: FakeStripe, backend: Backend, tmp_path: Path) -> Iterator[RunningShop]:
    environ = {"OTEL_REVENUE_ENRICH_HOLD": "2"}  # how long a decline waits for the order
    with RunningShop(fake, tmp_path, backend.url, environ=environ) as running:
        yield running


def test_a_buyer_whose_card_is_declined_and_who_pays_then_is_one_order(
    shop: RunningShop, fake: FakeStripe, backend: Backend
) -> None:
    """
    One decline, one payment, one order in the funnel, recovered; beside it a buyer who is lost after two declines. Stripe tells
    each thing twice and out of order, and the shop does nothing about declines.
    """
    fake.add_endpoint(f"{shop.url}/webhooks/stripe")
    fake.webhooks.configure(duplicates=2, reorder=True)
    back, lost = shop.order(tier="pro"), shop.order()
    fake.pay(back["session_id"], decline="insufficient_funds")
    fake.pay(lost["session_id"], decline="expired_card")
    fake.pay(back["session_id"])
    fake.pay(lost["session_id"], decline="expired_card")
    fake.expire(lost["session_id"])
    fake.drain(60)

    def arrived() -> int:
        with backend.store.reading() as db:
            return len(db.execute("SELECT event_id FROM event").fetchall())

    assert wait_for(lambda: arrived() == 7)  # two Sessions, three declines, a payment, an expiry
    found = backend.funnel(TEST_MODE)
    with backend.store.reading() as db:
        attempts = db.execute(
            "SELECT order_id, attributes ->> '$.attempt', attributes ->> '$.decline_code', tier, trace_id IS NOT NULL "
            "FROM event WHERE event_name = 'checkout.payment_failed' ORDER BY order_id = ?, 2",
            [back["order_id"]],
        ).fetchall()

    assert [("checkout.session_created", 2, 2), ("order.paid", 1, 1)] == [
        (s.name, s.reached, s.kept) for s in found.steps
    ]
    assert (Ratio(1, 2), Ratio(3, 4), Ratio(1, 2), Ratio(0, 1)) == (
        found.total.conversion,
        found.declines.attempts,
        found.declines.recovered,
        found.expired,
    )
    assert [("expired_card", 2, Ratio(0, 1)), ("insufficient_funds", 1, Ratio(1, 1))] == [
        (code.code, code.attempts, code.recovered) for code in found.declines.codes
    ]
    assert [
        (lost["order_id"], "1", "expired_card", "basic", True),
        (lost["order_id"], "2", "expired_card", "basic", True),
        (back["order_id"], "1", "insufficient_funds", "pro", True),
    ] == attempts
