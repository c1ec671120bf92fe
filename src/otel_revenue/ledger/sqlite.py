# SPDX-License-Identifier: Apache-2.0
"""
The ledger on SQLite: one file (WAL, synchronous=FULL), shared by the processes of one host.

Every commit is on disk before it returns. All driver errors are translated (`sqlite_file.translated`).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .codec import group_from_text, group_to_text
from .model import TRUNCATED_AT
from .sqlite_file import LAYOUT, SQL, SqliteFile, translated
from .store import ASIDE, DONE, LATER, NewRow, OutboxRow, Pending, SetAside, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .model import Alias, Group

__all__ = ["LAYOUT", "SQL", "SqliteStore"]

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
    def transaction(self) -> Iterator[_SqliteTransaction]:
        """Begin an atomic change; synced to disk when the block ends. See `Store.transaction`."""
        with self._locked() as raw:
            with translated():
                raw.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteTransaction(raw)
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
            query = {"destination": destination, "now": now_ns, "limit": 1}
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

    def _done_by_all(self, tx: _SqliteTransaction, seq: int) -> bool:
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


class _SqliteTransaction:
    """See `Transaction`."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def groups_of(self, aliases: Iterable[Alias], truncated: Iterable[Alias]) -> list[Group]:
        found: dict[int, str] = {}
        with translated():
            for alias in aliases:
                found.update(self.raw.execute(SQL["group_by_alias"], alias))
                if len(alias.id) >= TRUNCATED_AT:
                    cut = (alias.kind, alias.account, alias.id[:TRUNCATED_AT])
                    for number, doc in self.raw.execute(SQL["group_by_truncated"], cut).fetchall():
                        group = group_from_text(number, doc)
                        # The cut id may already have found the full id that it stands for: then it is not ours.
                        if not any(
                            a.kind == alias.kind and a.id != alias.id and a.id.startswith(cut[2]) for a in group.aliases
                        ):
                            found[number] = doc
            for alias in truncated:
                found.update(self.raw.execute(SQL["group_by_truncated"], alias))
                query = (alias.kind, alias.account, alias.id, alias.id + "\U0010ffff")
                begun = self.raw.execute(SQL["full_ids_beginning"], query).fetchall()
                if len(begun) == 1:
                    found.update(begun)
        return [group_from_text(number, doc) for number, doc in sorted(found.items())]

    def group(self, group_id: int) -> Group | None:
        with translated():
            row = self.raw.execute(SQL["group_by_number"], (group_id,)).fetchone()
        return None if row is None else group_from_text(*row)

    def soft_candidates(self, key: str, since_ns: int, until_ns: int) -> list[Group]:
        with translated():
            return [
                group_from_text(*row) for row in self.raw.execute(SQL["soft_candidates"], (key, since_ns, until_ns))
            ]

    def due_groups(self, now_ns: int, limit: int) -> list[Group]:
        with translated():
            return [group_from_text(*row) for row in self.raw.execute(SQL["due_groups"], (now_ns, limit))]

    def put(self, group: Group) -> Group:
        values = (
            group_to_text(group),
            group.recorded_ns,
            group.due_ns,
            group.soft.key if group.soft else None,
            group.soft.at_ns if group.soft else 0,
            group.twin,
            time.time_ns(),
        )
        with translated():
            if group.id:
                self.raw.execute(SQL["update_group"], (*values, group.id))
            else:
                number = self.raw.execute(SQL["insert_group"], values).lastrowid
                group = group.changed(id=number)
            self.raw.executemany(
                SQL["put_alias"],
                [(*a, cut, group.id) for cut, ids in ((0, group.aliases), (1, group.truncated)) for a in ids],
            )
        return group

    def drop(self, group_ids: Iterable[int]) -> None:
        with translated():
            for number in group_ids:
                self.raw.execute(SQL["drop_aliases"], (number,))
                self.raw.execute(SQL["drop_group"], (number,))

    def add_rows(self, rows: Sequence[NewRow]) -> None:
        with translated():
            self.raw.executemany(
                SQL["add_row"],
                [(r.event_id, r.event_name, r.record, r.recorded_ns, r.amount_minor, r.currency) for r in rows],
            )

    def set_aside(self, at_ns: int, source: str, kind: str, reason: str, ids: tuple[str, ...]) -> None:
        with translated():
            self.raw.execute(SQL["add_unread"], (at_ns, source, kind, reason, json.dumps(ids)))
            self.raw.execute(SQL["trim_unread"])

    def forget(self, number: int, twin: int) -> int:
        """Remove a payment, and its twin, which is a part of it; returns how many that were."""
        removed = 0
        for each in {number, twin} - {0}:
            self.raw.execute(SQL["drop_aliases"], (each,))
            removed += self.raw.execute(SQL["drop_group"], (each,)).rowcount
        return removed

    def remove_row(self, seq: int) -> int:
        """Remove a row and all that destinations noted about it; returns how many rows that were."""
        self.raw.execute(SQL["drop_deliveries"], (seq,))
        return self.raw.execute(SQL["drop_row"], (seq,)).rowcount
