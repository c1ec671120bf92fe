"""The store cannot be used: the application does not notice, one line says so, and no payment is lost."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from support.receiver import Receiver, wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe


def _buy(fake: FakeStripe, shop: RunningShop, orders: int = 3) -> None:
    endpoint = fake.collect()
    for _ in range(orders):
        fake.pay(shop.order()["session_id"])
    for delivery in fake.deliveries:
        if delivery.endpoint == endpoint.url:
            assert 200 == shop.webhook(delivery.body, delivery.signature)


def test_a_folder_that_cannot_be_made(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Memory is used instead; a loud line names the folder and the remedy, a metric says so."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    environ = {"OTEL_REVENUE_STORE": str(blocked / "store")}
    with RunningShop(fake, tmp_path, receiver.url, environ=environ) as shop:
        _buy(fake, shop)

        assert wait_for(lambda: len(receiver.named("order.paid")) >= 3)
        assert wait_for(lambda: receiver.metrics.get("otel_revenue.store.durable") == [({}, 0)])
        shop.stop()
        assert 1 == shop.log.count("are in MEMORY")
        assert str(blocked) in shop.log
        assert "Set OTEL_REVENUE_STORE" in shop.log
    assert 3 == len(receiver.named("order.paid"))


def test_a_store_that_somebody_holds(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """While another process holds the database, payments are kept aside on disk; they are joined when it lets go."""
    with RunningShop(fake, tmp_path, receiver.url, environ={"OTEL_REVENUE_STORE_BUSY": "0.05"}) as shop:
        _buy(fake, shop, 1)
        assert wait_for(lambda: len(receiver.named("order.paid")) >= 1)
        holder = sqlite3.connect(shop.store / "ledger.sqlite3", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        _buy(fake, shop, 2)
        kept = sum(path.stat().st_size for path in (shop.store / "facts").glob("*.seg"))
        before = len(receiver.named("order.paid"))
        holder.execute("ROLLBACK")
        holder.close()

        assert 1 == before
        assert kept > 0
        assert wait_for(lambda: len(receiver.named("order.paid")) >= 3)
        assert wait_for(lambda: "otel_revenue.store.fallback" in receiver.metrics)
        assert 1 == shop.log.count("is busy or broken")
        shop.stop()
    assert sorted(b.id for b in fake.books()) == sorted(
        {log.attributes["stripe.payment_intent.id"] for log in receiver.named("order.paid")}
    )


def test_killed_while_the_store_was_held(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """What was kept aside survives a kill -9, and is joined by the next process."""
    with RunningShop(fake, tmp_path, receiver.url, environ={"OTEL_REVENUE_STORE_BUSY": "0.05"}) as shop:
        _buy(fake, shop, 1)
        holder = sqlite3.connect(shop.store / "ledger.sqlite3", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        _buy(fake, shop, 2)
        shop.kill()
        holder.close()
        shop.start()

        assert wait_for(lambda: len(receiver.named("order.paid")) >= 3)
        shop.stop()
    assert sorted(b.id for b in fake.books()) == sorted(
        {log.attributes["stripe.payment_intent.id"] for log in receiver.named("order.paid")}
    )


def test_a_damaged_ledger_is_moved_aside(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """A file that is no database is kept under another name, with a loud line; the shop goes on with a new one."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "ledger.sqlite3").write_bytes(b"this was a database once " * 400)
    with RunningShop(fake, tmp_path, receiver.url) as shop:
        _buy(fake, shop, 2)

        assert wait_for(lambda: len(receiver.named("order.paid")) >= 2)
        assert 1 == shop.log.count("is damaged. It was moved to")
        shop.stop()
    assert 1 == len(list(store.glob("ledger.sqlite3.corrupt-*")))
