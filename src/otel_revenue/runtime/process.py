# SPDX-License-Identifier: Apache-2.0
"""
What belongs to one operating-system process: the open store, the spools, the worker's thread.

Opened when the process first needs it, never before a fork; a forked child opens its own. Where the folder cannot be
used everything is in memory, which is said loudly, once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_revenue._guard import guard, logger, warn_once
from otel_revenue.delivery import destinations
from otel_revenue.delivery.sdk import Sdk
from otel_revenue.delivery.spool import Spool
from otel_revenue.delivery.worker import Worker
from otel_revenue.errors import StoreBusy, StoreError, StoreFull
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import NewRow
from otel_revenue.signals.otlp import encode_resource, encode_scope
from otel_revenue.version import __version__

from .kept import READER, Kept, Note
from .patience import Patience
from .plan import SDK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otel_revenue._store_url import StoreUrl
    from otel_revenue.config import Settings
    from otel_revenue.delivery.destination import Destination
    from otel_revenue.ledger.join import Rules
    from otel_revenue.ledger.model import Facts
    from otel_revenue.ledger.store import Store

    from .plan import Plan

    Release = Callable[["Process", int], None]
    Retake = Callable[["Process", Facts], None]

_SECOND: Final = 10**9
_CLOCKS_APART_NS: Final = 60 * _SECOND
"""By how much the clocks of two hosts on one store may differ before one of them ends the other's holds."""
_TIDY_NS: Final = 600 * _SECOND
_GAUGES_S: Final = 1.0
_BESIDE_S: Final = 0.2
"""What runs beside the worker may hang in somebody else's network; what it has to do is on disk."""
SCOPE: Final = "otel_revenue"
KEPT: Final = "facts"
"""The folder of what the store could not take."""

_inherited: list[Process] = []
"""What a forked child got from its parent: neither used nor closed, since SQLite's file locks are the parent's."""


class Beside(Protocol):
    """What an instrumentation runs beside the worker, in a thread of its own."""

    def wake(self) -> None:
        """Say that payments are on hold, or that the process begins; starts the thread where it does not run yet. Never waits."""

    def stop(self, timeout_s: float) -> None:
        """End the thread; wait no longer than the bound in seconds."""

    def abandon(self) -> None:
        """In a forked child: let go of the parent's files."""


class Process:
    """
    The open parts of this process.

    Args:
        settings, plan, rules: see `Runtime`.
        release: records payments whose hold is over at the time it is given (ns).
        retake: joins facts that were kept aside.
        beside: opens what runs beside the worker; None for nothing.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        rules: Rules,
        *,
        release: Release,
        retake: Retake,
        beside: Callable[[Process], Beside] | None = None,
    ) -> None:
        self.pid = os.getpid()
        self._settings = settings
        self._release = release
        self._retake = retake
        resource = encode_resource(plan.resource)
        self._destinations = _destinations(plan, resource)
        names = [d.name for d in self._destinations]
        self.store = _open_store(plan, names, settings.store_busy)
        self.ledger = Ledger(self.store, rules)
        self.patience = Patience()
        self._folder = folder = plan.folder if self.store.durable else None
        self._token = token = f"{self.pid}-{secrets.token_hex(4)}"
        self._spool = _open_spool(
            folder,
            "spool",
            token=token,
            head=resource,
            readers=names,
            max_bytes=settings.spool_max_bytes,
            fsync=settings.spool_sync,
        )
        # Facts are money: their limit is the ledger's own.
        self._kept = Kept(
            _open_spool(folder, KEPT, token=token, readers=(READER,), max_bytes=settings.store_max_bytes, fsync=True)
        )
        self._worker = Worker(
            self.store,
            self._spool,
            self._destinations,
            ticks=(self._join_kept, self._release_due, self._tidy),
            linger_s=settings.linger,
            # Longer than one request takes, or two processes send the same row; no longer, since a row that a dead
            # process held waits that long. Halving a refused batch may outlast it: doubled then, and deduped by id.
            lease_s=plan.otlp.timeout_s + 5,
        )
        self._running = False
        self._longest_hold_ns = int(max(settings.hold, settings.enrich_hold) * _SECOND) + _CLOCKS_APART_NS
        self._tidy_ns = 0
        self._gauges: tuple[float, dict[str, Any]] = (-_GAUGES_S, {})
        self.beside = None if beside is None else beside(self)

    # -- from the application's threads -------------------------------------------------------------------------------

    def wake(self) -> None:
        """Say that there is something to do: to send, or to release later. Starts the worker where it does not run yet."""
        if not self._running:
            self._worker.start()
            self._running = True
            if self.beside is not None:
                self.beside.wake()
        self._worker.wake()

    def append(self, event_id: str, name: str, record: bytes, now_ns: int) -> None:
        """
        Put an event that is not money on its way: into the spool, else the outbox, else kept aside until one of them can be written.
        """
        if not self._spooled(record):
            row = NewRow(event_id, name, record, now_ns)
            try:
                with self.patience:
                    self._add(row)
            except StoreError:
                self._kept.event(row)
        if not self._running or not self._worker.is_awake():  # asked here: as a rule it is
            self.wake()

    def keep(self, facts: Facts) -> None:
        """Keep facts that the store could not take; the worker joins them later."""
        warn_once(
            "store.fallback",
            "otel-revenue: the store in %s is busy or broken. Payments are kept aside and joined later; the application is "
            "not affected. See the metric otel_revenue.store.fallback, and `otel-revenue doctor`.",
            self.store.location,
        )
        self._kept.facts(facts)
        self.wake()

    def take(self, facts: Facts) -> None:
        """Take facts that came outside of a request; kept aside where the store cannot take them."""
        try:
            self._join(facts)
        except StoreError:
            self.keep(facts)
        self.wake()

    def open_queue(self, name: str, reader: str) -> Spool | None:
        """Return a queue of frames beside the ledger, synced at each append; None where there is no folder."""
        return _open_spool(
            self._folder,
            name,
            token=self._token,
            readers=(reader,),
            max_bytes=self._settings.store_max_bytes,
            fsync=True,
        )

    def beside_path(self, name: str) -> Path | None:
        """Return the path of a file beside the ledger; None where there is no folder."""
        return None if self._folder is None else self._folder / name

    def note(self, source: str, kind: str, reason: str, ids: Sequence[str]) -> None:
        """Write down what could not be read."""
        warn_once(
            f"unread.{source}.{kind}.{reason}",
            "otel-revenue: news of money could not be read (%s, %s: %s). It is not counted as a payment; `otel-revenue outbox "
            "list` shows its ids.",
            source,
            kind,
            reason,
        )
        note = Note(time.time_ns(), source, kind, reason, tuple(ids))
        try:
            with self.patience:
                self._write(note)
        except StoreError:
            self._kept.note(note)
            self.wake()

    def flush(self, timeout_s: float) -> bool:
        """Deliver what waits, within a bound in seconds; returns whether nothing is left."""
        return self._worker.flush(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Flush within a bound, end the thread, close everything."""
        self._worker.stop(timeout_s)
        if self.beside is not None:
            with guard("beside.stop"):
                self.beside.stop(min(timeout_s, _BESIDE_S))
        self._kept.close()
        if self._spool is not None:
            self._spool.close()
        self.store.close()

    def before_fork(self) -> None:
        """In the parent: let go of what a child must not have."""
        if isinstance(self.store, SqliteStore):
            self.store.before_fork()

    def after_fork(self) -> None:
        """In the parent, when it has forked."""
        if isinstance(self.store, SqliteStore):
            self.store.after_fork()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's files without touching its locks."""
        self._kept.abandon()
        if self.beside is not None:
            self.beside.abandon()
        if self._spool is not None:
            self._spool.abandon()
        _inherited.append(self)

    def gauges(self) -> dict[str, Any]:
        """Return what the metrics show; read from the store once a second at most."""
        at, known = self._gauges
        now = time.monotonic()
        if now - at >= _GAUGES_S:
            known = self._read_gauges()
            self._gauges = (now, known)
        return known

    # -- from the worker's thread -------------------------------------------------------------------------------------

    def _join_kept(self, now_ns: int) -> int | None:
        done = self._kept.pass_on(self._join, self._write, self._add)
        return None if done else now_ns + _SECOND

    def _join(self, facts: Facts) -> None:
        self._retake(self, facts)
        self.patience.restore()

    def _release_due(self, now_ns: int) -> int | None:
        due = self.store.next_due_ns()
        # No hold lasts longer than the settings say: one that seems to was begun before the clock was set back.
        if due and (due <= now_ns or due > now_ns + self._longest_hold_ns):
            self._release(self, max(due, now_ns))
            due = self.store.next_due_ns()
        if due and self.beside is not None:
            self.beside.wake()
        return due or None

    def _tidy(self, now_ns: int) -> int | None:
        self._tell_drops()
        if now_ns >= self._tidy_ns or self._tidy_ns > now_ns + 2 * _TIDY_NS:
            self._tidy_ns = now_ns + _TIDY_NS
            self.store.prune(
                before_ns=now_ns - self._settings.retention * _SECOND, max_bytes=self._settings.store_max_bytes
            )
        return None

    def _tell_drops(self) -> None:
        if self._spool is not None and self._spool.dropped_bytes:
            warn_once(
                "spool.limit",
                "otel-revenue: the spool is as large as it may be, and its oldest events are dropped unsent (no payments: those are "
                "in the outbox). See the metric otel_revenue.spool.dropped; make the far end answer, or raise "
                "OTEL_REVENUE_SPOOL_MAX_BYTES.",
            )
        if self._kept.lost_bytes:
            warn_once(
                "facts.limit",
                "otel-revenue: news of payments that was kept aside is LOST: unreadable, or beyond OTEL_REVENUE_STORE_MAX_BYTES. "
                "Mend the store, and reconcile with Stripe.",
            )

    # -- inside -------------------------------------------------------------------------------------------------------

    def _spooled(self, record: bytes) -> bool:
        if self._spool is None:
            return False
        try:
            self._spool.append(record)
        except OSError:
            warn_once("spool.append", "otel-revenue: the spool cannot be written; the outbox takes its events.")
            return False
        return True

    def _add(self, row: NewRow) -> None:
        with self.store.transaction() as tx:
            tx.add_rows([row])

    def _write(self, note: Note) -> None:
        with self.store.transaction() as tx:
            tx.set_aside(note.at_ns or time.time_ns(), note.source, note.kind, note.reason, note.ids)

    def _read_gauges(self) -> dict[str, Any]:
        stats = self._worker.stats
        spool = self._spool
        known = {
            "durable": int(self.store.durable),
            "held": int(any(p.held for p in stats.progress.values())),
            "spool_bytes": 0 if spool is None else spool.size,
            "dropped": {
                "limit": 0 if spool is None else spool.dropped_bytes,
                "corrupt": 0 if spool is None else spool.lost_bytes,
                "facts": self._kept.lost_bytes,
            },
            "delivery": {"delivered": stats.delivered, "later": stats.later, "set_aside": stats.set_aside},
            "facts_lost": self._kept.lost,
            "unprotected": self._kept.unprotected,
        }
        try:
            return {**known, **self._read_outbox()}
        except StoreError:  # away: what this process itself knows is wanted then above all
            return known

    def _read_outbox(self) -> dict[str, Any]:
        # With several destinations the worst one counts: it is what keeps events on disk.
        pending = max((self.store.pending(d.name) for d in self._destinations), key=lambda p: p.waiting)
        return {
            "waiting": pending.waiting,
            "aside": pending.aside,
            "oldest_s": max(0, time.time_ns() - pending.oldest_ns) // _SECOND if pending.oldest_ns else 0,
            "unconfirmed": pending.unconfirmed,
        }


def _destinations(plan: Plan, resource: bytes) -> list[Destination]:
    if plan.delivery == SDK:
        from otel_revenue.signals import sdk

        return [Sdk(sdk.emitter(plan.logger_provider or sdk.global_provider(), __version__))]
    return [destinations.otlp(plan.otlp, resource, encode_scope(SCOPE, __version__), __version__)]


def _open_database(url: StoreUrl, names: Sequence[str], busy_s: float) -> Store:
    """
    Begin to connect, and say what is wrong where that fails.

    The store is never another one for that: once per payment would no longer hold across hosts. What it cannot take waits in
    the folder of the spool.
    """
    from otel_revenue.ledger.postgres import PostgresStore

    store = PostgresStore(url.secret, location=url.location, destinations=names, busy_s=busy_s)
    with contextlib.suppress(StoreError), store.transaction():
        pass
    return store


def _open_store(plan: Plan, names: Sequence[str], busy_s: float) -> Store:
    """Open the ledger; in memory where the folder cannot be used, which is said."""
    if plan.database is not None:
        return _open_database(plan.database, names, busy_s)
    path = plan.ledger
    if path is None:
        warn_once(
            "store.memory", "otel-revenue: OTEL_REVENUE_STORE is :memory:. What waits is lost when the process ends."
        )
        return SqliteStore(None, destinations=names, busy_s=busy_s)
    store = SqliteStore(path, destinations=names, busy_s=busy_s)
    try:
        with store.transaction():
            pass
    except (StoreBusy, StoreFull):
        return store  # it can be opened; what it cannot take now is kept aside
    except StoreError as error:
        if _writable(path.parent / KEPT):
            logger.critical(
                "otel-revenue: the ledger %s cannot be used (%s). Payments are kept aside on disk, and joined and delivered when it "
                "can be: mend it, or upgrade where it was written by a newer version.",
                path,
                error,
            )
            return store
        logger.critical(
            "otel-revenue: the folder %s cannot be used (%s). Ledger and outbox are in MEMORY: payments that wait are lost when "
            "the process ends, and each process counts for itself. Set OTEL_REVENUE_STORE to a folder that the application "
            "may write, in a container one on a volume.",
            path.parent,
            error,
        )
        return SqliteStore(None, destinations=names, busy_s=busy_s)
    return store


def _writable(folder: Path) -> bool:
    """Whether facts can be kept aside there."""
    probe = folder / f"probe-{os.getpid()}-{secrets.token_hex(4)}.new"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"?")
        probe.unlink()
    except OSError:
        return False
    return True


def _open_spool(folder: Path | None, name: str, **arguments: Any) -> Spool | None:
    if folder is None:
        return None
    try:
        return Spool(folder / name, **arguments)
    except OSError as error:
        logger.error(
            "otel-revenue: %s cannot be written (%s); the outbox takes its events. Mend the folder's permissions.",
            folder / name,
            error.strerror,
        )
        return None
