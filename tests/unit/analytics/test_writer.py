"""The one thread that writes: everybody who waits is answered, and one request's rows keep nobody else's out."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from otel_revenue.analytics import writer as module
from otel_revenue.analytics.logs import read_logs
from otel_revenue.analytics.store import BadRows, Batch, PaidOrder, Store
from otel_revenue.analytics.values import Members
from otel_revenue.analytics.writer import Writer
from otel_revenue.errors import StoreBusy, StoreError
from support.otlp_events import T0, logs_request, paid


def batch(order: str) -> Batch:
    return Batch(events=read_logs(logs_request([paid(order, 1)]), Members()).lines)


class Gate:
    """A store whose first write waits until told, so that the ones after it gather."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.open = threading.Event()
        self.writes: list[int] = []

    def write(self, rows: Batch, *, received_ns: int) -> list[PaidOrder]:
        assert self.open.wait(30)
        self.writes.append(len(rows.events))
        return self._store.write(rows, received_ns=received_ns)


def gated(store: Store, **arguments: Any) -> tuple[Gate, Writer]:
    gate = Gate(store)
    return gate, Writer(gate, clock_ns=lambda: T0, **arguments)  # type: ignore[arg-type]


def orders(store: Store) -> list[str]:
    with store.reading() as db:
        return [row[0] for row in db.execute("SELECT order_id FROM event ORDER BY 1").fetchall()]


def test_what_gathers_is_committed_together() -> None:
    """
    Requests that come while a write runs share the next one.
    """
    with Store(None) as store:
        gate, writer = gated(store)
        futures = [writer.submit(batch(f"o{n}")) for n in range(5)]
        gate.open.set()
        for future in futures:
            future.result(timeout=30)
        writer.close()

        assert [f"o{n}" for n in range(5)] == orders(store)
        assert len(gate.writes) <= 2
        assert 5 == sum(gate.writes)


def test_bad_rows_are_refused_alone() -> None:
    """
    Of requests that were gathered, the one with unreadable rows fails; the others are kept.
    """
    with Store(None) as store:
        gate, writer = gated(store)
        futures = [writer.submit(rows) for rows in (batch("a"), batch("b"), Batch(events=["{"]), batch("c"))]
        gate.open.set()
        errors = [future.exception(timeout=30) for future in futures]
        writer.close()

        assert [type(None), type(None), BadRows, type(None)] == [type(error) for error in errors]
        assert ["a", "b", "c"] == orders(store)


@pytest.mark.swallow
def test_rows_on_disk_are_acknowledged_whoever_fails_to_show_them() -> None:
    """
    A failure of whoever is told about new payments (a closed terminal) is no failure of the write, nor of the next one.
    """
    with Store(None) as store:
        told: list[PaidOrder] = []

        def fails_once(new: Any) -> None:
            told.extend(new)
            if len(told) == 1:
                raise ZeroDivisionError

        gate, writer = gated(store, on_paid=fails_once)
        gate.open.set()
        first = writer.submit(batch("a")).exception(timeout=30)
        second = writer.submit(batch("b")).exception(timeout=30)
        writer.close()

        assert (None, None) == (first, second)
        assert ["a", "b"] == orders(store)


def test_too_much_waiting_sends_senders_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Beyond the bound a request is refused before it is taken, and taken again when there is room.
    """
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    with Store(None) as store:
        gate, writer = gated(store)
        first = writer.submit(batch("a"))
        with pytest.raises(StoreBusy):
            writer.submit(batch("b"))
        gate.open.set()
        first.result(timeout=30)
        writer.submit(batch("b")).result(timeout=30)
        writer.close()

        assert ["a", "b"] == orders(store)


def test_closing_writes_what_waits() -> None:
    """
    What was taken before the end is written; what comes after it is refused.
    """
    with Store(None) as store:
        gate, writer = gated(store)
        futures = [writer.submit(batch(f"o{n}")) for n in range(3)]
        gate.open.set()
        writer.close()
        with pytest.raises(StoreError):
            writer.submit(batch("late"))

        assert [None] * 3 == [future.exception(timeout=0) for future in futures]
        assert ["o0", "o1", "o2"] == orders(store)


def test_a_sender_that_hung_up_harms_nobody() -> None:
    """
    A future that was cancelled is skipped; its rows are kept all the same.
    """
    with Store(None) as store:
        gate, writer = gated(store)
        running, cancelled = writer.submit(batch("a")), writer.submit(batch("b"))
        cancelled.cancel()
        gate.open.set()
        running.result(timeout=30)
        writer.close()

        assert ["a", "b"] == orders(store)


def test_a_failure_of_any_kind_is_an_answer() -> None:
    """
    Even an error that nobody thought of reaches who waits, and the next request is written.
    """
    with Store(None) as store:
        gate, writer = gated(store)
        gate.open.set()
        first = writer.submit(Batch(counts={"x": object()})).exception(timeout=30)  # type: ignore[dict-item]
        second = writer.submit(batch("b")).exception(timeout=30)
        writer.close()

        assert (True, None) == (first is not None, second)
        assert ["b"] == orders(store)
