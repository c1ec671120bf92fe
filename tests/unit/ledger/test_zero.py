"""Orders of zero: none, unless they are asked for; then once, like all others."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from otel_revenue.config import Settings
from support import stripe_events as flows
from support.till import Till

ZERO = Settings(emit_zero=True)
FREE = (flows.free_trial, flows.credit_balance, flows.free_order)


def books(events: Any, settings: Settings) -> list[tuple[str, int, str]]:
    till = Till(settings)
    for body in events:
        till.deliver(body)
    return till.close_day()


@pytest.mark.parametrize("make", FREE, ids=lambda make: make(1).name)
def test_nothing_was_paid(make: Any) -> None:
    """A full discount, a trial and an invoice settled by credit are no orders."""
    assert [] == books(make(1).events, Settings())


@pytest.mark.parametrize("make", FREE, ids=lambda make: make(1).name)
def test_zero_is_recorded_where_it_is_asked_for(make: Any) -> None:
    """With `OTEL_REVENUE_EMIT_ZERO` each of them is one order of zero, named by its invoice or its Session."""
    flow = make(1)
    name = flows.session_id(1) if make is flows.free_order else flows.invoice_id(1)

    assert {((name, 0, "EUR"),)} == {tuple(books((*o, *o), ZERO)) for o in itertools.permutations(flow.events)}


def test_what_is_not_complete_is_no_order_of_zero_either() -> None:
    """Cards that are only set up, Sessions that are open, and authorisations stay no orders."""
    events = [
        flows.event(
            "checkout.session.completed", flows.session(1, 0, mode="setup", payment_status="no_payment_required"), n=1
        ),
        flows.event(
            "checkout.session.completed", flows.session(2, 0, status="open", payment_status="no_payment_required"), n=2
        ),
        flows.event("checkout.session.completed", flows.session(3, 0, payment_status="unpaid"), n=3),
        *flows.authorised_only(4).events,
    ]

    assert [] == books(events, ZERO)


@pytest.mark.parametrize("make", flows.ALL, ids=lambda make: make(1).name)
def test_asking_for_zero_changes_nothing_that_was_paid(make: Any) -> None:
    """What was paid is recorded the same whether zero amounts are asked for or not."""
    flow = make(1)
    if flow.paid is not None:
        assert books(flow.events, Settings()) == books(flow.events, ZERO)
