# SPDX-License-Identifier: Apache-2.0
"""
The ledger on SQLite: one file (WAL, synchronous=FULL), shared by the processes of one host.

Every commit is on disk before it returns. All driver errors are translated (`sqlite_errors.translated`).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .keys import ORDER_KEYS
from .sqlite_errors import translated
from .sqlite_file import LAYOUT, SQL, SqliteFile
from .sqlite_transaction import SqliteTransaction
from .store import (
    ASIDE,
    DONE,
    LATER,
    MOST_ORDERS,
    NewRow,
    OutboxRow,
    Pending,
    SetAside,
    Settlement,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LAYOUT", "SQL", "SqliteStore"]

LONGEST_WAIT_NS: Final = 3600 * 10**9
"""No row is ever told to wait longer; one that seems to was told so before the clock was set back."""

_PRUNED_AT_ONCE: Final = 200
"""Payments removed in one transaction: a request must not wait long behind it."""
_PRUNED_AT_MOST: Final = 10_000
_ROW_OVERHEAD: Final = 250
"""About what a payment takes beside its text: its row, its aliases, their indices."""
_FREED_PAGES: Final = 2000


class SqliteStore(SqliteFile):
    """
    Ledger and outbox in one SQLite file.

    Args:
        path: the file, or None for memory (then nothing survives the process).
        destinations: names of all far ends; a row leaves the outbox when each of them has done it.
        busy_s: seconds to wait for another process or thread before `StoreBusy`.
    """

    def __init__(self, path: Path | None, *, destinations: Sequence[str] = ("otlp",), busy_s: float = 0.25) -> None:
        super().__init__(path, busy_s)
        self._destinations = tuple(destinations)

    # -- one atomic change ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """Begin an atomic change; synced to disk when the block ends. See `Store.transaction`."""
        with self._locked() as raw:
            with translated():
                raw.execute("BEGIN IMMEDIATE")
            try:
                tx = SqliteTransaction(raw)
                yield tx
                tx.flush()
                with translated():
                    raw.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")
                raise

    # -- outbox -----------------------------------------------------------------------------------------------------

    def claim(self, destination: str, *, limit: int, now_ns: int, lease_ns: int) -> list[OutboxRow]:
        """Return due rows and keep them from other processes for a while. See `Store.claim`."""
        with self._locked() as raw, translated():
            # A look without the write lock first: an idle worker must not stand in a request's way.
            query = {
                "destination": destination,
                "now": now_ns,
                "limit": 1,
                "longest_wait": LONGEST_WAIT_NS,
                "longest_lease": 2 * lease_ns,
            }
            if raw.execute(SQL["due_rows"], query).fetchone() is None:
                return []
        with self.transaction() as tx, translated():
            found = tx.raw.execute(SQL["due_rows"], {**query, "limit": limit}).fetchall()
            tx.raw.executemany(SQL["lease"], [(row[0], destination, now_ns + lease_ns) for row in found])
            return [OutboxRow(*row) for row in found]

    def settle(self, destination: str, settlements: Sequence[Settlement], *, now_ns: int) -> None:
        """Write down what became of claimed rows. See `Store.settle`."""
        del now_ns
        with self.transaction() as tx, translated():
            for s in settlements:
                if s.state == DONE and self._destinations == (destination,):
                    tx.remove_row(s.seq)
                    continue
                tx.raw.execute(
                    SQL["settle"], (destination, s.state, int(s.counts), s.not_before_ns, s.reason[:200], s.seq)
                )
                if s.state == DONE and self._done_by_all(tx, s.seq):
                    tx.remove_row(s.seq)

    def add_aside(self, destination: str, row: NewRow, reason: str) -> None:
        """Put an event into the outbox that one destination has refused. See `Store.add_aside`."""
        with self.transaction() as tx, translated():
            tx.add_rows([row])
            (seq,) = tx.raw.execute(SQL["row_by_event"], (row.event_id, row.event_name)).fetchone()
            tx.raw.execute(SQL["refused"], (seq, destination, reason[:200]))
            for name in self._destinations:
                tx.raw.execute(SQL["done_elsewhere"], (seq, name))

    def rows(self, destination: str, *, state: str | None = None, limit: int = 100) -> list[OutboxRow]:
        """Return rows that *destination* has not done. See `Store.rows`."""
        with self._locked() as raw, translated():
            query = {"destination": destination, "state": state, "limit": limit}
            return [OutboxRow(*row) for row in raw.execute(SQL["open_rows"], query)]

    def retry(self, destination: str, seqs: Sequence[int]) -> int:
        """Put rows that were set aside back to due."""
        with self.transaction() as tx, translated():
            return sum(tx.raw.execute(SQL["retry"], (seq, destination)).rowcount for seq in seqs)

    def forget_rows(self, seqs: Sequence[int]) -> int:
        """Remove rows for every destination, on an operator's word."""
        with self.transaction() as tx, translated():
            return sum(tx.remove_row(seq) for seq in seqs)

    def pending(self, destination: str) -> Pending:
        """Return what waits for *destination*."""
        with self._locked() as raw, translated():
            found = raw.execute(SQL["pending"], (destination,)).fetchall()
        waiting = sum(row[2] for row in found if row[0] == LATER)
        aside = sum(row[2] for row in found if row[0] == ASIDE)
        oldest = min((row[3] for row in found if row[0] == LATER), default=0)
        unconfirmed: dict[str, int] = {}
        for row in found:
            if row[1]:
                unconfirmed[row[1]] = unconfirmed.get(row[1], 0) + (row[4] << 32) + row[5]
        return Pending(waiting, aside, oldest, unconfirmed)

    def set_asides(self, limit: int = 100) -> list[SetAside]:
        """Return what could not be read, newest first."""
        with self._locked() as raw, translated():
            found = raw.execute(SQL["list_unread"], (limit,)).fetchall()
        return [SetAside(row[0], row[1], row[2], row[3], row[4], tuple(json.loads(row[5]))) for row in found]

    def next_due_ns(self) -> int:
        """Return when the next payment on hold is due; 0 when none is."""
        with self._locked() as raw, translated():
            return int(raw.execute(SQL["next_due"]).fetchone()[0] or 0)

    def stats(self) -> dict[str, Any]:
        """Return counts and sizes for people."""
        with self._locked() as raw, translated():
            groups, recorded, held = raw.execute(SQL["stats"]).fetchone()
        return {
            "payments_known": groups,
            "payments_recorded": recorded,
            "payments_on_hold": held,
            "bytes": self._bytes(),
        }

    def prune(self, *, before_ns: int, max_bytes: int) -> int:
        """Remove old payments in small steps. See `Store.prune`."""
        removed = 0
        with self.transaction() as tx, translated():
            for kind in ORDER_KEYS:
                tx.raw.execute(SQL["trim_orders"], {"kind": kind, "before": before_ns, "most": MOST_ORDERS})
        while removed < _PRUNED_AT_MOST:
            step = self._prune_step(before_ns, max_bytes)
            if not step:
                break
            removed += step
        with self.transaction() as tx, translated():
            for (seq,) in tx.raw.execute(SQL["all_rows_settled"]).fetchall():
                if self._done_by_all(tx, seq):
                    tx.remove_row(seq)
        if removed:
            with self._locked() as raw, translated():
                # Each row of the answer is a page given back: unread, it would give back one.
                raw.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()
        return removed

    def _prune_step(self, before_ns: int, max_bytes: int) -> int:
        with self.transaction() as tx, translated():
            old = tx.raw.execute(SQL["prunable"], {"before": before_ns, "limit": _PRUNED_AT_ONCE}).fetchall()
            if old:
                return sum(tx.forget(*row[:2]) for row in old)
            excess = self._excess(tx.raw, max_bytes)
            removed = 0
            if excess <= 0:
                return 0
            if tx.raw.execute(SQL["drop_oldest_orders"]).rowcount:  # what was said of orders goes before any payment
                return 1
            now = {"before": time.time_ns() + 1, "limit": _PRUNED_AT_ONCE}
            for number, twin, size in tx.raw.execute(SQL["prunable"], now).fetchall():
                removed += tx.forget(number, twin)
                excess -= size + _ROW_OVERHEAD
                if excess <= 0:
                    break
            return removed

    def _excess(self, raw: sqlite3.Connection, max_bytes: int) -> int:
        """Return by how many bytes the payments are too many. What waits counts, but leaves them a tenth of the room."""
        pages, free, size = (
            raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        used = (pages - free) * size
        if used <= max_bytes:
            return 0
        waiting = raw.execute(SQL["waiting_bytes"]).fetchone()[0]
        return int(min(used - max_bytes, used - waiting - max_bytes // 10))

    def _done_by_all(self, tx: SqliteTransaction, seq: int) -> bool:
        done = {row[0] for row in tx.raw.execute(SQL["done_by"], (seq,))}
        return done.issuperset(self._destinations)

    def _bytes(self) -> int:
        if self._path is None:
            return 0
        total = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                total += Path(f"{self._path}{suffix}").stat().st_size
        return total
