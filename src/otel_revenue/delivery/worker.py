# SPDX-License-Identifier: Apache-2.0
"""
The one thread: due events to their destinations, and the chores in between.

Money first, then the spool. A destination that fails is left alone for a while; a wrong key holds it, and sets nothing
aside; a bad event is found by halving and set aside, and what is around it goes through.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import guard, logger
from otel_revenue.errors import StoreError
from otel_revenue.ledger.store import ASIDE, DONE, LATER, Settlement

from .outcome import Delivered, Held, Later, Outcome, Refused, backoff_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_revenue.ledger.store import Store

    from .destination import Destination
    from .spool import Spool

    Tick = Callable[[int], "int | None"]
    OnRefused = Callable[[str, bytes, str], None]

BATCH: Final = 512
BATCH_BYTES: Final = 1024 * 1024
_SECOND: Final = 10**9
_IDLE_S: Final = 5.0


@dataclass
class Progress:
    """One destination's state."""

    failures: int = 0
    not_before_ns: int = 0
    held: str = ""
    last_success_ns: int = 0
    last_error: str = ""


@dataclass
class Stats:
    """What the worker counted since the process started."""

    delivered: int = 0
    later: int = 0
    set_aside: int = 0
    progress: dict[str, Progress] = field(default_factory=dict)


def deliver(send: Callable[[Sequence[bytes]], Outcome], records: Sequence[bytes]) -> list[Outcome]:
    """
    Send *records*, and return one outcome each: `Refused` only for those that are refused alone.

    After `Later` or `Held` the rest is not sent.
    """
    outcome = send(records)
    if not isinstance(outcome, Refused) or len(records) == 1:
        return [outcome] * len(records)
    middle = len(records) // 2
    first = deliver(send, records[:middle])
    if isinstance(first[-1], (Later, Held)):
        return [*first, *[first[-1]] * (len(records) - middle)]
    return [*first, *deliver(send, records[middle:])]


class Worker:
    """
    Delivers from *store* and *spool* to *destinations*; threads start by `start()` alone.

    Args:
        store: the outbox.
        spool: events that are not money; None where there is none.
        destinations: the far ends.
        ticks: chores; each is given the time and returns when it wants to be called again (ns), or None.
        on_refused: called with destination, record and reason for a spooled event that is refused for good.
        linger_s: how long a wake gathers events into one request.
        lease_s: how long claimed rows are kept from other processes; above the destinations' timeout.
        clock_ns: the time; given by tests.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool | None,
        destinations: Sequence[Destination],
        *,
        ticks: Sequence[Tick] = (),
        on_refused: OnRefused | None = None,
        linger_s: float = 0.05,
        lease_s: float = 15.0,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._spool = spool
        self._destinations = tuple(destinations)
        self._ticks = tuple(ticks)
        self._on_refused = on_refused
        self._linger_s = linger_s
        self._lease_ns = int(lease_s * _SECOND)
        self._clock_ns = clock_ns
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._hurry = 0
        self._passes = 0
        self._drained = True
        self.stats = Stats(progress={d.name: Progress() for d in destinations})

    # -- from any thread --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, once."""
        with self._state:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="otel-revenue", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Try everything now, back-off or not; returns whether nothing is left, within the bound."""
        self.start()
        with self._state:
            # The pass that is under way may have passed our event already: the one after it has not.
            wanted = self._passes + 2
            self._hurry += 1
            self._urgent.set()
            self._wake.set()
            self._state.wait_for(
                lambda: self._passes >= wanted or (self._passes == wanted - 1 and not self._drained), timeout_s
            )
            self._hurry -= 1
            if not self._hurry:
                self._urgent.clear()
            return self._passes >= wanted and self._drained

    def stop(self, timeout_s: float) -> None:
        """Flush within the bound, then end the thread."""
        end = time.monotonic() + timeout_s
        self.flush(timeout_s)
        self._stopping = True
        self._urgent.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.05, end - time.monotonic()))
        for destination in self._destinations:
            destination.close()

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            next_ns: int | None = None
            self._wake.clear()
            drained = False
            with guard("delivery.worker"):
                next_ns, drained = self.run_once(hurry=self._hurry > 0)
            with self._state:
                self._passes += 1
                self._drained = drained
                self._state.notify_all()
            if self._hurry and not self._stopping:
                time.sleep(0.01)  # a flush is waiting for one more pass
                continue
            pause = _IDLE_S if next_ns is None else min(_IDLE_S, max(0.0, (next_ns - self._clock_ns()) / _SECOND))
            if self._wake.wait(pause) and not self._hurry and not self._stopping and self._linger_s:
                self._urgent.wait(self._linger_s)

    def run_once(self, *, hurry: bool = False) -> tuple[int | None, bool]:
        """
        One pass over chores and destinations.

        Returns:
            when to run again (ns; None: when woken), and whether nothing is left that is due.
        """
        now = self._clock_ns()
        wanted = []
        for tick in self._ticks:
            with guard("delivery.chore"):
                wanted.append(tick(now))
        drained = True
        for destination in self._destinations:
            progress = self.stats.progress[destination.name]
            if progress.not_before_ns > now and not hurry:
                wanted.append(progress.not_before_ns)
                drained = False
                continue
            try:
                done = self._outbox(destination, progress) and self._spooled(destination, progress)
            except StoreError as error:
                self._failed(progress, Later(type(error).__name__))
                done = False
            if not done:
                drained = False
                wanted.append(progress.not_before_ns)
        return min((w for w in wanted if w), default=None), drained

    def _outbox(self, destination: Destination, progress: Progress) -> bool:
        while not self._stopping or self._hurry:
            now = self._clock_ns()
            rows = self._store.claim(destination.name, limit=BATCH, now_ns=now, lease_ns=self._lease_ns)
            if not rows:
                return True
            for part in _parts([row.record for row in rows]):
                records = [rows[i].record for i in part]
                outcomes = deliver(lambda batch: destination.send(batch, b""), records)
                settlements = [
                    self._settlement(rows[i].seq, outcome, progress) for i, outcome in zip(part, outcomes, strict=True)
                ]
                self._note(destination, progress, outcomes)
                if isinstance(outcomes[-1], (Later, Held)):
                    rest = range(part[-1] + 1, len(rows))
                    settlements += [Settlement(rows[i].seq, LATER, progress.not_before_ns, counts=False) for i in rest]
                self._store.settle(destination.name, settlements, now_ns=self._clock_ns())
                if isinstance(outcomes[-1], (Later, Held)):
                    return False
        return False

    def _settlement(self, seq: int, outcome: Outcome, progress: Progress) -> Settlement:
        if isinstance(outcome, Delivered):
            return Settlement(seq, DONE)
        if isinstance(outcome, Refused):
            return Settlement(seq, ASIDE, reason=outcome.reason)
        # The destination waits, not the row: when it answers again, everything is due.
        return Settlement(
            seq, LATER, 0, reason=outcome.reason, counts=not isinstance(outcome, Held) and not progress.held
        )

    def _spooled(self, destination: Destination, progress: Progress) -> bool:
        if self._spool is None:
            return True
        self._spool.adopt()
        while not self._stopping or self._hurry:
            batch = self._spool.read(destination.name, BATCH)
            if batch is None:
                return True
            outcomes = deliver(lambda records, head=batch.head: destination.send(records, head), batch.frames)  # type: ignore[misc]
            self._note(destination, progress, outcomes)
            if isinstance(outcomes[-1], (Later, Held)):
                return False
            for frame, outcome in zip(batch.frames, outcomes, strict=True):
                if isinstance(outcome, Refused) and self._on_refused is not None:
                    self._on_refused(destination.name, frame, outcome.reason)
            self._spool.commit(destination.name, batch)
        return False

    def _note(self, destination: Destination, progress: Progress, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.stats.delivered += isinstance(outcome, Delivered)
            self.stats.set_aside += isinstance(outcome, Refused)
            self.stats.later += isinstance(outcome, (Later, Held))
        last = outcomes[-1]
        if isinstance(last, (Later, Held)):
            self._failed(progress, last)
            return
        if progress.held:
            logger.warning("otel-revenue: destination %s accepts again", destination.name)
        progress.failures, progress.not_before_ns, progress.held = 0, 0, ""
        progress.last_success_ns = self._clock_ns()
        refused = next((o for o in outcomes if isinstance(o, Refused)), None)
        if refused is not None:
            progress.last_error = refused.reason
            logger.error(
                "otel-revenue: %s refused an event for good (%s). It is kept: see `otel-revenue outbox list --state aside`.",
                destination.name,
                refused.reason,
            )

    def _failed(self, progress: Progress, outcome: Later | Held) -> None:
        progress.failures += 1
        progress.last_error = outcome.reason
        wait = backoff_s(progress.failures, random.random(), getattr(outcome, "retry_after_s", None))  # noqa: S311 - jitter
        progress.not_before_ns = self._clock_ns() + int(wait * _SECOND)
        if isinstance(outcome, Held) and progress.held != outcome.reason:
            logger.error(
                "otel-revenue: the destination refuses us (%s): wrong key or URL? Nothing is lost: events wait on disk until it accepts. "
                "Check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS, then `otel-revenue doctor`.",
                outcome.reason,
            )
            progress.held = outcome.reason
        elif progress.failures == 3:
            logger.warning(
                "otel-revenue: delivery fails (%s). Events wait on disk, and are sent when it works again.",
                outcome.reason,
            )


def _parts(records: Sequence[bytes]) -> list[list[int]]:
    """Split a batch by size: indexes of what goes into one request."""
    parts: list[list[int]] = [[]]
    size = 0
    for index, record in enumerate(records):
        if parts[-1] and size + len(record) > BATCH_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(index)
        size += len(record)
    return parts
