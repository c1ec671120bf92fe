"""Webhook bodies that make no sense: the application's answer is what it would be without us, and money is never guessed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue.testing.fake_stripe.deliveries import sign
from support.receiver import wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe
    from support.receiver import Receiver

SECRET = "whsec_fake_stripe_on_loopback"


def _event(**fields: Any) -> dict[str, Any]:
    session = {
        "id": "cs_test_hostile",
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "amount_total": 1000,
        "currency": "eur",
        "payment_intent": "pi_hostile",
        "metadata": {},
        "livemode": False,
        **fields,
    }
    return {
        "id": "evt_hostile",
        "object": "event",
        "type": "checkout.session.completed",
        "created": 1_795_000_000,
        "livemode": False,
        "data": {"object": session},
    }


def _nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


BODIES: dict[str, str] = {
    "no JSON": "this is no JSON",
    "empty": "",
    "a list": "[1, 2]",
    "a number": "12",
    "null": "null",
    "deep": _nested(100_000),
    "deep inside": json.dumps(_event(currency=None, metadata="X")).replace('"X"', _nested(900)),
    "NaN": json.dumps(_event(amount_total=float("nan"))),
    "amount missing": json.dumps(_event(amount_total=None)),
    "amount as text": json.dumps(_event(amount_total="1000")),
    "amount as float": json.dumps(_event(amount_total=10.5)),
    "amount as true": json.dumps(_event(amount_total=True)),
    "amount negative": json.dumps(_event(amount_total=-5)),
    "amount huge": json.dumps(_event(amount_total=10**30)),
    "amount as list": json.dumps(_event(amount_total=[1])),
    "currency missing": json.dumps(_event(currency=None)),
    "currency as number": json.dumps(_event(currency=978)),
    "currency too long": json.dumps(_event(currency="euros")),
    "id missing": json.dumps(_event(id=None, payment_intent=None)),
    "id with NUL": json.dumps(_event(id="cs_\0", payment_intent="pi_\0", currency=None)),
    "lone surrogates": json.dumps(_event(currency="eu\ud800", id="cs_\udfff")),
    "object missing": json.dumps({**_event(), "data": None}),
    "object as text": json.dumps({**_event(), "data": {"object": "cs_1"}}),
    "type as list": json.dumps({**_event(), "type": ["checkout.session.completed"]}),
    "ten megabytes": json.dumps(_event(currency=None, description="x" * 10 * 1024 * 1024)),
}
WITH_MONEY = [name for name in BODIES if name.startswith(("amount", "currency", "NaN"))]


@pytest.fixture
def plain(fake: FakeStripe, tmp_path: Path) -> RunningShop:
    """The same shop without any instrumentation."""
    folder = tmp_path / "plain"
    folder.mkdir()
    return RunningShop(fake, folder, "http://127.0.0.1:9", instrumented=False)


def test_the_answer_is_what_it_would_be_without_us(
    shop: RunningShop, plain: RunningShop, fake: FakeStripe, receiver: Receiver
) -> None:
    """Body by body the same status as the bare shop's; no order, no traceback of ours; what had money in it is noted with a reason."""
    statuses: dict[str, tuple[int, int]] = {}
    with plain:
        for name, text in BODIES.items():
            body = text.encode("utf-8", "surrogatepass")
            signature = sign(body, SECRET, int(time.time()))
            statuses[name] = (plain.webhook(body, signature), shop.webhook(body, signature))
    fake.add_endpoint(f"{shop.url}/webhooks/stripe")
    order = shop.order()
    fake.pay(order["session_id"])
    assert wait_for(lambda: bool(receiver.named("order.paid")))
    # Metrics come once a second: what was noted since the last export is in the next one.
    assert wait_for(lambda: _noted(receiver) >= len(WITH_MONEY))
    shop.stop()
    # The application's own errors pass through two functions of ours; none begins in our code.
    passing = ("/instrumentation/stripe/hooks.py", "/instrumentation/web/asgi.py")
    ours = [line for line in shop.log.splitlines() if "otel_revenue" in line and 'File "' in line]

    assert {name: (bare, bare) for name, (bare, _) in statuses.items()} == statuses
    assert [order["order_id"]] == [event.attributes["order_id"] for event in receiver.named("order.paid")]
    assert not [line for line in ours if not any(name in line for name in passing)]
    assert "stripe.webhook failed" not in shop.log


def _noted(receiver: Receiver) -> float:
    return sum(value for _, value in receiver.metrics.get("otel_revenue.facts.set_aside", []))
