# SPDX-License-Identifier: Apache-2.0
"""
The tables of the ledger on PostgreSQL: made, brought forward, and refused where a newer program has changed them too much.

Layouts only go forward. A change that older programs can live with (a further table, or column with a default) keeps
`readable_by`; one that they cannot raises it, and they stop at their next transaction. What a program of yesterday takes then
waits in its own `facts/` folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from otel_revenue.errors import StoreError, StoreTooNew

from .postgres_session import Server, StoreRefuses
from .statements import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postgres_session import Session

SQL: Final = read("postgres.sql")

LAYOUTS: Final = ((1, 1), (2, 1))
"""Each layout in its order, with the oldest one that a program must know to work with it; `layout_N` of the SQL makes it."""

_OLDEST_SERVER: Final = 120000
_PATIENCE_S: Final = 30.0
_NEARLY_NS: Final = 500_000_000
"""Clocks that are nearer than this count as one: less than a lease by far, more than what an answer takes."""


def lock_key(schema: str, what: str) -> int:
    """Return the number of an advisory lock of ours: of one schema, as several ledgers may be in one database."""
    digest = hashlib.blake2b(f"otel-revenue {what} {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def prepare(session: Session, clock_ns: Callable[[], int], *, make: bool) -> None:
    """
    Learn what is on the other side, and make or bring forward the tables.

    Args:
        session: just opened.
        clock_ns: this machine's time.
        make: False: the tables must be there; nothing is changed.
    Raises:
        StoreTooNew: a newer program has changed them beyond what this one knows.
        StoreRefuses: there are none, and none can be made.
    """
    about(session, clock_ns)
    if session.server.version < _OLDEST_SERVER:
        raise StoreRefuses("the server is older than PostgreSQL 12", "Upgrade it")
    if not session.server.schema and not make:
        raise StoreRefuses(
            "the database holds no ledger", "It is made when the application begins to serve; does the role's search_path "
            "lead to the application's schema?",
        )  # fmt: skip
    known = _layout(session) if session.server.schema else 0
    newest = LAYOUTS[-1][0]
    if known < newest:
        if not make:
            raise StoreError(
                f"the ledger has layout {known}, this version knows {newest}: start the application once with this version"
            )
        _migrate(session)
        about(session, clock_ns)


def about(session: Session, clock_ns: Callable[[], int]) -> None:
    """Learn what is on the other side."""
    before = clock_ns()
    schema, would_be, commits, version, now_ns = session.rows(SQL["about"], within_s=_PATIENCE_S)[0]
    ahead_ns = now_ns - (before + clock_ns()) // 2
    session.server = Server(
        schema=schema or "",
        would_be=would_be or "",
        commits_to_disk=commits in ("on", "remote_apply"),
        version=version,
        ahead_ns=ahead_ns if abs(ahead_ns) > _NEARLY_NS else 0,
    )


def look_at_clock(session: Session, clock_ns: Callable[[], int]) -> None:
    """Compare the clocks again: either may have been set since."""
    before = clock_ns()
    now_ns = session.rows(SQL["clock"], within_s=_PATIENCE_S)[0][0]
    ahead_ns = now_ns - (before + clock_ns()) // 2
    session.server = replace(session.server, ahead_ns=ahead_ns if abs(ahead_ns) > _NEARLY_NS else 0)


def refuse_newer(readable_by: int) -> None:
    """Raise `StoreTooNew` where a program must know more than this one does."""
    if readable_by > LAYOUTS[-1][0]:
        raise StoreTooNew(
            f"the ledger was changed by a newer otel-revenue (layout {readable_by}, this one knows {LAYOUTS[-1][0]}): upgrade this one"
        )


def _layout(session: Session) -> int:
    found = session.rows(SQL["layout"], within_s=_PATIENCE_S)
    if not found:
        raise StoreRefuses("the table otel_revenue_layout is empty", "Restore the ledger's tables from a backup")
    layout, readable_by = found[0]
    refuse_newer(readable_by)
    return int(layout)


def _migrate(session: Session) -> None:
    """One program at a time; whoever waited finds it done."""
    schema = session.server.schema or session.server.would_be
    if not schema:
        raise StoreRefuses(
            "the role has no schema to make the tables in",
            "Create one, and lead the role's search_path to it: docs/postgres.md, 'Set it up'",
        )
    wait_ms = int(_PATIENCE_S * 1000)
    session.script(
        f"BEGIN; SET LOCAL lock_timeout = {wait_ms}; SELECT pg_advisory_xact_lock({lock_key(schema, 'layout')})",
        within_s=2 * _PATIENCE_S,
    )
    try:
        there = session.rows(SQL["about"], within_s=_PATIENCE_S)[0][0]
        known = _layout(session) if there else 0
        for layout, readable_by in LAYOUTS:
            if layout > known:
                session.script(_bare(SQL[f"layout_{layout}"]), within_s=_PATIENCE_S)
                session.rows(SQL["migrated"], (layout, readable_by), within_s=_PATIENCE_S)
        session.rows("COMMIT", within_s=_PATIENCE_S)
    except BaseException:
        session.rollback(within_s=1.0)
        raise


def definition() -> str:
    """Return the statements that make the tables, for whoever does not let the application do so."""
    return "\n".join(
        f"{SQL[f'layout_{layout}']}\nUPDATE otel_revenue_layout SET layout = {layout}, readable_by = {readable_by};"
        for layout, readable_by in LAYOUTS
    )


def _bare(script: str) -> str:
    return re.sub(r"--[^\n]*", "", script)
