# SPDX-License-Identifier: Apache-2.0
"""A damaged ledger is not thrown away: what can be read of it goes on in the new one."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.errors import StoreError
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, NewRow, Settlement
from support.ledger_worker import encode, some_flows, take_all
from support.reading import read_event
from support.till import HOUR, NOW_NS, RULES

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096


def _full(path: Path, rows: int) -> None:
    """A ledger with many rows and a few payments, all of it in the main file."""
    store = SqliteStore(path)
    with store.transaction() as tx:
        tx.add_rows([NewRow(f"event-{n}", "order.paid", bytes([n % 256]) * 600, 1, 100, "EUR") for n in range(rows)])
    store.close()
    take_all(path, 1, 6)
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def _damage(path: Path, pages: set[int]) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * PAGE)
            file.write(b"\xff" * PAGE)


def _met(store: SqliteStore) -> dict[str, bytes]:
    """Use it until the damage was met and put right; returns the waiting rows."""
    for _ in range(4):
        try:
            with store.transaction() as tx:
                tx.add_rows([NewRow("new", "order.paid", b"new", 1)])
            return {row.event_id: row.record for row in store.rows("otlp", limit=10_000)}
        except StoreError:
            continue
    raise AssertionError("the store was not put right")


def _pages_of(path: Path, table: str) -> list[int]:
    """Pages of the table's tree, counted from 0, as far as its root names them."""
    with sqlite3.connect(path) as raw:
        root = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    raw.close()
    data = path.read_bytes()
    at = (root - 1) * PAGE
    assert data[at] == 5, "the table is large enough to have an inner page"
    cells = int.from_bytes(data[at + 3 : at + 5], "big")
    places = [int.from_bytes(data[at + 12 + 2 * n : at + 14 + 2 * n], "big") for n in range(cells)]
    return [int.from_bytes(data[at + place : at + place + 4], "big") - 1 for place in places]


def test_rows_around_a_damaged_page_go_on_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One page of the outbox is lost with what is on it; every other row waits in the new file, and the log counts them."""
    path = tmp_path / "ledger.sqlite3"
    _full(path, 200)
    _damage(path, {_pages_of(path, "outbox")[5]})
    with caplog.at_level(logging.CRITICAL):
        found = _met(SqliteStore(path))
    lost = {f"event-{n}" for n in range(200)} - found.keys()

    assert 0 < len(lost) <= PAGE // 600
    assert {f"event-{n}": bytes([n]) * 600 for n in range(200) if f"event-{n}" not in lost}.items() <= found.items()
    assert any("begun with what can be read of it" in record.message for record in caplog.records)


def test_payments_are_known_as_before(tmp_path: Path) -> None:
    """Payments of a ledger whose ids and indices are unreadable are not recorded a second time."""
    path = tmp_path / "ledger.sqlite3"
    _full(path, 200)
    with sqlite3.connect(path) as raw:
        roots = {row[0] - 1 for row in raw.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'alias'")}
    raw.close()
    with SqliteStore(path).transaction() as tx:
        before = sum(tx.group(n) is not None for n in range(1, 100))
    _damage(path, roots)
    store = SqliteStore(path)
    ledger = Ledger(store, RULES)
    ledger.release(NOW_NS + HOUR, encode, limit=10_000)
    recorded = sorted(row.record for row in store.rows("otlp", limit=10_000))
    for body in [body for flow in some_flows(6) for body in flow.events]:
        for item in read_event(body).facts:
            with contextlib.suppress(StoreError):  # the call that meets the damage
                ledger.take(item, NOW_NS + HOUR, encode)
                continue
            ledger.take(item, NOW_NS + HOUR, encode)
    ledger.release(NOW_NS + 2 * HOUR, encode, limit=10_000)
    with store.transaction() as tx:
        after = sum(tx.group(n) is not None for n in range(1, 100))

    assert recorded == sorted(row.record for row in store.rows("otlp", limit=10_000))
    assert before == after
    assert before >= sum(flow.paid is not None for flow in some_flows(6))
    assert 1 == len([p for p in tmp_path.glob("*.corrupt-*") if not p.name.endswith(("-wal", "-shm"))])


def test_what_was_set_aside_stays_so(tmp_path: Path) -> None:
    """What destinations noted about rows is rescued with them."""
    path = tmp_path / "ledger.sqlite3"
    _full(path, 200)
    store = SqliteStore(path)
    (row,) = store.claim("otlp", limit=1, now_ns=2, lease_ns=10)
    store.settle("otlp", [Settlement(row.seq, ASIDE, reason="http 400")], now_ns=3)
    with store._locked() as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    _damage(path, {_pages_of(path, "outbox")[9]})
    store = SqliteStore(path)
    _met(store)

    assert [(row.event_id, "http 400")] == [(r.event_id, r.reason) for r in store.rows("otlp", state=ASIDE)]


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_pages_may_be_damaged(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whichever pages are unreadable, the store works again, and holds nothing that was not there before."""
    path = tmp_path_factory.mktemp("store") / "ledger.sqlite3"
    _full(path, 60)
    pages = path.stat().st_size // PAGE
    _damage(path, data.draw(st.sets(st.integers(0, pages - 1), min_size=1, max_size=pages)))
    found = _met(SqliteStore(path))

    assert b"new" == found.pop("new")
    assert [] == [k for k, v in found.items() if k.startswith("event-") and v != bytes([int(k[6:])]) * 600]
