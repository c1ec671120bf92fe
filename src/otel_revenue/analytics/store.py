# SPDX-License-Identifier: Apache-2.0
"""The local database: one DuckDB file, written by one process at a time."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.config import default_folder
from otel_revenue.errors import MissingExtra, StoreBusy, StoreError, StoreTooNew

from .statements import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

LAYOUT: Final = 1
"""Version of the file's tables, kept in it; a file with a higher one is left alone."""

CHECKPOINT: Final = "256MB"
"""Size of the log at which DuckDB rewrites its file: its default, 16 MB, costs as much again as the writing itself."""

_SQL: Final = load("store.sql")


class BadRows(StoreError):
    """The database cannot read the rows themselves; others may go through."""


@dataclass(frozen=True, slots=True)
class PaidOrder:
    """A payment that has just become known, as its event says it; None where it does not say."""

    order_id: str | None
    tier: str | None
    currency: str | None
    amount_minor: int | None
    country: str | None
    payment_kind: str | None
    livemode: bool | None
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one write puts in: JSON lines of events and spans (see `logs` and `spans`), and counts of what is not kept."""

    events: Sequence[str] = ()
    spans: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def default_file() -> Path:
    """Return where the database is when nobody says: `otel-revenue/local.duckdb` in the user's state folder."""
    return default_folder("local").parent / "local.duckdb"


class Store:
    """
    One open database.

    Args:
        path: the file; None for memory.
        read_only: several processes may read, as long as none writes. The file must exist.

    Raises:
        StoreBusy: another process has it open for writing.
        StoreTooNew: written by a newer version.
        StoreError: it cannot be opened.
        MissingExtra: DuckDB is not installed.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self._db = _connect(path, read_only=read_only)
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="otel-revenue-", ignore_cleanup_errors=True)
        try:
            self._check_layout(read_only=read_only)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database; what was written is on disk already."""
        with self._lock:
            self._db.close()
            self._folder.cleanup()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, batch: Batch, *, received_ns: int) -> list[PaidOrder]:
        """
        Put rows in: all of them, on disk, when this returns; none when it raises. What is known already changes nothing.

        Returns:
            the payments that were not known before.

        Raises:
            BadRows: the rows are at fault.
            StoreError: the database is.
        """
        with self._lock, _translated(), _transaction(self._db):
            paid = self._write_events(batch.events, received_ns) if batch.events else []
            if batch.spans:
                self._db.execute(_SQL["insert_spans"], {"file": self._file(batch.spans)})
            for name, more in batch.counts.items():
                self._db.execute(_SQL["count"], {"name": name, "more": more})
            return paid

    def _write_events(self, lines: Sequence[str], received_ns: int) -> list[PaidOrder]:
        run = self._db.execute
        staged = _one(run(_SQL["stage_events"], {"file": self._file(lines), "received_ns": received_ns}))
        if staged != len(lines):  # DuckDB 1 passes over a last row that is cut off
            raise BadRows("a row is not a JSON object")
        paid = [PaidOrder(*row) for row in run(_SQL["insert_paid"]).fetchall()]
        others = _one(run(_SQL["insert_others"]))
        if len(paid) + others < len(lines):  # copies
            for name in ("rivals", "mark_disagreement", "take_last", "note_last"):
                run(_SQL[name])
        return paid

    def _file(self, lines: Sequence[str]) -> str:
        # DuckDB reads a file of JSON lines three to six times faster than it takes rows from Python.
        path = Path(self._folder.name) / "rows.ndjson"
        path.write_text("\n".join(lines), encoding="ascii")
        return str(path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection of its own with one consistent view of the data; for any thread, beside a writer."""
        with _translated():
            with self._lock:
                cursor = self._db.cursor()
            try:
                with _transaction(cursor):
                    yield cursor
            finally:
                cursor.close()

    def _check_layout(self, *, read_only: bool) -> None:
        with _translated():
            if not read_only:
                self._db.execute(_SQL["set_checkpoint"], {"size": CHECKPOINT})
                with _transaction(self._db):
                    for name, statement in _SQL.items():
                        if name.startswith("create_"):
                            self._db.execute(statement)
                    self._db.execute(_SQL["first_layout"], {"layout": LAYOUT})
            layout = _one(self._db.execute(_SQL["layout"]))
        if layout > LAYOUT:
            raise StoreTooNew(
                f"{self.path} was written by a newer version of otel-revenue; use that one, or another file"
            )


def _connect(path: Path | None, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError:
        raise MissingExtra('the local database needs duckdb: pip install "otel-revenue[local]"') from None
    if path is not None and not read_only:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"the folder {path.parent} cannot be made ({error.strerror}); name another --database"
            ) from None
    try:
        return duckdb.connect(":memory:" if path is None else str(path), read_only=read_only)
    except duckdb.Error as error:
        if "lock on file" in str(error) or "different configuration" in str(error):  # another process; this one
            raise StoreBusy(
                f"{path} is open for writing already; end what writes it, or name another --database"
            ) from None
        raise StoreError(f"{path} cannot be opened ({_first_line(error)})") from None


@contextlib.contextmanager
def _transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    db.begin()
    try:
        yield
        db.commit()
    except BaseException:
        with contextlib.suppress(Exception):  # a failed commit has rolled back already
            db.rollback()
        raise


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.DataError, duckdb.InvalidInputException) as error:
        raise BadRows(_first_line(error)) from error
    except duckdb.Error as error:
        raise StoreError(f"the local database failed ({_first_line(error)})") from error
    except OSError as error:
        raise StoreError(f"the local database cannot write its rows ({error.strerror})") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _one(result: Any) -> int:
    return int(result.fetchone()[0])
