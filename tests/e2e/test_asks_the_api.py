"""Shops that verify no webhook: an answer of Stripe's API is evidence for what was created through us, and for nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import stripe

from support.ports import free_port
from support.receiver import Receiver, wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.testing import FakeStripe

APPS = Path(__file__).resolve().parents[1] / "support" / "apps"


@pytest.fixture
def shop(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> Iterator[RunningShop]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "asks:app", "--host", "127.0.0.1", "--port", str(port)]
    with RunningShop(fake, tmp_path, receiver.url, command=command, port=port, cwd=APPS) as running:
        yield running


def test_a_success_page_that_asks(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """Session.retrieve on the success page records the payment once, however often the page is reloaded."""
    session = shop.order(order_id="o-17")["session_id"]
    before = requests.get(f"{shop.url}/thanks/{session}", timeout=20).json()
    fake.pay(session)
    for _ in range(3):
        requests.get(f"{shop.url}/thanks/{session}", timeout=20).raise_for_status()
    assert wait_for(lambda: bool(receiver.named("order.paid")))
    shop.stop()
    (event,) = receiver.named("order.paid")

    assert {"payment_status": "unpaid"} == before
    assert {
        "order_id": "o-17",
        "tier": "gold",
        "surface": "landing-b",
        "amount_minor": 2500,
        "currency": "EUR",
        "item_count": 2,
    }.items() <= event.attributes.items()
    assert {"order_id", "tier"} <= set(event.attributes["requested_attributes"])


def test_an_intent_confirmed_at_once(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """PaymentIntent.create that answers succeeded is a payment, on its own trace, with what the code bound to it."""
    answer = requests.post(f"{shop.url}/charge", json={"order_id": "o-18"}, timeout=20).json()
    assert wait_for(lambda: bool(receiver.named("order.paid")))
    shop.stop()
    (event,) = receiver.named("order.paid")

    assert "succeeded" == answer["status"]
    assert ("o-18", 990, "USD", answer["payment_intent"]) == tuple(
        event.attributes[name] for name in ("order_id", "amount_minor", "currency", "stripe.payment_intent.id")
    )
    assert event.trace_id == receiver.named("checkout.session_created")[0].trace_id


def test_old_payments_are_read_and_not_counted(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """A back office that lists payments which it did not see created makes no orders; nor does an unsigned body."""
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
    for _ in range(3):
        client.v1.payment_intents.create({"amount": 500, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True,
                                          "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}})  # fmt: skip
    paid = next(e for e in fake.events if e["type"] == "payment_intent.succeeded")
    listed = requests.get(f"{shop.url}/backoffice", timeout=20).json()
    unsigned = requests.post(f"{shop.url}/unverified", json=paid, timeout=20).json()
    requests.post(f"{shop.url}/charge", json={"order_id": "o-19"}, timeout=20).raise_for_status()
    assert wait_for(lambda: bool(receiver.named("order.paid")))
    shop.stop()

    assert ({"succeeded": 3}, {"received": True}) == (listed, unsigned)
    assert ["o-19"] == [event.attributes["order_id"] for event in receiver.named("order.paid")]
