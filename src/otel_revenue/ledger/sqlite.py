# SPDX-License-Identifier: Apache-2.0
"""
The ledger on SQLite: one file (WAL, synchronous=FULL), shared by the processes of one host.

Every commit is on disk before it returns. All driver errors are translated here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_revenue._guard import logger
from otel_revenue.errors import StoreBusy, StoreError, StoreFull, StoreTooNew

from .model import Alias, Evidence, Group, Soft, evidence_from_list, evidence_to_list
from .store import ASIDE, DONE, LATER, NewRow, OutboxRow, Pending, SetAside, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LAYOUT: Final = 1
"""Version of the file's layout, kept in `PRAGMA user_version`; migrations only go forward."""


def _statements() -> dict[str, str]:
    text = Path(__file__).with_name("sqlite.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


SQL: Final = _statements()


class _Connection:
    """One process's connection and the lock around it."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.pid = os.getpid()
        self.raw = raw
        self.lock = threading.Lock()


_inherited: list[_Connection] = []
"""Connections that a forked child must neither use nor close: SQLite's file locks belong to the parent."""


class SqliteStore:
    """
    Ledger and outbox in one SQLite file.

    Args:
        path: the file, or None for memory (then nothing survives the process).
        destinations: names of all far ends; a row leaves the outbox when each of them has done it.
        busy_s: seconds to wait for another process or thread before `StoreBusy`.
    """

    def __init__(self, path: Path | None, *, destinations: Sequence[str] = ("otlp",), busy_s: float = 0.25) -> None:
        self._path = path
        self._destinations = tuple(destinations)
        self._busy_s = busy_s
        self._connection: _Connection | None = None
        self._opening = threading.Lock()

    @property
    def durable(self) -> bool:
        """Whether what is stored survives this process."""
        return self._path is not None

    @property
    def location(self) -> str:
        """Where it is, for people."""
        return "memory" if self._path is None else str(self._path)

    # -- one atomic change ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[_SqliteTransaction]:
        """Begin an atomic change; synced to disk when the block ends. See `Store.transaction`."""
        with self._locked() as raw:
            with _translated():
                raw.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteTransaction(raw)
                with _translated():
                    raw.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")
                raise

    # -- outbox -----------------------------------------------------------------------------------------------------

    def claim(self, destination: str, *, limit: int, now_ns: int, lease_ns: int) -> list[OutboxRow]:
        """Return due rows and keep them from other processes for a while. See `Store.claim`."""
        with self._locked() as raw, _translated():
            # A look without the write lock first: an idle worker must not stand in a request's way.
            query = {"destination": destination, "now": now_ns, "limit": 1}
            if raw.execute(SQL["due_rows"], query).fetchone() is None:
                return []
        with self.transaction() as tx, _translated():
            found = tx.raw.execute(SQL["due_rows"], {**query, "limit": limit}).fetchall()
            tx.raw.executemany(SQL["lease"], [(row[0], destination, now_ns + lease_ns) for row in found])
            return [OutboxRow(*row) for row in found]

    def settle(self, destination: str, settlements: Sequence[Settlement], *, now_ns: int) -> None:
        """Write down what became of claimed rows. See `Store.settle`."""
        del now_ns
        with self.transaction() as tx, _translated():
            for s in settlements:
                if s.state == DONE and self._destinations == (destination,):
                    tx.remove_row(s.seq)
                    continue
                tx.raw.execute(
                    SQL["settle"], (s.seq, destination, s.state, int(s.counts), s.not_before_ns, s.reason[:200])
                )
                if s.state == DONE and tx.raw.execute(SQL["count_done"], (s.seq,)).fetchone()[0] >= len(
                    self._destinations
                ):
                    tx.remove_row(s.seq)

    def add_aside(self, destination: str, row: NewRow, reason: str) -> None:
        """Put an event into the outbox that one destination has refused. See `Store.add_aside`."""
        with self.transaction() as tx, _translated():
            tx.add_rows([row])
            (seq,) = tx.raw.execute(SQL["row_by_event"], (row.event_id, row.event_name)).fetchone()
            for name in {*self._destinations, destination}:
                state, why = (ASIDE, reason[:200]) if name == destination else (DONE, "")
                tx.raw.execute(SQL["settle"], (seq, name, state, 1, 0, why))

    def rows(self, destination: str, *, state: str | None = None, limit: int = 100) -> list[OutboxRow]:
        """Return rows that *destination* has not done. See `Store.rows`."""
        with self._locked() as raw, _translated():
            query = {"destination": destination, "state": state, "limit": limit}
            return [OutboxRow(*row) for row in raw.execute(SQL["open_rows"], query)]

    def retry(self, destination: str, seqs: Sequence[int]) -> int:
        """Put rows that were set aside back to due."""
        with self.transaction() as tx, _translated():
            return sum(tx.raw.execute(SQL["retry"], (seq, destination)).rowcount for seq in seqs)

    def forget_rows(self, seqs: Sequence[int]) -> int:
        """Remove rows for every destination, on an operator's word."""
        with self.transaction() as tx, _translated():
            return sum(tx.remove_row(seq) for seq in seqs)

    def pending(self, destination: str) -> Pending:
        """Return what waits for *destination*."""
        with self._locked() as raw, _translated():
            found = raw.execute(SQL["pending"], (destination,)).fetchall()
        waiting = sum(row[2] for row in found if row[0] == LATER)
        aside = sum(row[2] for row in found if row[0] == ASIDE)
        oldest = min((row[3] for row in found if row[0] == LATER), default=0)
        unconfirmed: dict[str, int] = {}
        for row in found:
            if row[1]:
                unconfirmed[row[1]] = unconfirmed.get(row[1], 0) + row[4]
        return Pending(waiting, aside, oldest, unconfirmed)

    # -- for people and for the worker's housekeeping ---------------------------------------------------------------

    def set_asides(self, limit: int = 100) -> list[SetAside]:
        """Return what could not be read, newest first."""
        with self._locked() as raw, _translated():
            found = raw.execute(SQL["list_unread"], (limit,)).fetchall()
        return [SetAside(row[0], row[1], row[2], row[3], row[4], tuple(json.loads(row[5]))) for row in found]

    def next_due_ns(self) -> int:
        """Return when the next payment on hold is due; 0 when none is."""
        with self._locked() as raw, _translated():
            return int(raw.execute(SQL["next_due"]).fetchone()[0] or 0)

    def stats(self) -> dict[str, Any]:
        """Return counts and sizes for people."""
        with self._locked() as raw, _translated():
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
        with self.transaction() as tx, _translated():
            limit_ns = before_ns if self._bytes() <= max_bytes else time.time_ns()
            for (number,) in tx.raw.execute(SQL["prunable"], (limit_ns,)).fetchall():
                tx.raw.execute(SQL["drop_aliases"], (number,))
                tx.raw.execute(SQL["drop_group"], (number,))
                removed += 1
        if removed:
            with self._locked() as raw, _translated():
                raw.execute("PRAGMA incremental_vacuum")
        return removed

    def close(self) -> None:
        """Let go of the connection; further calls open it again."""
        current, self._connection = self._connection, None
        if current is not None and current.pid == os.getpid():
            with current.lock:
                current.raw.close()

    def _bytes(self) -> int:
        if self._path is None:
            return 0
        total = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                total += Path(f"{self._path}{suffix}").stat().st_size
        return total

    @contextlib.contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        if connection is None or connection.pid != os.getpid():
            connection = self._open()
        if not connection.lock.acquire(timeout=self._busy_s):
            raise StoreBusy("another thread holds the store")
        try:
            yield connection.raw
        finally:
            connection.lock.release()

    def _open(self) -> _Connection:
        if self._connection is not None and self._connection.pid != os.getpid():
            _inherited.append(self._connection)
            self._connection = None
            self._opening = threading.Lock()
        with self._opening:
            if self._connection is None:
                with _translated():
                    self._connection = _Connection(self._connect())
            return self._connection

    def _connect(self) -> sqlite3.Connection:
        try:
            return _prepared(self._path, self._busy_s)
        except sqlite3.DatabaseError as error:
            if self._path is None or not _is_corrupt(error):
                raise
            moved = self._path.with_name(f"{self._path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").replace(f"{moved}{suffix}")
            logger.critical(
                "otel-revenue: the ledger %s is damaged. It was moved to %s and a new one begun: payments that were waiting in "
                "it are in that file alone. Keep it, and see docs/architecture.md, 'A damaged ledger'.",
                self._path,
                moved,
            )
            return _prepared(self._path, self._busy_s)


class _SqliteTransaction:
    """See `Transaction`."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def groups_of(self, aliases: Iterable[Alias], truncated: Iterable[Alias]) -> list[Group]:
        found: dict[int, str] = {}
        with _translated():
            for alias in aliases:
                found.update(self.raw.execute(SQL["group_by_alias"], alias))
                if len(alias.id) > TRUNCATED_AT:
                    cut = (alias.kind, alias.account, alias.id[:TRUNCATED_AT])
                    for number, doc in self.raw.execute(SQL["group_by_truncated"], cut).fetchall():
                        group = _group(number, doc)
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
        return [_group(number, doc) for number, doc in sorted(found.items())]

    def group(self, group_id: int) -> Group | None:
        with _translated():
            row = self.raw.execute(SQL["group_by_number"], (group_id,)).fetchone()
        return None if row is None else _group(*row)

    def soft_candidates(self, key: str, since_ns: int, until_ns: int) -> list[Group]:
        with _translated():
            return [_group(*row) for row in self.raw.execute(SQL["soft_candidates"], (key, since_ns, until_ns))]

    def due_groups(self, now_ns: int, limit: int) -> list[Group]:
        with _translated():
            return [_group(*row) for row in self.raw.execute(SQL["due_groups"], (now_ns, limit))]

    def put(self, group: Group) -> Group:
        values = (
            _doc(group),
            group.recorded_ns,
            group.due_ns,
            group.soft.key if group.soft else None,
            group.soft.at_ns if group.soft else 0,
            group.twin,
            time.time_ns(),
        )
        with _translated():
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
        with _translated():
            for number in group_ids:
                self.raw.execute(SQL["drop_aliases"], (number,))
                self.raw.execute(SQL["drop_group"], (number,))

    def add_rows(self, rows: Sequence[NewRow]) -> None:
        with _translated():
            self.raw.executemany(
                SQL["add_row"],
                [(r.event_id, r.event_name, r.record, r.recorded_ns, r.amount_minor, r.currency) for r in rows],
            )

    def set_aside(self, at_ns: int, source: str, kind: str, reason: str, ids: tuple[str, ...]) -> None:
        with _translated():
            self.raw.execute(SQL["add_unread"], (at_ns, source, kind, reason, json.dumps(ids)))
            self.raw.execute(SQL["trim_unread"])

    def remove_row(self, seq: int) -> int:
        """Remove a row and all that destinations noted about it; returns how many rows that were."""
        self.raw.execute(SQL["drop_deliveries"], (seq,))
        return self.raw.execute(SQL["drop_row"], (seq,)).rowcount


TRUNCATED_AT: Final = 25
"""Length to which a far end cuts ids in references (seen on Stripe's `order_reference`)."""


def _prepared(path: Path | None, busy_s: float) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # ids and amounts are nobody else's business
    raw = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )
    try:
        raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")
        _migrate(raw)
    except BaseException:
        raw.close()
        raise
    return raw


def _migrate(raw: sqlite3.Connection) -> None:
    version = raw.execute("PRAGMA user_version").fetchone()[0]
    if version > LAYOUT:
        raise StoreTooNew(
            f"the ledger was written by a newer otel-revenue (layout {version}, this one knows {LAYOUT}): upgrade, or set OTEL_REVENUE_STORE"
        )
    if version == LAYOUT:
        return
    raw.execute("BEGIN IMMEDIATE")
    try:
        if raw.execute("PRAGMA user_version").fetchone()[0] < LAYOUT:  # another process may have been first
            for statement in _split(SQL["schema_1"]):
                raw.execute(statement)
            raw.execute(f"PRAGMA user_version = {LAYOUT}")
        raw.execute("COMMIT")
    except BaseException:
        raw.execute("ROLLBACK")
        raise


def _split(script: str) -> list[str]:
    bare = re.sub(r"--[^\n]*", "", script)
    return [statement for statement in (part.strip() for part in bare.split(";")) if statement]


def _doc(group: Group) -> str:
    return json.dumps(
        {
            "a": sorted(group.aliases),
            "t": sorted(group.truncated),
            "e": [evidence_to_list(e) for e in group.evidence],
            "f": [group.created, group.billing, group.shared, group.settled],
            "s": group.soft,
            "w": group.twin,
            "r": [group.recorded_ns, group.recorded_as],
            "d": group.due_ns,
            "l": group.labels,
            "p": group.traceparent,
            "c": group.created_ns,
            "n": group.seen,
        },
        separators=(",", ":"),
    )


def _group(number: int, doc: str) -> Group:
    raw = json.loads(doc)
    evidence: tuple[Evidence, ...] = tuple(evidence_from_list(e) for e in raw["e"])
    created, billing, shared, settled = raw["f"]
    recorded_ns, recorded_as = raw["r"]
    return Group(
        id=number,
        aliases=frozenset(Alias(*a) for a in raw["a"]),
        truncated=frozenset(Alias(*a) for a in raw["t"]),
        evidence=evidence,
        created=created,
        billing=billing,
        shared=shared,
        settled=settled,
        soft=Soft(*raw["s"]) if raw["s"] else None,
        twin=raw["w"],
        recorded_ns=recorded_ns,
        recorded_as=Alias(*recorded_as) if recorded_as else None,
        due_ns=raw["d"],
        labels=raw["l"],
        traceparent=raw["p"],
        created_ns=raw["c"],
        seen=(raw["n"][0], raw["n"][1], raw["n"][2]),
    )


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    text = str(error)
    return "not a database" in text or "malformed" in text


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise StoreBusy("the store is locked by another process") from None
        if "full" in text:
            raise StoreFull("no space left for the store") from None
        raise StoreError(f"the store failed: {_kind(text)}") from None
    except (sqlite3.Error, OverflowError) as error:
        raise StoreError(f"the store failed: {type(error).__name__} {_kind(str(error))}") from None
    except OSError as error:
        raise StoreError(f"the store failed: {error.strerror}") from None


def _kind(text: str) -> str:
    return re.sub(r"[^A-Za-z _]", "", text)[:60]
