"""A payment that is certain but poor waits for what only the Session's event or the charge can tell."""

from __future__ import annotations

from itertools import permutations

import pytest

from support import stripe_events as flows
from support.till import Till

SESSIONS = "/v1/checkout/sessions"


def opened():
    """A Session as its creation answers it: the buyer has typed nothing yet."""
    session = flows.session(1, 4999, payment_status="unpaid", status="open", payment_intent=None)
    return {**session, "customer_details": None}


def _country(payment) -> set[str]:
    return {value[1] for value in payment.labels.get("country", {}).values()}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_no_order_of_deliveries_loses_the_country(order) -> None:
    """
    Whichever of Session, PaymentIntent and charge comes first: the payment is recorded once, with its country.
    """
    till = Till()
    till.answer("POST", SESSIONS, opened())
    bodies = flows.checkout(1).events
    for number in order:
        till.deliver(bodies[number])
    (payment,) = till.recorded

    assert _country(payment)


def test_the_wait_for_the_country_is_bounded() -> None:
    """
    An endpoint that gets PaymentIntents alone: the payment is recorded when the enrich hold is over, without country.
    """
    till = Till()
    till.answer("POST", SESSIONS, opened())
    till.deliver(flows.checkout(1).events[1])
    before = list(till.recorded)
    till.pass_time(10)
    (payment,) = till.recorded

    assert not before
    assert not _country(payment)
