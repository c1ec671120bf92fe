# SPDX-License-Identifier: Apache-2.0
"""
The one thread: due events to their destinations, and the chores in between.

Money first, then the spool, each with its own state. What fails is left alone for a while; a wrong key holds it, and sets nothing
aside; a bad event is looked for in smaller and smaller requests and set aside, and what is around it goes through.
"""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import guard
from otel_revenue.errors import StoreError

from .lanes import OutboxLane, SpoolLane, Step
from .progress import SPOOL_BATCH, SPOOLED, Progress, Stats, Width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_revenue.ledger.store import Store

    from .destination import Destination
    from .lanes import OnRefused
    from .spool import Spool

    Tick = Callable[[int], "int | None"]

_SECOND: Final = 10**9
_IDLE_S: Final = 5.0
_LEAST_S: Final = 0.05
"""A chore that asks for a time that has passed is called again, but not without a breath."""

_ROUNDS: Final = 16
"""Requests for each destination in one pass; then the chores have their turn."""


_MANY: Final = 256
_LONGEST_S: Final = 0.5
"""While many events come, a wake gathers up to so long: one large request instead of several."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """When to run again (ns; None: when woken), whether nothing is left that is due, and whether to go on at once."""

    next_ns: int | None = None
    drained: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to one destination: how it fares, and what may be sent on it, in the order in which it is tried."""

    progress: Progress
    turns: Callable[[], Iterator[Callable[[], Step]]]


class Worker:
    """
    Delivers from *store* and *spool* to *destinations*; the thread starts by `start()` or `flush()` alone.

    Args:
        store: the outbox.
        spool: events that are not money; None where there is none.
        destinations: the far ends.
        ticks: chores; each is given the time and returns when it wants to be called again (ns), or None.
        on_refused: called with destination, record and reason for a spooled event that is refused for good; without it
            the event is set aside in the outbox.
        linger_s: how long a wake gathers events into one request; longer while many come.
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
        self._linger_s = linger_s
        self._clock_ns = clock_ns
        self.stats = Stats()
        self._outbox_lane = OutboxLane(store, self.stats, int(lease_s * _SECOND), clock_ns)
        self._spool_lane = None if spool is None else SpoolLane(spool, store, self.stats, on_refused, clock_ns)
        self._ways = tuple(way for destination in destinations for way in self._ways_to(destination))
        self._adopted_ns = 0
        self._wake = threading.Event()
        self.is_awake = self._wake.is_set
        self._urgent = threading.Event()
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._ended = False
        self._hurry = 0
        self._started = 0
        self._finished = 0
        self._last = _Pass()
        self._hurried = False
        self._delivered = 0
        self._gathering_s = linger_s

    # -- from any thread --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, once."""
        with self._state:
            if self._thread is None and not self._stopping:
                thread = threading.Thread(target=self._run, name="otel-revenue", daemon=True)
                thread.start()
                self._thread = thread

    def wake(self) -> None:
        """Say that there is something to do."""
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """
        Try everything once, back-off or not, within the bound.

        Returns:
            whether nothing is left: what waits for a while, or is leased to another process, is.
        """
        try:
            self.start()
        except RuntimeError:  # the interpreter is ending: no new threads; what waits is on disk
            return False
        with self._state:
            if self._thread is None:
                return False
            # The pass that is under way may have passed our event already: the one after it has not.
            wanted = self._started + 1
            self._hurry += 1
            self._urgent.set()
            self._wake.set()
            done = self._state.wait_for(
                lambda: self._ended or (self._finished >= wanted and not self._last.more), timeout_s
            )
            self._hurry -= 1
            if not self._hurry and not self._stopping:
                self._urgent.clear()
            drained = done and self._finished >= wanted and self._last.drained
        return drained and self._nothing_waits()

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
            with guard("delivery.close"):
                destination.close()

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                # Cleared before the pass: whoever wakes us during it has put something there that it may not have seen.
                self._wake.clear()
                with self._state:
                    self._started += 1
                    # Once for each flush: a destination that just failed is not knocked at with every pass of a backlog.
                    hurried = self._hurried and self._last.more
                    hurry = self._hurry > 0 and not hurried
                    self._hurried = hurry or hurried
                result = _Pass()
                with guard("delivery.worker"):
                    result = self._pass(hurry=hurry)
                with self._state:
                    self._finished, self._last = self._started, result
                    self._state.notify_all()
                if not result.more:
                    self._pause(result.next_ns)
        finally:
            with self._state:
                self._ended = True
                self._state.notify_all()

    def _pause(self, next_ns: int | None) -> None:
        pause_s = _IDLE_S
        if next_ns is not None:
            pause_s = min(_IDLE_S, max(_LEAST_S, (next_ns - self._clock_ns()) / _SECOND))
        if self._wake.wait(pause_s) and self._linger_s:
            self._urgent.wait(self.gathering_s())

    def gathering_s(self) -> float:
        """Return how long the next wake gathers, by how much the requests since the last one carried."""
        sent, self._delivered = self.stats.delivered - self._delivered, self.stats.delivered
        if sent >= _MANY:
            self._gathering_s = max(self._linger_s, min(_LONGEST_S, self._gathering_s * 2))
        elif sent < _MANY // 2:
            self._gathering_s = self._linger_s
        return self._gathering_s

    def run_once(self, *, hurry: bool = False) -> tuple[int | None, bool]:
        """
        One pass over chores and destinations.

        Returns:
            when to run again (ns; None: when woken), and whether nothing is left that is due.
        """
        result = self._pass(hurry=hurry)
        return result.next_ns, result.drained

    def _pass(self, *, hurry: bool) -> _Pass:
        now_ns = self._clock_ns()
        wanted = [self._tick(tick, now_ns) for tick in self._ticks]
        self._adopt(now_ns, hurry=hurry)
        # Those that answer go first: one that hangs keeps the others waiting for its timeout, not for its backlog.
        ready = sorted(
            (way for way in self._ways if hurry or way.progress.due(now_ns)), key=lambda way: way.progress.failures
        )
        waiting = len(ready) < len(self._ways)
        more = ready
        for _ in range(_ROUNDS):
            steps = [(way, self._step(way, wanted)) for way in more if not self._stopping]
            waiting = waiting or any(step is Step.STUCK for _, step in steps)
            more = [way for way, step in steps if step is Step.MORE]
            if not more:
                break
        wanted += [progress.next_ns(now_ns) for progress in self.stats.progress.values()]
        if more:
            wanted.append(now_ns)
        drained = not waiting and not more and not self._stopping
        return _Pass(min((w for w in wanted if w), default=None), drained, bool(more) and not self._stopping)

    def _tick(self, tick: Tick, now_ns: int) -> int | None:
        with guard("delivery.chore"):
            try:
                return tick(now_ns)
            except StoreError:  # busy or away: nobody's fault, and over in a moment
                return now_ns + _SECOND
        return None

    def _adopt(self, now_ns: int, *, hurry: bool) -> None:
        if self._spool is not None and (hurry or abs(now_ns - self._adopted_ns) >= _SECOND):
            self._adopted_ns = now_ns
            with guard("delivery.adopt"):
                self._spool.adopt()

    def _step(self, way: _Way, wanted: list[int | None]) -> Step:
        """One request of what is tried first and is there."""
        for turn in way.turns():
            step = Step.STUCK
            with guard("delivery.step"):
                try:
                    step = turn()
                except StoreError:  # nobody's fault but the store's: the destination is not blamed
                    wanted.append(self._clock_ns() + _SECOND)
            if step is not Step.EMPTY:
                return step
        return Step.EMPTY

    def _ways_to(self, destination: Destination) -> Iterator[_Way]:
        """Yield the way of payments, then that of everything else."""
        progress = self.stats.progress[destination.name] = Progress()
        yield _Way(progress, lambda: self._payments(destination, progress))
        lane = self._spool_lane
        if lane is not None:
            spooled = self.stats.progress[destination.name + SPOOLED] = Progress(width=Width(SPOOL_BATCH, SPOOL_BATCH))
            # Whoever waits for a flush wants what comes meanwhile gone, too.
            step = functools.partial(lane.step, destination, spooled)
            yield _Way(spooled, lambda: iter([lambda: step(to_the_end=self._urgent.is_set())]))

    def _payments(self, destination: Destination, progress: Progress) -> Iterator[Callable[[], Step]]:
        """
        Yield what may be sent of the outbox.

        While the destination takes events, one under suspicion has its turn first: its failure costs the others nothing. While
        it does not, everything else is tried before: one of them may be what it takes.
        """
        failing = progress.failures > 0
        yield lambda: self._outbox_lane.step(destination, progress, suspects=not failing)
        if failing and progress.alone:
            yield lambda: self._outbox_lane.step(destination, progress, suspects=True)

    def _nothing_waits(self) -> bool:
        try:
            return all(
                self._store.pending(d.name).waiting == 0 and (self._spool is None or self._spool.waiting(d.name) == 0)
                for d in self._destinations
            )
        except StoreError:
            return False
