# SPDX-License-Identifier: Apache-2.0
"""
The database below the ledger on PostgreSQL: two connections per process, opened when they are needed, never shared by a fork.

One is the ledger's, the other the worker's for the outbox: requests do not wait behind it. Each transaction begins with one
advisory lock, the ledger's or the outbox's, kept until it ends: nothing can deadlock.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from .postgres_connect import connect
from .postgres_layout import SQL, lock_key, look_at_clock, prepare, refuse_newer
from .postgres_link import Link, Voice
from .postgres_session import StoreAway
from .postgres_transaction import PostgresTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .postgres_session import Session, Values

READ_S: Final = 5.0
"""Bound on what the worker asks; no request waits for it."""
_CONNECT_S: Final = 5
_CLOCK_S: Final = 60.0
_BEGUN: Final = "SELECT readable_by FROM otel_revenue_layout; SELECT nextval('otel_revenue_payment_number')"

_inherited: list[object] = []
"""Connections that a forked child must neither use nor close: to close one would end the parent's session."""


class _Links:
    """The connections of one process."""

    def __init__(self, connect_: Callable[[], Session], voice: Voice, busy_s: float) -> None:
        self.pid = os.getpid()
        self.ledger = Link(connect_, voice, busy_s)
        self.outbox = Link(connect_, voice, busy_s)
        self.clock_at = time.monotonic()


class PostgresDatabase:
    """
    The connections of one process to one database.

    Args:
        url: postgresql://…, with its password; what it does not say libpq takes from PGPASSWORD, ~/.pgpass and the like.
        location: the same for people, without credentials.
        busy_s: seconds to wait for another process or thread, or for an answer, before `StoreBusy`.
        clock_ns: this machine's time.
        make: whether the tables are made where there are none.
        quiet: whether nothing is logged: for a caller who shows the errors.
    """

    def __init__(
        self, url: str, location: str, busy_s: float, clock_ns: Callable[[], int], *, make: bool, quiet: bool
    ) -> None:
        self._url = url
        self._location = location
        self._busy_s = busy_s
        self._make = make
        self._quiet = quiet
        self._clock_ns = clock_ns
        self._opening = threading.Lock()
        self._links: _Links | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._location})"

    @property
    def durable(self) -> bool:
        """Whether what is stored survives this process."""
        return True

    @property
    def location(self) -> str:
        """Where it is, for people; without credentials."""
        return self._location

    def close(self) -> None:
        """Let go of the connections; further calls open them again."""
        links, self._links = self._links, None
        if links is not None and links.pid == os.getpid():
            links.ledger.close()
            links.outbox.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        """Begin an atomic change; synced to disk when the block ends. See `Store.transaction`."""
        with self._begun(self._mine().ledger, "ledger", self._busy_s) as (session, number):
            tx = PostgresTransaction(session, number, self._busy_s)
            yield tx
            tx.commit()

    @contextlib.contextmanager
    def _changing_outbox(self) -> Iterator[Session]:
        """One process at a time claims, settles or removes: a claim looks at what is leased by then, and commits."""
        with self._begun(self._mine().outbox, "outbox", READ_S) as (session, _):
            yield session
            session.rows("COMMIT", within_s=READ_S)

    @contextlib.contextmanager
    def _begun(self, link: Link, what: str, within_s: float) -> Iterator[tuple[Session, int]]:
        """Begin a transaction with a lock; gives the session, and a number for a new payment."""
        until = time.monotonic() + self._busy_s
        with link.held(until) as session:
            try:
                number = self._begin(session, what, until, within_s)
            except StoreAway:
                # A connection that stood idle may have been closed long ago: nothing was done yet, so try a new one.
                if not session.broken or time.monotonic() >= until:
                    raise
                session = link.lost(session, until)  # noqa: PLW2901 - the link's is the new one, too
                number = self._begin(session, what, until, within_s)
            try:
                yield session, number
            except BaseException:
                session.rollback(within_s=self._busy_s)
                raise

    def _begin(self, session: Session, what: str, until: float, within_s: float) -> int:
        try:
            key = lock_key(session.server.schema, what)
            found = session.begin(key, until=until, busy_s=within_s, read=_BEGUN)
            refuse_newer(found[0][0][0])
            return int(found[1][0][0])
        except BaseException:
            session.rollback(within_s=self._busy_s)
            raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._mine().outbox.held(time.monotonic() + max(self._busy_s, 1.0)) as session:
            yield session

    def _read(self, name: str, values: Values = None, *, within_s: float = READ_S) -> list[Any]:
        with self._reading() as session:
            return session.rows(SQL[name], values, within_s=within_s)

    def _ahead_ns(self, session: Session) -> int:
        """Return by how much the database's clock is ahead of ours, as it was a minute ago at most."""
        links = self._mine()
        if time.monotonic() - links.clock_at >= _CLOCK_S:
            links.clock_at = time.monotonic()
            look_at_clock(session, self._clock_ns)
        return session.server.ahead_ns

    def _mine(self) -> _Links:
        links = self._links
        if links is not None and links.pid == os.getpid():
            return links
        if links is not None:
            _inherited.append(links)
            self._links, self._opening = None, threading.Lock()
        with self._opening:
            if self._links is None:
                self._links = _Links(self._connect, Voice(self._location, quiet=self._quiet), self._busy_s)
            return self._links

    def _connect(self) -> Session:
        session = connect(self._url, timeout_s=_CONNECT_S)
        try:
            prepare(session, self._clock_ns, make=self._make)
        except BaseException:
            session.close()
            raise
        return session
