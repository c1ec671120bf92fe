# SPDX-License-Identifier: Apache-2.0
"""SQLite's errors as ours: what may pass, what does not, and what says that the file is damaged. Their text holds no value."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from otel_revenue.errors import StoreBusy, StoreError, StoreFull

if TYPE_CHECKING:
    from types import TracebackType


class Damaged(StoreError):
    """What SQLite says of a file that is no longer a database."""


class Unsure(StoreError):
    """After an error of the disk nothing that the connection remembers is to be trusted."""


class translated:  # noqa: N801 - reads as the statement that it is; a class, as it stands around every statement
    """Turn the driver's errors into ours; their text names the kind of failure, never a value."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (sqlite3.Error, OverflowError)):
            raise _translation(error) from None
        if isinstance(error, OSError):
            raise StoreError(f"the store failed: {error.strerror}") from None


def _translation(error: Exception) -> StoreError:
    text = str(error)
    if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
        return Damaged(f"the store failed: {_kind(text)}")
    if isinstance(error, sqlite3.OperationalError):
        if "locked" in text or "busy" in text:
            return StoreBusy("the store is locked by another process")
        if "full" in text:
            return StoreFull("no space left for the store")
        if "disk I/O error" in text:
            return Unsure("the store failed: disk I/O error")
        return StoreError(f"the store failed: {_kind(text)}")
    return StoreError(f"the store failed: {type(error).__name__} {_kind(text)}")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is no longer what it was."""
    text = str(error)
    return "not a database" in text or "image is malformed" in text or "malformed database schema" in text


def _kind(text: str) -> str:
    return re.sub(r"[^A-Za-z _]", "", text)[:60]
