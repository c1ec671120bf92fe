"""Nothing of a person leaves: unique marks in every place where Stripe's bodies can hold personal data, none found afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_revenue.testing.fake_stripe.deliveries import sign
from support.receiver import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe
    from support.receiver import Receiver
    from support.running_shop import RunningShop

SECRET = "whsec_fake_stripe_on_loopback"

# What the allow-list reads, and what tells Stripe's objects apart: left as it is, as is the metadata key that the shop
# declared to be its tiers. Everything else is stuffed.
_STRUCTURE = frozenset(
    """id object type livemode created api_version account payment_status status mode currency payment_intent invoice
    subscription latest_charge customer captured paid billing_reason capture_method country order_reference payment_link
    tier brand funding presentment_currency client_reference_id collection_method""".split()
)


class Marks:
    """Stuffs free text with marks that occur nowhere else, shaped like what people write there."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.keys: dict[str, str] = {}

    def stuff(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            stuffed = {k: self.stuff(v, k) for k, v in value.items()}
            return (
                {**stuffed, **self._extra()}
                if value.get("object") or key in ("metadata", "customer_details")
                else stuffed
            )
        if isinstance(value, list):
            return [self.stuff(item, key) for item in value]
        if key in _STRUCTURE or isinstance(value, (bool, int)):
            return value
        return self.mark(key) if value is None or isinstance(value, str) else value

    def _extra(self) -> dict[str, Any]:
        return {
            name: self.mark(name)
            for name in ("email", "name", "phone", "description", "receipt_email", "client_secret", "note", "ip")
        }

    def mark(self, key: str) -> str:
        number = len(self.all)
        mark = f"mark{number:05d}x{key[:12]}"
        self.keys[f"mark{number:05d}x"] = key
        self.all.append(f"mark{number:05d}x")
        return f"{mark}@person.example" if number % 2 else f"Jane {mark} Doe, Elm Street 5"


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_mark_leaves(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """Every body stuffed with marks: none is in an exported byte, in the store's files, or in the log."""
    endpoint = fake.collect()
    for _ in range(4):
        fake.pay(shop.order()["session_id"])
    marks = Marks()
    for delivery in [d for d in fake.deliveries if d.endpoint == endpoint.url]:
        event = json.loads(delivery.body)
        event["data"]["object"] = marks.stuff(event["data"]["object"])
        event["data"]["previous_attributes"] = {"customer_email": marks.mark("previous")}
        event["request"] = {"id": "req_1", "idempotency_key": marks.mark("key")}
        body = json.dumps(event).encode()
        assert 200 == shop.webhook(body, sign(body, SECRET, _now()))
    assert wait_for(lambda: len(receiver.named("order.paid")) >= 4)
    during = _files(shop.store)
    shop.stop()
    exported = b"".join(receiver.bodies)
    assert len(marks.all) > 500
    found = [
        m for m in marks.all if m.encode() in exported or m.encode() in during + _files(shop.store) or m in shop.log
    ]

    assert not {m: marks.keys[m] for m in found}


def test_refused_webhooks_say_nothing(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """A body with a wrong signature is none of our business: nothing of it is exported or stored."""
    body = json.dumps(
        {"id": "evt_1", "object": "event", "type": "charge.succeeded", "mark": "markwrong@person.example"}
    )

    assert 400 == shop.webhook(body.encode(), sign(body.encode(), "whsec_other", _now()))
    shop.stop()
    assert b"markwrong" not in b"".join(receiver.bodies) + _files(shop.store)


def _now() -> int:
    import time

    return int(time.time())
