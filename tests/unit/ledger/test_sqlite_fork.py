"""A process forks while it has the ledger open: parent and child keep out of each other's locks."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import NewRow
from support.running_shop import open_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _put(store: SqliteStore, name: str) -> None:
    with store.transaction() as tx:
        tx.add_rows([NewRow(name, "order.paid", b"record", 1)])


def _names(path: Path) -> list[str]:
    store = SqliteStore(path)
    names = sorted(row.event_id for row in store.rows("otlp"))
    store.close()
    return names


def _in_child(work: Callable[[], Any]) -> int:
    """Fork; the child works and ends without a word, as workers of task queues do."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return child


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_a_child_commits_survives_its_parents_end(tmp_path: Path) -> None:
    """
    The parent lets go of the file while the child uses it: the child's log stays, and with it what the child has committed.
    """
    path = tmp_path / "ledger.sqlite3"
    parent = SqliteStore(path)
    _put(parent, "before")
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()

    def work() -> None:
        store = SqliteStore(path)
        _put(store, "child-1")
        os.write(from_child, b"1")
        os.read(to_child, 1)  # the parent has closed the file meanwhile
        _put(store, "child-2")

    parent.before_fork()
    child = _in_child(work)
    parent.after_fork()
    _put(parent, "after")
    os.read(to_parent, 1)
    parent.close()
    os.write(from_parent, b"1")
    code = _wait(child)

    assert (0, ["after", "before", "child-1", "child-2"]) == (code, _names(path))


def test_a_child_has_nothing_of_its_parents_open(tmp_path: Path) -> None:
    """
    At the moment of the fork the file is closed; the parent opens it again when it needs it.
    """
    path = tmp_path / "ledger.sqlite3"
    store = SqliteStore(path)
    _put(store, "before")
    store.before_fork()
    child = _in_child(lambda: os._exit(len([f for f in open_files(os.getpid()) if f.startswith(str(tmp_path))])))
    store.after_fork()
    inherited = _wait(child)
    _put(store, "after")
    store.close()

    assert (0, ["after", "before"]) == (inherited, _names(path))


def test_a_transaction_under_way_is_waited_for(tmp_path: Path) -> None:
    """
    A thread in the middle of a transaction commits it before the file is closed for the fork.
    """
    store = SqliteStore(tmp_path / "ledger.sqlite3")
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with store.transaction() as tx:
            tx.add_rows([NewRow("slow", "order.paid", b"record", 1)])
            inside.set()
            go_on.wait(20)

    thread = threading.Thread(target=slow)
    thread.start()
    inside.wait(20)
    threading.Timer(0.05, go_on.set).start()
    store.before_fork()
    store.after_fork()
    thread.join(20)

    assert ["slow"] == [row.event_id for row in store.rows("otlp")]
    store.close()


def test_a_store_in_memory_is_left_open(tmp_path: Path) -> None:
    """
    What is in memory alone would be lost by closing it.
    """
    store = SqliteStore(None)
    _put(store, "only here")
    store.before_fork()
    store.after_fork()

    assert ["only here"] == [row.event_id for row in store.rows("otlp")]
