"""The application dies without a word, or the far end does: each payment is recorded once all the same."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from support.ports import free_port
from support.receiver import Receiver, wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe
    from otel_revenue.testing.fake_stripe import Delivery


def _deliveries(fake: FakeStripe, shop: RunningShop, orders: int, seed: int) -> list[Delivery]:
    """Let buyers pay; return what Stripe would deliver, doubled and shuffled."""
    endpoint = fake.collect()
    for _ in range(orders):
        fake.pay(shop.order()["session_id"])
    found = [d for d in fake.deliveries if d.endpoint == endpoint.url] * 2
    random.Random(seed).shuffle(found)
    return found


def _expected(fake: FakeStripe) -> list[tuple[str, int]]:
    return sorted((b.id, b.amount_minor) for b in fake.books())


def _recorded(receiver: Receiver) -> list[tuple[str, int]]:
    unique = {log.attributes["event_id"]: log.attributes for log in receiver.named("order.paid")}
    return sorted((a["stripe.payment_intent.id"], a["amount_minor"]) for a in unique.values())


def test_killed_between_deliveries(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Kill -9 after every few deliveries, restart, go on: each payment once after dedupe by `event_id`."""
    shop = RunningShop(fake, tmp_path, receiver.url, environ={"OTEL_REVENUE_ENRICH_HOLD": "1"}).start()
    rng = random.Random(3)
    try:
        for delivery in _deliveries(fake, shop, 6, seed=1):
            assert 200 == shop.webhook(delivery.body, delivery.signature)
            if rng.random() < 0.15:
                shop.kill()
                shop.start()

        assert wait_for(lambda: len(_recorded(receiver)) >= 6)
    finally:
        shop.stop()
    assert _expected(fake) == _recorded(receiver)


def test_killed_in_the_middle_of_a_request(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Kill -9 while webhooks are being answered: Stripe sends again what had no answer, and each payment counts once."""
    shop = RunningShop(fake, tmp_path, receiver.url, environ={"OTEL_REVENUE_ENRICH_HOLD": "1"}).start()
    fake.webhooks.configure(attempts=60, backoff=0.2, duplicates=2, reorder=True)
    orders = [shop.order()["session_id"] for _ in range(12)]
    fake.add_endpoint(f"{shop.url}/webhooks/stripe")
    payer = threading.Thread(target=lambda: [fake.pay(session) for session in orders])
    payer.start()
    try:
        for pause in (0.05, 0.2, 0.35):
            time.sleep(pause)
            shop.kill()
            shop.start()
        payer.join(60)
        fake.webhooks.drain(60)

        assert wait_for(lambda: len(_recorded(receiver)) >= 12)
    finally:
        shop.stop()
    assert _expected(fake) == _recorded(receiver)


def test_receiver_down_for_the_whole_run(fake: FakeStripe, tmp_path: Path) -> None:
    """Nothing answers while people buy, the application is killed; after a restart everything arrives, once."""
    port = free_port()
    shop = RunningShop(fake, tmp_path, f"http://127.0.0.1:{port}").start()
    sessions = 0
    try:
        for delivery in _deliveries(fake, shop, 5, seed=2):
            assert 200 == shop.webhook(delivery.body, delivery.signature)
        sessions = 5
    finally:
        shop.kill()
    with Receiver(port=port) as up:
        shop.start()

        assert wait_for(lambda: len(up.named("order.paid")) >= 5 and len(up.named("checkout.session_created")) >= 5)
        shop.stop()
        assert _expected(fake) == _recorded(up)
        assert (5, sessions) == (len(up.named("order.paid")), len(up.named("checkout.session_created")))


def test_killed_during_delivery(fake: FakeStripe, tmp_path: Path) -> None:
    """The receiver takes a request and never answers, the application dies: it is sent again under the same ids."""
    with Receiver() as slow:
        shop = RunningShop(fake, tmp_path, slow.url, environ={"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}).start()
        deliveries = _deliveries(fake, shop, 3, seed=4)
        assert wait_for(lambda: len(slow.named("checkout.session_created")) == 3)
        slow.delay_s = 60
        for delivery in deliveries:
            assert 200 == shop.webhook(delivery.body, delivery.signature)
        assert wait_for(lambda: bool(slow.named("order.paid")))
        first = {log.attributes["event_id"] for log in slow.named("order.paid")}
        shop.kill()
        shop.forget_leases()
        shop.environ = {}
        slow.delay_s = 0
        slow.logs.clear()
        shop.start()

        assert wait_for(lambda: len(_recorded(slow)) >= 3)
        shop.stop()
        assert first <= {log.attributes["event_id"] for log in slow.named("order.paid")}
        assert _expected(fake) == _recorded(slow)
