"""Which of the objects that an application creates at Stripe are the beginning of a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stripe
from opentelemetry.trace import SpanKind

from otel_revenue import flush

if TYPE_CHECKING:
    from otel_revenue.testing import FakeStripe
    from support.instrumented import App

PRICE: Any = {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Poster"}}


@pytest.fixture
def app(app: App) -> App:
    app.instrument(hold=0, enrich_hold=0)
    return app


def test_what_a_buyer_pays_is_a_checkout(app: App, fake: FakeStripe) -> None:
    """A Session, a PaymentIntent and a Subscription are announced, each with its id."""
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
    with app.tracers.get_tracer("web").start_as_current_span("POST", kind=SpanKind.SERVER):
        customer = client.v1.customers.create()
        session = client.v1.checkout.sessions.create(
            {"mode": "payment", "success_url": "https://a.b", "line_items": [{"quantity": 1, "price_data": PRICE}]}
        )
        intent = client.v1.payment_intents.create({"amount": 500, "currency": "eur"})
        price = client.v1.prices.create({**PRICE, "recurring": {"interval": "month"}})
        subscription = client.v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": price.id}], "payment_behavior": "default_incomplete"}
        )
    flush(60)
    events = [event.attributes for event in app.receiver.named("checkout.session_created")]

    assert [session.id, intent.id, subscription.id] == [
        event.get("stripe.checkout.session.id")
        or event.get("stripe.payment_intent.id")
        or event.get("stripe.subscription.id")
        for event in events
    ]


def test_what_no_buyer_pays_is_none(app: App, fake: FakeStripe) -> None:
    """An invoice of a billing run, a charge of the old API and a Session that only saves a card begin no checkout; their money counts."""
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
    with app.tracers.get_tracer("jobs").start_as_current_span("billing", kind=SpanKind.SERVER):
        customer = client.v1.customers.create()
        client.v1.invoices.create({"customer": customer.id})
        client.v1.checkout.sessions.create(
            {"mode": "setup", "currency": "eur", "success_url": "https://a.b", "customer": customer.id}
        )
        client.v1.charges.create({"amount": 500, "currency": "eur", "source": "tok_visa"})
    flush(60)

    assert [] == app.receiver.named("checkout.session_created")
    assert [500] == [event.attributes["amount_minor"] for event in app.receiver.named("order.paid")]
