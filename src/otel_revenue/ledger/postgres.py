# SPDX-License-Identifier: Apache-2.0
"""
The ledger on PostgreSQL: one order for all hosts that take webhooks.

The ledger's transactions take one lock, so that facts of one payment, whatever ids they name and however they join, are joined
one after the other. Leases are kept by the database's clock: hosts whose clocks differ by more than half a second translate.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from .keys import ORDER_KEYS
from .postgres_database import READ_S, PostgresDatabase
from .postgres_layout import SQL
from .postgres_transaction import row_columns
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
    from collections.abc import Callable, Sequence

    from .postgres_session import Values

LONGEST_WAIT_NS: Final = 3600 * 10**9
"""No row is ever told to wait longer; one that seems to was told so before the clock was set back."""
_COUNT_S: Final = 60.0
_PRUNED_AT_ONCE: Final = 200
"""Payments removed in one transaction: a request must not wait long behind it."""
_PRUNED_AT_MOST: Final = 10_000
_ROW_OVERHEAD: Final = 500
"""About what a payment takes beside its text: its row, its aliases, their indices."""


class PostgresStore(PostgresDatabase):
    """
    Ledger and outbox in a PostgreSQL database.

    Args:
        url, location, busy_s, make, quiet, clock_ns: see `PostgresDatabase`.
        destinations: names of all far ends; a row leaves the outbox when each of them has done it.
    """

    def __init__(
        self,
        url: str,
        *,
        location: str,
        destinations: Sequence[str] = ("otlp",),
        busy_s: float = 0.25,
        make: bool = True,
        quiet: bool = False,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(url, location, busy_s, clock_ns, make=make, quiet=quiet)
        self._destinations = tuple(destinations)

    # -- outbox -------------------------------------------------------------------------------------------------------

    def claim(self, destination: str, *, limit: int, now_ns: int, lease_ns: int) -> list[OutboxRow]:
        """Return due rows and keep them from other processes for a while. See `Store.claim`."""
        query = {"destination": destination, "longest_wait": LONGEST_WAIT_NS, "longest_lease": 2 * lease_ns}
        with self._reading() as session:
            ahead_ns = self._ahead_ns(session)
            query["now"] = now_ns + ahead_ns
            if not session.rows(SQL["anything_due"], query, within_s=READ_S):
                return []
        with self._changing_outbox() as session:
            found = session.rows(SQL["claim"], {**query, "lease": lease_ns, "limit": limit}, within_s=READ_S)
            return [_row(raw, ahead_ns) for raw in found]

    def settle(self, destination: str, settlements: Sequence[Settlement], *, now_ns: int) -> None:
        """Write down what became of claimed rows. See `Store.settle`."""
        del now_ns
        alone = self._destinations == (destination,)
        with self._changing_outbox() as session:
            statements: list[tuple[str, Values]] = []
            for batch in _each_once(settlements):
                done = [s.seq for s in batch if s.state == DONE]
                noted = [s for s in batch if not (alone and s.state == DONE)]
                if noted:
                    values = _settle_columns(noted, session.server.ahead_ns) | {"destination": destination}
                    statements.append((SQL["settle"], values))
                if done and alone:
                    statements.append((SQL["remove_rows"], {"seqs": done}))
                elif done:
                    values = {"seqs": done, "destinations": list(self._destinations)}
                    statements.append((SQL["remove_done"], values))
            session.run(statements, within_s=READ_S)

    def add_aside(self, destination: str, row: NewRow, reason: str) -> None:
        """Put an event into the outbox that one destination has refused. See `Store.add_aside`."""
        event = (row.event_id, row.event_name)
        with self._changing_outbox() as session:
            session.run(
                [
                    (SQL["add_rows"], row_columns([row])),
                    (SQL["refused"], (destination, reason[:200], *event)),
                    (SQL["done_elsewhere"], (list(self._destinations), *event)),
                ],
                within_s=READ_S,
            )

    def rows(
        self, destination: str, *, state: str | None = None, limit: int = 100, word: str | None = None
    ) -> list[OutboxRow]:
        """Return rows that *destination* has not done, only those that *word* (number or event_id) names. See `Store.rows`."""
        seq = int(word) if word is not None and word.isdecimal() and len(word) < 19 else -1
        query = {"destination": destination, "state": state, "limit": limit, "word": word, "seq": seq}
        with self._reading() as session:
            return [
                _row(raw, session.server.ahead_ns) for raw in session.rows(SQL["open_rows"], query, within_s=READ_S)
            ]

    def retry(self, destination: str, seqs: Sequence[int]) -> int:
        """Put rows that were set aside back to due."""
        with self._changing_outbox() as session:
            return len(session.rows(SQL["retry"], (list(seqs), destination), within_s=READ_S))

    def forget_rows(self, seqs: Sequence[int]) -> int:
        """Remove rows for every destination, on an operator's word."""
        with self._changing_outbox() as session:
            return int(session.rows(SQL["remove_rows"], {"seqs": list(seqs)}, within_s=READ_S)[0][0])

    def pending(self, destination: str) -> Pending:
        """Return what waits for *destination*."""
        found = self._read("pending", (destination,))
        unconfirmed: dict[str, int] = {}
        for row in found:
            if row[1]:
                unconfirmed[row[1]] = unconfirmed.get(row[1], 0) + int(row[4])
        return Pending(
            waiting=sum(row[2] for row in found if row[0] == LATER),
            aside=sum(row[2] for row in found if row[0] == ASIDE),
            oldest_ns=min((row[3] for row in found if row[0] == LATER), default=0),
            unconfirmed=unconfirmed,
        )

    def set_asides(self, limit: int = 100) -> list[SetAside]:
        """Return what could not be read, newest first."""
        found = self._read("list_unread", (limit,))
        return [SetAside(row[0], row[1], row[2], row[3], row[4], tuple(json.loads(row[5]))) for row in found]

    def next_due_ns(self) -> int:
        """Return when the next payment on hold is due; 0 when none is."""
        return int(self._read("next_due")[0][0] or 0)

    def stats(self) -> dict[str, Any]:
        """Return counts and sizes for people."""
        groups, recorded, held = self._read("stats", within_s=_COUNT_S)[0]
        return {
            "payments_known": groups,
            "payments_recorded": recorded,
            "payments_on_hold": held,
            "bytes": self._read("bytes")[0][0],
        }

    def prune(self, *, before_ns: int, max_bytes: int) -> int:
        """Remove old payments in small steps. See `Store.prune`."""
        removed = 0
        while removed < _PRUNED_AT_MOST:
            step, _ = self._prune_step(before_ns)
            if not step:
                break
            removed += step
        excess = self._excess(max_bytes)
        while excess > 0 and removed < _PRUNED_AT_MOST:
            step, size = self._prune_step(time.time_ns() + 1, excess)
            if not step:
                break
            removed, excess = removed + step, excess - size
        with self._changing_outbox() as session:
            seqs = [row[0] for row in session.rows(SQL["settled_by_somebody"], within_s=READ_S)]
            values = {"seqs": seqs, "destinations": list(self._destinations)}
            statements: list[tuple[str, Values]] = [(SQL["remove_done"], values), (SQL["orphans"], None)]
            limits = {"before": before_ns, "most": MOST_ORDERS}
            statements += [(SQL["trim_orders"], {"kind": kind, **limits}) for kind in ORDER_KEYS]
            session.run(statements, within_s=READ_S)
        return removed

    def _prune_step(self, before_ns: int, excess: int | None = None) -> tuple[int, int]:
        """Remove the oldest payments, as many as *excess* bytes ask for; returns how many, and about how many bytes they took."""
        with self.transaction() as tx:
            query = {"before": before_ns, "limit": _PRUNED_AT_ONCE}
            chosen: set[int] = set()
            size = 0
            for number, twin, length in tx._rows("prunable", query):  # noqa: SLF001 - the two are one store
                if excess is not None and size >= excess:
                    break
                chosen |= {number, twin} - {0}
                size += length + _ROW_OVERHEAD
            return tx.remove(chosen), size

    def _excess(self, max_bytes: int) -> int:
        """Return by how many bytes the payments are too many. What waits counts, but leaves them a tenth of the room."""
        # What is on the server's disk does not shrink by itself: only where it is beyond the limit is it worth to count.
        if self._read("bytes")[0][0] <= max_bytes:
            return 0
        payments, waiting = self._read("used", (_ROW_OVERHEAD,), within_s=_COUNT_S)[0]
        return int(min(payments + waiting - max_bytes, payments - max_bytes // 10))


def _row(raw: Sequence[Any], ahead_ns: int) -> OutboxRow:
    row = list(raw)
    row[3] = bytes(row[3])
    row[7] = row[7] - ahead_ns if row[7] else 0
    return OutboxRow(*row)


def _settle_columns(settlements: Sequence[Settlement], ahead_ns: int) -> dict[str, Any]:
    return {
        "seqs": [s.seq for s in settlements],
        "states": [s.state for s in settlements],
        "counts": [int(s.counts) for s in settlements],
        "not_before": [s.not_before_ns + ahead_ns if s.not_before_ns else 0 for s in settlements],
        "reasons": [s.reason[:200] for s in settlements],
    }


def _each_once(settlements: Sequence[Settlement]) -> list[list[Settlement]]:
    """Return them in batches in which no row comes twice: one statement may change a row once."""
    batches: list[dict[int, Settlement]] = []
    for settlement in settlements:
        if not batches or settlement.seq in batches[-1]:
            batches.append({})
        batches[-1][settlement.seq] = settlement
    return [list(batch.values()) for batch in batches]
