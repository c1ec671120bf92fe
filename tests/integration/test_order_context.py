"""What one request knows of an order, and what later requests and its payment carry of it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from opentelemetry.trace import SpanKind

from otel_revenue import bind, flush, track
from otel_revenue.testing import FakeStripe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.instrumented import App

YESTERDAY_NS = 1_790_000_000 * 10**9
EVENT_ID = "6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53"


@pytest.fixture
def app(app: App) -> App:
    app.instrument()
    return app


def test_a_browser_speaks_for_itself(app: App) -> None:
    """An event that a browser tells of is marked as such, keeps its own time, and takes nothing from the request that brings it."""
    runtime = app.instrumentor.runtime
    with app.tracers.get_tracer("web").start_as_current_span("POST /ingest", kind=SpanKind.SERVER):
        bind(order_id="o-server", tier="gold")
        runtime.track_browser(
            "checkout.start", {"journey_id": "j-1"}, event_id=EVENT_ID, at_ns=YESTERDAY_NS, ids=(0xA1, 0xB2, 1)
        )
    flush(45)
    (event,) = app.receiver.named("checkout.start")

    assert (YESTERDAY_NS, f"{0xA1:032x}", f"{0xB2:016x}") == (event.time_ns, event.trace_id, event.span_id)
    assert {"telemetry.source": "browser", "journey_id": "j-1", "event_id": EVENT_ID, "schema_version": "1.0"} == (
        event.attributes
    )


def _request(app: App, **known: Any) -> None:
    """Answer a request that says something of an order."""
    with app.tracers.get_tracer("web").start_as_current_span("POST /designs", kind=SpanKind.SERVER):
        bind(**known)


def _browser(app: App, **said: str) -> None:
    app.instrumentor.runtime.track_browser("checkout.start", said)


def _paid(app: App, number: int, **fields: Any) -> dict[str, Any]:
    """Let the webhook of a payment come when all that was said before has reached the ledger; return its event."""
    assert flush(45)
    before = len(app.receiver.named("order.paid"))
    app.handle(number, **fields)
    assert flush(45)
    (event,) = app.receiver.named("order.paid")[before:]
    return event.attributes


def _of(attributes: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(attributes.get(name) for name in names)


NOBODY = {"customer_details": {}}
"""A Session that knows no country."""


def test_a_payment_carries_what_an_earlier_request_knew(app: App) -> None:
    """Tier, country, subtotal and surface of an earlier request reach the payment by its order, marked as the request's word."""
    _request(app, order_id="o-1", tier="pro", country="at", surface="gallery", subtotal="41.00", currency="EUR")
    _request(app, order_id="o-2", tier="basic")
    paid = _paid(app, 1, **NOBODY)

    assert ("o-1", "pro", "AT", "request", 4100) == _of(
        paid, "order_id", "tier", "country", "country_source", "subtotal_minor"
    )
    assert ("gallery", "explicit", "gallery") == _of(paid, "surface", "surface_source", "surface_last")
    assert {"tier", "country", "subtotal_minor"} <= set(paid["requested_attributes"])


def test_another_process_knows_it_too(app: App) -> None:
    """What a process heard is known to the next one, hours later."""
    _request(app, order_id="o-1", tier="pro")
    app.instrumentor.uninstrument()
    app.instrument()
    paid = _paid(app, 1)

    assert "pro" == paid["tier"]


def test_the_latest_word_counts_and_stripe_precedes_it(app: App) -> None:
    """Of two earlier requests the later is believed; metadata and billing address, which speak of the payment itself, before both."""
    _request(app, order_id="o-1", tier="basic", country="AT")
    with _later(1):
        _request(app, order_id="o-1", tier="pro")
    _request(app, order_id="o-2", tier="basic", country="AT")
    first = _paid(app, 1, **NOBODY)
    second = _paid(app, 2, metadata={"order_id": "o-2", "tier": "studio"})

    assert ("pro", "AT") == _of(first, "tier", "country")
    assert ("studio", "DE", "billing") == _of(second, "tier", "country", "country_source")


def test_the_session_s_id_is_an_order_s_id(app: App) -> None:
    """A shop without order ids of its own says what it knows by the id of the Checkout Session."""
    _request(app, order_id="cs_test_1", tier="pro")
    paid = _paid(app, 1, metadata={})

    assert ("cs_test_1", "pro") == _of(paid, "order_id", "tier")


def test_a_journey_leads_to_the_order(app: App) -> None:
    """Who knows both ties them: what browser and server said of the journey alone is on the payment of the order."""
    _browser(app, journey_id="j-1", surface="newsletter")
    _request(app, journey_id="j-1", tier="pro")
    _request(app, journey_id="j-1", order_id="o-1")
    _request(app, order_id="o-2", tier="basic")
    paid, other = _paid(app, 1), _paid(app, 2)

    assert ("j-1", "pro", "newsletter", "browser") == _of(paid, "journey_id", "tier", "surface", "surface_source")
    assert (None, "basic", None) == _of(other, "journey_id", "tier", "surface")


def test_two_orders_of_one_journey(app: App) -> None:
    """Each keeps what was said of itself; what was said of the journey is behind it."""
    _request(app, journey_id="j-1", tier="trial", surface="home")
    for number, tier in ((1, "pro"), (2, "basic")):
        _request(app, journey_id="j-1", order_id=f"o-{number}", tier=tier)
    tiers = [_of(_paid(app, number), "tier", "surface") for number in (1, 2)]

    assert [("pro", "home"), ("basic", "home")] == tiers


def test_what_a_browser_says_of_money_and_tier_follows_no_order(app: App) -> None:
    """Of a browser's word surface and journey follow an order, the first one, and behind everybody else's."""
    _browser(app, order_id="o-1", journey_id="j-1", surface="first", tier="free")
    with _later(1):
        _browser(app, order_id="o-1", journey_id="j-forged", surface="second")
        _browser(app, order_id="o-2", surface="forged")
        _request(app, order_id="o-2", surface="shop")
    first, second = _paid(app, 1), _paid(app, 2)

    assert (None, "j-1", "first", "first") == _of(first, "tier", "journey_id", "surface", "surface_last")
    assert ("shop", "explicit") == _of(second, "surface", "surface_source")


def test_another_s_browser_changes_no_order_whose_journey_the_server_knows(app: App) -> None:
    """Who has guessed an order's id, and tells of it first and last, with a journey or without one, leaves no surface on it."""
    forged: list[dict[str, str]] = [
        {"order_id": "o-1", "surface": "forged"},
        {"order_id": "o-1", "surface": "forged", "journey_id": "j-forged"},
    ]
    for said in forged:
        _browser(app, **said)
    with _later(1):
        _browser(app, journey_id="j-1", surface="newsletter")
        _request(app, order_id="o-1", journey_id="j-1")
        app.instrumentor.runtime.remember(
            {"order_id": "o-2", "journey_id": "j-2", "surface": "searched", "surface_source": "utm"}
        )
    with _later(2):
        for said in [*forged, {"order_id": "o-2", "surface": "forged", "journey_id": "j-forged"}]:
            _browser(app, **said)
    known = [_of(_paid(app, n), "journey_id", "surface", "surface_source", "surface_last") for n in (1, 2)]

    assert [("j-1", "newsletter", "browser", "newsletter"), ("j-2", "searched", "utm", "searched")] == known


def test_a_machine_s_visit_follows_no_order(app: App) -> None:
    """What a bot's browser says of an order is an event, marked as such, and nothing that its payment carries."""
    app.instrumentor.runtime.track_browser(
        "checkout.start", {"order_id": "o-1", "surface": "crawled", "synthetic": True}
    )
    paid = _paid(app, 1)

    assert (None, True) == (paid.get("surface"), app.receiver.named("checkout.start")[0].attributes["synthetic"])


def test_surfaces_of_browsers_are_few(app: App) -> None:
    """However many words are made up, a bounded number of them leaves."""
    for number in range(300):
        _browser(app, surface=f"made-up-{number}")
    assert flush(45)
    words = {e.attributes["surface"] for e in app.receiver.named("checkout.start")}

    assert (201, True) == (len(words), "other" in words)


def test_a_checkout_that_is_announced_carries_it(app: App) -> None:
    """`checkout.session_created` carries what earlier requests knew of the order, as its payment will."""
    _request(app, order_id="o-1", tier="pro", surface="gallery")
    assert flush(45)
    with (
        FakeStripe() as fake,
        app.tracers.get_tracer("web").start_as_current_span("POST /checkout", kind=SpanKind.SERVER),
    ):
        client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
        client.v1.payment_intents.create({"amount": 700, "currency": "eur", "metadata": {"order_id": "o-1"}})
    assert flush(45)
    (created,) = app.receiver.named("checkout.session_created")

    assert ("o-1", "pro", "gallery") == _of(created.attributes, "order_id", "tier", "surface")


@contextmanager
def _later(seconds: int) -> Iterator[None]:
    """Let the clock by which sayings are ordered be ahead."""
    with pytest.MonkeyPatch.context() as patch:
        now_ns = time.time_ns
        patch.setattr("otel_revenue.runtime.runtime.time", SimpleNamespace(time_ns=lambda: now_ns() + seconds * 10**9))
        yield


def test_what_is_bound_bit_by_bit_follows_the_order_too(app: App) -> None:
    """What a request binds in several steps is said of its order as a whole, in whatever sequence."""
    with app.tracers.get_tracer("web").start_as_current_span("POST /designs", kind=SpanKind.SERVER):
        bind(tier="pro")
        bind(order_id="o-1")
        bind(surface="gallery")
    paid = _paid(app, 1)

    assert ("pro", "gallery") == _of(paid, "tier", "surface")


def test_what_is_known_of_one_order_is_not_said_of_another(app: App) -> None:
    """A request that goes on to another order takes the buyer along, and neither tier nor subtotal."""
    with app.tracers.get_tracer("web").start_as_current_span("POST /approve-all", kind=SpanKind.SERVER):
        bind(order_id="o-1", tier="pro", surface="desk", subtotal=5, currency="EUR")
        track("design.approved", order_id="o-2", design_id="d-2")
        track("design.approved", order_id="o-1", design_id="d-1")
        with bind(order_id="o-3"):
            track("design.approved", design_id="d-3")
        track("design.approved", design_id="d-4")
        bind(order_id=2)
        track("design.approved", design_id="d-5")
    assert flush(45)
    known = {
        e.attributes["design_id"]: _of(e.attributes, "order_id", "tier", "subtotal_minor", "surface")
        for e in app.receiver.logs
    }

    assert known == {
        "d-1": ("o-1", "pro", 500, "desk"),
        "d-2": ("o-2", None, None, "desk"),
        "d-3": ("o-3", None, None, "desk"),
        "d-4": ("o-1", "pro", 500, "desk"),
        "d-5": ("2", None, None, "desk"),
    }
    assert ("pro", None) == (_paid(app, 1).get("tier"), _paid(app, 2, metadata={"order_id": "o-3"}).get("tier"))
