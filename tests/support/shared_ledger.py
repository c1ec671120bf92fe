"""What several hosts do with one ledger, and what they read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue._store_url import StoreUrl
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.model import Alias, Group
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.store import NewRow
from support.ledger_worker import encode, some_flows
from support.reading import NOW_NS, read_event
from support.till import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.postgres import Postgres

    Open = Callable[..., PostgresStore]

SECOND = 10**9
NOW = 1_790_000_000 * SECOND
HOLD_OVER = NOW_NS + 7200 * SECOND


def row(n: int) -> NewRow:
    return NewRow(f"event-{n}", "order.paid", b"record", NOW + n, 100, "EUR")


def put(store: PostgresStore, *ids: str) -> Group:
    with store.transaction() as tx:
        return tx.put(Group(aliases=frozenset(Alias("pi", "", name) for name in ids)))


def add(store: PostgresStore, *rows: NewRow) -> None:
    with store.transaction() as tx:
        tx.add_rows(rows)


def claim(store: PostgresStore, now_ns: int) -> list[str]:
    return [r.event_id for r in store.claim("otlp", limit=10, now_ns=now_ns, lease_ns=15 * SECOND)]


def books(store: PostgresStore) -> list[tuple[str, bytes]]:
    """Let every hold run out; return what was recorded."""
    Ledger(store, RULES).release(HOLD_OVER, encode, limit=1000)
    return sorted((r.event_id, r.record) for r in store.rows("otlp", limit=10_000))


def told_in_order(store: PostgresStore, count: int) -> list[tuple[str, bytes]]:
    """What one process records that hears of everything once and in order."""
    ledger = Ledger(store, RULES)
    for flow in some_flows(count):
        for body in flow.events:
            for item in read_event(body).facts:
                ledger.take(item, NOW_NS, encode)
    return books(store)


@pytest.fixture
def url(postgres: Postgres) -> str:
    """A URL that leads to an empty schema."""
    return postgres.schema()


@pytest.fixture
def open_store(url: str) -> Iterator[Open]:
    """Open the store as one more process would."""
    opened: list[PostgresStore] = []

    def open_(at: str = url, **arguments: Any) -> PostgresStore:
        given: dict[str, Any] = {"busy_s": 5.0, **arguments}
        opened.append(PostgresStore(at, location=StoreUrl(at).location, **given))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()
