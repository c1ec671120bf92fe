# SPDX-License-Identifier: Apache-2.0
"""Events that are not money from the spool to the far end: none is lost, none stands in another's way, each destination by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.delivery.lanes import row_of
from otel_revenue.delivery.outcome import MAX_BACKOFF_S, Delivered, Held, Later, Outcome, Refused
from otel_revenue.delivery.spool import Spool
from otel_revenue.delivery.worker import Worker
from otel_revenue.errors import StoreBusy
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, LATER
from support.delivery import Clock, FarEnd, event_id, ids, put, record, refusing, taking_some, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ORDERS = [f"o{n}" for n in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "ledger.sqlite3", busy_s=5)
    yield store
    store.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", token="a", head=b"resource")
    yield spool
    spool.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _append(spool: Spool, *orders: str) -> None:
    for order in orders:
        spool.append(record(order))


def _worker(store: Any, spool: Spool, clock: Clock, *far_ends: FarEnd, **more: Any) -> Worker:
    return Worker(store, spool, far_ends, clock_ns=clock, **more)


def _run(worker: Worker, clock: Clock, passes: int, step_s: float = MAX_BACKOFF_S + 2) -> None:
    for _ in range(passes):
        worker.run_once()
        clock.advance(step_s)


def test_spooled_events_go_with_their_resource(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    Events are sent in order, under the resource of the process that wrote them, and are then behind the cursor.
    """
    _append(spool, *ORDERS)
    far_end = FarEnd()
    _, drained = _worker(store, spool, clock, far_end).run_once()

    assert (ORDERS, [b"resource"], 0, True) == (far_end.taken, far_end.heads, spool.waiting("otlp"), drained)


def test_money_goes_first(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    What is in the outbox is sent before what is in the spool.
    """
    _append(spool, "funnel")
    put(store, "money")
    far_end = FarEnd()
    _worker(store, spool, clock, far_end).run_once()

    assert ["money", "funnel"] == far_end.taken


@pytest.mark.parametrize("bad", [["o0"], ["o39"], ["o3", "o4", "o30"], ORDERS], ids=lambda b: f"{len(b)} bad")
@pytest.mark.parametrize("partial", [False, True], ids=["400", "partial success"])
def test_a_refused_event_is_kept(store: SqliteStore, spool: Spool, clock: Clock, bad: list[str], partial: bool) -> None:
    """
    A spooled event that is refused for good is set aside in the outbox under its own id; all others are delivered.
    """
    _append(spool, *ORDERS)
    far_end = FarEnd()
    far_end.mood = taking_some(far_end, *bad) if partial else refusing(*bad)
    _run(_worker(store, spool, clock, far_end), clock, passes=8, step_s=0)

    assert (set(ORDERS) - set(bad), ids(*bad), {}, 0) == (
        set(far_end.taken),
        set(waiting(store, ASIDE)),
        waiting(store, LATER),
        spool.waiting("otlp"),
    )


def test_after_a_bad_event_requests_grow_again(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    One bad event does not leave the spool with one event per request.
    """
    _append(spool, "bad", *[f"o{n}" for n in range(1000)])
    far_end = FarEnd(refusing("bad"))
    _run(_worker(store, spool, clock, far_end), clock, passes=4, step_s=0)

    assert (1000, True) == (len(far_end.taken), len(far_end.requests) < 40)


def test_a_refused_event_is_given_to_whom_asks_for_it(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    With `on_refused` that function keeps the event.
    """
    _append(spool, "o0", "bad", "o1")
    kept: list[tuple[str, bytes, str]] = []
    worker = _worker(store, spool, clock, FarEnd(refusing("bad")), on_refused=lambda *given_: kept.append(given_))
    _run(worker, clock, passes=3, step_s=0)

    assert ([("otlp", record("bad"), "http 400")], {}) == (kept, waiting(store, ASIDE))


@pytest.mark.swallow
def test_a_refused_event_survives_a_bug_in_its_keeper(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    Where `on_refused` raises for a bug of its own, the outbox keeps the event, and the spool goes on.
    """
    _append(spool, "bad", "o1")
    far_end = FarEnd(refusing("bad"))
    worker = _worker(store, spool, clock, far_end, on_refused=lambda *_: 1 // 0)
    _run(worker, clock, passes=3, step_s=0)

    assert (["o1"], ids("bad")) == (far_end.taken, set(waiting(store, ASIDE)))


def test_a_refused_event_stays_until_it_can_be_kept(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    While the store cannot take the refused event it stays in the spool; it is not dropped to go on.
    """
    _append(spool, "bad", "o1")
    fails = 3

    def keep(destination: str, frame: bytes, reason: str) -> None:
        nonlocal fails
        if fails:
            fails -= 1
            raise StoreBusy("locked")
        store.add_aside(destination, row_of(frame), reason)

    far_end = FarEnd(refusing("bad"))
    worker = _worker(store, spool, clock, far_end, on_refused=keep)
    _run(worker, clock, passes=3, step_s=2)
    before = (list(far_end.taken), spool.waiting("otlp") > 0)
    _run(worker, clock, passes=3, step_s=2)

    assert (([], True), ["o1"], ids("bad")) == (before, far_end.taken, set(waiting(store, ASIDE)))


def test_what_is_kept_of_a_refused_batch_is_not_kept_again(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    Where the store fails in the middle of a batch that was refused as a whole, it goes on behind what it has kept.
    """
    _append(spool, "o0", "o1", "o2")
    kept: list[bytes] = []

    def keep(destination: str, frame: bytes, reason: str) -> None:
        if len(kept) == 1 and not failed:
            failed.append(True)
            raise StoreBusy("locked")
        kept.append(frame)

    failed: list[bool] = []
    far_end = FarEnd(lambda orders: Refused("partial success: rejected", each=True))
    _run(_worker(store, spool, clock, far_end, on_refused=keep), clock, passes=3, step_s=2)

    assert [record(order) for order in ("o0", "o1", "o2")] == kept


def test_an_event_that_always_fails_gives_way(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    An event that the far end answers with 500 for ever leaves the file that is read in order, and waits in the outbox.
    """
    _append(spool, *ORDERS)
    far_end = FarEnd(lambda orders: Later("http 500", suspect=True) if "o3" in orders else Delivered())
    _run(_worker(store, spool, clock, far_end), clock, passes=60)

    assert (set(ORDERS) - {"o3"}, ids("o3"), 0) == (
        set(far_end.taken),
        set(waiting(store, LATER)),
        spool.waiting("otlp"),
    )


@pytest.mark.parametrize(
    "outcome", [Later("http 503"), Later("http 500", suspect=True), Held("http 401")], ids=lambda o: o.reason
)
def test_an_outage_loses_nothing(store: SqliteStore, spool: Spool, clock: Clock, outcome: Outcome) -> None:
    """
    Whatever keeps the destination away, every event arrives afterwards, and none is set aside.
    """
    _append(spool, *ORDERS)
    answers = [outcome] * 30
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    _run(_worker(store, spool, clock, far_end), clock, passes=60)

    assert (set(ORDERS), {}, {}) == (set(far_end.taken), waiting(store, LATER), waiting(store, ASIDE))


def test_an_outage_is_probed_with_one_event(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    After a failure one event at a time is tried, until the far end answers; then the rest goes at once.
    """
    _append(spool, *ORDERS)
    answers = [Later("http 503")] * 3
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    _run(_worker(store, spool, clock, far_end), clock, passes=5)

    assert ([40, 1, 1, 1, 39], ORDERS) == ([len(orders) for orders in far_end.requests], far_end.taken)


@pytest.mark.parametrize(
    "outcome", [Later("http 503"), Later("http 500", suspect=True), Held("http 401")], ids=lambda o: o.reason
)
def test_where_money_is_refused_the_rest_goes_on(
    store: SqliteStore, spool: Spool, clock: Clock, outcome: Outcome
) -> None:
    """
    A Collector whose backend for money is away takes everything else: that goes at once, and payments are probed one by one.
    """
    money = [f"m{n}" for n in range(20)]
    put(store, *money)
    far_end = FarEnd(lambda orders: outcome if set(orders) & set(money) else Delivered())
    worker = _worker(store, spool, clock, far_end)
    for order in ORDERS:
        _append(spool, order)
        _run(worker, clock, passes=1)
    probes = [orders for orders in far_end.requests if set(orders) & set(money)]
    taken = list(far_end.taken)
    far_end.mood = lambda orders: Delivered()
    _run(worker, clock, passes=3)

    assert (ORDERS, [len(money)] + [1] * (len(ORDERS) - 1)) == (taken, [len(orders) for orders in probes])
    assert (set(money), {}, {}) == (set(far_end.taken) - set(ORDERS), waiting(store, LATER), waiting(store, ASIDE))


def test_where_the_rest_is_refused_money_goes_on(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    A Collector whose queue is full refuses events and may take payments, whose backend it asks: they go at once.
    """
    _append(spool, *ORDERS)
    far_end = FarEnd(lambda orders: Later("http 503") if set(orders) & set(ORDERS) else Delivered())
    worker = _worker(store, spool, clock, far_end)
    worker.run_once()
    put(store, "m0")
    worker.run_once()

    assert (["m0"], True) == (far_end.taken, spool.waiting("otlp") > 0)


def test_each_destination_has_its_own_cursor(tmp_path: Path, clock: Clock) -> None:
    """
    With one destination dead the other has everything; the dead one gets everything when it lives, after a restart too.
    """
    names = ("dead", "fine")
    store = SqliteStore(tmp_path / "ledger.sqlite3", destinations=names)
    spool = Spool(tmp_path / "spool", token="a", readers=names)
    _append(spool, *ORDERS)
    dead, fine = FarEnd(lambda orders: Later("http 503"), "dead"), FarEnd(name="fine")
    _run(_worker(store, spool, clock, dead, fine), clock, passes=3)
    spool.close()
    after = Spool(tmp_path / "spool", token="b", readers=names)
    dead.mood = lambda orders: Delivered()
    again = FarEnd(name="fine")
    _worker(store, after, clock, dead, again).run_once()
    after.close()
    store.close()

    assert (ORDERS, ORDERS, []) == (fine.taken, dead.taken, again.taken)


def test_a_broken_store_does_not_stop_the_spool(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    While the outbox cannot be read, events that need no store are delivered.
    """

    class Broken:
        def claim(self, *_: object, **__: object) -> list[object]:
            raise StoreBusy("locked")

    _append(spool, *ORDERS)
    far_end = FarEnd()
    _, drained = _worker(Broken(), spool, clock, far_end).run_once()

    assert (ORDERS, False) == (far_end.taken, drained)


def test_what_a_dead_process_left_is_found(store: SqliteStore, spool: Spool, clock: Clock, tmp_path: Path) -> None:
    """
    The worker adopts the files of processes that died, while it runs.
    """
    far_end = FarEnd()
    worker = _worker(store, spool, clock, far_end)
    worker.run_once()
    dead = Spool(tmp_path / "spool", token="dead", head=b"before")
    dead.append(record("o0"))
    dead.close()
    clock.advance(2)
    worker.run_once()

    assert (["o0"], [b"before"]) == (far_end.taken, far_end.heads)


@pytest.mark.parametrize(
    "frame", [b"\xff\xff", b"", record("o0"), record("o0")[:-3]], ids=["garbage", "empty", "whole", "cut"]
)
def test_every_frame_has_a_row(frame: bytes) -> None:
    """
    A frame goes into the outbox under its event's id; one that cannot be read, under an id made from its bytes, always the same.
    """
    row, again = row_of(frame), row_of(frame)

    assert (again.event_id, frame, True) == (row.event_id, row.record, len(row.event_id) == 36)
    assert (row.event_id == event_id("o0")) == (frame == record("o0"))


MOODS = st.sampled_from(
    [
        Delivered(),
        Delivered(),
        Later("http 503"),
        Later("http 500", suspect=True),
        Held("http 401"),
        Refused("http 413"),
    ]
)


@given(
    kinds=st.lists(st.sampled_from(["good", "good", "good", "bad", "poison"]), min_size=1, max_size=30),
    answers=st.lists(MOODS, max_size=20),
    partial=st.booleans(),
    steps=st.lists(st.sampled_from([0, 1, 7, 60, 400]), min_size=5, max_size=25),
)
@settings(max_examples=40, deadline=None)
def test_every_event_ends_where_it_belongs(
    kinds: list[str], answers: list[Outcome], partial: bool, steps: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """
    After any weather: what is good was taken or is set aside because the far end said so, what always fails waits; nothing is missing.
    """
    folder = tmp_path_factory.mktemp("store")
    store = SqliteStore(None)
    spool = Spool(folder / "spool", token="a", segment_bytes=4096)
    orders = {f"o{n}": kind for n, kind in enumerate(kinds)}
    of = {kind: {order for order in orders if orders[order] == kind} for kind in ("good", "bad", "poison")}
    _append(spool, *orders)
    clock, far_end = Clock(), FarEnd()
    judge = taking_some(far_end, *of["bad"]) if partial else refusing(*of["bad"])
    refused: set[str] = set()

    def mood(sent: Sequence[str]) -> Outcome:
        if answers and not isinstance(answer := answers.pop(), Delivered):
            if isinstance(answer, Refused) and len(sent) == 1:
                refused.update(sent)
            return answer
        return Later("http 500", suspect=True) if of["poison"] & set(sent) else judge(sent)

    far_end.mood = mood
    worker = _worker(store, spool, clock, far_end)
    for step in [*steps, *[MAX_BACKOFF_S + 2] * 100]:
        worker.run_once()
        clock.advance(step)
    aside, later = set(waiting(store, ASIDE)), set(waiting(store, LATER))
    left = spool.waiting("otlp")
    spool.close()
    store.close()

    assert (of["good"], ids(*(of["bad"] | refused)), ids(*(of["poison"] - refused)), 0) == (
        set(far_end.taken) | (refused & of["good"]),
        aside,
        later,
        left,
    )


def test_many_events_go_in_few_requests(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    Events that are not money go by two thousand in a request, or by a megabyte where they are large.
    """
    orders = [f"o{n}" for n in range(5000)]
    _append(spool, *orders)
    far_end = FarEnd()
    _worker(store, spool, clock, far_end).run_once()

    assert ([2048, 2048, 904], orders) == (list(map(len, far_end.requests)), far_end.taken)


def test_what_comes_meanwhile_is_gathered(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    Events that come while a request is under way do not each make a request of the same pass: the next one takes them together.
    """

    def mood(_: Sequence[str]) -> Outcome:
        _append(spool, "a", "b", "c")
        return Delivered()

    far_end = FarEnd(mood)
    worker = _worker(store, spool, clock, far_end)
    _append(spool, *ORDERS)
    sizes = []
    for _ in range(3):
        worker.run_once()
        sizes.append(list(map(len, far_end.requests)))

    assert [[40], [40, 3], [40, 3, 3]] == sizes


def test_a_flush_takes_along_what_comes_meanwhile(store: SqliteStore, spool: Spool) -> None:
    """
    A flush is done when nothing is left, and says so, though events came while it delivered.
    """

    def mood(_: Sequence[str]) -> Outcome:
        if len(far_end.requests) < 4:
            _append(spool, "a", "b")
        return Delivered()

    far_end = FarEnd(mood)
    worker = Worker(store, spool, [far_end], linger_s=60)
    _append(spool, *ORDERS)
    done = worker.flush(45)
    worker.stop(45)

    assert (True, [40, 2, 2, 2]) == (done, list(map(len, far_end.requests)))


def test_a_wake_gathers_longer_while_many_come(store: SqliteStore, spool: Spool, clock: Clock) -> None:
    """
    The more the last requests carried the longer the next one gathers, up to half a second, and as short as before when it is quiet.
    """
    worker = _worker(store, spool, clock, FarEnd(), linger_s=0.05)
    waits = []
    for came in [300, 300, 300, 300, 300, 200, 5, 300]:
        _append(spool, *(f"o{n}" for n in range(came)))
        worker.run_once()
        waits.append(worker.gathering_s())

    assert [0.1, 0.2, 0.4, 0.5, 0.5, 0.5, 0.05, 0.1] == waits


@pytest.mark.parametrize("linger_s", [0.0, 2.0])
def test_what_is_set_is_no_less_than_asked(store: SqliteStore, spool: Spool, clock: Clock, linger_s: float) -> None:
    """
    Where no gathering is wanted there is none, and a long one is not cut short by a crowd.
    """
    worker = _worker(store, spool, clock, FarEnd(), linger_s=linger_s)
    _append(spool, *(f"o{n}" for n in range(300)))
    worker.run_once()

    assert linger_s == worker.gathering_s()
