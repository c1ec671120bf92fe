# SPDX-License-Identifier: Apache-2.0
"""
How a connection to PostgreSQL is opened, and what is said when it cannot be.

Nothing of the driver's own text is passed on: it quotes names, and in some cases the URL with its password.
"""

from __future__ import annotations

import functools
import select
import time
from typing import TYPE_CHECKING, Any, Final

from .postgres_session import Late, Session, StoreAway, StoreRefuses

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_revenue.errors import StoreError

INSTALL: Final = "pip install 'otel-revenue[postgres]'"
_EVENTS: Final = {1: select.POLLIN, 2: select.POLLOUT, 3: select.POLLIN | select.POLLOUT}


@functools.cache
def _driver() -> Any:
    """Return the class of our connections."""
    import psycopg

    class Bounded(psycopg.Connection[Any]):
        """A connection that waits for no answer beyond `deadline` (monotonic seconds), whatever has become of the server."""

        deadline = 0.0

        def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
            return _wait(gen, self.pgconn.socket, self.deadline)

    return Bounded


def _wait(gen: Generator[int, int, Any], fd: int, deadline: float) -> Any:
    """Do psycopg's waiting: it yields 1 to read, 2 to write, 3 for either, and is sent what is ready in the same numbers."""
    poll = select.poll()
    try:
        wanted = next(gen)
        while True:
            poll.register(fd, _EVENTS[int(wanted)])
            found = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not found:
                raise Late
            ready = (1 if found[0][1] & select.POLLIN else 0) | (2 if found[0][1] & select.POLLOUT else 0)
            wanted = gen.send(ready or int(wanted))  # hung up: libpq finds out by trying
    except StopIteration as end:
        return end.value


def connect(url: str, *, timeout_s: int) -> Session:
    """
    Open a connection; waits for the network.

    Args:
        url: with its password.
        timeout_s: bound for each host of the URL that says none of its own.
    Raises:
        StoreAway: it cannot be reached now.
        StoreRefuses: the extra is missing, the URL is malformed, or the server does not let us in.
    """
    try:
        import psycopg
        from psycopg import conninfo
    except ImportError as error:
        if getattr(error, "name", None) not in (None, "psycopg"):
            raise StoreRefuses(f"psycopg cannot be imported ({type(error).__name__})", f"Mend it: {INSTALL}") from None
        raise StoreRefuses("the driver psycopg is not installed, or lacks libpq", f"Install it: {INSTALL}") from None
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise StoreRefuses(*_UNREADABLE) from None
    several = "," in str(given.get("host", ""))
    wanted: dict[str, Any] = {
        "application_name": "otel-revenue",
        "connect_timeout": timeout_s,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # Of several hosts the one that can be written to.
        **({"target_session_attrs": "read-write"} if several else {}),
        **given,
    }
    try:
        raw = _driver().connect(conninfo.make_conninfo(**wanted), autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise _refusal(str(error)) from None
    # What instruments psycopg for the application would make spans of the ledger's statements.
    raw = getattr(raw, "__wrapped__", raw)
    raw.cursor_factory = psycopg.Cursor
    return Session(raw)


_UNREADABLE: Final = (
    "the store's URL cannot be read",
    "Expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, with special characters of the password percent-encoded",
)
_WHY: Final = (
    # (words of libpq or the server, what is said, remedy; "": it may pass by itself)
    (("invalid integer value", "invalid port number", ' value: "'), *_UNREADABLE),
    (("starting up", "shutting down", "recovery"), "the database is starting or stopping", ""),
    (("connection slots", "too many"), "the database has no connection left", ""),
    (
        ("password authentication failed", "no password supplied", "pg_hba.conf", "authentication failed"),
        "the database does not let us in: user or password is wrong",
        "Correct OTEL_REVENUE_STORE, or PGPASSWORD or ~/.pgpass where the URL has no password",
    ),
    (("role ",), "the database does not know the role", "Create it: docs/postgres.md, 'Set it up'"),
    (("database ",), "the server has no such database", "Create it: docs/postgres.md, 'Set it up'"),
    (
        ("certificate", "SSL", "TLS"),
        "no encrypted connection can be agreed on",
        "Check sslmode and sslrootcert in OTEL_REVENUE_STORE",
    ),
    (
        ("could not translate host name", "failed to resolve", "Name or service", "getaddrinfo", "No address"),
        "the host's name cannot be resolved",
        "Check the host in OTEL_REVENUE_STORE",
    ),
    (("refused", "No such file"), "nothing listens there", "Check host and port in OTEL_REVENUE_STORE; is the server running?"),
    (("timeout", "timed out", "unreachable", "No route"), "the host does not answer", "Check host, port and firewall"),
)  # fmt: skip


def _refusal(text: str) -> StoreError:
    """Return what libpq's *text* says without it: it quotes names, and in some cases the URL."""
    for words, what, remedy in _WHY:
        if any(word in text for word in words):
            return StoreRefuses(what, remedy) if remedy else StoreAway(what)
    return StoreAway("the database cannot be reached")
