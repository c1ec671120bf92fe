"""Two connections of one process to one ledger: closing one of them, or opening another, takes nothing from the other."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import NewRow

if TYPE_CHECKING:
    from pathlib import Path


def _open_and_close(path: Path) -> None:
    store = SqliteStore(path, busy_s=5)
    store.pending("otlp")
    store.close()


def test_the_last_close_of_another_process_removes_nothing(tmp_path: Path) -> None:
    """POSIX drops all locks of a process with any close of the file: a store must not lose its own that way."""
    path = tmp_path / "ledger.sqlite3"
    first = SqliteStore(path, busy_s=5)
    with first.transaction() as tx:
        tx.add_rows([NewRow("e-1", "order.paid", b"r", time.time_ns())])
    second = SqliteStore(path, busy_s=5)
    second.pending("otlp")
    other = multiprocessing.get_context("spawn").Process(target=_open_and_close, args=(path,))
    other.start()
    other.join(30)
    with first.transaction() as tx:
        tx.add_rows([NewRow("e-2", "order.paid", b"r", time.time_ns())])
    third = SqliteStore(path, busy_s=5)

    assert 0 == other.exitcode
    assert ["e-1", "e-2"] == [row.event_id for row in third.rows("otlp")]
    for store in (first, second, third):
        store.close()
