# SPDX-License-Identifier: Apache-2.0
"""
What belongs to one operating-system process: the open store, the spools, the worker's thread.

Opened when the process first needs it, never before a fork; a forked child opens its own.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_revenue._guard import guard, warn_once
from otel_revenue.delivery.worker import Worker
from otel_revenue.errors import StoreError
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import NewRow
from otel_revenue.signals.otlp import encode_resource

from .kept import FOLDER, READER, Kept, Note
from .opening import open_destinations, open_spool, open_store
from .orders import Orders
from .patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from otel_revenue.config import Settings
    from otel_revenue.delivery.spool import Spool
    from otel_revenue.ledger.join import Rules
    from otel_revenue.ledger.model import Facts, Labels

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
        self._destinations = open_destinations(plan, resource)
        names = [d.name for d in self._destinations]
        self.store = open_store(plan, names, settings.store_busy)
        self.ledger = Ledger(self.store, rules)
        self.patience = Patience()
        self._folder = folder = plan.folder if self.store.durable else None
        self._token = token = f"{self.pid}-{secrets.token_hex(4)}"
        self._spool = open_spool(
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
            open_spool(folder, FOLDER, token=token, readers=(READER,), max_bytes=settings.store_max_bytes, fsync=True)
        )
        self._orders = Orders(
            open_spool(
                folder, "orders", token=token, readers=(READER,), max_bytes=settings.spool_max_bytes, fsync=False
            )
        )
        self._worker = Worker(
            self.store,
            self._spool,
            self._destinations,
            ticks=(self._join_orders, self._join_kept, self._release_due, self._tidy),
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

    def append(self, event_id: str, name: str, record: bytes, now_ns: int, *, sync: bool = True) -> None:
        """
        Put an event that is not money on its way: into the spool, else the outbox, else kept aside until one of them can be written.
        """
        if not self._spooled(record, sync=sync):
            row = NewRow(event_id, name, record, now_ns)
            try:
                with self.patience:
                    self._add(row)
            except StoreError:
                self._kept.event(row)
        if not self._running or not self._worker.is_awake():  # asked here: as a rule it is
            self.wake()

    def remember(self, values: Mapping[str, Any], labels: Labels) -> None:
        """Put what was said of an order on its way into the ledger; the worker writes it there."""
        if self._orders.keep(values, labels) and (not self._running or not self._worker.is_awake()):
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
        return open_spool(
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
        self._orders.close()
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
        self._orders.abandon()
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

    def _join_orders(self, now_ns: int) -> int | None:
        return None if self._orders.pass_on(self.store, now_ns) else now_ns + _SECOND

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

    def _spooled(self, record: bytes, *, sync: bool) -> bool:
        if self._spool is None:
            return False
        try:
            self._spool.append(record, sync=sync)
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
