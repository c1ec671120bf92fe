"""What Stripe's API answers: evidence for what we saw created, never a reason for an order otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from otel_revenue.instrumentation.stripe import order
from support import stripe_events as flows
from support.reading import read_answer
from support.till import Till

SESSIONS, INTENTS, INVOICES = "/v1/checkout/sessions", "/v1/payment_intents", "/v1/invoices"
SUBSCRIPTIONS, CHARGES = "/v1/subscriptions", "/v1/charges"


def opened(n: int = 1, **over: Any) -> dict[str, Any]:
    """A Session as its creation answers it."""
    return flows.session(n, 4999, payment_status="unpaid", status="open", payment_intent=None, **over)


def asked(n: int = 1, **over: Any) -> dict[str, Any]:
    """A PaymentIntent as its creation answers it."""
    return flows.intent(n, 1500, status="requires_payment_method", amount_received=0, latest_charge=None, **over)


SUBSCRIPTION = {"id": "sub_1", "object": "subscription", "status": "incomplete", "metadata": {"order_id": "order-1"}}

PAID = {
    "session": ("GET", f"{SESSIONS}/{flows.session_id(1)}", flows.session(1, 4999)),
    "session, intent expanded": (
        "GET",
        f"{SESSIONS}/{flows.session_id(1)}",
        flows.session(1, 4999, payment_intent=flows.intent(1, 4999)),
    ),
    "intent": ("GET", f"{INTENTS}/x", flows.intent(1, 4999)),
    "intent, charge expanded": ("GET", f"{INTENTS}/x", flows.intent(1, 4999, latest_charge=flows.charge(1, 4999))),
    "confirmed": ("POST", f"{INTENTS}/x/confirm", flows.intent(1, 4999)),
    "captured": ("POST", f"{INTENTS}/x/capture", flows.intent(1, 4999)),
    "charge": ("GET", f"{CHARGES}/x", flows.charge(1, 4999)),
    "charge updated": ("POST", f"{CHARGES}/x", flows.charge(1, 4999)),
    "invoice": ("GET", f"{INVOICES}/x", flows.invoice(1, 4999)),
    "invoice paid": ("POST", f"{INVOICES}/x/pay", flows.invoice(1, 4999)),
    "subscription, invoice expanded": (
        "GET",
        f"{SUBSCRIPTIONS}/x",
        {**SUBSCRIPTION, "latest_invoice": flows.invoice(1, 4999, payment_intent=flows.intent(1, 4999))},
    ),
}


@pytest.mark.parametrize("name", PAID)
def test_a_read_of_what_we_did_not_create_is_no_order(name: str) -> None:
    """Whatever paid object an answer holds: where its creation did not go through us, it makes no order and leaves no trace."""
    till = Till()
    till.answer(*PAID[name])

    assert ([], 0) == (till.close_day(), till.store.stats()["payments_known"])


@pytest.mark.parametrize("name", ["session", "session, intent expanded"])
def test_a_session_that_we_saw_created_counts_by_its_answer(name: str) -> None:
    """`Session.retrieve` that says paid records the payment once, however often it is asked and whatever webhooks follow."""
    till = Till()
    till.answer("POST", SESSIONS, opened())
    before = list(till.books)
    for _ in range(3):
        till.answer(*PAID[name])
    for body in flows.checkout(1).events:
        till.deliver(body)

    assert ([], [(flows.intent(1, 1)["id"], 4999, "EUR")]) == (before, till.close_day())


def test_an_unpaid_answer_is_no_evidence() -> None:
    """A Session that is retrieved while it is open, or complete and unpaid, makes no order."""
    till = Till()
    till.answer("POST", SESSIONS, opened())
    till.answer("GET", f"{SESSIONS}/x", opened())
    till.answer("GET", f"{SESSIONS}/x", flows.session(1, 4999, payment_status="unpaid"))

    assert [] == till.close_day()


def test_an_intent_that_is_confirmed_at_its_creation() -> None:
    """`PaymentIntent.create(confirm=True)` that is answered "succeeded" is creation and payment in one, once."""
    till = Till()
    for _ in range(2):  # a retry with the same idempotency key gets the same answer
        till.answer("POST", INTENTS, flows.intent(1, 1500))
    for body in flows.bare_intent(1).events:
        till.deliver(body)

    assert [(flows.intent(1, 1)["id"], 1500, "EUR")] == till.close_day()
    assert [True, False] == [taken.new for taken in till.taken if taken.group and taken.group.created][:2]


def test_an_intent_that_is_confirmed_later() -> None:
    """An intent that we saw created counts when its confirmation, its capture or a read says succeeded."""
    for method, path in (("POST", f"{INTENTS}/x/confirm"), ("POST", f"{INTENTS}/x/capture"), ("GET", f"{INTENTS}/x")):
        till = Till()
        till.answer("POST", INTENTS, asked())
        till.answer(method, path, flows.intent(1, 1500))

        assert [(flows.intent(1, 1)["id"], 1500, "EUR")] == till.books


def test_an_authorised_intent_is_no_order() -> None:
    """An answer that says "requires_capture", with a charge that is not captured, makes no order."""
    till = Till()
    held = flows.charge(1, 1500, captured=False, amount_captured=0)
    till.answer(
        "POST", INTENTS, flows.intent(1, 1500, status="requires_capture", amount_received=0, latest_charge=held)
    )

    assert [] == till.close_day()


def test_the_intent_of_a_session_that_we_saw_created() -> None:
    """A PaymentIntent that names a Session of ours counts by its own answer, in full or cut."""
    for reference in (flows.session_id(1), flows.session_id(1)[:25]):
        till = Till()
        till.answer("POST", SESSIONS, opened())
        till.answer("GET", f"{INTENTS}/x", flows.intent(1, 4999, payment_details={"order_reference": reference}))

        assert [(flows.intent(1, 1)["id"], 4999, "EUR")] == till.close_day()


def test_a_subscription_counts_by_its_expanded_invoice() -> None:
    """A subscription made through us counts when its expanded first invoice says paid; webhooks add nothing."""
    till = Till()
    till.answer("POST", SUBSCRIPTIONS, {**SUBSCRIPTION, "latest_invoice": flows.invoice(1, 2900)})
    for body in flows.renewal(1).events:
        till.deliver(body)

    assert [(flows.invoice_id(1), 2900, "EUR")] == till.close_day()


def test_a_subscription_s_first_invoice_is_ours_by_its_id() -> None:
    """A subscription made through us makes its first invoice ours, so that a read of it counts."""
    till = Till()
    till.answer("POST", SUBSCRIPTIONS, {**SUBSCRIPTION, "latest_invoice": flows.invoice_id(1)})
    till.answer("GET", f"{INVOICES}/x", flows.invoice(1, 2900))

    assert [(flows.invoice_id(1), 2900, "EUR")] == till.books


def test_accounts_are_kept_apart() -> None:
    """A Session created for one connected account does not make a read for another account an order."""
    till = Till()
    till.answer("POST", SESSIONS, opened(), "acct_1")
    till.answer(*PAID["session"])
    till.answer(*PAID["session"], "acct_2")
    strangers = list(till.books)
    till.answer(*PAID["session"], "acct_1")

    assert ([], ["acct_1"]) == (strangers, [p.canonical.account for p in till.recorded])


def test_webhooks_need_no_creation() -> None:
    """A webhook counts whether its payment's creation went through us or not."""
    till = Till()
    for body in flows.payment_link(1).events:
        till.deliver(body)

    assert 1 == len(till.close_day())


def test_the_creation_s_word_is_kept_for_the_payment() -> None:
    """Order, tier and time of the creation are on the payment that an intent alone tells of."""
    till = Till()
    till.answer("POST", SESSIONS, opened())
    till.deliver(flows.checkout(1).events[1])
    (payment,) = till.recorded

    assert "order-1" == payment.labels["order_id"]["metadata.order_id"][1]
    assert flows.BASE - 60 == payment.created_ns // 10**9


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "paid",
        {},
        {"object": "list", "data": [flows.session(1, 4999)]},
        {"object": "checkout.session"},
        {"object": "checkout.session", "id": None},
        {"object": ["checkout.session"], "id": "cs_1"},
        {"object": "event", "id": "evt_1", "data": {"object": flows.session(1, 4999)}},
        {"id": "cs_1", "object": "checkout.session", "deleted": True},
    ],
    ids=lambda value: type(value).__name__,
)
def test_answers_that_are_no_payment_object(answer: object) -> None:
    """Lists, events and malformed answers give no evidence."""
    for method, path in (("POST", SESSIONS), ("GET", f"{SESSIONS}/x"), ("GET", "/v1/events/evt_1")):
        reading = read_answer(method, path, answer)

        assert [] == [item for item in reading.facts if item.evidence]


def test_one_payment_has_one_id_on_every_host() -> None:
    """Hosts that share no ledger, and got different parts of one payment's news in different orders, give it one event_id."""
    for flow in (flows.checkout(1), flows.delayed(1), flows.bare_intent(1), flows.renewal(1, old=True)):
        names = set()
        for body in flow.events:
            if flows.speaks_of_money(body):
                till = Till()
                till.deliver(body)
                till.close_day()
                names |= {order.event_id(p.canonical) for p in till.recorded}

        assert 1 == len(names), flow.name


def test_the_id_is_the_same_for_ever() -> None:
    """The event_id is a UUIDv5 of the canonical id in a fixed namespace: a change would count payments of the past again."""
    till = Till()
    till.deliver(flows.checkout(1, account="acct_direct01").events[1])
    till.deliver(flows.legacy_charge(2).events[0])
    till.close_day()

    assert {"pi_000000000000000000000001", "ch_000000000000000000000002"} == {p.canonical.id for p in till.recorded}
    assert {
        "pi_000000000000000000000001": "bffb7981-e6d5-511c-a847-6517e439f1ee",
        "ch_000000000000000000000002": "43b3932e-1664-51f1-965c-7fd96e6ad2f8",
    } == {p.canonical.id: order.event_id(p.canonical) for p in till.recorded}
