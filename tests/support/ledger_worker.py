"""
What another process does with a ledger: takes the facts of flows, again and again, until it has all or is killed.

    python -m support.ledger_worker STORE SEED COUNT ROUNDS
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_revenue.errors import StoreBusy
from otel_revenue.instrumentation.stripe.order import event_id
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import NewRow

from . import stripe_events as flows
from .reading import NOW_NS, read_event
from .till import RULES

if TYPE_CHECKING:
    from otel_revenue.ledger.model import Payment

MAKES = (flows.checkout, flows.subscription_first, flows.bare_intent, flows.delayed, flows.partial_payments)


def some_flows(count: int) -> list[flows.Flow]:
    """Return *count* flows, the same for every process."""
    return [MAKES[n % len(MAKES)](n + 1) for n in range(count)]


def encode(payment: Payment) -> list[NewRow]:
    name = event_id(payment.canonical)
    record = f"{payment.canonical.id} {payment.amount_minor}".encode()
    return [NewRow(name, "order.paid", record, NOW_NS, payment.amount_minor, payment.currency)]


def take_all(path: Path, seed: int, count: int, rounds: int = 1, *, say: bool = False) -> None:
    """Take every delivery of the flows in an order of one's own, each until the store has it."""
    store = SqliteStore(path)
    ledger = Ledger(store, RULES)
    deliveries: list[Any] = [body for flow in some_flows(count) for body in flow.events] * rounds
    random.Random(seed).shuffle(deliveries)
    for number, body in enumerate(deliveries):
        for item in read_event(body).facts:
            while True:
                try:
                    ledger.take(item, NOW_NS, encode)
                    break
                except StoreBusy:
                    time.sleep(0.01)
        if say:
            print(number, flush=True)
    store.close()


if __name__ == "__main__":
    take_all(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), say=True)
