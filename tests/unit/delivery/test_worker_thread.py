# SPDX-License-Identifier: Apache-2.0
"""The worker's thread: it wakes, flushes and stops within bounds, and does nothing when there is nothing to do."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue.delivery import worker as module
from otel_revenue.delivery.outcome import Delivered, Later, Outcome
from otel_revenue.delivery.spool import Spool
from otel_revenue.delivery.worker import Worker
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, LATER
from support.delivery import FarEnd, put, record, refusing, waiting
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LONG = 30.0
"""A bound against hanging; no test needs it."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "ledger.sqlite3", busy_s=5)
    yield store
    store.close()


def _worker(store: SqliteStore, *far_ends: FarEnd, **more: Any) -> Worker:
    return Worker(store, more.pop("spool", None), far_ends, linger_s=0, **more)


class Gate:
    """A far end that answers when it is let."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, orders: Sequence[str]) -> Outcome:
        self.entered.set()
        self.opened.wait(LONG)
        return Delivered()


def test_no_thread_before_start(store: SqliteStore) -> None:
    """
    A worker that was only made, or woken, has no thread: a server may still fork.
    """
    before = threading.active_count()
    worker = _worker(store, FarEnd())
    worker.wake()
    made = threading.active_count()
    worker.start()
    worker.start()
    started = threading.active_count()
    worker.stop(LONG)

    assert (0, 1, 0) == (made - before, started - before, threading.active_count() - before)


def test_a_wake_delivers(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An event that was put while the thread sleeps is delivered at the wake, long before the next look.
    """
    monkeypatch.setattr(module, "_IDLE_S", 3600.0)
    far_end = FarEnd()
    worker = _worker(store, far_end)
    worker.start()
    sent = []
    for n in range(50):
        put(store, f"o{n}")
        worker.wake()
        sent.append(wait_for(lambda n=n: len(far_end.taken) > n))  # type: ignore[misc]
    worker.stop(LONG)

    assert [True] * 50 == sent


def test_flush_sees_what_was_put_before_it(store: SqliteStore, tmp_path: Path) -> None:
    """
    After a flush that says True everything that was recorded before it has arrived, from many threads at once.
    """
    spool = Spool(tmp_path / "spool", token="a")
    far_end = FarEnd()
    worker = _worker(store, far_end, spool=spool)
    missing: list[str] = []

    def buyer(name: str) -> None:
        for n in range(10):
            put(store, f"{name}-money-{n}")
            spool.append(record(f"{name}-funnel-{n}"))
            worker.wake()
        # Others may have put more meanwhile: then it is not True.
        if worker.flush(LONG):
            wanted = {f"{name}-{kind}-{n}" for n in range(10) for kind in ("money", "funnel")}
            missing.extend(wanted - set(far_end.taken))

    threads = [threading.Thread(target=buyer, args=(f"b{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = worker.flush(LONG)
    worker.stop(LONG)
    spool.close()

    assert ([], True, 80) == (missing, last, len(set(far_end.taken)))


def test_flush_finishes_a_long_backlog(store: SqliteStore) -> None:
    """
    A flush goes on until nothing is left, however many requests that takes.
    """
    put(store, *[f"o{n}" for n in range(12_000)])
    far_end = FarEnd()
    worker = _worker(store, far_end)
    done = worker.flush(LONG)
    worker.stop(LONG)

    assert (True, 12_000) == (done, len(far_end.taken))


def test_flush_ignores_the_back_off_once(store: SqliteStore) -> None:
    """
    A destination that waits for its next try is tried at a flush, once; when it fails the flush says so and ends.
    """
    answers: list[Outcome] = [Later("http 503", 3000.0)] * 2
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    worker = _worker(store, far_end)
    worker.flush(LONG)
    put(store, "o0")
    results = [worker.flush(LONG) for _ in range(3)]
    worker.stop(LONG)

    assert ([False, False, True], 3) == (results, len(far_end.requests))


def test_flush_tries_a_dead_destination_once_beside_a_long_backlog(tmp_path: Path) -> None:
    """
    While a flush works off what one destination takes, another that is dead is not knocked at again and again.
    """
    store = SqliteStore(tmp_path / "ledger.sqlite3", destinations=("dead", "fine"), busy_s=5)
    put(store, *[f"o{n}" for n in range(26_000)])
    dead, fine = FarEnd(lambda orders: Later("http 503", 3000.0), "dead"), FarEnd(name="fine")
    worker = _worker(store, dead, fine)
    worker.run_once()
    before = len(dead.requests)
    done = worker.flush(LONG)
    during = len(dead.requests) - before
    worker.stop(0)
    store.close()

    assert (False, 26_000, 1) == (done, len(fine.taken), during)


def test_flush_is_false_while_anything_waits(store: SqliteStore) -> None:
    """
    What another process has leased is not delivered yet: a flush does not claim that it is.
    """
    put(store, "o0")
    store.claim("otlp", limit=1, now_ns=time.time_ns(), lease_ns=600 * 10**9)
    worker = _worker(store, FarEnd(), lease_s=600.0)
    leased = worker.flush(LONG)
    worker.stop(LONG)

    assert (False, 1) == (leased, store.pending("otlp").waiting)


def test_flush_is_true_when_the_rest_is_set_aside(store: SqliteStore) -> None:
    """
    What was refused for good is settled: nothing more can be done for it now.
    """
    put(store, "o0", "bad", "o1")
    worker = _worker(store, FarEnd(refusing("bad")))
    done = worker.flush(LONG)
    worker.stop(LONG)

    assert (True, 1, {}) == (done, len(waiting(store, ASIDE)), waiting(store, LATER))


def test_flush_does_not_wait_for_a_far_end_that_hangs(store: SqliteStore) -> None:
    """
    With the thread in a request without answer, flush comes back at its bound, and the event stays on disk.
    """
    put(store, "o0")
    gate = Gate()
    worker = _worker(store, FarEnd(gate))
    worker.start()
    gate.entered.wait(LONG)
    done = worker.flush(0.05)
    waits = store.pending("otlp").waiting
    gate.opened.set()
    worker.stop(LONG)

    assert (False, 1) == (done, waits)


def test_stop_does_not_wait_for_a_far_end_that_hangs(store: SqliteStore) -> None:
    """
    Stop comes back at its bound as well, has let go of the connections, and the thread ends after its request.
    """
    put(store, "o0", "o1")
    gate = Gate()
    far_end = FarEnd(gate)
    worker = _worker(store, far_end)
    worker.start()
    gate.entered.wait(LONG)
    worker.stop(0.05)
    closed = far_end.closed
    gate.opened.set()
    assert worker._thread is not None
    worker._thread.join(LONG)

    assert (True, False) == (closed, worker._thread.is_alive())


def test_after_stop_nothing_blocks(store: SqliteStore) -> None:
    """
    Flush, start, wake and stop after the end return at once.
    """
    worker = _worker(store, FarEnd())
    worker.flush(LONG)
    worker.stop(LONG)
    put(store, "late")
    worker.start()
    worker.wake()
    late = worker.flush(LONG)
    worker.stop(LONG)
    never_started = _worker(store, FarEnd())
    never_started._stopping = True

    assert (False, False) == (late, never_started.flush(LONG))


def test_flush_without_new_threads_is_false(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    When the interpreter is ending and starts no thread any more, flush says that it did nothing, and does not raise.
    """
    put(store, "o0")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    worker = _worker(store, FarEnd())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = worker.flush(LONG)
    worker.stop(LONG)

    assert (False, 1) == (done, store.pending("otlp").waiting)


@pytest.mark.swallow
def test_a_pass_that_breaks_does_not_end_the_thread(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After a bug in one pass the next one delivers.
    """
    far_end = FarEnd()
    worker = _worker(store, far_end)
    whole = worker._pass
    broken = [True]

    def once(**given_: Any) -> Any:
        if broken.pop() if broken else False:
            raise ZeroDivisionError
        return whole(**given_)

    monkeypatch.setattr(worker, "_pass", once)
    put(store, "o0")
    first = worker.flush(LONG)
    second = worker.flush(LONG)
    worker.stop(LONG)

    assert (False, True, ["o0"]) == (first, second, far_end.taken)


def test_a_chore_whose_time_is_over_makes_no_busy_loop(store: SqliteStore) -> None:
    """
    A chore that asks for a time in the past is called again, and the thread still sleeps between two passes.
    """
    pauses: list[float] = []
    ready = threading.Event()
    worker = _worker(store, FarEnd(), ticks=(lambda now_ns: now_ns - 10**9,))
    wait = worker._wake.wait

    def recorded(seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) >= 3:
            ready.set()
        return wait(seconds)

    worker._wake.wait = recorded  # type: ignore[assignment,method-assign]
    worker.start()
    ready.wait(LONG)
    worker.stop(LONG)

    assert 0 < min(pauses[:3])


def test_a_failure_of_long_ago_makes_no_busy_loop(store: SqliteStore) -> None:
    """
    When the event of a failed try is gone (another process delivered it) the wait that is over does not wake anybody.
    """
    put(store, "o0")
    worker = _worker(store, FarEnd(lambda orders: Later("http 503")))
    worker.run_once()
    store.forget_rows([row.seq for row in store.rows("otlp")])
    worker.stats.progress["otlp"].not_before_ns = 1
    next_ns, drained = worker.run_once()

    assert (None, True) == (next_ns, drained)


def test_a_burst_is_gathered(store: SqliteStore, tmp_path: Path) -> None:
    """
    Events that come within the linger share a request; a flush does not wait for its end.
    """
    far_end = FarEnd()
    worker = Worker(store, None, [far_end], linger_s=LONG)
    worker.start()
    assert wait_for(lambda: worker._finished > 0)
    for n in range(20):
        put(store, f"o{n}")
        worker.wake()
    done = worker.flush(LONG - 1)
    worker.stop(LONG)

    assert (True, 1) == (done, len(far_end.requests))
