# SPDX-License-Identifier: Apache-2.0
"""The one thread that writes to the database: takes what has gathered, commits it at once, then answers everybody who waits."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import guard
from otel_revenue.errors import StoreBusy, StoreError

from .store import Batch, PaidOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .store import Store

MAX_WAITING: Final = 64 * 1024 * 1024
"""Characters of rows that may wait for the database; beyond it senders are told to come back."""
MAX_ROWS: Final = 50_000
"""Rows of one commit."""


@dataclass(frozen=True, slots=True)
class _Job:
    batch: Batch
    size: int
    done: Future[None]


class Writer:
    """
    Group commit over one store.

    Args:
        store: where to; owned by the caller, who closes it after this.
        on_paid: called in the writer's thread with the payments of a commit that were not known before.
        clock_ns: the time, nanoseconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_paid: Callable[[Sequence[PaidOrder]], None] = lambda _: None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._on_paid = on_paid
        self._clock_ns = clock_ns
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="otel-revenue-writer", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> Future[None]:
        """
        Hand over rows; the future is done when they are on disk, and fails with what `Store.write` raises.

        Raises:
            StoreBusy: too much waits already, or the writer is closed.
        """
        size = sum(map(len, batch.events)) + sum(map(len, batch.spans))
        job = _Job(batch, size, Future())
        with self._lock:
            if self._closed:
                raise StoreBusy("the receiver is shutting down")
            if self._waiting and self._waiting + size > MAX_WAITING:
                raise StoreBusy("the database is behind")
            self._waiting += size
            self._jobs.put(job)
        return job.done

    def close(self) -> None:
        """Write what waits, then end."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs, last = self._gather()
            if jobs:
                self._settle(jobs)
            if last:
                return

    def _gather(self) -> tuple[list[_Job], bool]:
        first = self._jobs.get()
        if first is None:
            return [], True
        jobs, rows = [first], _rows(first)
        while rows < MAX_ROWS:
            try:
                more = self._jobs.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return jobs, True
            jobs.append(more)
            rows += _rows(more)
        return jobs, False

    def _settle(self, jobs: list[_Job]) -> None:
        try:
            paid = self._write(jobs)
        except StoreError as error:
            if len(jobs) == 1:
                self._finish(jobs[0], error)
            else:  # one request's rows must not keep the others' out
                for job in jobs:
                    self._settle([job])
        except Exception as error:  # noqa: BLE001 - whoever waits must be answered, whatever went wrong
            for job in jobs:
                self._finish(job, error)
        else:
            for job in jobs:
                self._finish(job, None)
            if paid:
                with guard("analytics.on_paid"):  # the rows are on disk: nothing that shows them can undo that
                    self._on_paid(paid)

    def _write(self, jobs: list[_Job]) -> list[PaidOrder]:
        counts: dict[str, int] = {}
        for job in jobs:
            for name, more in job.batch.counts.items():
                counts[name] = counts.get(name, 0) + more
        batch = Batch(
            [line for job in jobs for line in job.batch.events],
            [line for job in jobs for line in job.batch.spans],
            counts,
        )
        return self._store.write(batch, received_ns=self._clock_ns())

    def _finish(self, job: _Job, error: Exception | None) -> None:
        with self._lock:
            self._waiting -= job.size
        if not job.done.set_running_or_notify_cancel():  # the sender has hung up
            return
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(error)


def _rows(job: _Job) -> int:
    return len(job.batch.events) + len(job.batch.spans)
