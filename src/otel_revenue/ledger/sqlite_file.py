# SPDX-License-Identifier: Apache-2.0
"""
The file below the ledger on SQLite: opened, shared by threads and processes, and put right when something happens to it.

A file that is damaged is moved aside. A file that is deleted or replaced while it is open would take payments with it
unnoticed, as the process goes on writing to what nobody can find: each use looks whether the path still leads to it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final

from otel_revenue.errors import StoreBusy, StoreError, StoreFull, StoreTooNew

from .sqlite_errors import Damaged, Unsure, is_damage, translated
from .sqlite_repair import identity, move_aside, no_space, put_back
from .statements import read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYOUT: Final = 1
"""Version of the file's layout, kept in `PRAGMA user_version`; migrations only go forward."""


SQL: Final = read("sqlite.sql")


class _Connection:
    """One process's connection, the lock around it, and which file it is."""

    def __init__(self, raw: sqlite3.Connection, file: tuple[int, int] | None) -> None:
        self.pid = os.getpid()
        self.raw = raw
        self.lock = threading.Lock()
        self.file = file


_BEFORE_FORK_S: Final = 1.0
_BEFORE_CLOSE_S: Final = 1.0

_inherited: list[object] = []
"""Connections that a forked child must neither use nor close: SQLite's file locks belong to the parent."""


class SqliteFile:
    """
    One SQLite file.

    Args:
        path: the file, or None for memory.
        busy_s: seconds to wait for another process or thread before `StoreBusy`.
    """

    def __init__(self, path: Path | None, busy_s: float) -> None:
        self._path = path
        self._busy_s = busy_s
        self._connection: _Connection | None = None
        self._opening = threading.Lock()
        self._forking = False
        self._orphan: sqlite3.Connection | None = None
        self._damaged_file: tuple[int, int] | None = None

    @property
    def durable(self) -> bool:
        """Whether what is stored survives this process."""
        return self._path is not None

    @property
    def location(self) -> str:
        """Where it is, for people."""
        return "memory" if self._path is None else str(self._path)

    def close(self) -> None:
        """Let go of the connection; further calls open it again."""
        current, self._connection = self._connection, None
        if current is None or current.pid != os.getpid():
            return
        # A signal handler that raises (SIGTERM, Ctrl-C) may have come between a thread and its release of the lock: then nobody
        # ever will, and the process must end all the same.
        if current.lock.acquire(timeout=_BEFORE_CLOSE_S):
            try:
                current.raw.close()
            finally:
                current.lock.release()

    def before_fork(self) -> None:
        """
        Close the file, and keep it closed until `after_fork`.

        With a connection of its parent's a child would share SQLite's notes of what is locked, and the locks are not its own:
        others would take the file for unused, and remove the log that the child writes to. A file that is busy for longer
        stays open, since the application comes first.
        """
        until = time.monotonic() + _BEFORE_FORK_S
        if self._path is None or not self._opening.acquire(timeout=_BEFORE_FORK_S):
            return
        self._forking = True
        current = self._connection
        if current is None or current.pid != os.getpid():
            return
        if current.lock.acquire(timeout=max(0.0, until - time.monotonic())):
            self._drop(current)
            current.lock.release()

    def after_fork(self) -> None:
        """In the parent: open the file again when it is next needed."""
        if self._forking:
            self._forking = False
            self._opening.release()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        """
        Give the connection to this thread alone.

        Raises:
            StoreBusy: another thread, or another process, keeps it beyond the bound.
        """
        until = time.monotonic() + self._busy_s
        current = self._acquired(until)
        waited = False
        try:
            waited = self._busy_s - (until - time.monotonic()) > self._busy_s / 8
            if waited:  # the bound is one for both, threads and processes
                _set_patience(current.raw, max(0.0, until - time.monotonic()))
            yield current.raw
        except Damaged as error:
            self._damaged_file = current.file
            self._drop(current)
            raise StoreError(str(error)) from None
        except Unsure as error:
            explained = self._explained(error)  # before the files change by being closed
            if self._path is not None:
                self._drop(current)
            raise explained from None
        finally:
            try:
                if waited:
                    with contextlib.suppress(sqlite3.Error):
                        _set_patience(current.raw, self._busy_s)
            finally:
                current.lock.release()

    def _acquired(self, until: float) -> _Connection:
        while True:
            current = self._connection
            if current is None or current.pid != os.getpid():
                current = self._open(until)
            if not current.lock.acquire(timeout=max(0.0, until - time.monotonic())):
                raise StoreBusy("another thread holds the store")
            usable = False
            try:
                usable = self._is_usable(current)
            finally:
                if not usable:
                    current.lock.release()
            if usable:
                return current

    def _is_usable(self, current: _Connection) -> bool:
        if self._connection is not current:  # closed, or put right, while we waited
            return False
        if current.file != identity(self._path):
            self._orphan = current.raw
            self._connection = None
            return False
        return True

    def _drop(self, current: _Connection) -> None:
        if self._connection is current:
            self._connection = None
        with contextlib.suppress(sqlite3.Error):
            current.raw.close()

    def _open(self, until: float) -> _Connection:
        if self._connection is not None and self._connection.pid != os.getpid():
            _inherited.append(self._connection)
            self._connection = None
            self._opening = threading.Lock()
        if not self._opening.acquire(timeout=max(0.0, until - time.monotonic())):
            raise StoreBusy("another thread opens the store")
        try:
            if self._connection is None:
                try:
                    with translated():
                        raw = self._connect()
                except (Damaged, Unsure) as error:
                    raise self._explained(error) from None
                finally:
                    orphan, self._orphan = self._orphan, None
                    if orphan is not None:
                        with contextlib.suppress(sqlite3.Error):
                            orphan.close()
                self._connection = _Connection(raw, identity(self._path))
            return self._connection
        finally:
            self._opening.release()

    def _explained(self, error: StoreError) -> StoreError:
        full = isinstance(error, Unsure) and self._path is not None and no_space(self._path)
        return StoreFull("no space left for the store") if full else StoreError(str(error))

    def _connect(self) -> sqlite3.Connection:
        """Open the file; put right first what is known to have happened to it."""
        if self._path is None:
            return _prepared(None, self._busy_s)
        if self._orphan is not None:
            put_back(self._path, self._orphan, LAYOUT)
        file = identity(self._path)
        if self._damaged_file is None or self._damaged_file != file:
            try:
                return _prepared(self._path, self._busy_s)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
        move_aside(self._path, file)
        self._damaged_file = None
        return _prepared(self._path, self._busy_s)


def _prepared(path: Path | None, busy_s: float) -> sqlite3.Connection:
    """Open the file; where several processes make it at once, wait for them within the bound."""
    until = time.monotonic() + busy_s
    while True:
        try:
            return _opened(path, busy_s)
        except sqlite3.OperationalError as error:
            # Changing to WAL does not wait for a lock by itself.
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
        time.sleep(0.005)


def _opened(path: Path | None, busy_s: float) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Ids and amounts are nobody else's business. Only where it is new: to close any descriptor of a file drops all of
        # the process's locks on it, and SQLite would take another connection of this process for dead.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    raw = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )
    try:
        _refuse_newer(raw)
        raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA journal_size_limit = 4194304")
        raw.execute("PRAGMA synchronous = FULL")
        _migrate(raw)
    except BaseException:
        raw.close()
        raise
    return raw


def _refuse_newer(raw: sqlite3.Connection) -> None:
    version = raw.execute("PRAGMA user_version").fetchone()[0]
    if version > LAYOUT:
        raise StoreTooNew(
            f"the ledger was written by a newer otel-revenue (layout {version}, this one knows {LAYOUT}): upgrade, or set OTEL_REVENUE_STORE"
        )


def _migrate(raw: sqlite3.Connection) -> None:
    if raw.execute("PRAGMA user_version").fetchone()[0] == LAYOUT and raw.execute(SQL["has_order_table"]).fetchone():
        return
    raw.execute("BEGIN IMMEDIATE")
    try:
        if raw.execute("PRAGMA user_version").fetchone()[0] < LAYOUT:  # another process may have been first
            for statement in _split(SQL["schema_1"]):
                raw.execute(statement)
            raw.execute(f"PRAGMA user_version = {LAYOUT}")
        for statement in _split(SQL["order_table"]):
            raw.execute(statement)
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise


def _split(script: str) -> list[str]:
    bare = re.sub(r"--[^\n]*", "", script)
    return [statement for statement in (part.strip() for part in bare.split(";")) if statement]


def _set_patience(raw: sqlite3.Connection, seconds: float) -> None:
    raw.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
