"""What can happen to the ledger's file, and to the processes that share it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otel_revenue.errors import StoreBusy, StoreError, StoreFull, StoreTooNew
from otel_revenue.ledger import sqlite_file
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.sqlite import LAYOUT, SqliteStore
from otel_revenue.ledger.sqlite_repair import move_aside
from otel_revenue.ledger.store import NewRow
from support.ledger_worker import encode, some_flows, take_all
from support.till import HOUR, NOW_NS, RULES

TESTS = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "ledger.sqlite3"


def add(store: SqliteStore, *names: str, size: int = 10) -> None:
    with store.transaction() as tx:
        tx.add_rows([NewRow(name, "order.paid", b"x" * size, 1, 100, "EUR") for name in names])


def waiting(store: SqliteStore) -> list[str]:
    return [row.event_id for row in store.rows("otlp", limit=10_000)]


def recorded(path: Path) -> list[str]:
    """What is in the outbox after all holds have run out."""
    store = SqliteStore(path)
    Ledger(store, RULES).release(NOW_NS + HOUR, encode, limit=10_000)
    rows = sorted(row.record.decode() for row in store.rows("otlp", limit=10_000))
    store.close()
    return rows


def expected(count: int) -> list[str]:
    return sorted(f"{flow.canonical} {flow.paid}" for flow in some_flows(count) if flow.paid is not None)


# -- many processes ----------------------------------------------------------------------------------------------------


def test_processes_that_take_the_same_deliveries_record_each_payment_once(path: Path) -> None:
    """Four processes begin at once on a file that is not there yet, each with all deliveries: one row per payment."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=take_all, args=(path, seed, 10)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [0] * 4 == [process.exitcode for process in processes]
    assert expected(10) == recorded(path)


def test_killed_at_any_point_each_payment_is_recorded_once(path: Path) -> None:
    """A process that takes facts is killed again and again; when one has taken all, each payment is there once."""
    chance = random.Random(4)
    for seed in range(6):
        worker = subprocess.Popen(
            [sys.executable, "-m", "support.ledger_worker", str(path), str(seed), "10", "2"],
            cwd=TESTS,
            stdout=subprocess.PIPE,
        )
        assert worker.stdout is not None
        for _ in range(chance.randrange(1, 90)):
            worker.stdout.readline()
        time.sleep(chance.random() / 500)
        worker.kill()
        worker.communicate()
    take_all(path, 99, 10)

    assert expected(10) == recorded(path)


def test_a_forked_child_has_a_connection_of_its_own(path: Path) -> None:
    """A child that was forked with the store open writes through its own connection, and the parent's stays good."""
    store = SqliteStore(path)
    add(store, "parent")
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            add(store, "child")
            store.close()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(pid, 0)
    add(store, "again")

    assert (0, ["parent", "child", "again"]) == (status, waiting(store))


def test_a_process_that_holds_it_is_not_waited_for_without_bound(path: Path) -> None:
    """While another connection holds the file, a change fails as busy; when it lets go, the same change succeeds."""
    store = SqliteStore(path, busy_s=0.05)
    add(store, "before")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        add(store, "refused")
    readable = waiting(store)
    holder.execute("ROLLBACK")
    holder.close()
    add(store, "after")

    assert (["before"], ["before", "after"]) == (readable, waiting(store))


def test_the_bound_is_one_for_threads_and_processes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was waited for a thread is not waited again for a process: the patience that SQLite gets is the rest."""
    store = SqliteStore(path, busy_s=10.0)
    add(store, "before")
    given: list[float] = []
    monkeypatch.setattr("otel_revenue.ledger.sqlite_file._set_patience", lambda _raw, seconds: given.append(seconds))
    clock = iter((0.0, 0.0, 4.0, 4.0, 4.0, 4.0))
    monkeypatch.setattr("otel_revenue.ledger.sqlite_file.time.monotonic", lambda: next(clock, 4.0))
    add(store, "after")

    assert [6.0, 10.0] == given


# -- the file itself ---------------------------------------------------------------------------------------------------


def test_a_lock_that_nobody_will_release_does_not_keep_the_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that a signal's exception took away from its lock leaves the store busy, and the process able to end."""
    monkeypatch.setattr(sqlite_file, "_BEFORE_CLOSE_S", 0.01)
    store = SqliteStore(path, busy_s=0.01)
    add(store, "one")
    assert store._connection is not None
    store._connection.lock.acquire()
    with pytest.raises(StoreBusy):
        add(store, "two")
    store.close()
    again = SqliteStore(path)
    add(again, "three")

    assert ["one", "three"] == waiting(again)


def test_an_exception_out_of_nowhere_leaves_no_lock_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exit raised by a signal handler in the middle of taking the store does not leave it taken."""
    store = SqliteStore(path, busy_s=0.01)
    add(store, "one")

    def signalled(_: Path | None) -> tuple[int, int] | None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(sqlite_file, "identity", signalled)
        add(store, "two")
    add(store, "three")

    assert ["one", "three"] == waiting(store)


def test_nobody_else_may_read_it(path: Path) -> None:
    """Folder and file are the application's alone."""
    store = SqliteStore(path)
    add(store, "one")

    assert (0o700, 0o600) == (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode))


def test_every_commit_is_synced(path: Path) -> None:
    """The connection is in WAL mode and syncs at every commit."""
    store = SqliteStore(path)
    with store._locked() as raw:
        modes = [raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "auto_vacuum")]

    assert ["wal", 2, 2] == modes


def test_a_newer_layout_is_refused(path: Path) -> None:
    """A ledger that a newer version wrote is neither used nor changed."""
    store = SqliteStore(path)
    add(store, "one")
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="upgrade"):
        waiting(SqliteStore(path))

    assert before == path.read_bytes()


def damaged_files(path: Path) -> list[Path]:
    return sorted(p for p in path.parent.glob("ledger.sqlite3.corrupt-*") if not p.name.endswith(("-wal", "-shm")))


@pytest.mark.parametrize("how", ["no database", "truncated", "overwritten in the middle"])
def test_a_damaged_file_is_moved_aside(path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged ledger is kept under another name with a critical line, and a new one takes its place."""
    store = SqliteStore(path)
    add(store, *(f"event-{n}" for n in range(200)), size=500)
    store.close()
    content = path.read_bytes()
    broken = {
        "no database": b"this was a ledger once " * 500,
        "truncated": content[: len(content) // 2],
        "overwritten in the middle": content[:4096] + b"\xff" * (len(content) - 4096),
    }[how]
    path.write_bytes(broken)
    store = SqliteStore(path)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(3):  # some damage is met at the first page that is read, not at once
            with contextlib.suppress(StoreError):
                add(store, "new")
                waiting(store)
    kept = damaged_files(path)

    assert (["new"], 1) == (waiting(store), len(kept))
    assert broken[4096:] == kept[0].read_bytes()[4096 : len(broken)]
    assert 1 == sum("is damaged" in record.message for record in caplog.records)


def test_damage_under_an_open_file_is_met_and_moved_aside(path: Path) -> None:
    """A file that is damaged while it is open costs one failed call; then a new ledger is used."""
    store = SqliteStore(path)
    add(store, *(f"event-{n}" for n in range(50)), size=500)
    with store._locked() as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.execute("PRAGMA cache_size = 0")
        raw.execute("PRAGMA shrink_memory")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    failures = 0
    for _ in range(4):
        try:
            add(store, "new")
            waiting(store)
        except StoreError:
            failures += 1

    assert (["new"], 1) == (waiting(store), len(damaged_files(path)))
    assert failures in (1, 2)


def test_of_two_that_meet_the_damage_one_moves_it(path: Path) -> None:
    """A second process that met the same damage does not move away what the first has begun anew."""
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    file = (path.stat().st_dev, path.stat().st_ino)
    store = SqliteStore(path)
    add(store, "new")
    move_aside(path, file)

    assert (["new"], 1) == (waiting(SqliteStore(path)), len(damaged_files(path)))


@pytest.mark.parametrize("what", ["file", "file and journal", "folder"])
def test_a_deleted_file_is_written_anew(path: Path, what: str, caplog: pytest.LogCaptureFixture) -> None:
    """A ledger that is deleted while open is written anew with all that was in it, loudly; nothing goes into the void."""
    store = SqliteStore(path)
    add(store, "one", "two")
    if what == "folder":
        shutil.rmtree(path.parent)
    else:
        path.unlink()
        for suffix in ("-wal", "-shm") if what == "file and journal" else ():
            Path(f"{path}{suffix}").unlink()
    with caplog.at_level(logging.CRITICAL):
        add(store, "three")
    store.close()

    assert ["one", "two", "three"] == waiting(SqliteStore(path))
    assert 1 == sum("was deleted" in record.message for record in caplog.records)
    assert [] == list(path.parent.glob("*.rescue-*"))


def test_of_two_processes_one_writes_it_anew(path: Path) -> None:
    """Where two have a deleted ledger open, the first writes it anew and the second goes on with that."""
    one, two = SqliteStore(path), SqliteStore(path)
    add(one, "one")
    add(two, "two")
    path.unlink()
    add(one, "three")
    add(two, "four")
    two.close()
    add(one, "five")

    assert ["one", "two", "three", "four", "five"] == waiting(SqliteStore(path)) == waiting(one)


def test_a_replaced_file_is_used(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A ledger that is replaced by another file, a copy put back for example, is used as it is, loudly."""
    store = SqliteStore(path)
    add(store, "one")
    store.close()
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    add(store, "two")
    copy.replace(path)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()
    with caplog.at_level(logging.CRITICAL):
        add(store, "three")

    assert ["one", "three"] == waiting(SqliteStore(path))
    assert 1 == sum("was replaced" in record.message for record in caplog.records)


def test_an_emptied_file_is_noticed(path: Path) -> None:
    """A ledger that is emptied under us loses what was in it, but nothing that comes after."""
    store = SqliteStore(path)
    add(store, "one")
    with path.open("r+b") as file:
        file.truncate(0)
    with contextlib.suppress(StoreError):
        add(store, "two")
    add(store, "three")

    assert "three" in waiting(SqliteStore(path))
    assert waiting(store) == waiting(SqliteStore(path))


@pytest.mark.parametrize("where", ["/proc/otel-revenue/ledger.sqlite3", "/dev/null/ledger.sqlite3"])
def test_a_place_that_cannot_be_written_is_an_error_of_ours(where: str) -> None:
    """A folder that cannot be made gives `StoreError`, whose text names the kind of failure."""
    with pytest.raises(StoreError, match="store failed"):
        waiting(SqliteStore(Path(where)))


def test_a_folder_in_its_place_is_an_error_of_ours(path: Path) -> None:
    """A folder where the file should be gives `StoreError`, and is left alone."""
    path.mkdir(parents=True)
    with pytest.raises(StoreError):
        waiting(SqliteStore(path))

    assert path.is_dir()


# -- no room -----------------------------------------------------------------------------------------------------------


def test_a_full_store_takes_nothing_by_halves(path: Path) -> None:
    """Where there is no room, a change fails as full and leaves nothing; what was there stays, and room mends it."""
    store = SqliteStore(path)
    add(store, "one")
    with store._locked() as raw:
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count = {pages}")

    def too_much() -> None:
        with store.transaction() as tx:
            tx.set_aside(1, "webhook", "charge.succeeded", "amount_type", ("ch_1",))
            tx.add_rows([NewRow(f"event-{n}", "order.paid", b"x" * 5000, 1) for n in range(50)])

    with pytest.raises(StoreFull):
        too_much()
    after = (waiting(store), store.set_asides())
    with store._locked() as raw:
        raw.execute("PRAGMA max_page_count = 100000")
    too_much()

    assert ((["one"], []), 51) == (after, len(waiting(store)))


def _write_beyond(path: Path, report: multiprocessing.connection.Connection) -> None:
    """In a process of its own: files may not grow beyond 512 KiB."""
    store = SqliteStore(path)
    add(store, "one")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    kinds, kept = [], ["one"]
    for n in range(100):
        try:
            add(store, f"event-{n}", size=40_000)
            kept.append(f"event-{n}")
        except StoreError as error:
            kinds.append(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    add(store, "last")
    report.send((set(kinds), [*kept, "last"], waiting(store)))


def test_a_disk_without_room_is_said_to_be_full(path: Path) -> None:
    """Where the system refuses to let the file grow, that is `StoreFull`; what was taken is there, nothing else, and it goes on."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_write_beyond, args=(path, theirs))
    process.start()
    kinds, kept, found = ours.recv()
    process.join()

    assert ({"StoreFull"}, kept) == (kinds, found)
    assert kept == waiting(SqliteStore(path))
