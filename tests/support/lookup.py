"""Delivers what a fake Stripe collected, as an application takes it, and remembers what is asked of it meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import stripe

if TYPE_CHECKING:
    from otel_revenue.testing import FakeStripe
    from otel_revenue.testing.fake_stripe.deliveries import Delivery

SECRET = "whsec_fake_stripe_on_loopback"


class Post:
    """Delivers what the fake collected, and remembers which requests were there before."""

    def __init__(self, fake: FakeStripe) -> None:
        self.fake = fake
        self.before = len(fake.requests)

    def send(self, *types: str, endpoint: str = "all") -> None:
        """Deliver events of these types, in this order."""
        for kind in types:
            for delivery in self.fake.deliveries:
                if (delivery.endpoint, delivery.type) == (endpoint, kind):
                    self.deliver(delivery)

    @staticmethod
    def deliver(delivery: Delivery) -> None:
        """Verify one delivery as an application does."""
        if delivery.endpoint == "all":
            stripe.Webhook.construct_event(delivery.body, delivery.signature, SECRET)  # type: ignore[no-untyped-call]
        else:
            stripe.StripeClient(stripe.api_key or "").parse_event_notification(
                delivery.body, delivery.signature, SECRET
            )

    @property
    def asked(self) -> list[tuple[str, str, int]]:
        """What was asked since: method, the path's words, status."""
        return [(r.method, _words(r.path), r.status) for r in self.fake.requests[self.before :]]


def _words(path: str) -> str:
    return "/".join("{}" if "_" in part and part != "invoice_payments" and part != "payment_intents" and part != "line_items"
                    else part for part in path.split("/"))  # fmt: skip
