"""What every store promises: ledger and outbox live or die together, each destination has its own progress."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_revenue.errors import StoreBusy, StoreError
from otel_revenue.ledger import postgres, sqlite
from otel_revenue.ledger.model import Alias, Certainty, Evidence, Group, Labels, Saying, Setback, Soft
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, DONE, LATER, NewRow, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel_revenue.ledger.store import Store

    Open = Callable[..., Store]

SECOND = 10**9
NOW = 1_790_000_000 * SECOND
PI = Alias("pi", "", "pi_1")


@pytest.fixture(params=["sqlite file", "sqlite memory", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the store: again and again where it is shared, one and the same where it is memory."""
    opened: list[Store] = []
    url = request.getfixturevalue("postgres").schema() if request.param == "postgres" else ""

    def open_(**arguments: object) -> Store:
        if url:
            given = {"busy_s": 5.0, **arguments}
            opened.append(PostgresStore(url, location="postgresql://the-tests", **given))  # type: ignore[arg-type]
            connect(opened[-1])
            return opened[-1]
        path = None if request.param == "sqlite memory" else tmp_path / "store" / "ledger.sqlite3"
        opened.append(SqliteStore(path, **arguments))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def connect(store: Store) -> None:
    """Open its connections: on a busy machine that may take longer than a test allows for a change."""
    while True:
        try:
            store.next_due_ns()
            with store.transaction():
                return
        except StoreBusy:
            time.sleep(0.05)


@pytest.fixture
def store(open_store: Open) -> Store:
    return open_store()


@pytest.fixture
def two(open_store: Open) -> Store:
    """A store with two destinations."""
    return open_store(destinations=("otlp", "webhook"))


def row(n: int, amount: int = 100, currency: str = "EUR", record: bytes = b"record") -> NewRow:
    return NewRow(f"event-{n}", "order.paid", record, NOW + n, amount, currency)


def group(n: int, **more: object) -> Group:
    evidence = Evidence(Alias("pi", "", f"pi_{n}"), 4, 100, "EUR", NOW, Certainty.CERTAIN)
    return Group(aliases=frozenset({evidence.alias, Alias("ch", "", f"ch_{n}")}), evidence=(evidence,)).changed(**more)


def put(store: Store, *groups: Group) -> list[Group]:
    with store.transaction() as tx:
        return [tx.put(each) for each in groups]


def add(store: Store, *rows: NewRow) -> None:
    with store.transaction() as tx:
        tx.add_rows(rows)


def claim(store: Store, destination: str = "otlp", now_ns: int = NOW, limit: int = 100) -> list[str]:
    return [r.event_id for r in store.claim(destination, limit=limit, now_ns=now_ns, lease_ns=15 * SECOND)]


def settle(store: Store, seq: int, state: str, destination: str = "otlp", **more: object) -> None:
    store.settle(destination, [Settlement(seq, state, **more)], now_ns=NOW)  # type: ignore[arg-type]


# -- one change --------------------------------------------------------------------------------------------------------


def test_mark_and_outbox_row_live_or_die_together(store: Store) -> None:
    """A failure after the mark and the row leaves neither; without one both are there."""

    def record_and_fail() -> None:
        with store.transaction() as tx:
            tx.put(group(1, recorded_ns=NOW))
            tx.add_rows([row(1)])
            tx.set_aside(NOW, "webhook", "charge.succeeded", "amount_type", ("ch_1",))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record_and_fail()
    before = (store.stats()["payments_known"], store.pending("otlp").waiting, store.set_asides())
    with store.transaction() as tx:
        tx.put(group(1, recorded_ns=NOW))
        tx.add_rows([row(1)])

    assert (0, 0, []) == before
    assert (1, 1) == (store.stats()["payments_recorded"], store.pending("otlp").waiting)


def test_a_store_goes_on_after_a_failure(store: Store) -> None:
    """After a change that failed the next one is made as if nothing had been."""

    def fail() -> None:
        with store.transaction() as tx:
            tx.put(group(1))
            raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            fail()
    put(store, group(2))

    assert 1 == store.stats()["payments_known"]


aliases = st.builds(
    Alias,
    st.sampled_from(("cs", "pi", "ch", "in")),
    st.sampled_from(("", "acct_1")),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{2,30}", fullmatch=True),
)
json_values = st.recursive(
    st.one_of(st.text(max_size=20), st.integers(0, 2**63 - 1), st.booleans()),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
labels = st.dictionaries(
    st.text(max_size=10),
    st.dictionaries(st.text(max_size=10), st.tuples(st.integers(0, 9), json_values).map(list), max_size=2),
    max_size=3,
)
times = st.integers(0, 2**62)
requests = st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1), st.integers(0, 255))
groups = st.builds(
    Group,
    aliases=st.frozensets(aliases, min_size=1, max_size=4),
    truncated=st.frozensets(aliases, max_size=1),
    evidence=st.lists(
        st.builds(
            Evidence,
            aliases,
            st.integers(1, 5),
            st.integers(0, 2**63 - 1),
            st.just("EUR"),
            st.integers(0, 2**63 - 1),
            st.sampled_from(Certainty),
        ),
        max_size=3,
    ).map(tuple),
    created=st.booleans(),
    billing=st.booleans(),
    shared=st.booleans(),
    settled=st.booleans(),
    soft=st.none() | st.builds(Soft, st.text(max_size=32), st.integers(0, 9 * 10**18)),
    twin=st.integers(0, 2**40),
    recorded_ns=times,
    recorded_as=st.none() | aliases,
    due_ns=times,
    labels=labels,
    traceparent=st.text(max_size=60),
    created_ns=times,
    seen=requests,
    setbacks=st.lists(
        st.builds(Setback, st.text(max_size=10), aliases, times, st.integers(0, 2), labels, requests, times), max_size=2
    ).map(tuple),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=groups)
def test_a_group_comes_back_as_it_was(store: Store, wanted: Group) -> None:
    """Whatever is in a group, text with lone surrogates and NUL too, it reads back the same under each of its ids."""
    with store.transaction() as tx:
        stored = tx.put(wanted)
        found = [tx.groups_of([alias], ()) for alias in wanted.aliases]
        again = tx.group(stored.id)
        tx.drop([stored.id])

    assert [[stored]] * len(wanted.aliases) == found
    assert (stored, wanted) == (again, stored.changed(id=0))


def test_ids_lead_to_groups(store: Store) -> None:
    """A full id leads to its group, a cut one to the one full id that it begins, and to none where it begins several."""
    session = "cs_live_a1b2c3d4e5f6g7h8i9j0k1l2m3"
    cut = session[:25]
    ambiguous = "cs_live_zzzzzzzzzzzzzzzzz"
    a = Group(aliases=frozenset({Alias("cs", "", session)}))
    b = Group(aliases=frozenset({PI}), truncated=frozenset({Alias("cs", "", "cs_live_a1other1234567890")}))
    c, d = (Group(aliases=frozenset({Alias("cs", "", ambiguous + end)})) for end in "xy")
    a, b, c, d = put(store, a, b, c, d)
    with store.transaction() as tx:
        found = [
            tx.groups_of([Alias("cs", "", session)], ()),
            tx.groups_of([Alias("cs", "acct_1", session)], ()),
            tx.groups_of([], [Alias("cs", "", cut)]),
            tx.groups_of([], [Alias("cs", "acct_1", cut)]),
            tx.groups_of([Alias("cs", "", "cs_live_a1other1234567890rest")], ()),
            tx.groups_of([], [Alias("cs", "", ambiguous)]),
            tx.groups_of([PI, Alias("cs", "", session)], ()),
        ]

    assert [[a], [], [a], [], [b], [], [a, b]] == found


def test_what_was_merged_leads_to_the_survivor(store: Store) -> None:
    """The ids of a group that went into another one lead to that one, and the group itself is gone."""
    a, b = put(store, group(1), group(2))
    with store.transaction() as tx:
        tx.drop([b.id])
        joined = tx.put(a.changed(aliases=a.aliases | b.aliases))
    with store.transaction() as tx:
        found = [tx.groups_of([alias], ()) for alias in (*a.aliases, *b.aliases)]
        gone = tx.group(b.id)

    assert ([[joined]] * 4, None) == (found, gone)


def test_a_number_is_never_given_again(store: Store) -> None:
    """The number of a group that is gone is not given to another one: what points to it must not find a stranger."""
    (a,) = put(store, group(1))
    with store.transaction() as tx:
        tx.drop([a.id])
    (b,) = put(store, group(2))

    assert a.id != b.id


def test_soft_candidates_are_near_and_alone(store: Store) -> None:
    """Groups with the same key are found within the closed interval, unless they have a twin."""
    soft = [Soft("key", NOW), Soft("key", NOW + 10), Soft("key", NOW + 11), Soft("other", NOW)]
    stored = put(store, *(group(n, soft=s) for n, s in enumerate(soft)), group(9, soft=soft[0], twin=1))
    with store.transaction() as tx:
        found = tx.soft_candidates("key", NOW, NOW + 10)

    assert stored[:2] == found


def test_due_groups_come_longest_waiting_first(store: Store) -> None:
    """Groups whose hold is over are found, the longest waiting first, and the next due time is told."""
    a, b, _ = put(store, group(1, due_ns=NOW + 2), group(2, due_ns=NOW + 1), group(3, due_ns=NOW + 5))
    put(store, group(4))
    with store.transaction() as tx:
        found = tx.due_groups(NOW + 2, 10)
        first = tx.due_groups(NOW + 9, 1)

    assert ([b, a], [b], NOW + 1) == (found, first, store.next_due_ns())


def test_a_setback_is_due_beside_its_payment(store: Store) -> None:
    """A group is due when its payment or one of its setbacks is, whichever comes first, and comes back as it was put."""
    waits = Setback("declined", PI, NOW, 1, {"code": {"charge": [2, "expired_card"]}}, (1, 2, 1), NOW + 2)
    recorded = replace(waits, alias=Alias("pi", "", "pi_0"), due_ns=0)
    (held,) = put(store, group(1, due_ns=NOW + 5, setbacks=(recorded, waits)))
    with store.transaction() as tx:
        found = tx.due_groups(NOW + 2, 10)
    first = store.next_due_ns()
    put(store, held.changed(setbacks=(recorded, replace(waits, due_ns=0))))

    assert ([held], NOW + 2, NOW + 5) == (found, first, store.next_due_ns())


def test_nothing_is_due_in_an_empty_store(store: Store) -> None:
    """An empty store says 0 for what is not there."""
    pending = store.pending("otlp")

    assert (0, 0, 0, 0, {}) == (
        store.next_due_ns(),
        pending.waiting,
        pending.aside,
        pending.oldest_ns,
        pending.unconfirmed,
    )
    assert ([], [], []) == (store.rows("otlp"), store.set_asides(), claim(store))


# -- outbox ------------------------------------------------------------------------------------------------------------


def test_an_event_is_recorded_once(store: Store) -> None:
    """A second row of the same event is ignored, while the first waits, is set aside, or both come at once."""
    add(store, row(1, record=b"first"), row(1, record=b"again"))
    add(store, row(1, record=b"third"))
    (one,) = store.rows("otlp")
    settle(store, one.seq, ASIDE, reason="400")
    add(store, row(1, record=b"fourth"))

    assert [(b"first", ASIDE)] == [(r.record, r.state) for r in store.rows("otlp")]


def test_rows_are_claimed_in_order_and_once(store: Store) -> None:
    """Rows come oldest first, as many as are asked for, and not again while they are leased."""
    add(store, *(row(n) for n in range(5)))

    assert ["event-0", "event-1"] == claim(store, limit=2)
    assert ["event-2", "event-3", "event-4"] == claim(store)
    assert [] == claim(store)
    assert ["event-0"] == claim(store, now_ns=NOW + 15 * SECOND, limit=1)


def test_a_claimed_row_carries_what_is_sent(store: Store) -> None:
    """What is claimed is what was added, byte for byte."""
    add(store, row(1, 2**63 - 1, "JPY", record=bytes(range(256))))
    (claimed,) = store.claim("otlp", limit=1, now_ns=NOW, lease_ns=1)

    assert (bytes(range(256)), "event-1", "order.paid", NOW + 1, 0, 2**63 - 1, "JPY") == (
        claimed.record,
        claimed.event_id,
        claimed.event_name,
        claimed.recorded_ns,
        claimed.attempts,
        claimed.amount_minor,
        claimed.currency,
    )


def test_what_is_done_is_removed(store: Store) -> None:
    """A row that its only destination has done is gone, and the same event could be recorded again."""
    add(store, row(1))
    (one,) = store.rows("otlp")
    settle(store, one.seq, DONE)

    assert [] == store.rows("otlp")


def test_later_waits_and_counts(store: Store) -> None:
    """A row that is to be sent later comes when its time has come, with its tries counted; a held one counts none."""
    add(store, row(1))
    (one,) = store.rows("otlp")
    settle(store, one.seq, LATER, not_before_ns=NOW + SECOND, reason="503")
    early = claim(store, now_ns=NOW + SECOND - 1)
    settle(store, one.seq, LATER, not_before_ns=NOW + SECOND, reason="401", counts=False)
    (again,) = store.claim("otlp", limit=9, now_ns=NOW + SECOND, lease_ns=1)

    assert ([], 1, "401") == (early, again.attempts, again.reason)


def test_set_aside_waits_for_a_person(store: Store) -> None:
    """A refused row is not sent again, is listed with its reason, and can be put back or removed."""
    add(store, row(1), row(2))
    one, two_ = store.rows("otlp")
    for each in (one, two_):
        settle(store, each.seq, ASIDE, reason="400 invalid" + "x" * 500)
    listed = [(r.event_id, len(r.reason)) for r in store.rows("otlp", state=ASIDE)]
    retried = store.retry("otlp", [one.seq, 99])
    forgotten = store.forget_rows([two_.seq, 99])

    assert [("event-1", 200), ("event-2", 200)] == listed
    assert (1, 1, ["event-1"]) == (retried, forgotten, claim(store))
    assert 0 == store.retry("otlp", [one.seq])


def test_pending_counts_money(store: Store) -> None:
    """What waits is counted, with its oldest time and its sums by currency, beyond 64 bits too."""
    add(store, row(1, 2**63 - 1), row(2, 2**63 - 1), row(3, 500, "JPY"), row(4, 0, ""))
    store.settle("otlp", [Settlement(store.rows("otlp")[2].seq, ASIDE, reason="x")], now_ns=NOW)
    pending = store.pending("otlp")

    assert (3, 1, NOW + 1) == (pending.waiting, pending.aside, pending.oldest_ns)
    assert {"EUR": 2 * (2**63 - 1), "JPY": 500} == pending.unconfirmed


def test_each_destination_has_its_own_progress(two: Store) -> None:
    """A row leaves when both destinations have done it; one that is dead or refuses holds up nobody."""
    add(two, row(1), row(2))
    one, other = two.rows("otlp")
    settle(two, one.seq, DONE, "otlp")
    settle(two, one.seq, ASIDE, "webhook", reason="400")
    settle(two, other.seq, DONE, "otlp")
    settle(two, other.seq, DONE, "webhook")

    assert ([], ["event-1"]) == ([r.event_id for r in two.rows("otlp")], [r.event_id for r in two.rows("webhook")])
    assert ([], []) == (claim(two), claim(two, "webhook"))
    two.retry("webhook", [one.seq])
    assert ["event-1"] == claim(two, "webhook")


def test_a_lease_is_of_one_destination(two: Store) -> None:
    """What one destination has claimed the other may claim."""
    add(two, row(1))

    assert (["event-1"], ["event-1"], []) == (claim(two), claim(two, "webhook"), claim(two))


def test_a_stranger_s_done_does_not_stand_for_ours(open_store: Open) -> None:
    """A destination that is no longer configured counts for none of those that are."""
    store = open_store(destinations=("otlp", "webhook"))
    add(store, row(1))
    (one,) = store.rows("otlp")
    settle(store, one.seq, DONE, "posthog")
    settle(store, one.seq, DONE, "otlp")

    assert ["event-1"] == claim(store, "webhook")


def test_a_late_word_does_not_undo_done(two: Store) -> None:
    """A process whose lease ran out cannot make due again what another one has delivered, nor leave notes of what is gone."""
    add(two, row(1))
    (one,) = two.rows("otlp")
    settle(two, one.seq, DONE)
    settle(two, one.seq, LATER, not_before_ns=1)
    again = claim(two)
    settle(two, one.seq, DONE, "webhook")
    settle(two, one.seq, LATER, not_before_ns=1)
    add(two, row(2))

    assert ([], ["event-2"]) == (again, claim(two))


def test_a_refused_event_of_another_way_is_kept(two: Store) -> None:
    """An event that one destination refused, and the other had by another way, waits for the first alone; then for both."""
    two.add_aside("webhook", row(1), "400")
    first = ([r.state for r in two.rows("otlp")], [r.state for r in two.rows("webhook")])
    two.add_aside("otlp", row(1), "413")
    both = ([r.reason for r in two.rows("otlp")], [r.reason for r in two.rows("webhook")])

    assert (([], [ASIDE]), (["413"], ["400"])) == (first, both)


# -- notes, size -------------------------------------------------------------------------------------------------------


def test_notes_are_kept_newest_first(store: Store) -> None:
    """What could not be read is listed newest first, with kind, reason and ids."""
    with store.transaction() as tx:
        for n in range(3):
            tx.set_aside(NOW + n, "webhook", "charge.succeeded", "amount_type", (f"ch_{n}", "evt_1"))
    found = store.set_asides(2)

    assert [("ch_2", "evt_1"), ("ch_1", "evt_1")] == [note.ids for note in found]
    assert {("webhook", "charge.succeeded", "amount_type")} == {(n.source, n.kind, n.reason) for n in found}


FAR = 2**62
ROOM = 10**12


def test_old_payments_leave(store: Store) -> None:
    """Payments untouched since the limit leave; those on hold, and what waits, stay."""
    put(store, group(1), group(2, due_ns=NOW))
    add(store, row(1))
    kept = store.prune(before_ns=1, max_bytes=ROOM)
    removed = store.prune(before_ns=FAR, max_bytes=ROOM)

    assert (0, 1) == (kept, removed)
    assert (1, 1, 1) == (
        store.stats()["payments_known"],
        store.stats()["payments_on_hold"],
        store.pending("otlp").waiting,
    )
    with store.transaction() as tx:
        assert ([], 1) == (tx.groups_of(group(1).aliases, ()), len(tx.groups_of(group(2).aliases, ())))


def test_twins_leave_together(store: Store) -> None:
    """A payment that is known as two groups leaves as a whole, and not while a part of it is on hold."""
    a, b, c, d = put(store, group(1), group(2), group(3), group(4))
    put(store, a.changed(twin=b.id), b.changed(twin=a.id), c.changed(twin=d.id), d.changed(twin=c.id, due_ns=NOW))
    removed = store.prune(before_ns=FAR, max_bytes=ROOM)
    with store.transaction() as tx:
        left = [tx.group(g.id) is not None for g in (a, b, c, d)]

    assert (2, [False, False, True, True]) == (removed, left)


def test_beyond_its_size_the_oldest_leave_and_no_more_than_needed(store: Store) -> None:
    """Beyond the limit the oldest payments leave until the rest fits; the newest stay."""
    for start in range(0, 2000, 200):
        put(
            store,
            *(group(n, labels={"order_id": {"metadata.order_id": [1, "x" * 300]}}) for n in range(start, start + 200)),
        )
    full = 2000
    removed = store.prune(before_ns=1, max_bytes=1_000_000)
    with store.transaction() as tx:
        newest = tx.groups_of(group(1999).aliases, ())
        oldest = tx.groups_of(group(0).aliases, ())

    assert (1, 0) == (len(newest), len(oldest))
    assert full / 10 < removed < full * 6 / 10
    assert 0 == store.prune(before_ns=1, max_bytes=1_000_000)


def test_what_waits_does_not_push_out_the_memory_of_what_was_paid(store: Store) -> None:
    """Where events that wait fill the room, nothing of them leaves, and payments leave only down to a tenth of it."""
    put(store, *(group(n) for n in range(100)))
    add(store, *(row(n, record=b"x" * 20_000) for n in range(100)))
    removed = store.prune(before_ns=1, max_bytes=1_500_000)

    assert (0, 100, 100) == (removed, store.pending("otlp").waiting, store.stats()["payments_known"])


def test_rows_that_only_a_former_destination_lacks_leave(open_store: Open) -> None:
    """A row that all present destinations have done leaves, though a former one has not."""
    store = open_store(destinations=("otlp", "webhook"))
    add(store, row(1), row(2))
    one = store.rows("otlp")[0]
    settle(store, one.seq, DONE, "otlp")
    store._destinations = ("otlp",)  # type: ignore[attr-defined]  # as after a restart with other settings
    store.prune(before_ns=1, max_bytes=ROOM)

    assert ["event-2"] == [r.event_id for r in store.rows("webhook")]


# -- threads -----------------------------------------------------------------------------------------------------------


def test_threads_take_turns(store: Store) -> None:
    """Many threads change one store at once, and every change is there."""

    def work(n: int) -> None:
        for k in range(10):
            with store.transaction() as tx:
                tx.put(group(n * 100 + k))
                tx.add_rows([row(n * 100 + k)])

    patient = threading.Barrier(4)
    errors: list[BaseException] = []

    def run(n: int) -> None:
        patient.wait()
        try:
            work(n)
        except StoreBusy as error:  # allowed on a slow machine, and said
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.stats()["payments_known"] == store.pending("otlp").waiting
    assert 40 == store.pending("otlp").waiting or errors


def test_a_thread_that_holds_it_is_not_waited_for_without_bound(open_store: Open) -> None:
    """While another thread is in a change, a caller gets `StoreBusy` after the bound."""
    store = open_store(busy_s=0.05)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store.transaction():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(30)
    try:
        with pytest.raises(StoreBusy):
            put(store, group(1))
    finally:
        leave.set()
        thread.join()
    connect(store)
    store._busy_s = 5.0  # type: ignore[attr-defined]  # for a machine that is busy
    put(store, group(1))

    assert 1 == store.stats()["payments_known"]


def test_a_closed_store_opens_again(store: Store) -> None:
    """After `close` the next call opens the store anew."""
    put(store, group(1))
    store.close()
    store.close()

    assert [1 if store.durable else 0] == [store.stats()["payments_known"]]


def test_errors_are_ours_and_hold_no_values(store: Store) -> None:
    """What the driver refuses comes as our own error, without the value that it refused."""
    with pytest.raises(StoreError) as caught:
        add(store, row(1, amount=2**64, currency="jane@example.org"))

    assert "jane" not in str(caught.value)
    assert 0 == store.pending("otlp").waiting


# -- what was said of orders ---------------------------------------------------------------------------------------------


def test_what_was_said_of_an_order_adds_up(store: Store) -> None:
    """Of each attribute and source the lowest rank stays, whatever the order, in one transaction or several; other orders hear nothing."""
    first = Saying("order_id", "o-1", {"tier": {"bind": [20, "basic"]}, "country": {"bind": [20, "DE"]}})
    later = Saying("order_id", "o-1", {"tier": {"bind": [10, "pro"]}, "surface": {"utm": [3, "news"]}})
    other = Saying("journey_id", "o-1", {"tier": {"bind": [1, "gold"]}})
    expected = {"tier": {"bind": [10, "pro"]}, "country": {"bind": [20, "DE"]}, "surface": {"utm": [3, "news"]}}
    with store.transaction() as tx:
        tx.remember([later, first, other], NOW)
    with store.transaction() as tx:
        tx.remember([first], NOW + 1)
        said = tx.recall("order_id", "o-1")
    with store.transaction() as tx:
        seen = (tx.recall("order_id", "o-1"), tx.recall("journey_id", "o-1"), tx.recall("order_id", "none"))

    assert expected == said
    assert (expected, other.labels, {}) == seen


@pytest.mark.parametrize("key", ["o'1", "ö-1", 'o"\\1', "o\x001", "x" * 254])
def test_any_id_is_a_key(store: Store, key: str) -> None:
    """Whatever characters an order's id is made of, what was said is found by it."""
    with store.transaction() as tx:
        tx.remember([Saying("order_id", key, {"tier": {"bind": [1, "größe\x00"]}})], NOW)
    with store.transaction() as tx:
        said = tx.recall("order_id", key)

    assert {"tier": {"bind": [1, "größe\x00"]}} == said


def test_what_browsers_alone_have_said_leaves_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many orders and journeys browsers name, what requests have said of theirs within a day stays."""
    for module in (sqlite, postgres):
        monkeypatch.setattr(module, "MOST_ORDERS", 3)
    touched: Labels = {"surface": {"browser": [1, "x"]}, "surface_last": {"touch": [1, "x"]}}
    with store.transaction() as tx:
        tx.remember([Saying("order_id", "o-1", {"tier": {"said": [1, "a"]}})], NOW)
        tx.remember(
            [Saying("order_id", "o-2", {"surface": {"utm": [1, "a"]}, "surface_last": {"touch": [1, "a"]}})], NOW
        )
    for number in range(4):
        with store.transaction() as tx:
            tx.remember([Saying("order_id", f"b-{number}", touched)], NOW + 1 + number)
            tx.remember([Saying("order_id", "o-1", {"journey_id": {"browser": [1, "j"]}})], NOW + 1 + number)
    store.prune(before_ns=NOW - 2 * 86_400 * 10**9, max_bytes=1024**3)
    with store.transaction() as tx:
        kept = [key for key in ("o-1", "o-2", "b-0", "b-1", "b-2", "b-3") if tx.recall("order_id", key)]

    assert ["o-1", "o-2", "b-3"] == kept


def test_what_was_said_of_old_orders_leaves(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than payments may be leaves, and of each kind of key the oldest beyond a number; never because of another kind."""
    for module in (sqlite, postgres):
        monkeypatch.setattr(module, "MOST_ORDERS", 2)
    with store.transaction() as tx:
        tx.remember([Saying("order_id", "o-1", {"tier": {"bind": [1, "a"]}})], NOW)
    for number in range(4):
        with store.transaction() as tx:
            tx.remember([Saying("journey_id", f"j-{number}", {"tier": {"bind": [1, "b"]}})], NOW + number)
    store.prune(before_ns=NOW - 1, max_bytes=1024**3)
    with store.transaction() as tx:
        kept = [n for n in range(4) if tx.recall("journey_id", f"j-{n}")], bool(tx.recall("order_id", "o-1"))
    store.prune(before_ns=NOW + 2, max_bytes=1024**3)
    with store.transaction() as tx:
        left = [n for n in range(4) if tx.recall("journey_id", f"j-{n}")], bool(tx.recall("order_id", "o-1"))

    assert ([2, 3], True) == kept
    assert ([3], False) == left
