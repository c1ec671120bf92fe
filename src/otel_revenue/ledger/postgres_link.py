# SPDX-License-Identifier: Apache-2.0
"""
One place for one connection of this process: opened when it is first needed, opened again when it was lost.

A caller waits within its bound and no longer: connecting is done in a thread of its own, and where it has just failed
callers are told so at once. What goes wrong, and when it is over, is said once.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import logger
from otel_revenue.errors import StoreBusy, StoreError

from .postgres_session import StoreAway, StoreRefuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .postgres_session import Session

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0


class Voice:
    """Says once that the database is away, and once that it is back; for all connections of a process."""

    def __init__(self, location: str, *, quiet: bool = False) -> None:
        self._location = location
        self._quiet = quiet
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def away(self, error: StoreError) -> None:
        """Say what is wrong and what to do, unless it was said since it last worked."""
        with self._lock:
            if self._quiet or str(error) in self._said:
                return
            self._said.add(str(error))
        logger.log(
            50 if isinstance(error, StoreRefuses) else 40,
            "otel-revenue: the store %s cannot be used now: %s. The application is not affected: payments are kept aside on this "
            "host, and joined when the database answers. See docs/postgres.md.",
            self._location,
            str(error).rstrip("."),
        )

    def back(self) -> None:
        """Say that it works, where something else was said before."""
        with self._lock:
            said, self._said = self._said, set()
        if said:
            logger.warning("otel-revenue: the store %s answers again.", self._location)


class _Attempt(threading.Thread):
    def __init__(self, connect: Callable[[], Session]) -> None:
        super().__init__(name="otel-revenue-connect", daemon=True)
        self._connect = connect
        self.began = time.monotonic()
        self.session: Session | None = None
        self.error: StoreError | None = None
        self.over = threading.Event()

    def run(self) -> None:
        try:
            self.session = self._connect()
        except StoreError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - it is told to whoever asked for the connection
            self.error = StoreError(f"the store failed: {type(error).__name__}")
        finally:
            self.over.set()


class Link:
    """
    One connection, for one thread at a time.

    Args:
        connect: opens it; may wait for the network.
        voice: where trouble is said.
        busy_s: how long an attempt to connect is waited for before callers are sent away at once.
    """

    def __init__(self, connect: Callable[[], Session], voice: Voice, busy_s: float) -> None:
        self._connect = connect
        self._voice = voice
        self._busy_s = busy_s
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._attempt: _Attempt | None = None
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._last = ""

    @contextlib.contextmanager
    def held(self, until: float) -> Iterator[Session]:
        """
        Give the connection to this thread alone, *until* (monotonic seconds) at the latest.

        Raises:
            StoreBusy: another thread keeps it, or there is none.
            StoreError: there is none, for a reason that does not pass by itself.
        """
        if not self._lock.acquire(timeout=max(0.0, until - time.monotonic())):
            raise StoreBusy("another thread holds the store")
        try:
            if self._session is None:
                self._session = self._connected(until)
            try:
                yield self._session
            finally:
                if self._session is not None and self._session.broken:
                    self._session = None
        finally:
            self._lock.release()

    def lost(self, session: Session, until: float) -> Session:
        """Return a new connection in place of one that was lost; called by who holds it."""
        session.close()
        self._session = None
        self._session = self._connected(until)
        return self._session

    def close(self) -> None:
        """Let go of it; the next caller opens it again."""
        with self._lock:
            session, self._session = self._session, None
            self._not_before = 0.0
        if session is not None:
            session.close()

    def _connected(self, until: float) -> Session:
        attempt = self._attempt
        if attempt is None:
            if time.monotonic() < self._not_before:
                raise StoreAway(self._last)
            attempt = _Attempt(self._connect)
            try:
                attempt.start()
            except RuntimeError:  # the interpreter is ending
                raise StoreAway("no connection can be opened any more") from None
            self._attempt = attempt
        elif not attempt.over.is_set() and time.monotonic() - attempt.began > self._busy_s:
            raise StoreAway("the database does not answer")  # others have waited for it already
        if not attempt.over.wait(max(0.0, until - time.monotonic())):
            late = StoreAway("the database does not answer")
            self._voice.away(late)
            raise late
        self._attempt = None
        if attempt.session is None:
            raise self._failed(attempt.error or StoreError("the store failed"))
        self._pause_s = _FIRST_PAUSE_S
        self._voice.back()
        return attempt.session

    def _failed(self, error: StoreError) -> StoreError:
        self._last = str(error)
        self._not_before = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._voice.away(error)
        return error
