"""Line items that are fetched: what waits for them, for how long, and what never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.instrumentation.stripe.joins import LOOKED_UP, rules
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.model import Alias, Facts
from otel_revenue.ledger.sqlite import SqliteStore
from support import stripe_events as flows
from support.reading import NOW_NS, read_event
from support.till import Till

SECOND = 10**9
SESSION = Alias("cs", "", flows.session_id(1))
COMPLETED = flows.event("checkout.session.completed", flows.session(1, 2500), n=1)


class Waiting(Till):
    """A till whose rules fetch line items."""

    def __init__(self, lookup_hold: float = 5.0) -> None:
        super().__init__()
        self.ledger = Ledger(self.store, rules(90, 10, lookup_hold))

    def told(self, **labels: Any) -> None:
        """Take what a look-up told about the Session."""
        facts = Facts(aliases=(SESSION,), labels={name: {"lines": [1, value]} for name, value in labels.items()})
        self.taken.append(self.ledger.take(facts, self.now_ns, self._encode))


def test_nobody_waits_for_what_nobody_fetches() -> None:
    """Without the look-up a paid Session is recorded at once, with or without its items."""
    till = Waiting(lookup_hold=0)
    till.deliver(COMPLETED)

    assert 1 == len(till.books)


@pytest.mark.parametrize("name", ["item_count", LOOKED_UP])
def test_it_goes_when_they_come_or_never_will(name: str) -> None:
    """A paid Session waits for its items, and goes as soon as they are told, or are told to be unknown."""
    till = Waiting()
    till.deliver(COMPLETED)
    before = till.books
    till.told(**{name: 3})

    assert [] == before
    assert [2500] == [minor for _, minor, _ in till.books]


def test_it_goes_when_its_time_is_over() -> None:
    """The wait has a bound of its own, which no news extends."""
    till = Waiting()
    till.deliver(COMPLETED)
    till.pass_time(4)
    till.deliver(COMPLETED)
    before = till.books
    till.pass_time(1)

    assert [] == before
    assert 1 == len(till.books)


def test_without_a_session_nothing_can_be_fetched() -> None:
    """A PaymentIntent of the shop's own has no lines: it is recorded at once."""
    till = Waiting()
    till.deliver(flows.event("payment_intent.succeeded", flows.intent(1, 2500), n=1))

    assert 1 == len(till.books)


@settings(max_examples=60)
@given(events=st.permutations([e for make in flows.ALL for e in make(1).events][:14]), wait=st.floats(0, 60))
def test_the_books_are_the_same(events: list[Any], wait: float) -> None:
    """Whether line items are waited for or not, the same payments are recorded with the same amounts."""
    without, with_items = Till(), Waiting(wait)
    for event in events:
        without.deliver(event)
        with_items.deliver(event)

    assert without.close_day() == with_items.close_day()


def test_the_mark_is_no_attribute() -> None:
    """What says that the items were asked for leaves with nothing: the event has no such attribute."""
    store = SqliteStore(None)
    ledger = Ledger(store, rules(90, 10, 5))
    recorded: list[Any] = []
    (facts,) = read_event(COMPLETED).facts
    marked = replace(facts, labels={**facts.labels, LOOKED_UP: {"none": [9, True]}})
    ledger.take(marked, NOW_NS, lambda payment: recorded.append(payment) or [])  # type: ignore[func-returns-value]

    from otel_revenue.config import Settings
    from otel_revenue.instrumentation.stripe.order import paid_attributes

    assert LOOKED_UP not in paid_attributes(recorded[0], Settings())
