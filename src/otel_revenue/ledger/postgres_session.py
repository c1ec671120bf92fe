# SPDX-License-Identifier: Apache-2.0
"""
One open connection to PostgreSQL: statements within a bound of time, and the driver's errors as ours.

psycopg is an extra (`otel-revenue[postgres]`); it is imported when a connection is opened, here and in `postgres_connect` alone.

Nothing is kept in the server's session beyond a transaction, and no statement is prepared by name: a pooler in transaction
mode (PgBouncer) may give each transaction another session.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import StoreBusy, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Values = Mapping[str, Any] | Sequence[Any] | None

_GRACE_S: Final = 0.15
_IDLE_MS: Final = 10_000
"""After this the server ends a transaction whose process has stopped in the middle: it would keep the ledger from the others."""


class StoreAway(StoreBusy):
    """The database cannot be reached, or the connection to it was lost: as good as locked."""


class StoreRefuses(StoreError):
    """The database is there, and refuses us as such: for a person to mend. `remedy` says how."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}. {remedy}")
        self.what = what
        self.remedy = remedy


class Late(Exception):
    """An answer did not come within the bound."""


@dataclass(frozen=True)
class Server:
    """
    What a connection was told when it was opened.

    Attributes:
        schema: where the ledger is; "" before it is made.
        would_be: where it would be made; "" nowhere.
        commits_to_disk: whether a commit waits for the disk by itself; we ask for it where it does not.
        version: of the server, for example 160002.
        ahead_ns: by how much its clock is ahead of ours; 0 where they nearly agree.
    """

    schema: str
    would_be: str
    commits_to_disk: bool
    version: int
    ahead_ns: int = 0


class Session:
    """
    One open connection, for one thread at a time.

    Attributes:
        server: what is known of the other side.
        broken: nothing more is to be asked of it.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.broken = False
        self.server = Server("", "", commits_to_disk=False, version=0)

    def rows(self, statement: str, values: Values = None, *, within_s: float) -> list[Any]:
        """
        Return the rows of one statement.

        Raises:
            StoreError: or a class below it; the text holds no value.
        """
        with self._bound(within_s):
            cursor = self._raw.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description is not None else []
        raise AssertionError  # `_bound` lets every error out

    def script(self, statements: str, *, within_s: float) -> list[list[Any]]:
        """Send several statements, none with values, as one message; returns the rows of each that has any."""
        found = []
        with self._bound(within_s):
            cursor = self._raw.execute(statements)
            while True:
                if cursor.description is not None:
                    found.append(list(cursor.fetchall()))
                if not cursor.nextset():
                    break
        return found

    def run(self, statements: Sequence[tuple[str, Values]], *, within_s: float) -> None:
        """Send statements in one go, where the client library can; the answers are waited for together."""
        import psycopg

        with self._bound(within_s):
            if len(statements) > 1 and psycopg.Pipeline.is_supported():
                with self._raw.pipeline():
                    for statement, values in statements:
                        self._raw.execute(statement, values)
            else:
                for statement, values in statements:
                    self._raw.execute(statement, values)

    def begin(self, key: int, *, until: float, busy_s: float, read: str = "") -> list[list[Any]]:
        """
        Begin a transaction, take the lock *key* (an advisory one, kept until the transaction ends), and read.

        Args:
            key: 64 bits.
            until: monotonic seconds; beyond it the lock is not waited for.
            busy_s: bound on each later statement.
            read: further statements without values.
        Returns:
            the rows of each statement of *read*.
        Raises:
            StoreBusy: somebody keeps the lock.
        """
        wait_ms = max(1, int((until - time.monotonic()) * 1000))
        sync = "" if self.server.commits_to_disk else "SET LOCAL synchronous_commit = on;"
        found = self.script(
            f"BEGIN; SET LOCAL lock_timeout = {wait_ms}; SET LOCAL statement_timeout = {int(busy_s * 1000) + wait_ms}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {_IDLE_MS}; {sync}"
            f"SELECT pg_advisory_xact_lock({key}); {read}",
            # The server keeps the bound by itself; ours is for one that does not answer.
            within_s=wait_ms / 1000 + min(busy_s, _GRACE_S),
        )
        return found[1:]

    def rollback(self, *, within_s: float) -> None:
        """End the transaction without a trace; a connection that cannot do even that is given up."""
        if self.broken:
            return
        try:
            self.rows("ROLLBACK", within_s=within_s)
        except StoreError:
            self.close()

    def close(self) -> None:
        """Let go of the connection. An open transaction ends without a trace."""
        self.broken = True
        with contextlib.suppress(Exception):  # it is given up, whatever is wrong with it
            self._raw.close()

    def _bound(self, within_s: float) -> _Bound:
        self._raw.deadline = time.monotonic() + within_s
        return _Bound(self)

    def failed(self, error: BaseException) -> StoreError | None:
        """Return what an error of the driver is for our callers; None where it is none of the driver's."""
        import psycopg

        if isinstance(error, Late):
            self.close()
            return StoreAway("the database does not answer")
        if isinstance(error, psycopg.Error):
            if self._raw.closed or _ends_session(error.sqlstate or ""):
                self.close()
            return _translation(error.sqlstate or "", type(error).__name__, lost=self.broken)
        if isinstance(error, (UnicodeError, OverflowError)):
            return StoreError(f"the store failed: {type(error).__name__}")
        return None


class _Bound:
    """Stands around statements: turns what the driver raises into ours."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if not isinstance(error, Exception):  # Ctrl-C in the middle of a statement: nobody knows where it stands
            self._session.close()
            return
        ours = self._session.failed(error)
        if ours is not None:
            raise ours from None


def _ends_session(state: str) -> bool:
    # Read-only: what was the primary is none any more; tables gone: the next connection makes them. 57P..: the server ends.
    return state in ("25006", "42P01", "25P03") or state.startswith(("08", "57P", "XX"))


def _translation(state: str, name: str, *, lost: bool) -> StoreError:
    if state in ("55P03", "57014"):
        return StoreBusy("the store is locked by another process")
    if state.startswith("40"):
        return StoreBusy("the store refused a change that met another one")
    if state in ("53100", "53200"):
        return StoreFull("no space left for the store")
    if state == "25006":
        return StoreAway("the database is read-only")
    if state == "42501":
        return StoreRefuses(
            "the role may not do what the ledger needs", "Grant it: docs/postgres.md, 'Least privileges'"
        )
    if state == "42P01":
        return StoreError("the store failed: its tables are gone")
    if lost or state.startswith(("53", "57")):
        return StoreAway("the connection to the database was lost")
    return StoreError(f"the store failed: {name} {state}")
