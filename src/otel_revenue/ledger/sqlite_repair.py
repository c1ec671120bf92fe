# SPDX-License-Identifier: Apache-2.0
"""
What is done about a ledger's file that is deleted, replaced, damaged, or has no room.

One process at a time puts a file right (a lock on `ledger.sqlite3.lock`), and looks first whether another one has done so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import logger

from .sqlite_rescue import Rescued, rescue

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESCUE_S: Final = 5.0
"""For how long a request may be kept waiting while a deleted ledger is written anew from what is still open."""
_NEARLY_FULL: Final = 64 * 1024


def identity(path: Path | None) -> tuple[int, int] | None:
    """Return which file *path* leads to (device and inode); None when to none, or to one that was emptied."""
    if path is None:
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - on the path of every payment; Path.stat costs three times as much
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_size else None


def put_back(path: Path, orphan: sqlite3.Connection, layout: int) -> None:
    """
    Where the file of the open connection *orphan* is gone from *path*, write it anew: all of it can still be read.

    Where another file stands there, that is left as it is. *layout* is what the file must have to be worth it.
    """
    saved = False
    with _repairing(path):
        replaced = path.exists() and path.stat().st_size > 0
        if not replaced:
            saved = _copied(orphan, path, layout)
    if replaced:
        what = "What is there now is used; payments that the old file alone knew may be counted again."
    elif saved:
        what = "It was written anew, with all that was in it."
    else:
        what = "It could not be written anew: payments that waited in it are lost. Reconcile with Stripe."
    how = "replaced" if replaced else "deleted"
    logger.critical("otel-revenue: the ledger %s was %s while it was in use. %s", path, how, what)


def move_aside(path: Path, file: tuple[int, int] | None) -> None:
    """
    Give the damaged *file* at *path* another name, with its journal, and put there what can still be read of it.

    Nothing happens when *path* leads to another file by now.
    """
    draft = path.with_name(f"{path.name}.rescue-{os.getpid()}")
    with _repairing(path):
        if identity(path) != file:
            return  # another process has moved it already
        try:
            rescued = rescue(path, draft, _RESCUE_S)
            moved = _moved(path)
            if rescued is not None:
                _sync(draft)
                draft.replace(path)
                _sync(path.parent)
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{draft}{suffix}").unlink(missing_ok=True)
    _tell_moved(path, moved, rescued)


def _moved(path: Path) -> Path:
    moved = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    if moved.exists():
        moved = moved.with_name(f"{moved.name}-{time.time_ns()}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{moved}{suffix}")
    return moved


def _tell_moved(path: Path, moved: Path, rescued: Rescued | None) -> None:
    if rescued is None:
        what = "a new one begun: payments that were waiting in it are in that file alone"
    else:
        what = (
            f"a new one begun with what can be read of it, {rescued.events} waiting events and {rescued.payments} payments; what "
            "cannot be is in that file alone"
        )
    logger.critical(
        "otel-revenue: the ledger %s is damaged. It was moved to %s and %s. Keep it, and see docs/architecture.md, 'A damaged ledger'.",
        path,
        moved,
        what,
    )


def no_space(path: Path) -> bool:
    """Tell whether an error of the disk was one of space: SQLite says so itself only where a write of its own met it."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(path.parent).free < _NEARLY_FULL:
            return True
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        sizes = [file.stat().st_size for file in (path, Path(f"{path}-wal")) if file.exists()]
        return limit != resource.RLIM_INFINITY and max(sizes, default=0) >= limit - _NEARLY_FULL
    return False


def _copied(orphan: sqlite3.Connection, path: Path, layout: int) -> bool:
    """Write what *orphan* can still read to *path*, whole or not at all; returns whether it did."""
    until = time.monotonic() + _RESCUE_S

    def in_time(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > until:
            raise TimeoutError

    draft = path.with_name(f"{path.name}.rescue-{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as target:
            orphan.backup(target, pages=1024, progress=in_time)
            if target.execute("PRAGMA user_version").fetchone()[0] != layout:
                return False
        for suffix in ("-wal", "-shm"):  # of the old file: SQLite would take them for the new one's
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    except (sqlite3.Error, OSError):
        return False
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{draft}{suffix}").unlink(missing_ok=True)
    return True


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _repairing(path: Path) -> Iterator[None]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
