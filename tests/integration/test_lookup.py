"""The look-up: what webhooks leave open is asked of Stripe, beside the requests; by the real library, of a real server."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import stripe
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import SpanKind

from otel_revenue.instrumentation.stripe import facts
from otel_revenue.testing import FakeStripe
from otel_revenue.testing.fake_stripe.buyer import Buyer
from support import elsewhere
from support.lookup import SECRET, Post
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.instrumented import App


TESTS = Path(__file__).parents[1]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with FakeStripe(api_key="sk_test_canary_of_the_key_4711") as running:
        monkeypatch.setattr(stripe, "api_key", running.api_key)
        monkeypatch.setattr(stripe, "api_base", running.url)
        running.collect("all")
        running.collect("thin", thin=True)
        running.collect("connect", thin=True, connect=True)
        yield running


def orders(app: App, count: int = 1) -> list[dict[str, Any]]:
    """Wait for so many orders; return what they say, all of them."""
    assert wait_for(lambda: len(app.receiver.named("order.paid")) >= count), "no order came"
    app.instrumentor.uninstrument()  # whatever is still under way comes before the end
    return [log.attributes for log in app.receiver.named("order.paid")]


def part(order: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(order.get(name) for name in names)


# -- switched off ---------------------------------------------------------------------------------------------------------


def test_off_by_default(app: App, fake: FakeStripe) -> None:
    """Unless it is switched on nothing is asked, no thread runs, and a thin event that speaks of money is noted by its ids."""
    app.instrument(hold=1, enrich_hold=1)
    fake.pay(elsewhere.session(fake))
    post = Post(fake)
    post.send("v1.payment_intent.succeeded", endpoint="thin")
    thin = [d for d in fake.deliveries if (d.endpoint, d.type) == ("thin", "payment_intent.succeeded")]
    Post.deliver(thin[0])
    post.send("payment_intent.succeeded")
    runtime = app.instrumentor.runtime
    assert runtime is not None
    notes = runtime._open().store.set_asides()
    found = orders(app)

    assert [] == post.asked
    assert [("webhook", "payment_intent.succeeded", "thin_event")] == [(n.source, n.kind, n.reason) for n in notes]
    assert 2 == len(notes[0].ids)
    assert [1500] == [order["amount_minor"] for order in found]


# -- what it finds ----------------------------------------------------------------------------------------------------------


def test_line_items_of_a_session_made_elsewhere(app: App, fake: FakeStripe) -> None:
    """A payment whose items nobody told waits for them, and has the count and the SKUs of Stripe's lines."""
    app.instrument(stripe_lookup=True, stripe_lookup_hold=60)
    fake.pay(elsewhere.session(fake, lines=12))
    post = Post(fake)
    post.send("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded")
    (order,) = orders(app)

    assert (36, [f"mug-{n}" for n in range(12)], None) == part(order, "item_count", "skus", "requested_attributes")
    assert [("GET", "/v1/checkout/sessions/{}/line_items", 200)] == post.asked


def test_items_that_the_parameters_gave_are_not_asked_for(app: App, fake: FakeStripe) -> None:
    """An order.paid waits for nothing that is known: what was created here is recorded at once."""
    app.instrument(stripe_lookup=True, stripe_lookup_hold=60)
    line: Any = {"quantity": 2, "price_data": {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Cup"}}}
    made = stripe.checkout.Session.create(mode="payment", line_items=[line], success_url="https://x.test")
    fake.pay(made.id)
    post = Post(fake)
    post.send("checkout.session.completed")
    (order,) = orders(app)

    assert (2, 1400) == part(order, "item_count", "amount_minor")
    assert [] == post.asked


def test_a_poor_payment_gets_its_session(app: App, fake: FakeStripe) -> None:
    """A PaymentIntent whose Session's event never comes has the Session's order, country and items."""
    app.instrument(stripe_lookup=True, enrich_hold=60)
    fake.pay(elsewhere.session(fake, **{"metadata[order_id]": "o-7"}), buyer=Buyer(country="FR"))
    post = Post(fake)
    post.send("payment_intent.succeeded", "charge.succeeded")
    (order,) = orders(app)

    assert ("o-7", "FR", 3, 1500) == part(order, "order_id", "country", "item_count", "amount_minor")
    assert [("GET", "/v1/checkout/sessions/{}", 200)] == post.asked


def test_a_cut_reference_is_asked_by_the_intent(app: App, fake: FakeStripe) -> None:
    """Where the PaymentIntent holds its Session's id only in part, Sessions are asked for by the PaymentIntent."""
    fake.cut_references = True
    app.instrument(stripe_lookup=True, enrich_hold=60, stripe_lookup_hold=60)
    fake.pay(elsewhere.session(fake, **{"metadata[order_id]": "o-8"}))
    post = Post(fake)
    post.send("payment_intent.succeeded")
    (order,) = orders(app)

    assert ("o-8", 3) == part(order, "order_id", "item_count")
    assert [("GET", "/v1/checkout/sessions", 200), ("GET", "/v1/checkout/sessions/{}/line_items", 200)] == post.asked


def test_an_uncertain_payment_gets_its_invoice(app: App, fake: FakeStripe) -> None:
    """A renewal of which only the PaymentIntent's event came is joined with its invoice, and is one with it afterwards."""
    made = elsewhere.subscription(fake)
    fake.pay(made)
    subscription = (fake.session(made) or {})["subscription"]
    first = {d.event_id for d in fake.deliveries}
    fake.renew(subscription)
    app.instrument(stripe_lookup=True, hold=3600, enrich_hold=60)
    post = Post(fake)
    late = [d for d in fake.deliveries if d.event_id not in first and d.endpoint == "all"]
    for kind in ("payment_intent.succeeded", "invoice.paid", "invoice_payment.paid"):
        for delivery in late:
            if delivery.type == kind:
                Post.deliver(delivery)
        if kind == "payment_intent.succeeded":
            assert wait_for(lambda: bool(app.receiver.named("order.paid")))
    (order,) = orders(app)

    assert ("subscription_renewal", 1500) == part(order, "payment_kind", "amount_minor")
    assert str(order["stripe.invoice.id"]).startswith("in_")
    assert {("GET", "/v1/invoices/{}", 200)} == set(post.asked)


def test_the_first_payment_of_a_subscription(app: App, fake: FakeStripe) -> None:
    """The charge alone, which names nothing but its PaymentIntent, leads to the invoice: canonical id, one order."""
    app.instrument(stripe_lookup=True, hold=3600, enrich_hold=60)
    fake.pay(elsewhere.subscription(fake))
    post = Post(fake)
    post.send("charge.succeeded")
    assert wait_for(lambda: bool(app.receiver.named("order.paid")))
    post.send("invoice.paid", "payment_intent.succeeded")
    (order,) = orders(app)

    assert ("subscription_first", 1500, 3) == part(order, "payment_kind", "amount_minor", "item_count")
    assert [("GET", "/v1/invoice_payments", 200)] == post.asked


def test_a_lone_invoice_payment(app: App, fake: FakeStripe) -> None:
    """A link between an invoice and what paid it is settled by the invoice itself."""
    app.instrument(stripe_lookup=True, hold=3600, enrich_hold=60)
    fake.pay(elsewhere.subscription(fake))
    post = Post(fake)
    post.send("invoice_payment.paid")
    (order,) = orders(app)

    assert ("subscription_first", 1500) == part(order, "payment_kind", "amount_minor")
    assert [("GET", "/v1/invoices/{}", 200)] == post.asked


def test_a_capture(app: App, fake: FakeStripe) -> None:
    """A capture waits for what the PaymentIntent says: no more follow."""
    form = {"amount": "900", "currency": "eur", "capture_method": "manual", "confirm": "true"}
    form |= {"payment_method": "pm_card_visa", "payment_method_types[0]": "card"}
    made = elsewhere.post(fake, "/v1/payment_intents", **form)
    elsewhere.post(fake, f"/v1/payment_intents/{made['id']}/capture", amount_to_capture="400")
    app.instrument(stripe_lookup=True, hold=3600, enrich_hold=60)
    post = Post(fake)
    post.send("charge.captured")
    (order,) = orders(app)

    assert (400, made["id"]) == part(order, "amount_minor", "stripe.payment_intent.id")
    assert [("GET", "/v1/payment_intents/{}", 200)] == post.asked


# -- thin events ------------------------------------------------------------------------------------------------------------


def test_thin_events(app: App, fake: FakeStripe) -> None:
    """Thin events, doubled and together with their v1 twins, make the same one order as v1 events do."""
    app.instrument(stripe_lookup=True, stripe_lookup_rate=50)
    session = elsewhere.session(fake, **{"metadata[order_id]": "o-9"})
    fake.pay(session, buyer=Buyer(country="FR"))
    post = Post(fake)
    for _ in range(2):
        post.send("charge.succeeded", "payment_intent.succeeded", "checkout.session.completed", endpoint="thin")
    post.send("checkout.session.completed")
    (order,) = orders(app)

    assert ("o-9", "FR", 3, 1500, session) == part(
        order, "order_id", "country", "item_count", "amount_minor", "stripe.checkout.session.id"
    )
    assert {200} == {status for _, _, status in post.asked}


def test_thin_events_alone_of_each_flow(app: App, fake: FakeStripe) -> None:
    """From an invoice's thin event comes the renewal, from a Session's the purchase: each payment once, to the cent."""
    app.instrument(stripe_lookup=True, stripe_lookup_rate=50)
    made = elsewhere.subscription(fake)
    fake.pay(made)
    fake.renew((fake.session(made) or {})["subscription"])
    fake.pay(elsewhere.session(fake))
    post = Post(fake)
    post.send("invoice.paid", "invoice_payment.paid", "checkout.session.completed", endpoint="thin")
    found = orders(app, 3)

    assert sorted(b.amount_minor for b in fake.books()) == sorted(o["amount_minor"] for o in found)


def test_a_thin_event_of_a_connected_account(app: App, fake: FakeStripe) -> None:
    """The object is fetched in the account that the event names, with the platform's key."""
    app.instrument(stripe_lookup=True)
    fake.pay(elsewhere.session(fake, account="acct_1"))
    post = Post(fake)
    post.send("checkout.session.completed", endpoint="connect")
    (order,) = orders(app)

    assert ("acct_1", 3) == part(order, "stripe.account.id", "item_count")
    assert {"acct_1"} == {r.account for r in fake.requests[post.before :]}


def test_a_thin_event_of_an_object_that_is_gone(app: App, fake: FakeStripe) -> None:
    """What Stripe does not know is noted by its ids and asked for once."""
    app.instrument(stripe_lookup=True)
    event = {
        "id": "evt_thin_1", "object": "v2.core.event", "type": "v1.payment_intent.succeeded", "livemode": False,
        "created": "2026-11-24T21:00:00.000Z", "related_object": {"id": "pi_gone", "type": "payment_intent", "url": "/v1/payment_intents/pi_gone"},
    }  # fmt: skip
    post = Post(fake)
    body, signature = fake.signed(event)
    stripe.WebhookSignature.verify_header(body.decode(), signature, SECRET)  # type: ignore[no-untyped-call]
    runtime = app.instrumentor.runtime
    assert runtime is not None
    store = runtime._open().store
    assert wait_for(lambda: bool(store.set_asides()))
    (note,) = store.set_asides()

    assert ("lookup", "payment_intent.succeeded", "thin_event_gone", ("evt_thin_1", "pi_gone")) == (
        note.source, note.kind, note.reason, note.ids,
    )  # fmt: skip
    assert [("GET", "/v1/payment_intents/{}", 404)] == post.asked


# -- whose settings, and who sees it ------------------------------------------------------------------------------------------


def test_the_application_does_not_see_it(
    app: App, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Our calls make no span and no event of the application's, and instrumentations of its HTTP client are told to look away."""
    enabled: list[bool] = []
    send = requests.Session.send

    def watched(session: requests.Session, request: Any, **arguments: Any) -> Any:
        if "line_items" in request.url:
            enabled.append(is_instrumentation_enabled())
        return send(session, request, **arguments)

    monkeypatch.setattr(requests.Session, "send", watched)
    app.instrument(stripe_lookup=True)
    fake.pay(elsewhere.session(fake))
    app.spans.clear()
    post = Post(fake)
    post.send("checkout.session.completed")
    orders(app)

    assert [False] == enabled
    assert [] == [s.name for s in app.spans.get_finished_spans() if s.kind is SpanKind.CLIENT]
    assert [] == app.receiver.named("checkout.session_created")
    assert fake.api_key not in caplog.text


def test_the_key_of_the_client_that_called_last(app: App, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application with clients of its own, and no module-level key, is asked with theirs, at their address, for their account."""
    monkeypatch.setattr(stripe, "api_key", None)
    monkeypatch.setattr(stripe, "api_base", "http://127.0.0.1:9")
    app.instrument(stripe_lookup=True)
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url}, stripe_account="acct_1")
    client.v1.customers.list()
    fake.pay(elsewhere.session(fake))
    post = Post(fake)
    post.send("checkout.session.completed")
    (order,) = orders(app)

    assert 3 == order["item_count"]
    assert [""] == [r.account for r in fake.requests[post.before :]]


def test_a_client_for_asyncio_alone(app: App, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the application's HTTP client speaks asyncio alone, the library's own one for threads takes its place."""
    monkeypatch.setattr(stripe, "api_key", None)
    app.instrument(stripe_lookup=True)
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url}, http_client=stripe.HTTPXClient())

    async def call() -> None:
        await client.v1.customers.list_async()

    import asyncio

    asyncio.run(call())
    fake.pay(elsewhere.session(fake))
    post = Post(fake)
    post.send("checkout.session.completed")
    (order,) = orders(app)

    assert 3 == order["item_count"]
    assert [("GET", "/v1/checkout/sessions/{}/line_items", 200)] == post.asked


def test_without_a_key(
    app: App, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no key is known that is said once, and payments do not wait for line items up to their bound."""
    monkeypatch.setattr(stripe, "api_key", None)
    app.instrument(stripe_lookup=True, stripe_lookup_hold=60)
    for _ in range(2):
        fake.pay(elsewhere.session(fake))
    post = Post(fake)
    post.send("checkout.session.completed")
    found = orders(app, 2)

    assert ([None, None], []) == ([order.get("item_count") for order in found], post.asked)
    assert 1 == caplog.text.count("no successful call of Stripe's API")


def test_no_personal_data_and_no_key_is_kept(app: App, fake: FakeStripe) -> None:
    """Of objects stuffed with personal data only what the allow-list takes is on disk or leaves; the key is nowhere."""
    canaries = [
        "canary.jo@person.example",
        "Canary Doe",
        "Canarystreet 7",
        "Canarytown",
        "CANARY-NOTE",
        "Mug for Jo Doe",
    ]
    buyer = Buyer(
        email=canaries[0], name=canaries[1], line1=canaries[2], city=canaries[3], note=canaries[4], country="FR"
    )
    app.instrument(stripe_lookup=True, stripe_lookup_rate=50, enrich_hold=60)
    for _ in range(2):
        fake.pay(elsewhere.session(fake, **{"client_reference_id": "o-1", "metadata[gift]": canaries[4]}), buyer=buyer)
    fake.pay(elsewhere.subscription(fake), buyer=buyer)
    post = Post(fake)
    post.send("charge.succeeded")
    post.send("checkout.session.completed", "invoice.paid", endpoint="thin")
    assert wait_for(lambda: len(app.receiver.named("order.paid")) >= 3)
    stored = b"".join(p.read_bytes() for p in (app.folder / "store").rglob("*") if p.is_file())
    orders(app, 3)
    everything = stored + b"".join(app.receiver.bodies)

    assert b"cs_test_" in stored
    assert [] == [c for c in (*canaries, fake.api_key) if c.encode() in everything]


# -- when Stripe fails --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["down", "hangs", 429, 500, 503])
def test_a_failing_lookup_holds_nothing_up(app: App, fake: FakeStripe, trouble: Any) -> None:
    """Whatever Stripe does, a payment is recorded when its bound is over, and its delivery is not kept waiting."""
    fake.pay(elsewhere.session(fake))
    app.instrument(stripe_lookup=True, stripe_lookup_hold=1)
    post = Post(fake)
    if trouble == "down":
        stripe.api_base = "http://127.0.0.1:9"
    elif trouble == "hangs":
        fake.latency = 120.0
    else:
        fake.fail_next(1000, status=trouble)
    runtime = app.instrumentor.runtime
    assert runtime is not None
    post.send("checkout.session.completed")
    (order,) = orders(app)
    answered = post.asked
    fake.latency = 0.0

    assert (None, 1500) == part(order, "item_count", "amount_minor")
    assert "hangs" != trouble or not answered


def test_a_failure_is_followed_by_a_pause(app: App, fake: FakeStripe) -> None:
    """While Stripe answers 429 it is asked less and less, and afterwards what waits is found all the same."""
    fake.pay(elsewhere.session(fake))
    app.instrument(stripe_lookup=True, stripe_lookup_hold=60, stripe_lookup_rate=50, enrich_hold=0.4)
    post = Post(fake)
    fake.fail_next(2, status=429)
    post.send("checkout.session.completed")
    (order,) = orders(app)

    assert 3 == order["item_count"]
    assert [429, 429, 200] == [status for _, _, status in post.asked]


@pytest.mark.parametrize(("status", "says"), [(401, "wrong or was revoked"), (403, "may not read this")])
def test_a_refused_key_is_not_tried_again(
    app: App, fake: FakeStripe, status: int, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After 401 or 403 one loud line says so, nothing more is asked with that key, and no payment waits for it."""
    for _ in range(3):
        fake.pay(elsewhere.session(fake))
    app.instrument(stripe_lookup=True, stripe_lookup_hold=60, stripe_lookup_rate=50)
    post = Post(fake)
    fake.fail_next(1000, status=status)
    post.send("checkout.session.completed")
    found = orders(app, 3)

    assert [None] * 3 == [order.get("item_count") for order in found]
    assert [status] == [answer for _, _, answer in post.asked]
    assert [says] == [says for r in caplog.records if r.levelno >= logging.ERROR and says in r.getMessage()]
    assert fake.api_key not in caplog.text


def test_thin_events_outlast_an_outage(app: App, fake: FakeStripe) -> None:
    """While Stripe fails thin events wait, and each payment is recorded when it answers again."""
    for _ in range(3):
        fake.pay(elsewhere.session(fake))
    app.instrument(stripe_lookup=True, stripe_lookup_rate=50)
    post = Post(fake)
    fake.fail_next(2, status=503)
    post.send("checkout.session.completed", endpoint="thin")

    assert [1500] * 3 == [order["amount_minor"] for order in orders(app, 3)]


def test_a_failure_of_our_own_loses_no_thin_event(app: App, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where reading a fetched object fails it is noted by its ids, and the thin events behind it go on."""
    for _ in range(2):
        fake.pay(elsewhere.session(fake))
    app.instrument(stripe_lookup=True, stripe_lookup_rate=50)
    read, failed = facts.from_event, []

    def once(event: Any, *args: Any, **arguments: Any) -> Any:
        if event.get("data") and not failed:
            failed.append(event["id"])
            raise ZeroDivisionError
        return read(event, *args, **arguments)

    monkeypatch.setattr(facts, "from_event", once)
    runtime = app.instrumentor.runtime
    assert runtime is not None
    store = runtime._open().store
    Post(fake).send("checkout.session.completed", endpoint="thin")
    found = wait_for(lambda: bool(store.set_asides()) and bool(app.receiver.named("order.paid")))
    (note,) = store.set_asides()

    assert found
    assert (failed[0], "failed_ZeroDivisionError") == (note.ids[0], note.reason)
    assert [1500] == [order["amount_minor"] for order in orders(app)]
