"""
A whole shop on other releases of the stripe library than the installed one, from checkout to what arrives.

`OTEL_REVENUE_TEST_STRIPE_TARGETS` names folders, separated by colons, each filled by `pip install --target`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from support.ports import free_port
from support.receiver import wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from otel_revenue.testing import FakeStripe
    from support.receiver import Receiver

APPS = Path(__file__).resolve().parents[1] / "support" / "apps"
TARGETS = [Path(target) for target in os.environ.get("OTEL_REVENUE_TEST_STRIPE_TARGETS", "").split(":") if target]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_from_checkout_to_order_paid(target: Path, fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """By both doors of the library a payment arrives once and exact, on the traces of its requests; a forged one never."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "plain:app", "--host", "127.0.0.1", "--port", str(port)]
    with RunningShop(
        fake, tmp_path, receiver.url, command=command, port=port, cwd=APPS, environ={"PYTHONPATH": str(target)}
    ) as shop:
        ran_on = requests.get(f"{shop.url}/healthz", timeout=20).json()["stripe"]
        fake.collect("inbox")
        sessions = {door: shop.order(order_id=f"o-{door}", door=door)["session_id"] for door in ("class", "client")}
        for session in sessions.values():
            fake.pay(session)
        mine = [delivery for delivery in fake.deliveries if delivery.endpoint == "inbox"]
        answers = {shop.webhook(delivery.body, delivery.signature) for delivery in mine for _ in range(2)}
        forged = shop.webhook(mine[0].body.replace(b"evt_", b"evt_x", 1), mine[0].signature)
        assert wait_for(lambda: len(receiver.named("order.paid")) >= 2), shop.log
        shop.stop()
    paid = {log.attributes["order_id"]: log for log in receiver.named("order.paid")}

    assert Path(ran_on).is_relative_to(target)
    assert ({200}, 400) == (answers, forged)
    assert 2 == len(receiver.named("order.paid"))
    for door, session in sessions.items():
        assert {
            "tier": "gold",
            "amount_minor": 3750,
            "currency": "KWD",
            "stripe.checkout.session.id": session,
        }.items() <= paid[f"o-{door}"].attributes.items()
    assert {f"o-{door}" for door in sessions} == {
        log.attributes["order_id"] for log in receiver.named("checkout.session_created")
    }
    assert 2 == len([span for span in receiver.spans if span.name == "POST /v1/checkout/sessions"])
    assert "otel-revenue:" not in shop.log
