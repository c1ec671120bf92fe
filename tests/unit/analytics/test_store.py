"""The local database keeps every event once, whatever is delivered how often and in what order."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_revenue.analytics.logs import read_logs
from otel_revenue.analytics.store import BadRows, Batch, Store
from otel_revenue.analytics.values import Members
from otel_revenue.errors import StoreBusy, StoreError, StoreTooNew
from support.otlp_events import T0, event, logs_request, paid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

EVENT_ID = "6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53"


@pytest.fixture(scope="module")
def memory() -> Iterator[Store]:
    with Store(None) as store:
        yield store


def fresh(store: Store) -> Store:
    store._db.execute("DELETE FROM event")
    return store


def lines(records: Sequence[bytes]) -> list[str]:
    return read_logs(logs_request(records), Members()).lines


def put(store: Store, records: Sequence[bytes], at: int = T0) -> int:
    return len(store.write(Batch(events=lines(records)), received_ns=at))


def rows(store: Store, columns: str = "event_id, amount_minor, currency, disagreed") -> list[Any]:
    with store.reading() as db:
        return db.execute(f"SELECT {columns} FROM event ORDER BY key").fetchall()


def copy(amount: int, observed: int, tier: str = "pro", currency: str = "EUR") -> bytes:
    return paid(event_id=EVENT_ID, amount_minor=amount, observed=T0 + observed, tier=tier, currency=currency)


def test_a_resent_event_changes_nothing(memory: Store) -> None:
    """
    An event that is known is recognised by name and event_id, in the same write and in a later one.
    """
    store = fresh(memory)
    records = [copy(4999, 1), event("checkout.start", event_id=EVENT_ID)]

    new = [put(store, records + records), put(store, records, at=T0 + 9)]

    assert [1, 0] == new
    assert [(EVENT_ID, 4999, "EUR", False), (EVENT_ID, None, None, False)] == sorted(
        rows(store), key=lambda row: -(row[1] or 0)
    )
    assert {T0} == {row[0] for row in rows(store, "received_ns")}


@pytest.mark.parametrize("together", [True, False], ids=["one write", "a write each"])
def test_of_copies_that_disagree_the_last_observed_counts(memory: Store, *, together: bool) -> None:
    """
    Whatever the order of arrival, the amount observed last is kept with its attributes, and the event is marked.
    """
    copies = [copy(5000, 1, "basic"), copy(6000, 3, "team"), copy(5000, 1, "basic"), copy(7000, 2, "pro")]

    kept = set()
    for order in itertools.permutations(copies):
        store = fresh(memory)
        for batch in [order] if together else [[one] for one in order]:
            put(store, batch)
        kept.update(rows(store, "amount_minor, tier, disagreed, attributes ->> '$.tier'"))

    assert {(6000, "team", True, "team")} == kept


def test_a_late_copy_of_the_first_amount_speaks_again(memory: Store) -> None:
    """
    The last word counts, not the number of amounts: 5000, then 6000, then 5000 again is 5000, in any order of arrival.
    """
    copies = [copy(5000, 1), copy(6000, 2), copy(5000, 3)]

    kept = set()
    for order in itertools.permutations(copies):
        store = fresh(memory)
        for one in order:
            put(store, [one])
        kept.update(rows(store, "amount_minor, disagreed"))

    assert {(5000, True)} == kept


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_repetition_and_order_of_deliveries_gives_the_same_rows(memory: Store, data: st.DataObject) -> None:
    """
    However deliveries are doubled, shuffled and cut into writes, each event is kept once.
    """
    records = [paid(order_id=f"o-{n}", amount_minor=100 + n) for n in range(6)] + [
        event("checkout.start", order_id=f"o-{n}") for n in range(4)
    ]
    deliveries = data.draw(st.permutations(records + data.draw(st.lists(st.sampled_from(records), max_size=12))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(deliveries)), max_size=4)))
    store = fresh(memory)

    new = sum(
        put(store, batch)
        for a, b in zip([0, *cuts], [*cuts, len(deliveries)], strict=True)
        if (batch := deliveries[a:b])
    )

    assert 6 == new
    assert [(10, 615)] == [(len(all_rows), sum(row[1] or 0 for row in all_rows)) for all_rows in [rows(store)]]


def hand_made(attributes: dict[str, Any], **line: Any) -> str:
    return json.dumps({"n": "order.paid", "t": T0, "o": T0, "i": "", "s": "", "v": "", "a": attributes, **line})


@pytest.mark.parametrize(
    ("given_amount", "kept"),
    [(4999, 4999), (0, 0), (2**63 - 1, 2**63 - 1), (49.99, None), (4999.0, None), ("4999", None), (True, None), (None, None), (-1, None),
     (2**63, None),
     ([4999], None), (1e30, None)],
)  # fmt: skip
def test_an_amount_is_an_integer_or_unknown(memory: Store, given_amount: Any, kept: int | None) -> None:
    """
    Money is never made from text, floats, flags or what does not fit: it is unknown then.
    """
    store = fresh(memory)

    store.write(Batch(events=[hand_made({"event_id": "a", "amount_minor": given_amount})]), received_ns=T0)

    assert [(kept,)] == rows(store, "amount_minor")


@pytest.mark.parametrize(
    ("given_flag", "kept"),
    [(True, True), (False, False), ("true", None), ("false", None), (1, None), (0, None), (None, None), ("live", None)],
)
def test_a_mode_is_a_flag_or_unknown(memory: Store, given_flag: Any, kept: bool | None) -> None:
    """
    Test payments do not become live ones because somebody sent text for a flag.
    """
    store = fresh(memory)

    store.write(Batch(events=[hand_made({"event_id": "a", "livemode": given_flag})]), received_ns=T0)

    assert [(kept,)] == rows(store, "livemode")


def test_events_without_event_id_are_known_by_their_content(memory: Store) -> None:
    """
    Somebody else's event without event_id is kept once per content, not once for all.
    """
    store = fresh(memory)
    first, second = hand_made({"a": 1}, n="x"), hand_made({"a": 2}, n="x")

    store.write(Batch(events=[first, second, first]), received_ns=T0)
    store.write(Batch(events=[second]), received_ns=T0)

    assert [("x", None)] * 2 == rows(store, "event_name, event_id")


def test_an_event_without_times_is_of_now(memory: Store) -> None:
    """
    An event that says no time happened when it was observed; one that says neither, when it arrived.
    """
    store = fresh(memory)

    store.write(
        Batch(events=[hand_made({"event_id": "a"}, t=0, o=7), hand_made({"event_id": "b"}, t=0, o=0)]), received_ns=9
    )

    assert {("a", 7), ("b", 9)} == set(rows(store, "event_id, time_ns"))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """
    Rows that cannot be read take the whole write back with them, and the next one goes through.
    """
    with Store(tmp_path / "local.duckdb") as store:
        with pytest.raises(BadRows):
            store.write(Batch(events=[*lines([copy(1, 1)]), "{"], counts={"x": 1}), received_ns=T0)
        put(store, [copy(2, 1)])

        assert [(EVENT_ID, 2, "EUR", False)] == rows(store)


def test_what_was_written_is_there_after_kill_9(tmp_path: Path) -> None:
    """
    A write that returned survives the process that made it.
    """
    path = tmp_path / "local.duckdb"
    program = (
        "import os, sys; from pathlib import Path; from otel_revenue.analytics.store import Batch, Store\n"
        "Store(Path(sys.argv[1])).write(Batch(events=[sys.argv[2]]), received_ns=1); os.kill(os.getpid(), 9)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program, str(path), hand_made({"event_id": "a", "amount_minor": 5})], check=False
    )

    with Store(path, read_only=True) as store:
        assert (-9, [("a", 5, None, False)]) == (ended.returncode, rows(store))


def test_who_writes_keeps_others_out(tmp_path: Path) -> None:
    """
    A second process is told that the file is in use, and by what remedy; readers together are fine.
    """
    path = tmp_path / "local.duckdb"
    program = (
        "import sys; from pathlib import Path; from otel_revenue.analytics.store import Store\n"
        "from otel_revenue.errors import StoreBusy\n"
        "try: Store(Path(sys.argv[1]), read_only=True)\n"
        "except StoreBusy as error: print(error)"
    )
    command = [sys.executable, "-c", program, str(path)]

    with Store(path):
        while_writing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        with pytest.raises(StoreBusy):
            Store(path, read_only=True)
    with Store(path, read_only=True):
        while_reading = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "open for writing already" in while_writing
    assert "" == while_reading


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """
    A database of a newer version is not touched, and the reader is told why.
    """
    path = tmp_path / "local.duckdb"
    with Store(path) as store:
        store._db.execute("UPDATE meta SET layout = 99")

    for read_only in (True, False):
        with pytest.raises(StoreTooNew, match="newer version"):
            Store(path, read_only=read_only)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """
    Something else under that name is an error that names the file, not a crash.
    """
    path = tmp_path / "local.duckdb"
    path.write_text("notes " * 3000)

    with pytest.raises(StoreError, match=r"local\.duckdb cannot be opened"):
        Store(path)
