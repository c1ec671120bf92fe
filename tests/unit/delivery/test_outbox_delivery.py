# SPDX-License-Identifier: Apache-2.0
"""Money from the outbox to the far end: each event ends acknowledged or set aside, and none stands in another's way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.delivery.outcome import MAX_BACKOFF_S, Delivered, Held, Later, Outcome, Refused
from otel_revenue.delivery.worker import Worker
from otel_revenue.errors import StoreBusy
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, LATER
from support.delivery import SECOND, Clock, FarEnd, ids, put, refusing, taking_some, waiting

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
def clock() -> Clock:
    return Clock()


def _worker(store: Any, clock: Clock, *far_ends: FarEnd, **more: Any) -> Worker:
    return Worker(store, None, far_ends, clock_ns=clock, **more)


def _run(worker: Worker, clock: Clock, passes: int, step_s: float = MAX_BACKOFF_S + 2) -> None:
    for _ in range(passes):
        worker.run_once()
        clock.advance(step_s)


def test_what_is_acknowledged_leaves_the_outbox(store: SqliteStore, clock: Clock) -> None:
    """
    Events are sent once, oldest first, and an acknowledged one is not on disk any more.
    """
    put(store, *ORDERS)
    far_end = FarEnd()
    _, drained = _worker(store, clock, far_end).run_once()

    assert (ORDERS, [ORDERS], {}, True) == (far_end.taken, far_end.requests, waiting(store, LATER), drained)


@pytest.mark.parametrize("bad", [["o0"], ["o39"], ["o17"], ["o3", "o4", "o30"], ORDERS], ids=lambda b: f"{len(b)} bad")
def test_a_refused_event_is_found_and_set_aside(store: SqliteStore, clock: Clock, bad: list[str]) -> None:
    """
    After a 400 for a batch the bad ones are set aside with their reason, all others are delivered, in one pass after another.
    """
    put(store, *ORDERS)
    far_end = FarEnd(refusing(*bad))
    _run(_worker(store, clock, far_end), clock, passes=6, step_s=0)

    good = [order for order in ORDERS if order not in bad]
    assert (sorted(good), dict.fromkeys(ids(*bad), "http 400"), {}) == (
        sorted(far_end.taken),
        waiting(store, ASIDE),
        waiting(store, LATER),
    )


@pytest.mark.parametrize("bad", [["o0"], ["o39"], ["o3", "o4", "o30"]], ids=lambda b: f"{len(b)} bad")
def test_a_partial_success_loses_nothing(store: SqliteStore, clock: Clock, bad: list[str]) -> None:
    """
    Where the far end takes some of a request and does not say which, every good one is taken at least once, every bad one
    set aside, and it ends.
    """
    put(store, *ORDERS)
    far_end = FarEnd()
    far_end.mood = taking_some(far_end, *bad)
    _run(_worker(store, clock, far_end), clock, passes=6, step_s=0)

    assert (set(ORDERS) - set(bad), ids(*bad), {}) == (
        set(far_end.taken),
        set(waiting(store, ASIDE)),
        waiting(store, LATER),
    )


def test_a_request_that_is_refused_as_a_whole_is_not_searched(store: SqliteStore, clock: Clock) -> None:
    """
    When the far end says that it rejected all of them, one request was enough to know.
    """
    put(store, *ORDERS)
    far_end = FarEnd(lambda orders: Refused("partial success: rejected", each=True))
    _worker(store, clock, far_end).run_once()

    assert (1, ids(*ORDERS)) == (len(far_end.requests), set(waiting(store, ASIDE)))


def test_the_search_is_short(store: SqliteStore, clock: Clock) -> None:
    """
    One bad event among 512 costs some twenty requests, not hundreds.
    """
    orders = [f"o{n}" for n in range(512)]
    put(store, *orders)
    far_end = FarEnd(refusing("o300"))
    _run(_worker(store, clock, far_end), clock, passes=4, step_s=0)

    assert (set(orders) - {"o300"}, True) == (set(far_end.taken), len(far_end.requests) < 60)


@pytest.mark.parametrize(
    "outcome", [Later("http 503"), Later("http 500", suspect=True), Held("http 401")], ids=lambda o: o.reason
)
def test_nothing_is_set_aside_in_an_outage(store: SqliteStore, clock: Clock, outcome: Outcome) -> None:
    """
    Whatever keeps the destination away, for however long, all events are there when it comes back, and then go.
    """
    put(store, *ORDERS)
    answers = [outcome] * 30
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    worker = _worker(store, clock, far_end)
    _run(worker, clock, passes=60)

    assert (set(ORDERS), len(ORDERS), {}, {}) == (
        set(far_end.taken),
        len(far_end.taken),
        waiting(store, LATER),
        waiting(store, ASIDE),
    )


@pytest.mark.parametrize("outcome", [Later("http 503"), Later("http 500", suspect=True), Held("http 401")])
def test_an_outage_is_probed_with_one_event(store: SqliteStore, clock: Clock, outcome: Outcome) -> None:
    """
    After a failure one event at a time is tried: a Collector's other backends get a copy of each attempt. When it is over, all go.
    """
    put(store, *ORDERS)
    far_end = FarEnd(mood=lambda orders: outcome)
    worker = _worker(store, clock, far_end)
    _run(worker, clock, 5)
    probes = [len(orders) for orders in far_end.requests]
    far_end.mood = lambda orders: Delivered()
    _run(worker, clock, 3)

    assert ([40, 1, 1, 1, 1], set(ORDERS), True) == (probes, set(far_end.taken), len(far_end.requests) <= 5 + 8)


def test_an_event_that_always_fails_does_not_stand_in_the_way(store: SqliteStore, clock: Clock) -> None:
    """
    One event that the far end answers with 500 for ever, the oldest of all, keeps no other from arriving, and is itself kept.
    """
    put(store, *ORDERS)
    far_end = FarEnd(lambda orders: Later("http 500", suspect=True) if "o0" in orders else Delivered())
    worker = _worker(store, clock, far_end)
    _run(worker, clock, passes=20, step_s=60)
    put(store, "late")
    _run(worker, clock, passes=2, step_s=0)

    assert ({*ORDERS[1:], "late"}, {*ids("o0")}, {}) == (
        set(far_end.taken),
        set(waiting(store, LATER)),
        waiting(store, ASIDE),
    )


def test_an_event_under_suspicion_costs_the_others_nothing(store: SqliteStore, clock: Clock) -> None:
    """
    Once it is known, the event that fails goes by itself: others go at once, together, and the destination is not blamed.
    """
    put(store, *ORDERS)
    far_end = FarEnd(lambda orders: Later("http 500", suspect=True) if "o0" in orders else Delivered())
    worker = _worker(store, clock, far_end)
    _run(worker, clock, passes=20, step_s=60)
    clock.advance(2 * MAX_BACKOFF_S)
    far_end.requests.clear()
    put(store, "new1", "new2")
    worker.run_once()

    assert ([["o0"], ["new1", "new2"]], 0) == (far_end.requests, worker.stats.progress["otlp"].failures)


def test_an_event_under_suspicion_goes_when_the_far_end_is_mended(store: SqliteStore, clock: Clock) -> None:
    """
    An event that failed alone for days is delivered when the far end takes it, and is not set aside before.
    """
    put(store, "o0", "o1")
    mended = False
    far_end = FarEnd(
        lambda orders: Delivered() if mended or "o0" not in orders else Later("grpc UNKNOWN", suspect=True)
    )
    worker = _worker(store, clock, far_end)
    _run(worker, clock, passes=500)
    mended = True
    _run(worker, clock, passes=2)

    assert (["o1", "o0"], {}, {}) == (far_end.taken, waiting(store, LATER), waiting(store, ASIDE))


def test_a_message_above_a_size_limit_is_made_smaller(store: SqliteStore, clock: Clock) -> None:
    """
    A gRPC far end that takes few at a time, and says only UNKNOWN of more, gets few at a time.
    """
    put(store, *ORDERS)
    far_end = FarEnd(lambda orders: Delivered() if len(orders) <= 3 else Later("grpc UNKNOWN", suspect=True))
    _run(_worker(store, clock, far_end), clock, passes=30)

    assert (sorted(ORDERS), {}) == (sorted(far_end.taken), waiting(store, LATER))


def test_a_large_batch_is_sent_in_parts(store: SqliteStore, clock: Clock) -> None:
    """
    A request holds about a mebibyte: what is above goes into the next one.
    """
    orders = [f"{n}-" + "x" * 100_000 for n in range(25)]
    put(store, *orders)
    far_end = FarEnd()
    _worker(store, clock, far_end).run_once()

    assert (orders, True) == (far_end.taken, max(sum(map(len, r)) for r in far_end.requests) <= 1024 * 1024)


def test_a_wrong_key_is_said_once_and_loudly(
    store: SqliteStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A destination that refuses us makes one error line with the remedy, however often it is probed, and one when it accepts.
    """
    put(store, *ORDERS)
    answers: list[Outcome] = [Held("http 401")] * 8
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    worker = _worker(store, clock, far_end)
    with caplog.at_level(logging.INFO, "otel_revenue"):
        _run(worker, clock, passes=4)
        held = worker.stats.progress["otlp"].held
        attempts = {row.attempts for row in store.rows("otlp")}
        _run(worker, clock, passes=6)

    assert ("http 401", {0}, ["ERROR", "WARNING"], "", ORDERS) == (
        held,
        attempts,
        [line.levelname for line in caplog.records],
        worker.stats.progress["otlp"].held,
        far_end.taken,
    )
    assert "HEADERS" in caplog.records[0].getMessage()


def test_refusals_are_said_once_an_hour(store: SqliteStore, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """
    Thousands of refused events make one line, and another one when it still happens an hour later.
    """
    put(store, *ORDERS)
    worker = _worker(store, clock, FarEnd(refusing(*ORDERS, "later")))
    with caplog.at_level(logging.INFO, "otel_revenue"):
        _run(worker, clock, passes=5, step_s=1)
        first = len(caplog.records)
        clock.advance(3600)
        put(store, "later")
        worker.run_once()

    assert (1, 2, 41) == (first, len(caplog.records), worker.stats.set_aside)


def test_an_outage_is_said_once(store: SqliteStore, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """
    A long outage makes one line when it has lasted, and one when it is over.
    """
    put(store, "o0")
    answers: list[Outcome] = [Later("http 503")] * 9
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    with caplog.at_level(logging.INFO, "otel_revenue"):
        _run(_worker(store, clock, far_end), clock, passes=12)

    assert 2 == len(caplog.records)


def test_retry_after_is_respected(store: SqliteStore, clock: Clock) -> None:
    """
    A destination that names a time is not knocked at before it.
    """
    put(store, "o0")
    answers: list[Outcome] = [Later("http 429", 120.0)]
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    worker = _worker(store, clock, far_end)
    next_ns, _ = worker.run_once()
    _run(worker, clock, passes=119, step_s=1)
    before = len(far_end.requests)
    clock.advance(1)
    worker.run_once()

    assert (1, 2, True) == (before, len(far_end.requests), next_ns is not None and next_ns - clock() <= 0)


def test_back_off_grows(store: SqliteStore, clock: Clock) -> None:
    """
    A far end that stays away is asked less and less often, at last every five minutes.
    """
    put(store, "o0")
    far_end = FarEnd(lambda orders: Later("http 503"))
    _run(_worker(store, clock, far_end), clock, passes=3600, step_s=1)

    assert 12 <= len(far_end.requests) <= 30


@pytest.mark.parametrize("back_s", [1, 3600, 86_400 * 365], ids=["a second", "an hour", "a year"])
def test_a_clock_that_is_set_back_stops_nothing(store: SqliteStore, clock: Clock, back_s: int) -> None:
    """
    When the clock jumps back, a destination that waits is tried after at most its own wait.
    """
    put(store, "o0")
    answers: list[Outcome] = [Later("http 503")] * 4
    far_end = FarEnd(lambda orders: answers.pop() if answers else Delivered())
    worker = _worker(store, clock, far_end)
    _run(worker, clock, passes=4, step_s=30)
    clock.advance(-back_s - 30)
    _run(worker, clock, passes=3, step_s=8)

    assert ["o0"] == far_end.taken


def test_destinations_are_independent(tmp_path: Path, clock: Clock) -> None:
    """
    With one destination dead and another one refusing an event, the third gets everything, at once.
    """
    names = ("dead", "picky", "fine")
    store = SqliteStore(tmp_path / "ledger.sqlite3", destinations=names)
    put(store, *ORDERS)
    dead, picky, fine = (
        FarEnd(lambda orders: Later("http 503"), "dead"),
        FarEnd(refusing("o5"), "picky"),
        FarEnd(name="fine"),
    )
    _run(_worker(store, clock, dead, picky, fine), clock, passes=3, step_s=0)
    pending = [(store.pending(name).waiting, store.pending(name).aside) for name in names]
    store.close()

    assert (ORDERS, set(ORDERS) - {"o5"}, [(40, 0), (0, 1), (0, 0)]) == (fine.taken, set(picky.taken), pending)


def test_a_backlog_of_one_does_not_starve_the_other(tmp_path: Path, clock: Clock) -> None:
    """
    Destinations take turns request by request: a long backlog at one leaves the other its share.
    """
    store = SqliteStore(tmp_path / "ledger.sqlite3", destinations=("a", "b"))
    put(store, *[f"o{n}" for n in range(2000)])
    order: list[str] = []
    far_ends = [FarEnd(lambda orders, n=name: order.append(n) or Delivered(), name) for name in ("a", "b")]  # type: ignore[misc]
    _worker(store, clock, *far_ends).run_once()
    store.close()

    assert ["a", "b"] * 4 == order


def test_who_answers_goes_first(tmp_path: Path, clock: Clock) -> None:
    """
    A destination that failed the last time, and may hang again, is tried behind those that answer.
    """
    store = SqliteStore(tmp_path / "ledger.sqlite3", destinations=("a", "b"))
    order: list[str] = []
    a = FarEnd(lambda orders: order.append("a") or Later("timeout", suspect=True), "a")
    b = FarEnd(lambda orders: order.append("b") or Delivered(), "b")
    worker = _worker(store, clock, a, b)
    for n in range(2):
        put(store, f"o{n}")
        worker.run_once()
        clock.advance(MAX_BACKOFF_S)
    store.close()

    assert ["a", "b", "b", "a"] == order


@pytest.mark.swallow
def test_a_bug_in_a_sender_is_no_loss(store: SqliteStore, clock: Clock) -> None:
    """
    A sender that raises is treated like a far end that fails: counted, later, and the other destination is not touched.
    """
    put(store, *ORDERS)
    broken = [True] * 5
    far_end = FarEnd(lambda orders: Later(str(1 / 0)) if broken and broken.pop() else Delivered())
    _run(_worker(store, clock, far_end), clock, passes=20)

    assert (set(ORDERS), {}) == (set(far_end.taken), waiting(store, LATER))


class Failing:
    """A store whose calls fail where the test says so."""

    def __init__(self, store: SqliteStore, fails: dict[str, int]) -> None:
        self._store = store
        self.fails = fails

    def __getattr__(self, name: str) -> Any:
        if self.fails.get(name, 0) > 0:
            self.fails[name] -= 1
            raise StoreBusy("locked")
        return getattr(self._store, name)


@pytest.mark.parametrize("call", ["claim", "settle"])
def test_a_store_that_fails_is_tried_again(store: SqliteStore, clock: Clock, call: str) -> None:
    """
    A pass that meets a locked store goes on later, blames no destination for it, and loses nothing.
    """
    put(store, *ORDERS)
    far_end = FarEnd()
    worker = _worker(Failing(store, {call: 3}), clock, far_end)
    next_ns, drained = worker.run_once()
    failures = worker.stats.progress["otlp"].failures
    _run(worker, clock, passes=8, step_s=16)

    assert (False, 0, True, set(ORDERS), {}) == (
        drained,
        failures,
        next_ns is not None,
        set(far_end.taken),
        waiting(store, LATER),
    )


def test_two_workers_do_not_send_the_same_row(tmp_path: Path, clock: Clock) -> None:
    """
    What one process is sending another one leaves alone, until the lease is over: then the sender is dead.
    """
    path = tmp_path / "ledger.sqlite3"
    stores = [SqliteStore(path, busy_s=5), SqliteStore(path, busy_s=5)]
    put(stores[0], *ORDERS)
    second = FarEnd()
    other = _worker(stores[1], clock, second)
    seen: list[tuple[bool, int]] = []

    def mood(orders: Sequence[str]) -> Outcome:
        _, drained = other.run_once()
        seen.append((drained, len(second.taken)))
        clock.advance(16)
        other.run_once()
        return Delivered()

    _worker(stores[0], clock, FarEnd(mood)).run_once()
    for store in stores:
        store.close()

    assert ([(True, 0)], ORDERS) == (seen, second.taken)


MOODS = st.sampled_from(
    [
        Delivered(),
        Delivered(),
        Later("http 503"),
        Later("http 500", suspect=True),
        Held("http 401"),
        Later("http 429", 9.0),
    ]
)


@given(
    kinds=st.lists(st.sampled_from(["good", "good", "good", "bad", "poison"]), min_size=1, max_size=30),
    answers=st.lists(MOODS, max_size=25),
    partial=st.booleans(),
    steps=st.lists(st.sampled_from([0, 1, 7, 60, 400]), min_size=5, max_size=25),
)
@settings(max_examples=40, deadline=None)
def test_every_event_ends_where_it_belongs(
    kinds: list[str], answers: list[Outcome], partial: bool, steps: list[int]
) -> None:
    """
    After any weather: what is good was taken, what is refused is set aside, what always fails waits; nothing is missing.
    """
    store = SqliteStore(None)
    orders = {f"o{n}": kind for n, kind in enumerate(kinds)}
    of = {kind: {order for order in orders if orders[order] == kind} for kind in ("good", "bad", "poison")}
    put(store, *orders)
    clock, far_end = Clock(), FarEnd()
    judge = taking_some(far_end, *of["bad"]) if partial else refusing(*of["bad"])

    def mood(sent: Sequence[str]) -> Outcome:
        if answers and not isinstance(answer := answers.pop(), Delivered):
            return answer
        return Later("http 500", suspect=True) if of["poison"] & set(sent) else judge(sent)

    far_end.mood = mood
    worker = _worker(store, clock, far_end)
    for step in [*steps, *[MAX_BACKOFF_S + 2] * 60]:
        worker.run_once()
        clock.advance(step)
    aside, later = set(waiting(store, ASIDE)), set(waiting(store, LATER))
    store.close()

    assert (of["good"], ids(*of["bad"]), ids(*of["poison"])) == (set(far_end.taken), aside, later)


def test_chores_are_called_with_the_time_and_say_when_next(store: SqliteStore, clock: Clock) -> None:
    """
    Each pass calls every chore, one that fails too, and the earliest wish is the time of the next pass.
    """
    calls: list[int] = []

    def chore(now_ns: int) -> int:
        calls.append(now_ns)
        return now_ns + 3 * SECOND

    next_ns, _ = _worker(
        store, clock, ticks=(chore, lambda now_ns: None, lambda now_ns: now_ns + 2 * SECOND)
    ).run_once()

    assert ([clock()], clock() + 2 * SECOND) == (calls, next_ns)


@pytest.mark.swallow
def test_a_chore_that_fails_stops_nothing(store: SqliteStore, clock: Clock) -> None:
    """
    Delivery and the other chores go on beside one that raises.
    """
    put(store, "o0")
    calls: list[int] = []
    far_end = FarEnd()
    worker = _worker(store, clock, far_end, ticks=(lambda now_ns: 1 // 0, lambda now_ns: calls.append(now_ns)))
    worker.run_once()

    assert (["o0"], 1) == (far_end.taken, len(calls))


def test_a_chore_that_finds_the_store_busy_comes_again_in_a_second(store: SqliteStore, clock: Clock) -> None:
    """
    A store that somebody holds is no failure of ours: the guard sees nothing, and the chore has its turn soon.
    """

    def chore(now_ns: int) -> None:
        raise StoreBusy("another process")

    next_ns, _ = _worker(store, clock, ticks=(chore,)).run_once()

    assert clock() + SECOND == next_ns


def test_a_clock_that_is_set_back_frees_rows(store: SqliteStore, clock: Clock) -> None:
    """
    Rows that a dead process had leased, and one that waits by itself, do not wait for a clock that was set back by hours.
    """
    put(store, "alone", "leased", "o0")
    far_end = FarEnd(lambda orders: Later("http 500", suspect=True) if "alone" in orders else Delivered())
    worker = _worker(store, clock, far_end)
    _run(worker, clock, passes=12, step_s=60)
    put(store, "leased2")
    store.claim("otlp", limit=9, now_ns=clock(), lease_ns=15 * SECOND)
    clock.advance(-6 * 3600)
    far_end.mood = lambda orders: Delivered()
    _run(worker, clock, passes=3, step_s=1)

    assert ({"alone", "leased", "o0", "leased2"}, {}) == (set(far_end.taken), waiting(store, LATER))
