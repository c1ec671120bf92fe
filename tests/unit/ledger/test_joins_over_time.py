"""Deliveries spread over time, with holds that run out in between; and what later news undoes."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import stripe_events as flows
from support.links import Links, ids_of
from support.till import Till, play

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def books_of(found: Any) -> list[tuple[str, int, str]]:
    return sorted((f.canonical, f.paid, f.currency) for f in found if f.paid is not None)


def of_customer(flow: flows.Flow, n: int) -> list[flows.Event]:
    """The flow's deliveries as another buyer's."""
    return [json.loads(json.dumps(body).replace("cus_same", f"cus_buyer{n}")) for body in flow.events]


def names_of(aliases: Any) -> set[str]:
    return {f"{alias.account}/{alias.id}" for alias in aliases}


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_what_ids_link_is_never_recorded_twice(data: st.DataObject) -> None:
    """
    Wherever holds run out between deliveries, nothing is recorded that ids link with something recorded before; and
    in the end every payment was recorded.
    """
    makes = data.draw(st.lists(st.sampled_from(flows.ALL), min_size=1, max_size=4))
    found = [make(n) for n, make in enumerate(makes, start=1)]
    deliveries = [body for n, flow in enumerate(found) for body in of_customer(flow, n)]
    deliveries += data.draw(st.lists(st.sampled_from(deliveries), max_size=6))
    till, links = Till(), Links()
    twice = []
    for body in data.draw(st.permutations(deliveries)):
        till.pass_time(data.draw(st.sampled_from((0, 0, 0, 5, 15, 100))))
        twice += _linked_pairs(till, links)
        links.add(body)
        till.deliver(body)
        twice += _linked_pairs(till, links)
    till.close_day()
    twice += _linked_pairs(till, links)
    recorded = set().union(*(names_of(p.aliases) for p in till.recorded))
    missing = [
        f.name for f in found if f.paid is not None and not recorded & set().union(*(ids_of(b) for b in f.events))
    ]

    assert ([], []) == (twice, missing)


def _linked_pairs(till: Till, links: Links) -> list[tuple[str, str]]:
    """What was recorded since the last look although it was linked by then; looked at once each."""
    new = getattr(till, "seen", 0)
    till.seen = len(till.recorded)  # type: ignore[attr-defined]
    pairs = []
    for index in range(new, len(till.recorded)):
        linked = links.of(names_of(till.recorded[index].aliases))
        earlier = (p for p in till.recorded[:index] if names_of(p.aliases) & linked)
        pairs += [(p.canonical.id, till.recorded[index].canonical.id) for p in earlier]
    return pairs


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_subsets_of_many_payments_interleaved(data: st.DataObject) -> None:
    """Of many buyers' payments any part is delivered, in any order: each that has paid evidence comes out once."""
    makes = data.draw(st.lists(st.sampled_from(flows.ALL), min_size=2, max_size=5))
    found = [make(n) for n, make in enumerate(makes, start=1)]
    expected, deliveries = [], []
    for n, flow in enumerate(found):
        part = data.draw(st.lists(st.sampled_from(of_customer(flow, n)), max_size=8))
        if flow.links and not flow.links & {body["type"] for body in part}:
            part = [body for body in part if not body["type"].startswith("invoice")]
        deliveries += part
        if any(flows.speaks_of_money(body) for body in part):
            expected.append({flow.paid, *flow.partial_ok})
    amounts = [amount for _, amount, _ in play(data.draw(st.permutations(deliveries)))]

    assert len(expected) == len(amounts)
    assert any(
        all(a in wanted for a, wanted in zip(order, expected, strict=True)) for order in _orders(amounts, expected)
    )


def _orders(amounts: list[int], expected: list[set[int | None]]) -> Any:
    return itertools.permutations(amounts) if len(expected) <= 5 else [amounts]


@pytest.mark.parametrize("make", flows.ALL, ids=lambda make: make(1).name)
def test_what_is_known_in_the_end_does_not_depend_on_the_order(make: Any) -> None:
    """Whatever the order of deliveries, the ledger ends with the same labels for a payment."""
    flow = make(1)
    orders = list(itertools.permutations(flow.events))
    random.Random(3).shuffle(orders)
    ends = set()
    for order in orders[:12]:
        till = Till()
        for body in order:
            till.deliver(body)
        groups = [taken.group for taken in till.taken if taken.group]
        last = till.store.transaction()
        with last as tx:
            known = {g.id: tx.group(g.id) for g in groups}
        ends.add(json.dumps(sorted(json.dumps(g.labels, sort_keys=True) for g in known.values() if g)))

    assert 1 == len(ends)


def test_who_lost_a_wrong_twin_finds_the_right_one() -> None:
    """
    Two sign-ups alike, and the Session of one alone: the guess that it refutes is made anew, and nothing is counted twice.
    """
    a, b = flows.subscription_first(1), flows.subscription_first(2)
    pi_a, pi_b, bill_a, bill_b, session_a = a.events[1], b.events[1], a.events[3], b.events[3], a.events[0]
    crossed = (pi_a, bill_b, pi_b, bill_a, session_a)

    assert {tuple(books_of([a, b]))} == {tuple(play(order)) for order in (crossed, reversed(crossed))}


def test_a_shared_intent_that_was_recorded_whole_pays_its_invoices_already() -> None:
    """An intent whose hold ran out before its two invoices were known is not recorded again as they come."""
    till = Till()
    till.deliver(flows.event("payment_intent.succeeded", flows.intent(5, 3000, description="Payment for Invoice"), n=5))
    till.pass_time(100)
    for n, amount in ((1, 1000), (2, 2000)):
        till.deliver(flows.event("invoice_payment.paid", flows.invoice_payment(n, amount, pi=5), n=n))
        till.deliver(flows.event("invoice.paid", flows.invoice(n, amount, billing_reason="manual"), n=n))

    assert [(flows.intent(5, 3000)["id"], 3000, "EUR")] == till.close_day()


def test_the_hold_is_not_extended_by_news() -> None:
    """A payment on hold is recorded when its first hold is over, however much is told of it meanwhile."""
    flow, till = flows.multi_capture(1), Till()
    till.deliver(flow.events[0])
    for _ in range(8):
        till.pass_time(10)
        till.deliver(flow.events[1])
    before = list(till.books)
    till.pass_time(11)

    assert ([], [5000]) == (before, [amount for _, amount, _ in till.books])


def test_another_amount_in_the_end_is_counted() -> None:
    """A payment recorded from its first capture says so when the intent tells of more, and stays one."""
    flow, till = flows.multi_capture(1), Till()
    till.deliver(flow.events[0])
    till.pass_time(100)
    till.deliver(flow.events[-1])

    assert ([(flow.canonical, 2000, "EUR")], True) == (till.close_day(), any(t.disagrees for t in till.taken))


def test_payments_that_turn_out_to_be_one_are_counted() -> None:
    """When a fact joins two payments that had been recorded apart, that is counted, and nothing new is recorded."""
    flow, till = flows.with_invoice(1), Till()
    till.deliver(flow.events[0])
    till.pass_time(20)
    till.deliver(flow.events[3])
    till.deliver(flow.events[4])

    assert (2, 1) == (len(till.close_day()), sum(t.late_joins for t in till.taken))


def test_a_time_is_that_of_the_last_capture() -> None:
    """What was paid in several captures was paid when the last of them came; told twice, when it was told first."""
    flow, till = flows.multi_capture(1), Till()
    for body in (flow.events[2], flow.events[0], flow.events[1]):
        till.deliver(body)
    till.close_day()

    assert [(7000, (flows.BASE + 2) * 10**9)] == [(p.amount_minor, p.at_ns) for p in till.recorded]


@pytest.mark.swallow
def test_a_payment_that_cannot_be_encoded_holds_up_no_other() -> None:
    """A failure with one payment whose hold is over sets it aside by its ids; the others are recorded."""
    bad, good, till = flows.legacy_charge(1), flows.checkout(2), Till()
    till.deliver({**bad.events[0], "type": "charge.captured"})
    till.deliver(good.events[1])
    encode = till._encode

    def fail_on_one(payment: Any) -> list[Any]:
        if payment.canonical.id == bad.canonical:
            raise KeyError(payment.canonical.id)
        return encode(payment)

    till._encode = fail_on_one  # type: ignore[method-assign]
    till.close_day()
    till.close_day()

    assert [(good.canonical, 4999, "EUR")] == till.books
    assert [("failed_KeyError", (bad.canonical,))] == [(n.reason, n.ids) for n in till.store.set_asides()]
    assert (0, 1) == (till.store.next_due_ns(), till.store.stats()["payments_recorded"])


def test_a_sum_beyond_64_bits_is_set_aside() -> None:
    """Amounts that add up beyond what can be sent are not recorded, and noted by their ids."""
    till = Till()
    for n in (1, 2):
        pi = flows.intent(n, 2**63 - 1, payment_details={"order_reference": flows.invoice_id(9)})
        till.deliver(flows.event("payment_intent.succeeded", pi, n=n))

    assert [] == till.close_day()
    assert ["amount_too_large"] == [note.reason for note in till.store.set_asides()]


def test_what_is_known_to_be_another_payment_is_no_twin() -> None:
    """An invoice that is known to be paid by another intent is not taken for an intent that is alike."""
    a, b = flows.subscription_first(1), flows.subscription_first(2)
    link_a, bill_a, pi_b = a.events[5], a.events[3], b.events[1]
    expected = sorted([(a.canonical, 2900, "EUR"), (pi_b["data"]["object"]["id"], 2900, "EUR")])

    assert {tuple(expected)} == {
        tuple(play(order)) for order in itertools.permutations((link_a, bill_a, pi_b)) if order.index(link_a) < 2
    }
