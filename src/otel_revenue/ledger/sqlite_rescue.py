# SPDX-License-Identifier: Apache-2.0
"""
What can still be read of a damaged ledger, as a new file: waiting events first, then payments, the newest first.

A damaged page takes what is on it; around it everything is read, row by row. Needs the first page: without it the rest has no names.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .codec import group_from_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NUMBERED: Final = (("outbox", "seq"), ("unread", "id"), ("payment", "id"))
_KEYED: Final = (("delivery", "seq, destination"), ("alias", "kind, account, id, truncated"))
_LONGEST_GAP: Final = 100_000
"""Numbers in a row that cannot be read, after which there are taken to be no more."""


@dataclass(frozen=True)
class Rescued:
    """How many events of the outbox and how many payments were read."""

    events: int
    payments: int


def rescue(path: Path, draft: Path, bound_s: float) -> Rescued | None:
    """
    Write what can be read of the ledger at *path* to *draft*, within a bound in seconds; None when nothing can.

    Other processes are kept from writing to the old file meanwhile, where it still takes a lock.
    """
    until = time.monotonic() + bound_s
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        with (
            contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as old,
            contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as new,
        ):
            with contextlib.suppress(sqlite3.Error):
                old.execute("BEGIN IMMEDIATE")
            _lay_out(old, new)
            new.execute("BEGIN")
            counts = {table: _copy_numbered(old, new, table, key, until) for table, key in _NUMBERED}
            for table, key in _KEYED:
                _copy_keyed(old, new, table, key, until)
            _rename_payments(new)
            _go_on_counting(old, new)
            new.execute("COMMIT")
    except (sqlite3.Error, OSError, ValueError):
        return None
    return Rescued(counts["outbox"], counts["payment"])


def _lay_out(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    new.execute("PRAGMA auto_vacuum = INCREMENTAL")
    statements = old.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    if not statements:
        raise ValueError
    for (statement,) in statements:
        new.execute(statement)
    new.execute(f"PRAGMA user_version = {int(old.execute('PRAGMA user_version').fetchone()[0])}")


def _copy_numbered(old: sqlite3.Connection, new: sqlite3.Connection, table: str, key: str, until: float) -> int:
    copied = 0
    for row in _numbered(old, table, key, _last_number(old, table, key), until):
        copied += _insert(new, table, row)
    return copied


def _numbered(old: sqlite3.Connection, table: str, key: str, last: int, until: float) -> Iterator[tuple[Any, ...]]:
    """Yield rows from the last number down; a number that cannot be read is passed over."""
    at = last
    gap = 0
    while at >= 0 and gap < _LONGEST_GAP and time.monotonic() < until:
        try:
            for row in old.execute(f"SELECT * FROM {table} WHERE {key} <= ? ORDER BY {key} DESC", (at,)):  # noqa: S608 - constants
                at, gap = int(row[0]) - 1, 0
                yield row
                if time.monotonic() > until:
                    return
            return
        except (sqlite3.DatabaseError, ValueError, TypeError):
            # The driver reads one row ahead, and gives up the one in its hands where the next one cannot be read.
            found = _one(old, table, key, at)
            at, gap = at - 1, 0 if found else gap + 1
        if found:
            yield found


def _one(old: sqlite3.Connection, table: str, key: str, number: int) -> tuple[Any, ...] | None:
    with contextlib.suppress(sqlite3.DatabaseError, ValueError, TypeError):
        found: tuple[Any, ...] | None = old.execute(f"SELECT * FROM {table} WHERE {key} = ?", (number,)).fetchone()  # noqa: S608 - constants
        return found
    return None


def _copy_keyed(old: sqlite3.Connection, new: sqlite3.Connection, table: str, key: str, until: float) -> None:
    """Copy from both ends towards the damage."""
    for order in ("ASC", "DESC"):
        by = ", ".join(f"{column} {order}" for column in key.split(", "))
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in old.execute(f"SELECT * FROM {table} ORDER BY {by}"):  # noqa: S608 - constants
                _insert(new, table, row)
                if time.monotonic() > until:
                    return
            return


def _rename_payments(new: sqlite3.Connection) -> None:
    """Enter the ids of each payment again: all of them are in its text; drop payments whose text is none."""
    for number, doc in new.execute("SELECT id, doc FROM payment").fetchall():
        try:
            group = group_from_text(number, doc)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            new.execute("DELETE FROM payment WHERE id = ?", (number,))
            continue
        for cut, ids in ((0, group.aliases), (1, group.truncated)):
            for alias in ids:
                _insert(new, "alias", (*alias, cut, number))
    new.execute("DELETE FROM alias WHERE payment_id NOT IN (SELECT id FROM payment)")
    new.execute("DELETE FROM delivery WHERE seq NOT IN (SELECT seq FROM outbox)")


def _go_on_counting(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """A number that was lost must not come again."""
    for table, key in _NUMBERED:
        last = _last_number(old, table, key)
        new.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, table))


def _last_number(old: sqlite3.Connection, table: str, key: str) -> int:
    found = 0
    for query in (f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'", f"SELECT max({key}) FROM {table}"):  # noqa: S608 - constants
        with contextlib.suppress(sqlite3.DatabaseError, TypeError, ValueError):
            found = max(found, int((old.execute(query).fetchone() or (0,))[0] or 0))
    return found or _LONGEST_GAP


def _insert(new: sqlite3.Connection, table: str, row: tuple[Any, ...]) -> int:
    with contextlib.suppress(sqlite3.IntegrityError):
        return new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row).rowcount  # noqa: S608 - constants
    return 0
