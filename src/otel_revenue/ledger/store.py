# SPDX-License-Identifier: Apache-2.0
"""
The store's interface: ledger and outbox in one transaction.

Callers know this file alone; SQLite and Postgres stand behind it. Every method raises `otel_revenue.errors.StoreError`
or a class below it, never a driver's own error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from .model import Alias, Group, Labels, Saying

DONE = "done"
LATER = "later"
ASIDE = "aside"

MOST_ORDERS = 100_000
"""Of how many orders, by each kind of key, what was said is kept."""


@dataclass(frozen=True, slots=True)
class NewRow:
    """
    One event for the outbox.

    `record` is one encoded OTLP `LogRecord`; it is frozen here: a retry sends the same bytes, times included.
    `amount_minor` and `currency` say what is unconfirmed while the row waits; 0 and "" for events without money.
    """

    event_id: str
    event_name: str
    record: bytes
    recorded_ns: int
    amount_minor: int = 0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """
    One event of the outbox, as one destination sees it.

    `attempts` counts this destination's earlier tries. `state` is "later" (due at `not_before_ns`), or "aside".
    """

    seq: int
    event_id: str
    event_name: str
    record: bytes
    recorded_ns: int
    attempts: int = 0
    state: str = LATER
    not_before_ns: int = 0
    reason: str = ""
    amount_minor: int = 0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """
    What became of one row at one destination.

    `state` is `DONE` (acknowledged), `LATER` (again at `not_before_ns`) or `ASIDE` (refused for good, kept with its
    `reason`, which names status and kind and never holds values). `counts` is whether this was a try of this very row.
    """

    seq: int
    state: str
    not_before_ns: int = 0
    reason: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something from Stripe that had money in it and could not be read: kept with the reason and allow-listed ids, never with values."""

    id: int
    at_ns: int
    source: str
    kind: str
    reason: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for one destination: counts, the oldest row's time (0 when none), and unconfirmed minor units by currency."""

    waiting: int
    aside: int
    oldest_ns: int
    unconfirmed: dict[str, int]


class Transaction(Protocol):
    """One atomic change. Nothing of it is seen by others, or survives, unless the block ends without an error."""

    def groups_of(self, aliases: Iterable[Alias], truncated: Iterable[Alias]) -> list[Group]:
        """Return every group that holds one of *aliases*, or the one full id that a truncated alias begins (none if it begins several)."""

    def group(self, group_id: int) -> Group | None:
        """Return one group by the store's number."""

    def soft_candidates(self, key: str, since_ns: int, until_ns: int) -> list[Group]:
        """Return groups with this soft key, without a twin, whose time lies in the closed interval."""

    def due_groups(self, now_ns: int, limit: int) -> list[Group]:
        """Return groups on hold whose time has come."""

    def put(self, group: Group) -> Group:
        """Insert (id 0) or replace a group with its aliases; returns it with its number."""

    def drop(self, group_ids: Iterable[int]) -> None:
        """Remove groups that were merged into another one; their aliases are the survivor's by then."""

    def add_rows(self, rows: Sequence[NewRow]) -> None:
        """Append events to the outbox. An `event_id` and name that was recorded before is ignored."""

    def set_aside(self, at_ns: int, source: str, kind: str, reason: str, ids: tuple[str, ...]) -> None:
        """Keep a note about something from Stripe that had money in it and could not be read."""

    def remember(self, sayings: Sequence[Saying], now_ns: int) -> None:
        """Add what was said of orders to what was said of them before."""

    def recall(self, kind: str, key: str) -> Labels:
        """Return all that was said of one order, {} when nothing was."""


class Store(Protocol):
    """Ledger and outbox. Safe to use from many threads; several processes may share one store. `durable` is False in memory."""

    @property
    def durable(self) -> bool:
        """Whether what is stored survives this process."""

    @property
    def location(self) -> str:
        """Where it is, for people; without credentials."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """
        Begin an atomic change; synced to disk when the block ends.

        Raises:
            StoreBusy: locked beyond the bound.
            StoreFull: no space.
            StoreError: anything else.
        """

    def claim(self, destination: str, *, limit: int, now_ns: int, lease_ns: int) -> list[OutboxRow]:
        """
        Return up to *limit* due rows for *destination*, oldest first, and keep them from other processes for *lease_ns*.

        Rows are due when they are neither done nor set aside for this destination, and their time has come.
        """

    def settle(self, destination: str, settlements: Sequence[Settlement], *, now_ns: int) -> None:
        """Write down what became of claimed rows and end their lease. A row that every known destination has done is removed."""

    def add_aside(self, destination: str, row: NewRow, reason: str) -> None:
        """Put an event into the outbox that *destination* has refused for good and that the others have done elsewhere."""

    def rows(self, destination: str, *, state: str | None = None, limit: int = 100) -> list[OutboxRow]:
        """Return rows that *destination* has not done, oldest first, with their state: for people."""

    def retry(self, destination: str, seqs: Sequence[int]) -> int:
        """Put rows that were set aside back to due; returns how many."""

    def forget_rows(self, seqs: Sequence[int]) -> int:
        """Remove rows for every destination, on an operator's word; returns how many."""

    def pending(self, destination: str) -> Pending:
        """Return what waits for *destination*."""

    def set_asides(self, limit: int = 100) -> list[SetAside]:
        """Return what could not be read, newest first."""

    def next_due_ns(self) -> int:
        """Return when the next payment on hold is due; 0 when none is."""

    def stats(self) -> dict[str, Any]:
        """Return counts and sizes for people: groups, on hold, recorded, bytes."""

    def prune(self, *, before_ns: int, max_bytes: int) -> int:
        """Remove payments untouched since *before_ns*, and the oldest ones beyond *max_bytes*; never a waiting event. Returns how many."""

    def close(self) -> None:
        """Let go of the connection; further calls open it again."""
