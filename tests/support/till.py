"""A ledger in memory that takes deliveries and remembers what it recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_revenue.config import Settings
from otel_revenue.instrumentation.stripe import facts, order
from otel_revenue.instrumentation.stripe.joins import rules
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.model import Missed, Payment
from otel_revenue.ledger.sqlite import SqliteStore

from .reading import NO_TRACE, NOW_NS, reader_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_revenue.ledger.ledger import Taken
    from otel_revenue.ledger.model import Outcome

SECOND = 10**9
HOUR = 3600 * SECOND
RULES = rules(90, 10)
Books = list[tuple[str, int, str]]


class Till:
    """Takes deliveries at a time of its own, `now_ns`; holds are released only by `release`."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.recorded: list[Payment] = []
        self.missed: list[Missed] = []
        self.taken: list[Taken] = []
        self.now_ns = NOW_NS
        self.store = SqliteStore(None)
        self.ledger = Ledger(self.store, RULES)
        self.settings = settings or Settings()
        self._reader = reader_for(self.settings)

    def deliver(self, body: Any) -> facts.Reading:
        """Take one webhook event."""
        return self._take(facts.from_event(body, self._reader, now_ns=self.now_ns, seen=NO_TRACE))

    def answer(self, method: str, path: str, body: Any, account: str = "", **more: Any) -> facts.Reading:
        """Take one answer of Stripe's API."""
        arguments: dict[str, Any] = {"account": account, "now_ns": self.now_ns, "seen": NO_TRACE, **more}
        return self._take(facts.from_answer(method, path, body, self._reader, **arguments))

    def pass_time(self, seconds: float) -> None:
        """Let time go by, and release what is due."""
        self.now_ns += int(seconds * SECOND)
        self.release()

    def release(self) -> None:
        """Record the payments whose hold is over."""
        self.taken.append(self.ledger.release(self.now_ns, self._encode))

    def close_day(self) -> Books:
        """Let every hold run out, and return what was recorded in all."""
        self.pass_time(3600)
        return self.books

    @property
    def books(self) -> Books:
        """What was recorded: canonical id, minor units, currency."""
        return sorted((p.canonical.id, p.amount_minor, p.currency) for p in self.recorded)

    def _take(self, reading: facts.Reading) -> facts.Reading:
        for item in reading.facts:
            self.taken.append(self.ledger.take(item, self.now_ns, self._encode))
        return reading

    @property
    def setbacks(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and attributes of the events that tell of money that did not come, by time."""
        by_time = sorted(self.missed, key=lambda missed: (missed.at_ns, missed.setback.kind, missed.attempt))
        return [order.described(missed, self.settings) for missed in by_time]

    def _encode(self, outcome: Outcome) -> list[Any]:
        if isinstance(outcome, Payment):
            self.recorded.append(outcome)
        else:
            self.missed.append(outcome)
        return []


def play(bodies: Iterable[Any]) -> Books:
    """Deliver everything within the holds, then let them run out."""
    till = Till()
    for body in bodies:
        till.deliver(body)
    return till.close_day()
