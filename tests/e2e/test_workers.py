"""Several processes of one application on one store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from support.receiver import Receiver, wait_for
from support.running_shop import RunningShop, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe


def test_two_workers_record_each_payment_once(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Deliveries of one payment reach different processes at the same time: one event each, none lost at SIGTERM."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "shop:app",
        "--workers",
        "2",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with RunningShop(fake, tmp_path, receiver.url, command=command, port=port) as shop:
        fake.webhooks.configure(duplicates=3, reorder=True, concurrency=6)
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        for _ in range(12):
            fake.pay(shop.order()["session_id"])
        fake.webhooks.drain(60)
        shop.stop()
        acknowledged = {delivery.status for delivery in fake.deliveries}
        instances = {log.resource["service.instance.id"] for log in receiver.logs}
        shop.start()
        assert wait_for(lambda: len(receiver.named("order.paid")) >= 12)
        shop.stop()

    assert {200} == acknowledged
    assert 2 == len(instances)
    assert sorted(b.id for b in fake.books()) == sorted(
        log.attributes["stripe.payment_intent.id"] for log in receiver.named("order.paid")
    )
