# SPDX-License-Identifier: Apache-2.0
"""
Where the application's store is, as seen from the command line, and how to open it without making one.

The application may be running: nothing is created, migrated or moved, readers never wait for writers, and what is changed is
changed in short transactions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_revenue import config
from otel_revenue._store_url import SCHEMES, StoreUrl
from otel_revenue.errors import ConfigError, StoreError, StoreTooNew
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.sqlite_errors import translated
from otel_revenue.ledger.sqlite_file import LAYOUT, SQL
from otel_revenue.ledger.store import OutboxRow, Store
from otel_revenue.runtime.plan import database, places
from otel_revenue.signals import resource as resources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_revenue.config import Settings
    from otel_revenue.ledger.forget import Held

LEDGER: Final = "ledger.sqlite3"
_STEP: Final = 200
"""Rows changed in one transaction: far below the quarter of a second for which a request waits."""
_PAUSE_S: Final = 0.02

_OPEN: Final = SQL["open_rows"].rstrip(";")
_FIND: Final = f"SELECT * FROM ({_OPEN}) WHERE seq = :seq OR event_id = :word"  # noqa: S608 - made of constants
_SEQS: Final = f"SELECT seq FROM ({_OPEN})"  # noqa: S608 - made of constants
_DESTINATIONS: Final = "SELECT DISTINCT destination FROM delivery"
_LAST_NEWS: Final = "SELECT max(touched_ns) FROM payment"
NEWEST: Final = 500
_OBJECTS: Final = (
    "SELECT kind, count(DISTINCT payment_id) FROM alias "
    "WHERE payment_id IN (SELECT id FROM payment ORDER BY touched_ns DESC LIMIT ?) GROUP BY kind"
)


@dataclass(frozen=True)
class Place:
    """
    Where ledger, outbox and spool are.

    Attributes:
        ledger: the file; None: a database, or the application's memory.
        folder: of the spool and of what was kept aside; None: memory.
        because: what says so, for people.
        database: where ledger and outbox are; None: in the file, or in memory.
    """

    ledger: Path | None
    folder: Path | None
    because: str
    database: StoreUrl | None = None


class Existing(Store, Protocol):
    """A store that the application made, for people who look at it."""

    def destinations(self) -> list[str]:
        """Return the names of the far ends that have noted something about a row."""

    def find(self, destination: str, word: str) -> list[OutboxRow]:
        """Return the rows that *destination* has not done and that *word* names: a number, or an event_id."""

    def seqs(self, destination: str, state: str) -> list[int]:
        """Return the numbers of all rows of one state."""

    def last_news_ns(self) -> int:
        """Return when news of a payment last reached the ledger; 0 when none has."""

    def objects(self) -> dict[str, int]:
        """Return, of the `NEWEST` payments with the newest news, how many name an id of each kind."""

    def naming(self, statement: str, *words: str | bytes) -> Sequence[Sequence[Any]]:
        """See `forget.Searched`."""

    def forget(self, held: Held) -> None:
        """Remove what was found."""


def with_store(settings: Settings, named: str | None) -> Settings:
    """
    Return *settings* with the store that `--store` names: a folder, `sqlite:///path`, the ledger's file itself, or a database's
    URL without a password: what is on a command line, every user of the machine can read.

    Raises:
        ConfigError: it is none of these.
    """
    if not named:
        return settings
    if named.startswith(SCHEMES):
        url = StoreUrl(named)
        if url.has_password:
            raise ConfigError(
                "--store: a password on the command line can be read by every user of this machine: leave it out, and set PGPASSWORD "
                "or ~/.pgpass; or leave --store out, and set OTEL_REVENUE_STORE"
            )
        return dataclasses.replace(settings, store=url)
    if "://" in named and not named.startswith("sqlite:///"):
        raise ConfigError(
            "--store: expected a folder, a ledger's file, sqlite:///path or postgresql://USER@HOST/DATABASE, for example "
            "/var/lib/otel-revenue"
        )
    file = "://" not in named and Path(named).expanduser().is_file()
    return dataclasses.replace(settings, store=f"sqlite:///{Path(named).expanduser().absolute()}" if file else named)


def find(
    environ: Mapping[str, str],
    named: str | None = None,
    *,
    settings: Settings | None = None,
    resource: Mapping[str, Any] | None = None,
) -> Place:
    """
    Find the store as the application would.

    Args:
        environ: variables of the process.
        named: the text of `--store`, None where it is not given.
        settings: as they were read; from *environ* when None.
        resource: attributes of the live resource, None where nothing is live.
    Raises:
        ConfigError: *named* is no place.
    """
    settings = with_store(settings or config.load(environ)[0], named)
    name = resources.service_name(environ, resource)
    ledger, folder = places(settings, name, environ)
    if named:
        because = "--store"
    elif environ.get("OTEL_REVENUE_STORE", "").strip():
        because = "OTEL_REVENUE_STORE"
    elif settings.store:
        because = "the settings file"
    else:
        because = f"the default for the service '{name}'"
    return Place(ledger, folder, because, database(settings))


def others(environ: Mapping[str, str]) -> list[Path]:
    """Return the folders of all stores in the default state folder."""
    root = config.default_folder("x", environ).parent
    with contextlib.suppress(OSError):
        return sorted(path.parent for path in root.glob(f"*/{LEDGER}"))
    return []


def missing(place: Place, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return, for people, that *place* holds no ledger, and the remedy."""
    if place.ledger is None:
        return (
            f"the store is :memory: ({place.because}): only the application itself can see it, and what waits is lost when it ends",
            "set OTEL_REVENUE_STORE to a folder",
        )
    found = [str(path) for path in others(environ) if path != place.folder]
    seen = f"; stores of other services are in {', '.join(found)}" if found else ""
    remedy = (
        "it is made when the application begins to serve; if it did, run this with the application's environment "
        "(OTEL_SERVICE_NAME, OTEL_REVENUE_STORE, HOME) and as its user, or name the folder: --store FOLDER"
    )
    return f"there is no ledger at {place.ledger} ({place.because}){seen}", remedy


def open_existing(place: Place, environ: Mapping[str, str], *, write: bool = False) -> Existing:
    """
    Open the ledger at *place*, which must be there.

    Args:
        place: see `find`.
        environ: variables of the process, to say where others are.
        write: whether rows will be changed; otherwise the file is opened for reading alone.

    Raises:
        ConfigError: there is no ledger.
        StoreError: it is there and cannot be read.
    """
    if place.database is not None:
        from ._store_postgres import ExistingPostgres

        found = ExistingPostgres(place.database)
        found.check()
        return found
    try:
        there = place.ledger is not None and place.ledger.is_file()
    except PermissionError:
        raise ConfigError(
            f"{place.folder} may not be read by this user (uid {os.geteuid()}): run this as the application's user"
        ) from None
    if place.ledger is None or not there:
        what, remedy = missing(place, environ)
        raise ConfigError(f"{what}. {remedy[0].upper()}{remedy[1:]}")
    if not os.access(place.ledger, os.R_OK | (os.W_OK if write else 0)):
        verb = "changed" if write else "read"
        raise ConfigError(
            f"{place.ledger} may not be {verb} by this user (uid {os.geteuid()}): run this as the application's user"
        )
    store = ExistingStore(place.ledger, write=write)
    store.check()
    return store


class ExistingStore(SqliteStore):
    """
    A ledger that the application made, for people who look at it.

    Args:
        path: the file.
        write: see `open_existing`.
        busy_s: seconds to wait for the application.
    """

    def __init__(self, path: Path, *, write: bool = False, busy_s: float = 5.0) -> None:
        super().__init__(path, busy_s=busy_s)
        self._file = path
        self._mode = "rw" if write else "ro"

    def check(self) -> None:
        """
        Read from it once.

        Raises:
            StoreError: it cannot be read; the text says why.
        """
        self.stats()

    def destinations(self) -> list[str]:
        """Return the names of the far ends that have noted something about a row."""
        return sorted(row[0] for row in self._read(_DESTINATIONS))

    def find(self, destination: str, word: str) -> list[OutboxRow]:
        """Return the rows that *destination* has not done and that *word* names: a number, or an event_id."""
        seq = int(word) if word.isdecimal() and len(word) < 19 else -1
        query = {"destination": destination, "state": None, "limit": -1, "seq": seq, "word": word}
        return [OutboxRow(*row) for row in self._read(_FIND, query)]

    def seqs(self, destination: str, state: str) -> list[int]:
        """Return the numbers of all rows of one state."""
        return [row[0] for row in self._read(_SEQS, {"destination": destination, "state": state, "limit": -1})]

    def retry(self, destination: str, seqs: Sequence[int]) -> int:
        """See `Store.retry`; in short transactions."""
        retry = super().retry
        return in_steps(seqs, lambda part: retry(destination, part))

    def forget_rows(self, seqs: Sequence[int]) -> int:
        """See `Store.forget_rows`; in short transactions."""
        return in_steps(seqs, super().forget_rows)

    def last_news_ns(self) -> int:
        """Return when news of a payment last reached the ledger; 0 when none has."""
        return int(self._read(_LAST_NEWS)[0][0] or 0)

    def objects(self) -> dict[str, int]:
        """Return, of the `NEWEST` payments with the newest news, how many name an id of each kind."""
        return dict(self._read(_OBJECTS, (NEWEST,)))

    def naming(self, statement: str, *words: str | bytes) -> list[Any]:
        """See `forget.Searched`."""
        return self._read(SQL[statement], words)

    def forget(self, held: Held) -> None:
        """Remove what was found, and overwrite it on the disk."""
        with self._locked() as raw:
            raw.execute("PRAGMA secure_delete = ON")
        with self.transaction() as tx, translated():
            for number in held.payments:
                tx.forget(number, 0)
            for seq in held.events:
                tx.remove_row(seq)
            tx.raw.executemany(SQL["drop_said"], sorted(held.said))
            tx.raw.executemany(SQL["drop_unread"], [(number,) for number in held.notes])
        with self._locked() as raw, contextlib.suppress(sqlite3.Error):  # busy: the application does it later
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _read(self, statement: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[Any]:
        try:
            with self._locked() as raw:
                return raw.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._file} cannot be read: {error}") from None

    def _connect(self) -> sqlite3.Connection:
        """Unlike the application's: creates nothing, migrates nothing, moves no damaged file away."""
        try:
            return self._prepared(f"mode={self._mode}")
        except sqlite3.OperationalError:
            # A read-only volume: SQLite cannot make its -shm file there, and needs none where nobody writes.
            if self._mode == "rw" or os.access(self._file.parent, os.W_OK) or Path(f"{self._file}-wal").exists():
                raise
            return self._prepared("mode=ro&immutable=1")
        except sqlite3.DatabaseError:
            raise StoreError(
                f"{self._file} is damaged, or no ledger. Keep a copy of it with its -wal file; the application moves it away at "
                "its next start, and `sqlite3 FILE .recover` reads what can be read"
            ) from None

    def _prepared(self, how: str) -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"{self._file.absolute().as_uri()}?{how}",
            uri=True,
            timeout=self._busy_s,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            version = raw.execute("PRAGMA user_version").fetchone()[0]
            if self._mode == "rw":
                raw.execute("PRAGMA synchronous = FULL")
        except BaseException:
            raw.close()
            raise
        if version == LAYOUT:
            return raw
        raw.close()
        if version > LAYOUT:
            raise StoreTooNew(
                f"{self._file} was written by a newer otel-revenue (layout {version}, this one knows {LAYOUT}): run this with "
                "the application's Python environment"
            )
        if not version:
            raise StoreError(
                f"{self._file} is empty: the application could not begin it (a full disk?). It tries again by itself"
            )
        raise StoreError(
            f"{self._file} has layout {version}, this version knows {LAYOUT}: start the application once with this version"
        )


def in_steps(seqs: Sequence[int], change: Callable[[Sequence[int]], int]) -> int:
    """Change rows in short transactions, with pauses that are long beside them: whoever waits for the store gets it."""
    changed, took = 0, 0.0
    for at in range(0, len(seqs), _STEP):
        if at:
            time.sleep(max(_PAUSE_S, 4 * took))
        began = time.monotonic()
        changed += change(seqs[at : at + _STEP])
        took = time.monotonic() - began
    return changed
