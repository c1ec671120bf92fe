"""Several processes and threads of one application on one store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import stripe

from support.ports import free_port
from support.receiver import Receiver, wait_for
from support.running_shop import RunningShop, open_files
from support.servers import ALL, shop_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.testing import FakeStripe
    from otel_revenue.testing.fake_stripe import Delivery

APPS = Path(__file__).resolve().parents[1] / "support" / "apps"


def _paid(receiver: Receiver) -> list[str]:
    unique = {log.attributes["event_id"]: log.attributes for log in receiver.named("order.paid")}
    return sorted(attributes["stripe.payment_intent.id"] for attributes in unique.values())


def test_two_workers_record_each_payment_once(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Deliveries of one payment reach different processes at the same time: one event each, none lost at SIGTERM."""
    with shop_on(ALL["uvicorn-workers"], fake, tmp_path, receiver.url, OTEL_REVENUE_FLUSH_TIMEOUT="45") as shop:
        instances: set[str] = set()

        def both_have_served() -> bool:
            shop.order()
            instances.update(log.resource["service.instance.id"] for log in receiver.logs)
            return len(instances) == 2

        assert wait_for(both_have_served), shop.log
        fake.webhooks.configure(duplicates=3, reorder=True, concurrency=6)
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        for _ in range(12):
            fake.pay(shop.order()["session_id"])
        fake.webhooks.drain(60)
        shop.stop()
        acknowledged = {delivery.status for delivery in fake.deliveries}
        shop.start()
        assert wait_for(lambda: len(receiver.named("order.paid")) >= 12)
        shop.stop()

    assert {200} == acknowledged
    assert sorted(b.id for b in fake.books()) == sorted(
        log.attributes["stripe.payment_intent.id"] for log in receiver.named("order.paid")
    )


@pytest.fixture
def queue(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> Iterator[RunningShop]:
    """The application of `apps/queue_shop.py`."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "queue_shop:app", "--host", "127.0.0.1", "--port", str(port)]
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with RunningShop(fake, tmp_path, receiver.url, environ=environ, command=command, port=port, cwd=APPS) as running:
        yield running


def _pay(fake: FakeStripe, count: int) -> list[Delivery]:
    """Take payments without Checkout; return what Stripe delivers of them."""
    endpoint = fake.collect()
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
    for _ in range(count):
        client.v1.payment_intents.create(
            {"amount": 700, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True,
             "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}  # type: ignore[arg-type]
        )  # fmt: skip
    return [d for d in fake.deliveries if d.endpoint == endpoint.url]


def _deliver(shop: RunningShop, how: str, deliveries: list[Delivery]) -> set[int | None]:
    codes = set()
    for delivery in deliveries:
        headers = {"Stripe-Signature": delivery.signature}
        answer = requests.post(f"{shop.url}/webhooks/{how}", data=delivery.body, headers=headers, timeout=60)
        answer.raise_for_status()
        codes.add(answer.json()["code"])
    return codes


@pytest.mark.parametrize("how", ["pool", "after"])
def test_work_beside_the_request(how: str, queue: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """What a thread pool or a task after the answer handles is recorded and delivered as any other payment."""
    _deliver(queue, how, _pay(fake, 3))

    assert wait_for(lambda: sorted(b.id for b in fake.books()) == _paid(receiver)), queue.log


def test_a_forked_worker_that_ends_without_a_word(queue: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """
    A forked child records payments and ends by `os._exit`, perhaps in the middle of sending them: they are on disk, its parent
    delivers them, or the next start does when the parent is killed as well.
    """

    def arrived() -> bool:
        return sorted(b.id for b in fake.books()) == _paid(receiver)

    codes = _deliver(queue, "fork", _pay(fake, 2))
    by_parent = wait_for(arrived)
    codes |= _deliver(queue, "fork", _pay(fake, 2))
    queue.kill()
    queue.start()

    assert ({7}, True) == (codes, by_parent)
    assert wait_for(arrived), queue.log


def test_a_forked_worker_has_a_ledger_of_its_own(queue: RunningShop, fake: FakeStripe) -> None:
    """The parent goes on with its store after a fork: payments of both are in one ledger, which is open once."""
    _deliver(queue, "here", _pay(fake, 1))
    _deliver(queue, "fork", _pay(fake, 1))
    _deliver(queue, "here", _pay(fake, 1))
    ledger = [name for name in open_files(queue.pid) if name.endswith("ledger.sqlite3")]

    assert 1 == len(ledger)
