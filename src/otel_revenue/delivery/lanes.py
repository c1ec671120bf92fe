# SPDX-License-Identifier: Apache-2.0
"""
One step of one destination: some events from the outbox or from the spool, one request, and what becomes of them.

Whatever the far end does, three things hold. An event ends acknowledged or set aside under its own id, and nothing else ends
it. One that fails does not stand in the way of those behind it. And a step ends: a request that was refused is
followed by a smaller one.
"""

from __future__ import annotations

import enum
import hashlib
import random
import uuid
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import guard, report
from otel_revenue.errors import StoreError
from otel_revenue.ledger.store import ASIDE, DONE, LATER, NewRow, Settlement
from otel_revenue.signals.otlp_decode import decode_log_record

from .outcome import Delivered, Held, Later, Outcome, Refused, backoff_s
from .progress import SPOOLED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_revenue.ledger.store import OutboxRow, Store

    from .destination import Destination
    from .progress import Progress, Stats
    from .spool import Batch, Spool

    OnRefused = Callable[[str, bytes, str], None]

BATCH_BYTES: Final = 1024 * 1024
_SECOND: Final = 10**9
_REFUSED_BY: Final = 2
_SUSPECTED_BY: Final = 4
_PATIENCE: Final = 5
"""Failures in a row after which a spooled event that fails alone gives way to those behind it."""


class Step(enum.Enum):
    """What a step left: nothing that is due, more to do at once, or a destination that must be left alone for a while."""

    EMPTY = "empty"
    MORE = "more"
    STUCK = "stuck"


def _attempt(destination: Destination, records: Sequence[bytes], head: bytes) -> Outcome:
    with guard("delivery.send"):
        return destination.send(records, head)
    return Later("a failure of ours", suspect=True)


class OutboxLane:
    """
    Rows of the outbox.

    Args:
        store: where they are.
        stats: where it is counted.
        lease_ns: how long claimed rows are kept from other processes.
        clock_ns: the time.
    """

    def __init__(self, store: Store, stats: Stats, lease_ns: int, clock_ns: Callable[[], int]) -> None:
        self._store = store
        self._stats = stats
        self._lease_ns = lease_ns
        self._clock_ns = clock_ns

    def step(self, destination: Destination, progress: Progress, *, suspects: bool) -> Step:
        """
        Send some rows, those under suspicion only where *suspects*.

        Raises:
            StoreError: what was sent and could not be settled is sent again when its lease is over.
        """
        now_ns = self._clock_ns()
        # Those under suspicion on top, or they would hide the others behind them.
        limit = progress.size + sum(at <= now_ns for at in progress.alone.values())
        rows = self._store.claim(destination.name, limit=limit, now_ns=now_ns, lease_ns=self._lease_ns)
        if not rows:
            return Step.EMPTY
        batch = _chosen(rows, progress, suspects=suspects)
        step = Step.EMPTY
        settlements: list[Settlement] = []
        if batch:
            outcome = _attempt(destination, [row.record for row in batch], b"")
            step, settlements = self._judge(destination.name, progress, batch, outcome)
        sent = {row.seq for row in batch}
        rest = [Settlement(row.seq, LATER, 0, row.reason, counts=False) for row in rows if row.seq not in sent]
        self._store.settle(destination.name, [*settlements, *rest], now_ns=self._clock_ns())
        return step

    def _judge(
        self, name: str, progress: Progress, batch: Sequence[OutboxRow], outcome: Outcome
    ) -> tuple[Step, list[Settlement]]:
        now_ns = self._clock_ns()
        if isinstance(outcome, Delivered):
            self._stats.delivered += len(batch)
            progress.answered(name, now_ns)
            progress.width.widen(len(batch))
            progress.settled(row.seq for row in batch)
            return Step.MORE, [Settlement(row.seq, DONE) for row in batch]
        if isinstance(outcome, Refused):
            progress.answered(name, now_ns)
            progress.last_error = outcome.reason
            if len(batch) > 1 and not outcome.each:
                progress.width.narrow(len(batch), _REFUSED_BY)
                return Step.MORE, [Settlement(row.seq, LATER, 0, row.reason, counts=False) for row in batch]
            self._stats.set_aside += len(batch)
            progress.settled(row.seq for row in batch)
            progress.refused(name, outcome.reason, now_ns)
            return Step.MORE, [Settlement(row.seq, ASIDE, reason=outcome.reason) for row in batch]
        self._stats.later += len(batch)
        counts = not isinstance(outcome, Held) and not progress.held
        if isinstance(outcome, Later) and outcome.suspect:
            if len(batch) == 1:
                return self._alone(name, progress, batch[0], outcome)
            progress.width.narrow(len(batch), _SUSPECTED_BY)
        progress.failed(name, outcome, now_ns)
        # The destination waits, not the row: when it answers again, everything is due.
        return Step.STUCK, [Settlement(row.seq, LATER, 0, outcome.reason, counts=counts) for row in batch]

    def _alone(self, name: str, progress: Progress, row: OutboxRow, outcome: Later) -> tuple[Step, list[Settlement]]:
        """
        One event failed by itself, perhaps for its content: it waits by itself, and the next one is tried.

        It is never given up: the far end may be mended. While the destination takes others, this is the event's trouble alone.
        """
        now_ns = self._clock_ns()
        healthy = row.seq in progress.alone and progress.failures == 0
        counts = not progress.held
        if healthy:
            progress.last_error = outcome.reason
        else:
            progress.failed(name, outcome, now_ns)
        wait_s = backoff_s(row.attempts + 1, random.random(), outcome.retry_after_s)  # noqa: S311 - jitter
        # Later than the destination is due: then it is the turn of the next one.
        until_ns = max(now_ns + int(wait_s * _SECOND), progress.not_before_ns + _SECOND)
        progress.waits_alone(row.seq, until_ns)
        settlement = Settlement(row.seq, LATER, until_ns, outcome.reason, counts=counts)
        return Step.MORE if healthy else Step.STUCK, [settlement]


def _chosen(rows: Sequence[OutboxRow], progress: Progress, *, suspects: bool) -> list[OutboxRow]:
    """Return what goes into one request: an event under suspicion (the one that waited longest) by itself, others together up to a size."""
    suspected = [row for row in rows if row.seq in progress.alone]
    if suspects and suspected:
        return [min(suspected, key=lambda row: progress.alone[row.seq])]
    fresh = [row for row in rows if row.seq not in progress.alone][: progress.size]
    chosen: list[OutboxRow] = []
    size = 0
    for row in fresh:
        size += len(row.record)
        if chosen and size > BATCH_BYTES:
            break
        chosen.append(row)
    return chosen


class SpoolLane:
    """
    Frames of the spool.

    Args:
        spool: where they are.
        store: takes what cannot stay in a file that is read in order.
        stats: where it is counted.
        on_refused: keeps an event that is refused for good; the store's outbox does, where it is None or fails.
        clock_ns: the time.
    """

    def __init__(
        self, spool: Spool, store: Store, stats: Stats, on_refused: OnRefused | None, clock_ns: Callable[[], int]
    ) -> None:
        self._spool = spool
        self._store = store
        self._stats = stats
        self._on_refused = on_refused
        self._clock_ns = clock_ns

    def step(self, destination: Destination, progress: Progress, *, to_the_end: bool = False) -> Step:
        """
        Send some frames.

        What comes while they are under way has woken the worker, and is gathered: it is more to do at once only where
        *to_the_end*, or it would go in one small request after the other.

        Raises:
            StoreError: a refused event could not be kept; it stays in the spool.
        """
        batch = self._spool.read(destination.name, progress.size)
        if batch is None:
            return Step.EMPTY
        outcome = _attempt(destination, batch.frames, batch.head)
        step = self._judge(destination.name, progress, batch, outcome)
        return Step.EMPTY if isinstance(outcome, Delivered) and batch.last and not to_the_end else step

    def _judge(self, name: str, progress: Progress, batch: Batch, outcome: Outcome) -> Step:
        now_ns = self._clock_ns()
        sent = len(batch.frames)
        if isinstance(outcome, Delivered):
            self._stats.delivered += sent
            progress.answered(name + SPOOLED, now_ns)
            progress.width.widen(sent)
            self._spool.commit(name, batch)
            return Step.MORE
        if isinstance(outcome, Refused):
            progress.answered(name + SPOOLED, now_ns)
            progress.last_error = outcome.reason
            if sent > 1 and not outcome.each:
                progress.width.narrow(sent, _REFUSED_BY)
                return Step.MORE
            self._keep_refused(name, batch, outcome.reason)
            progress.refused(name + SPOOLED, outcome.reason, now_ns)
            return Step.MORE
        self._stats.later += sent
        alone = isinstance(outcome, Later) and outcome.suspect and sent == 1 and progress.failures >= _PATIENCE
        if isinstance(outcome, Later) and outcome.suspect:
            progress.width.narrow(sent, _SUSPECTED_BY)
        progress.failed(name + SPOOLED, outcome, now_ns)
        if alone:
            # Frames are read in order: in the outbox it waits by itself. Other destinations get it twice, under one id.
            with self._store.transaction() as tx:
                tx.add_rows([row_of(batch.frames[0])])
            self._spool.commit(name, batch)
        return Step.STUCK

    def _keep_refused(self, name: str, batch: Batch, reason: str) -> None:
        for done, frame in enumerate(batch.frames):
            try:
                self._keep(name, frame, reason)
            except StoreError:
                self._spool.commit(name, batch, done)
                raise
            self._stats.set_aside += 1
        self._spool.commit(name, batch)

    def _keep(self, name: str, frame: bytes, reason: str) -> None:
        if self._on_refused is not None:
            try:
                self._on_refused(name, frame, reason)
                return
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - a bug there must not lose the event, or stop the spool for ever
                report("delivery.refused", error)
        self._store.add_aside(name, row_of(frame), reason)


def row_of(frame: bytes) -> NewRow:
    """Return the outbox row of a spooled record: under its own `event_id`; one that has none gets an id from its bytes."""
    event_id, name, at_ns = "", "", 0
    try:
        event = decode_log_record(frame)
        event_id, name, at_ns = str(event.attributes.get("event_id") or ""), event.event_name, event.time_ns
    except ValueError:
        pass
    event_id = event_id or str(uuid.UUID(bytes=hashlib.sha256(frame).digest()[:16]))
    return NewRow(event_id, name or "unreadable", frame, min(at_ns, 2**63 - 1))
