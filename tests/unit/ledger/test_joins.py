"""One payment, once: whatever Stripe says about it, in whatever order."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_revenue.config import Settings
from otel_revenue.instrumentation.stripe import order
from otel_revenue.ledger.model import Facts
from support import stripe_events as flows
from support.reading import read_event
from support.till import Till, play


def books_of(found: Any) -> list[tuple[str, int, str]]:
    return sorted((f.canonical, f.paid, f.currency) for f in found if f.paid is not None)


@pytest.mark.parametrize("make", flows.ALL, ids=lambda make: make(1).name)
def test_every_order_of_deliveries_gives_the_payment_once(make: Any) -> None:
    """Whatever the order of one flow's deliveries, doubled or not, what was paid is recorded once, with its canonical id."""
    flow = make(1)
    orders = list(itertools.permutations(flow.events))
    random.Random(7).shuffle(orders)
    expected = books_of([flow])

    assert {tuple(expected)} == {tuple(play((*o, *o))) for o in orders[:24]}
    assert {tuple(expected)} == {tuple(play(o)) for o in orders[:24]}


@pytest.mark.parametrize("make", flows.ALL, ids=lambda make: make(1).name)
def test_every_subset_with_paid_evidence_gives_one_payment(make: Any) -> None:
    """
    Any subset of a flow's deliveries that carries paid evidence gives one payment; without evidence none.

    The exception is documented: a one-off Checkout's invoice and intent, when nothing that links them is delivered.
    """
    flow = make(1)
    wrong = []
    for size in range(1, len(flow.events) + 1):
        for subset in itertools.combinations(flow.events, size):
            amounts = [amount for _, amount, _ in play(subset)]
            kinds = {e["type"] for e in subset}
            halves = {kind.startswith("invoice") for kind in kinds if kind in flows.EVIDENCE}
            if flow.links and not flow.links & kinds and len(halves) == 2:
                good = amounts == [flow.paid, flow.paid]
            elif not any(flows.speaks_of_money(e) for e in subset):
                good = amounts == []
            else:
                good = len(amounts) == 1 and (amounts[0] == flow.paid or amounts[0] in flow.partial_ok)
            if not good:
                wrong.append(([e["type"] for e in subset], amounts))

    assert [] == wrong


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_many_payments_interleaved_stay_themselves(data: st.DataObject) -> None:
    """Many payments of one buyer, alike in amount and time, shuffled, doubled and interleaved, each come out once."""
    makes = data.draw(st.lists(st.sampled_from(flows.ALL), min_size=2, max_size=6))
    found = [make(n) for n, make in enumerate(makes, start=1)]
    deliveries = [e for f in found for e in f.events]
    deliveries += data.draw(st.lists(st.sampled_from(deliveries), max_size=10))
    shuffled = data.draw(st.permutations(deliveries))

    assert books_of(found) == play(shuffled)


def test_two_orders_alike_to_the_second_stay_two() -> None:
    """Two one-off orders of one buyer with the same amount in the same second are two payments."""
    a, b = flows.checkout(1), flows.checkout(2)

    assert books_of([a, b]) == play((*a.events, *b.events))


def test_sessions_that_begin_alike_are_not_joined_by_a_cut_reference() -> None:
    """Two payments whose session ids share their first 25 characters stay two, though a reference is cut there."""
    ids = [f"cs_test_{n:058d}" for n in (1, 2)]
    events = []
    for n, name in enumerate(ids, start=1):
        events.append(flows.event("checkout.session.completed", flows.session(n, 4999, id=name), n=n))
        pi = flows.intent(n, 4999, payment_details={"order_reference": name[:25]})
        events.append(flows.event("payment_intent.succeeded", pi, n=n))
    expected = sorted((flows.intent(n, 4999)["id"], 4999, "EUR") for n in (1, 2))

    assert {tuple(expected)} == {tuple(play(o)) for o in itertools.permutations(events)}


def test_two_sign_ups_alike_stay_two_when_their_sessions_come_late() -> None:
    """A soft join that took the wrong intent for an invoice is undone when the session says better."""
    a, b = flows.subscription_first(1), flows.subscription_first(2)
    invoice_a, intent_b = a.events[3], b.events[1]
    rest = [e for e in (*a.events, *b.events) if e not in (invoice_a, intent_b)]

    assert books_of([a, b]) == play((invoice_a, intent_b, *rest))


def test_a_shared_intent_pays_two_invoices_as_two_orders() -> None:
    """One PaymentIntent that pays two invoices gives one order per invoice."""
    pi = flows.intent(5, 3000, description="Payment for Invoice")
    bills = [flows.invoice(n, amount, billing_reason="manual") for n, amount in ((1, 1000), (2, 2000))]
    events = [
        flows.event("payment_intent.succeeded", pi, n=5),
        *(
            flows.event("invoice_payment.paid", flows.invoice_payment(n, a, pi=5), n=n)
            for n, a in ((1, 1000), (2, 2000))
        ),
        *(flows.event("invoice.paid", bill, n=9) for bill in bills),
    ]
    expected = sorted((bill["id"], bill["amount_paid"], "EUR") for bill in bills)

    assert {tuple(expected)} == {tuple(play(o)) for o in itertools.permutations(events)}


def test_an_answer_counts_only_for_what_we_created() -> None:
    """`Session.retrieve` that says paid makes an order if the Session was created through us, never otherwise."""
    paid = flows.session(1, 4999)
    stranger, ours = Till(), Till()
    stranger.answer("GET", f"/v1/checkout/sessions/{paid['id']}", paid)
    ours.answer(
        "POST",
        "/v1/checkout/sessions",
        flows.session(1, 4999, payment_status="unpaid", status="open", payment_intent=None),
    )
    ours.answer("GET", f"/v1/checkout/sessions/{paid['id']}", paid)
    ours.answer("GET", f"/v1/checkout/sessions/{paid['id']}", paid)
    for body in flows.checkout(1).events:
        ours.deliver(body)
    ours.close_day()

    assert [] == stranger.books
    assert [(paid["payment_intent"], 4999, "EUR")] == ours.books


def test_a_poor_intent_waits_for_its_session_and_then_has_the_order() -> None:
    """A PaymentIntent before its Session is on hold, and goes with order_id and country as soon as the Session comes."""
    flow, shop = flows.checkout(1), Till()
    shop.deliver(flow.events[1])
    before = list(shop.recorded)
    shop.deliver(flow.events[0])
    attributes = order.paid_attributes(shop.recorded[0], Settings())

    assert [] == before
    assert ("order-1", "DE", "pro") == (attributes["order_id"], attributes["country"], attributes["tier"])


def test_a_poor_intent_goes_at_once_when_its_session_was_created_through_us() -> None:
    """When the ledger knows the Session already, there is nothing to wait for."""
    shop = Till()
    shop.answer(
        "POST",
        "/v1/checkout/sessions",
        flows.session(1, 4999, payment_status="unpaid", status="open", payment_intent=None),
    )
    shop.deliver(flows.checkout(1).events[1])

    assert 1 == len(shop.recorded)


def test_facts_survive_the_way_over_text() -> None:
    """Facts kept aside for a busy store read back the same."""
    for make in flows.ALL:
        for body in make(3).events:
            for item in read_event(body).facts:
                assert item == Facts.from_json(item.to_json())
