"""A worker on a real store and spool, a clock that is set by hand, and far ends that are plain functions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_revenue.delivery.outcome import Delivered, Outcome, Refused, from_partial_success
from otel_revenue.ledger.store import NewRow
from otel_revenue.signals.otlp import encode_log_record, encoder
from otel_revenue.signals.otlp_decode import decode_log_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_revenue.ledger.sqlite import SqliteStore

    Mood = Callable[[Sequence[str]], Outcome]

SECOND = 10**9
_event_id = encoder("event_id", "code")
_order_id = encoder("order_id", "id")


@dataclass
class Clock:
    now_ns: int = 1_800_000_000 * SECOND

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)


@dataclass
class FarEnd:
    """
    A destination: `mood` gets the names of the orders of one request and says what becomes of them.

    `taken` are the orders that it has acknowledged (or kept, in a partial success), each time that it did.
    """

    mood: Mood = field(default=lambda orders: Delivered())
    name: str = "otlp"
    taken: list[str] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    closed: bool = False

    def send(self, records: Sequence[bytes], resource: bytes) -> Outcome:
        orders = [str(decode_log_record(record).attributes["order_id"]) for record in records]
        self.requests.append(orders)
        self.heads.append(resource)
        outcome = self.mood(orders)
        if isinstance(outcome, Delivered):
            self.taken += orders
        return outcome

    def close(self) -> None:
        self.closed = True


def refusing(*bad: str) -> Mood:
    """A far end that answers 400 to a request with one of *bad* in it."""
    return lambda orders: Refused("http 400") if set(bad) & set(orders) else Delivered()


def taking_some(far_end: FarEnd, *bad: str) -> Mood:
    """A far end that keeps the good ones of each request and says how many it rejected."""

    def mood(orders: Sequence[str]) -> Outcome:
        good = [order for order in orders if order not in bad]
        outcome = from_partial_success(len(orders) - len(good), len(orders))
        if not isinstance(outcome, Delivered):
            far_end.taken += good
        return outcome

    return mood


def event_id(order: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, order))


def record(order: str) -> bytes:
    return encode_log_record(
        time_ns=1, observed_ns=1, event_name="order.paid", attributes=[_event_id(event_id(order)), _order_id(order)]
    )


def put(store: SqliteStore, *orders: str) -> None:
    with store.transaction() as tx:
        tx.add_rows([NewRow(event_id(order), "order.paid", record(order), 1, 4999, "USD") for order in orders])


def waiting(store: SqliteStore, state: str, destination: str = "otlp") -> dict[str, str]:
    """Rows in a state: event id → reason."""
    return {row.event_id: row.reason for row in store.rows(destination, state=state, limit=100_000)}


def ids(*orders: str) -> set[str]:
    return {event_id(order) for order in orders}
