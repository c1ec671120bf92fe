"""Money that did not come: each failed attempt once, each end of a checkout once, whatever Stripe says and in whatever order."""

from __future__ import annotations

import itertools
import json
import random
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_revenue.instrumentation.stripe import order
from otel_revenue.instrumentation.stripe.joins import rules
from otel_revenue.ledger import setbacks
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.model import Facts
from otel_revenue.ledger.sqlite import SqliteStore
from support import stripe_events as flows
from support.reading import NOW_NS, read_event
from support.scenarios import SCENARIOS
from support.scenarios import play as play_scenario
from support.till import SECOND, Till

FAILED, EXPIRED = "checkout.payment_failed", "checkout.expired"
Event = dict[str, Any]


@cache
def deliveries(name: str) -> tuple[Event, ...]:
    return tuple(json.loads(d.body) for d in play_scenario(name)[1])


def played(bodies: Any) -> list[tuple[str, dict[str, Any]]]:
    """The events about money that did not come, when everything is delivered within the hold."""
    till = Till()
    for body in bodies:
        till.deliver(body)
    till.close_day()
    return till.setbacks


SAID: dict[str, list[tuple[Any, ...]]] = {
    "decline then pay": [(FAILED, 1, "generic_decline", "one_off"), (FAILED, 2, "insufficient_funds", "one_off")],
    "declined for good": [(EXPIRED, None, None, None), (FAILED, 1, "generic_decline", "one_off")],
    "delayed failure": [(FAILED, 1, "generic_decline", "one_off")],
    "bare payment intent declined first": [(FAILED, 1, "generic_decline", "one_off")],
    "renewal declined then paid": [(FAILED, 1, "insufficient_funds", "subscription_renewal")],
    "never captured": [(EXPIRED, None, None, None)],
}
"""Event, attempt, decline code and kind of payment of each flow in which money did not come; all others have none."""


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_each_setback_of_a_flow_is_told_once_in_any_order(name: str) -> None:
    """Whatever the order of a flow's deliveries, doubled or not, each failed attempt and each end is one event, the same one."""
    shuffle = random.Random(3).shuffle
    found = []
    for round_ in range(6):
        bodies = list(deliveries(name)) * (1 + round_ % 2)
        if round_:
            shuffle(bodies)
        found.append(played(bodies))
    keys = ("attempt", "decline_code", "payment_kind")

    assert SAID.get(name, []) == [(kind, *(said.get(key) for key in keys)) for kind, said in found[0]]
    assert [found[0]] * 5 == found[1:]


def failed(n: int, attempt: int, at: int, code: str = "insufficient_funds") -> tuple[Event, Event]:
    """What Stripe sends of one declined attempt: the charge, and the PaymentIntent that holds it all."""
    charge_id = f"ch_declined{n:06d}{attempt:09d}"
    refused = flows.charge(
        n,
        4999,
        id=charge_id,
        status="failed",
        paid=False,
        captured=False,
        amount_captured=0,
        failure_code="card_declined",
        failure_message="Your card was declined. Jane Doe",
        outcome={"type": "issuer_declined", "reason": code, "seller_message": "The bank said no to Jane Doe."},
    )
    error = {"code": "card_declined", "decline_code": code, "charge": charge_id, "message": "Your card was declined."}
    intent = flows.intent(
        n,
        4999,
        status="requires_payment_method",
        amount_received=0,
        latest_charge=charge_id,
        last_payment_error=error,
        payment_details={"order_reference": flows.session_id(n)},
    )
    return (
        flows.event("charge.failed", refused, n=n, at=at),
        flows.event("payment_intent.payment_failed", intent, n=n, at=at),
    )


def created(n: int, **over: Any) -> Event:
    """The answer to the shop's own creation of the Session."""
    return flows.session(
        n, 4999, payment_status="unpaid", status="open", payment_intent=None, customer_details=None, **over
    )


def ended(n: int, at: int) -> Event:
    over = {"status": "expired", "payment_status": "unpaid", "payment_intent": None, "customer_details": None}
    return flows.event("checkout.session.expired", flows.session(n, 4999, **over), n=n, at=at)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_attempts_are_numbered_by_time_whatever_is_told_of_them(data: st.DataObject) -> None:
    """Of every attempt one or both events, shuffled and doubled, among the payment's: one event each, numbered by Stripe's time."""
    attempts = data.draw(st.integers(1, 4))
    told = [data.draw(st.sampled_from(["charge", "intent", "both"])) for _ in range(attempts)]
    pairs = [failed(1, k, at=100 * k) for k in range(attempts)]
    chosen = [
        e
        for which, (c, i) in zip(told, pairs, strict=True)
        for e in {"charge": (c,), "intent": (i,)}.get(which, (c, i))
    ]
    bodies = [*chosen, *data.draw(st.lists(st.sampled_from(chosen), max_size=4)), *flows.checkout(1, at=900).events]
    till = Till()
    till.answer("POST", "/v1/checkout/sessions", created(1))
    for body in data.draw(st.permutations(bodies)):
        till.deliver(body)
    till.close_day()
    expected = [(f"ch_declined{1:06d}{k:09d}", k + 1, "order-1", "insufficient_funds") for k in range(attempts)]

    assert expected == [
        (said["stripe.charge.id"], said["attempt"], said["order_id"], said["decline_code"]) for _, said in till.setbacks
    ]
    assert [(flows.intent(1, 0)["id"], 4999, "EUR")] == till.books


def test_a_charge_that_is_told_first_has_the_order_too() -> None:
    """A failed charge knows its PaymentIntent alone; told a moment before it, it waits for the order."""
    charge, intent = failed(1, 0, at=0)
    till = Till()
    till.answer("POST", "/v1/checkout/sessions", created(1))
    till.deliver(charge)
    before = list(till.missed)
    till.deliver(intent)
    till.pass_time(11)
    said = till.setbacks[0][1]

    assert [] == before
    assert ("order-1", "pro", flows.session_id(1)) == (
        said["order_id"],
        said["tier"],
        said["stripe.checkout.session.id"],
    )
    assert ("DE", "billing") == (said["country"], said["country_source"])


def test_the_payment_knows_nothing_of_the_charge_that_failed() -> None:
    """A decline changes neither the charge nor the country nor the method that the payment is recorded with."""
    paid = flows.checkout(1, at=900).events[:1]
    charge, intent = failed(1, 0, at=0)
    charge["data"]["object"]["billing_details"]["address"]["country"] = "AT"
    charge["data"]["object"]["payment_method_details"] = {"type": "klarna", "card": {"country": "AT"}}
    plain, after = Till(), Till()
    for body in paid:
        plain.deliver(body)
    for body in (charge, intent, *paid):
        after.deliver(body)
    plain.close_day()
    after.close_day()
    described = [order.paid_attributes(till.recorded[0], till.settings) for till in (plain, after)]

    assert described[0] == described[1]


def test_a_session_and_its_intent_end_once() -> None:
    """Checkout cancels its PaymentIntent with the Session: one end, named by the Session, in any order."""
    cancelled = flows.intent(1, 4999, status="canceled", amount_received=0, cancellation_reason="automatic")
    for reference in (flows.session_id(1), flows.session_id(1)[:25]):
        gone = {**cancelled, "payment_details": {"order_reference": reference}}
        bodies = [ended(1, at=1), flows.event("payment_intent.canceled", gone, n=1, at=2)]
        found = [played(o) for o in itertools.permutations(bodies * 2)]

        assert [(EXPIRED, flows.session_id(1))] == [(k, s["stripe.checkout.session.id"]) for k, s in found[0]]
        assert all(found[0] == other for other in found)


@pytest.mark.parametrize(
    ("over", "told"),
    [
        pytest.param({"cancellation_reason": "abandoned"}, ["abandoned"], id="given up"),
        pytest.param({"cancellation_reason": None}, [None], id="without a reason"),
        pytest.param({"cancellation_reason": "duplicate"}, [], id="another one takes the money"),
        pytest.param(
            {"cancellation_reason": "void_invoice", "description": "Payment for Invoice"}, [], id="an invoice's"
        ),
        pytest.param({"cancellation_reason": "expired", "amount_received": 1000}, [], id="a part was captured"),
        pytest.param({"cancellation_reason": "Jane Doe"}, [None], id="free text"),
    ],
)
def test_which_cancelled_intents_end_a_checkout(over: dict[str, Any], told: list[Any]) -> None:
    """A cancelled PaymentIntent ends a checkout where a buyer's order is lost with it, and says why in Stripe's words alone."""
    intent = flows.intent(1, 4999, **{"status": "canceled", "amount_received": 0, "latest_charge": None, **over})

    assert told == [
        said.get("cancellation_reason") for _, said in played([flows.event("payment_intent.canceled", intent, n=1)])
    ]


def test_what_is_told_at_second_hand_stands_where_nothing_better_is_told() -> None:
    """A Session that says its debit failed is an attempt by itself; beside the charge, before or after, it is the same one."""
    lost = flows.session(1, 4999, payment_status="unpaid")
    session = flows.event("checkout.session.async_payment_failed", lost, n=1, at=200_001)
    charge, intent = failed(1, 0, at=200_000)
    alone = played([session])
    orders = [played(o) for o in itertools.permutations([session, charge, intent])]

    assert [(FAILED, 1, "order-1")] == [(k, s["attempt"], s["order_id"]) for k, s in alone]
    assert {(f"ch_declined{1:06d}{0:09d}",)} == {tuple(s["stripe.charge.id"] for _, s in found) for found in orders}


def test_better_news_that_come_too_late_are_not_another_attempt() -> None:
    """An attempt that was recorded at second hand is not recorded again when its charge is told hours later; the next one is."""
    lost = flows.session(1, 4999, payment_status="unpaid")
    till = Till()
    till.deliver(flows.event("checkout.session.async_payment_failed", lost, n=1, at=200_001))
    till.pass_time(3600)
    for body in failed(1, 0, at=200_000):
        till.deliver(body)
    till.pass_time(3600)
    for body in failed(1, 1, at=300_000):
        till.deliver(body)
    till.close_day()

    assert [1, 2] == [said["attempt"] for _, said in till.setbacks]


def test_a_buyer_who_does_not_authenticate_is_a_failed_attempt() -> None:
    """Without a charge the attempt is named by PaymentIntent and second: doubles are one, the next attempt is another."""
    error = {"code": "payment_intent_authentication_failure", "message": "Jane Doe did not."}
    refused = flows.intent(
        1, 4999, status="requires_payment_method", last_payment_error=error, latest_charge="ch_of_an_earlier_one"
    )
    first, second = (flows.event("payment_intent.payment_failed", refused, n=1, at=at) for at in (0, 30))
    found = played([first, second, {**first, "id": "evt_again"}, failed(1, 0, at=20)[0]])

    assert [1, 2, 3] == [said["attempt"] for _, said in found]
    assert [error["code"], "insufficient_funds", error["code"]] == [said["decline_code"] for _, said in found]
    assert 3 == len({said["event_id"] for _, said in found})


def test_an_invoice_of_an_old_version_names_the_charge_that_failed() -> None:
    """Before 2025-03-31 an invoice names its charge: the failed one is not taken for the payment's."""
    bill = flows.invoice(
        1, 2900, status="open", amount_paid=0, attempt_count=1, charge="ch_failed", payment_intent="pi_1"
    )
    found = played([flows.event("invoice.payment_failed", bill, n=1)])
    till = Till()
    till.deliver(flows.event("invoice.payment_failed", bill, n=1))

    assert [(FAILED, 1, "subscription_renewal")] == [(k, s["attempt"], s["payment_kind"]) for k, s in found]
    assert {"in", "pi"} == {alias.kind for alias in till.taken[0].group.aliases}  # type: ignore[union-attr]


def test_no_free_text_of_a_decline_is_taken() -> None:
    """Messages for buyer and seller, and codes that are none of Stripe's form, are not read."""
    charge, intent = failed(1, 0, at=0)
    hostile = "Jane Doe <jane@example.org>"
    charge["data"]["object"]["outcome"]["reason"] = hostile
    charge["data"]["object"]["failure_code"] = hostile
    intent["data"]["object"]["last_payment_error"].update(decline_code=hostile, code=hostile, message=hostile)
    intent["data"]["object"]["last_payment_error"]["payment_method"] = {
        "type": hostile,
        "billing_details": {"name": hostile},
    }
    read = [read_event(body).facts[0].to_json() for body in (charge, intent)]

    assert [] == [text for text in read if "Jane" in text or "jane" in text or "declined." in text]
    assert ["decline_code" in said for _, said in played([charge, intent])] == [False]


@pytest.mark.parametrize("kind", ["charge.failed", "payment_intent.payment_failed", "payment_intent.canceled",
    "checkout.session.async_payment_failed", "checkout.session.expired", "invoice.payment_failed"])  # fmt: skip
@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"id": 7},
        {"id": "x" * 300, "status": "failed"},
        {"id": None, "last_payment_error": ["x"], "mode": "payment"},
    ],
)
def test_what_cannot_be_read_is_no_setback_and_no_noise(kind: str, obj: dict[str, Any]) -> None:
    """A body without a usable id gives nothing, and is not noted as money that could not be read."""
    reading = read_event(flows.event(kind, obj, n=1))

    assert ("", []) == (reading.problem, [f.setback for f in reading.facts if f.setback])


def test_a_setback_of_a_connected_account_is_another_one() -> None:
    """The same ids on two accounts are two attempts, with two event ids."""
    ours = failed(1, 0, at=0)
    theirs = [{**body, "account": "acct_connected1"} for body in ours]

    assert 2 == len({said["event_id"] for _, said in played([*ours, *theirs])})


def test_a_flood_of_declines_on_one_payment_is_bounded() -> None:
    """Somebody who tries out cards on one PaymentIntent fills neither the store nor the reports."""
    till = Till()
    for n in range(setbacks.MOST + 50):
        till.deliver(failed(1, n, at=100 * n)[0])
    till.close_day()

    assert setbacks.MOST == len(till.missed)


def test_facts_that_were_kept_aside_keep_their_setback() -> None:
    """What waits on disk for the store says the same afterwards; what an earlier version wrote there can still be read."""
    facts = read_event(failed(1, 0, at=0)[0]).facts[0]
    old = json.loads(facts.to_json())
    del old["setback"]

    assert facts == Facts.from_json(facts.to_json())
    assert facts.setback is not None
    assert Facts.from_json(json.dumps(old)).setback is None


def test_a_setback_that_cannot_be_encoded_holds_up_nothing() -> None:
    """One that fails for ever is noted by its ids and let go; the payment behind it is recorded."""
    store, ledger = SqliteStore(None), None
    ledger = Ledger(store, rules(90, 10))

    def broken(_: object) -> list[Any]:
        raise ZeroDivisionError

    for body in failed(1, 0, at=0):
        for item in read_event(body).facts:
            ledger.take(item, NOW_NS, broken)
    due = store.next_due_ns()
    ledger.release(NOW_NS + 10 * SECOND, broken)

    assert NOW_NS + 10 * SECOND == due
    assert 0 == store.next_due_ns()
    assert ["failed_ZeroDivisionError"] == [note.reason for note in store.set_asides()]


def test_a_decline_does_not_end_the_hold_of_the_payment() -> None:
    """A payment on hold for its invoice waits as long as without the decline before it."""
    flow = flows.subscription_first(1)
    till = Till()
    for body in failed(1, 0, at=0):
        till.deliver(body)
    till.deliver(flow.events[1])
    till.pass_time(11)
    early = list(till.recorded)
    till.deliver(flow.events[0])
    till.close_day()

    assert [] == early
    assert [(flow.canonical, flow.paid, "EUR")] == till.books
