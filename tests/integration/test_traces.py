"""The trace of the checkout and the trace of the webhook find each other, whatever was bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stripe
from opentelemetry.trace import SpanKind

from otel_revenue import flush
from otel_revenue.testing import Buyer, FakeStripe

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from support.instrumented import App

SECRET = "whsec_fake_stripe_on_loopback"
BUYER = Buyer()


@pytest.fixture
def app(app: App) -> App:
    app.instrument()
    return app


def _client(fake: FakeStripe) -> Any:
    return stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})


def _session(fake: FakeStripe, client: Any) -> None:
    made = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.test/ok",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Mug"}},
                }
            ],
        }
    )
    fake.pay(made.id)


def _subscription(fake: FakeStripe, client: Any) -> None:
    made = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "success_url": "https://shop.test/ok",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "eur",
                        "unit_amount": 900,
                        "product_data": {"name": "Club"},
                        "recurring": {"interval": "month"},
                    },
                }
            ],
        }
    )
    fake.pay(made.id)


def _intent(fake: FakeStripe, client: Any) -> None:
    made = client.v1.payment_intents.create({"amount": 900, "currency": "eur"})
    fake.pay_intent(made.id)


def _requests(app: App, fake: FakeStripe, buy: Callable[[FakeStripe, Any], None]) -> None:
    """Buy in one request, and let the webhooks come in requests of their own."""
    collected = fake.collect()
    with app.tracers.get_tracer("web").start_as_current_span("POST /checkout", kind=SpanKind.SERVER):
        buy(fake, _client(fake))
    for delivery in fake.deliveries:
        if delivery.endpoint == collected.url:
            _deliver(app, delivery.body, delivery.signature)
    flush(60)


def _deliver(app: App, body: bytes, signature: str) -> None:
    with app.tracers.get_tracer("web").start_as_current_span("POST /webhooks", kind=SpanKind.SERVER):
        stripe.Webhook.construct_event(body, signature, SECRET)  # type: ignore[no-untyped-call]


def _named(app: App, name: str) -> list[ReadableSpan]:
    return [span for span in app.spans.get_finished_spans() if span.name == name]


@pytest.mark.parametrize("buy", [_session, _subscription, _intent])
def test_both_traces_know_of_each_other(
    app: App, fake: FakeStripe, buy: Callable[[FakeStripe, Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The webhook's request links to the checkout's trace, which holds a `checkout.payment` span with the money on it."""
    _requests(app, fake, buy)
    (checkout,) = _named(app, "POST /checkout")
    (payment,) = _named(app, "checkout.payment")
    (event,) = app.receiver.named("order.paid")
    told = [span for span in _named(app, "POST /webhooks") if any(e.name == "order.paid" for e in span.events)]

    assert checkout.context.trace_id == payment.context.trace_id
    assert checkout.context.span_id == payment.parent.span_id  # type: ignore[union-attr]
    assert (900, event.attributes["event_id"]) == (
        dict(payment.attributes or {})["amount_minor"],
        dict(payment.attributes or {})["event_id"],
    )
    # Stripe tells whole seconds; the span still begins after the request that created the session did.
    assert checkout.start_time <= payment.start_time <= payment.end_time  # type: ignore[operator]
    assert 1 == len(told)
    assert checkout.context.trace_id in {link.context.trace_id for link in told[0].links}
    assert [told[0].context.trace_id] == [link.context.trace_id for link in payment.links]
    assert f"{told[0].context.trace_id:032x}" == event.trace_id


def test_renewals_do_not_lead_back_to_the_first_checkout(app: App, fake: FakeStripe) -> None:
    """A subscription's metadata lives for years: a renewal is a payment of its own trace, without span or link to the first one."""
    _requests(app, fake, _subscription)
    subscription = fake.events[-1]
    subscription_id = next(
        e["data"]["object"]["id"] for e in fake.events if e["type"] == "customer.subscription.created"
    )
    app.spans.clear()
    known = len(fake.deliveries)
    fake.renew(subscription_id)
    for delivery in fake.deliveries[known:]:
        _deliver(app, delivery.body, delivery.signature)
    flush(60)
    kinds = [event.attributes["payment_kind"] for event in app.receiver.named("order.paid")]

    assert subscription
    assert ["subscription_first", "subscription_renewal"] == kinds
    assert not _named(app, "checkout.payment")
    assert not [link for span in _named(app, "POST /webhooks") for link in span.links]


def test_an_explicit_idempotency_key_is_respected(app: App, fake: FakeStripe) -> None:
    """With a key of the app's own nothing is added to its parameters: the second try is replayed, and the traces still meet."""
    client = _client(fake)
    params = {"amount": 900, "currency": "eur"}
    answers = []
    collected = fake.collect()
    for _ in range(2):
        with app.tracers.get_tracer("web").start_as_current_span("POST /checkout", kind=SpanKind.SERVER):
            answers.append(client.v1.payment_intents.create(params, {"idempotency_key": "order-7"}))
    fake.pay_intent(answers[0].id)
    for delivery in fake.deliveries:
        if delivery.endpoint == collected.url:
            _deliver(app, delivery.body, delivery.signature)
    flush(60)
    first = _named(app, "POST /checkout")[0]
    (payment,) = _named(app, "checkout.payment")

    assert answers[0].id == answers[1].id
    assert not dict(answers[0].metadata.to_dict())
    assert first.context.trace_id == payment.context.trace_id
    assert 1 == len(app.receiver.named("checkout.session_created"))


def test_fifty_keys_of_the_users_are_left_alone(app: App, fake: FakeStripe) -> None:
    """With as many metadata keys as Stripe allows, the call goes out untouched; the payment finds its trace all the same."""
    collected = fake.collect()
    metadata = {f"key_{number}": "v" for number in range(50)}
    with app.tracers.get_tracer("web").start_as_current_span("POST /checkout", kind=SpanKind.SERVER):
        made = _client(fake).v1.payment_intents.create({"amount": 900, "currency": "eur", "metadata": metadata})
    fake.pay_intent(made.id)
    for delivery in fake.deliveries:
        if delivery.endpoint == collected.url:
            _deliver(app, delivery.body, delivery.signature)
    flush(60)

    assert metadata == dict(made.metadata.to_dict())
    assert _named(app, "POST /checkout")[0].context.trace_id == _named(app, "checkout.payment")[0].context.trace_id
