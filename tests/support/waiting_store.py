"""A store as an application leaves it: events that wait, one that was refused, news that could not be read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, LATER, NewRow, Settlement
from otel_revenue.signals import record

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 10**9
DAY = 86_400 * SECOND


def paid(number: int, amount_minor: int = 4999, currency: str = "EUR", **more: Any) -> NewRow:
    """An `order.paid`, encoded as the application encodes it."""
    event_id = f"00000000-0000-5000-8000-{number:012d}"
    values = {
        "event_id": event_id,
        "order_id": f"order-{number}",
        "amount_minor": amount_minor,
        "currency": currency,
        "livemode": False,
        "payment_kind": "one_off",
        "telemetry.source": "server",
        "tier": "pro",
        **more,
    }
    clean, refused = record.prepare("order.paid", values)
    assert not refused, refused
    now_ns = time.time_ns()
    encoded = record.encode("order.paid", clean, time_ns=now_ns, observed_ns=now_ns)
    return NewRow(event_id, "order.paid", encoded, now_ns - number * DAY, amount_minor, currency)


def open_store(folder: Path, *rows: NewRow) -> SqliteStore:
    """A store with *rows* in its outbox, open as in an application that runs."""
    store = SqliteStore(folder / "ledger.sqlite3")
    with store.transaction() as tx:
        tx.add_rows(rows)
    return store


def refuse(store: SqliteStore, seq: int, reason: str = "http 400") -> None:
    """Let the far end refuse one event for good."""
    store.settle("otlp", [Settlement(seq, ASIDE, reason=reason)], now_ns=time.time_ns())


def fail(store: SqliteStore, seq: int, reason: str = "http 503") -> None:
    """Let one event's delivery fail for now."""
    store.settle("otlp", [Settlement(seq, LATER, reason=reason)], now_ns=time.time_ns())


def unread(store: SqliteStore) -> None:
    """Note news of money that could not be read."""
    with store.transaction() as tx:
        tx.set_aside(time.time_ns(), "webhook", "invoice", "amount_missing", ("in_1Unread",))
