"""The ledger on PostgreSQL, with a real server: several hosts, one order; away, and back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_revenue.errors import StoreBusy, StoreError
from otel_revenue.ledger.model import Alias, Group
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.store import Settlement
from support.postgres import Postgres, running
from support.postgres_worker import take_all
from support.shared_ledger import NOW, SECOND, add, books, claim, put, row, told_in_order

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., PostgresStore]

TESTS = Path(__file__).resolve().parents[1]


# -- several hosts, one order ------------------------------------------------------------------------------------------


def test_threads_of_several_hosts_record_each_payment_once(postgres: Postgres, url: str, open_store: Open) -> None:
    """Four processes of eight threads take the same payments, doubled and shuffled, all at once: one row each, the right one."""
    expected = told_in_order(open_store(postgres.schema()), 10)
    environ = {**os.environ, "STORE": url, "PYTHONPATH": str(TESTS)}
    hosts = [
        subprocess.Popen(
            [sys.executable, "-m", "support.postgres_worker", str(seed), "10", "8", "2"],
            env=environ, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for seed in range(4)
    ]  # fmt: skip
    said = [host.communicate(timeout=110)[0].decode() for host in hosts]

    assert ([0] * 4, expected) == ([host.returncode for host in hosts], books(open_store())), said


def test_ids_that_nobody_has_joined_yet_are_joined_whoever_comes_first(open_store: Open) -> None:
    """Two hosts that each know no group, and learn different ids of one payment and then their link, end with one group."""
    one, two = open_store(), open_store()
    put(one, "pi_a")
    put(two, "pi_b")
    barrier = threading.Barrier(2)

    def link(store: PostgresStore) -> None:
        barrier.wait()
        with store.transaction() as tx:
            known = tx.groups_of([Alias("pi", "", "pi_a"), Alias("pi", "", "pi_b")], ())
            tx.drop(g.id for g in known[1:])
            tx.put(known[0].changed(aliases=frozenset().union(*(g.aliases for g in known))))

    threads = [threading.Thread(target=link, args=(store,)) for store in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with one.transaction() as tx:
        found = [tx.groups_of([Alias("pi", "", name)], ()) for name in ("pi_a", "pi_b")]

    assert (1, 1) == (one.stats()["payments_known"], len({g.id for groups in found for g in groups}))


def test_two_hosts_that_open_a_new_ledger_at_once_make_it_once(open_store: Open) -> None:
    """Whoever is second finds the tables made."""
    stores = [open_store() for _ in range(6)]
    barrier = threading.Barrier(len(stores))
    errors: list[StoreError] = []

    def begin(store: PostgresStore, n: int) -> None:
        barrier.wait()
        try:
            put(store, f"pi_{n}")
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(store, n)) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ([], len(stores)) == (errors, stores[0].stats()["payments_known"])


def test_two_ledgers_of_one_database_know_nothing_of_each_other(postgres: Postgres, open_store: Open) -> None:
    """Each schema is a ledger of its own, and one that is held does not keep the other waiting."""
    one, two = open_store(postgres.schema()), open_store(postgres.schema(), busy_s=5.0)
    put(two, "pi_0")
    with one.transaction():
        put(two, "pi_1")

    assert (0, 2) == (one.stats()["payments_known"], two.stats()["payments_known"])


def test_tables_of_the_application_are_left_alone(postgres: Postgres, url: str, open_store: Open) -> None:
    """In a schema with tables called payment, alias and outbox the ledger makes its own."""
    for name in ("payment", "alias", "outbox", "delivery"):
        postgres.sql(f"CREATE TABLE {name} (theirs integer)", url=url)
    put(open_store(), "pi_1")

    assert 0 == postgres.sql("SELECT count(*) FROM payment", url=url)[0][0]


# -- bounded waiting ---------------------------------------------------------------------------------------------------


def test_a_ledger_that_somebody_holds_is_not_waited_for_without_bound(open_store: Open) -> None:
    """While another host is in a change, a caller gets `StoreBusy`; when it is over, the next change is made."""
    holder, waiting = open_store(), open_store()
    put(waiting, "pi_0")
    waiting._busy_s = 0.1  # connected by now: the bound is for the lock alone
    with holder.transaction(), pytest.raises(StoreBusy):
        put(waiting, "pi_1")
    _surely(lambda: put(waiting, "pi_2"))

    assert 2 == waiting.stats()["payments_known"]


def test_the_worker_does_not_wait_for_the_ledger(open_store: Open) -> None:
    """While a host, and this process too, is in a change of the ledger, rows are claimed and settled."""
    holder, worker = open_store(), open_store()
    add(worker, row(1))
    with holder.transaction():
        (claimed,) = worker.claim("otlp", limit=1, now_ns=NOW, lease_ns=SECOND)
        worker.settle("otlp", [Settlement(claimed.seq, "done")], now_ns=NOW)

    assert [] == worker.rows("otlp")


def test_a_server_that_stands_still_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A server that takes connections and answers nothing makes a store that is busy; it works again when the server does."""
    with running() as server:
        store = PostgresStore(server.schema(), location="postgresql://x", busy_s=0.2)
        _surely(store.next_due_ns)
        _surely(lambda: put(store, "pi_0"))
        caplog.clear()
        server.pause(on=True)
        for _ in range(5):
            with pytest.raises(StoreBusy):
                put(store, "pi_1")
        server.pause(on=False)
        _surely(lambda: put(store, "pi_1"))
        known = store.stats()["payments_known"]
        store.close()

    away = [r.getMessage() for r in caplog.records if "cannot be used now" in r.getMessage()]
    assert (2, sorted(set(away))) == (known, sorted(away))
    assert [True] == list({"does not answer" in line for line in away})
    assert any("answers again" in r.getMessage() for r in caplog.records)


def _surely(do: Callable[[], object]) -> None:
    """Do it until the store has time for it: on a busy machine a server's answer may come later than the bound."""
    end = time.monotonic() + 60
    while True:
        try:
            do()
        except StoreError:
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


# -- away and back -----------------------------------------------------------------------------------------------------


def test_a_server_that_is_killed_again_and_again_loses_nothing(open_store: Open, postgres: Postgres) -> None:
    """The server is killed -9 and started anew in the middle of deliveries of three hosts: each payment once, none missing."""
    expected = told_in_order(open_store(postgres.schema()), 20)
    with running() as server:
        url = server.schema()
        stores = [PostgresStore(url, location=f"postgresql://host-{n}", busy_s=0.5) for n in range(3)]
        problems: list[list[str]] = []
        hosts = [
            threading.Thread(target=lambda n=n: problems.append(take_all(stores[n], n, 20, threads=2, rounds=2)))
            for n in range(3)
        ]
        for host in hosts:
            host.start()
        kills = 0
        while kills < 4 and any(host.is_alive() for host in hosts):
            time.sleep(0.3)
            server.kill()
            server.start()
            kills += 1
        for host in hosts:
            host.join(100)
        recorded = books(PostgresStore(url, location="x", busy_s=5.0))
        for store in stores:
            store.close()

    assert ([[]] * 3, expected) == (problems, recorded)
    assert kills >= 2


def test_an_idle_connection_that_was_ended_is_opened_again_unnoticed(
    postgres: Postgres, open_store: Open, url: str
) -> None:
    """A pooler, firewall or administrator ends idle sessions: the next change is made all the same."""
    store = open_store()
    put(store, "pi_1")
    add(store, row(1))
    schema = url.rpartition("%3D")[2]
    for _ in range(2):
        postgres.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'otel-revenue' AND datname = current_database() "
            "AND pid <> pg_backend_pid() AND pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE %s OR state = 'idle')",
            (f"%{schema}%",),
        )
        put(store, "pi_2")

    assert ["event-1"] == claim(store, NOW)


def test_tables_that_are_gone_are_made_again(postgres: Postgres, open_store: Open, url: str) -> None:
    """After somebody dropped the ledger's tables one change fails, and the next finds new ones."""
    store = open_store()
    put(store, "pi_1")
    schema = url.rpartition("%3D")[2]
    postgres.sql(f"DROP SCHEMA {schema} CASCADE")
    postgres.sql(f"CREATE SCHEMA {schema}")
    with pytest.raises(StoreError):
        put(store, "pi_1")
    put(store, "pi_2")

    assert 1 == store.stats()["payments_known"]


def test_a_change_that_a_kill_cuts_off_leaves_nothing(postgres: Postgres, open_store: Open) -> None:
    """The session ends between the change and its commit: neither the mark nor the outbox row is there."""
    store = open_store()
    put(store, "pi_0")

    def change() -> None:
        with store.transaction() as tx:
            tx.put(Group(aliases=frozenset({Alias("pi", "", "pi_1")}), recorded_ns=NOW))
            tx.add_rows([row(1)])
            tx.flush()
            pid = tx._session.rows("SELECT pg_backend_pid()", within_s=5)[0][0]
            postgres.sql("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with pytest.raises(StoreBusy):
        change()

    assert (1, 0) == (store.stats()["payments_known"], store.pending("otlp").waiting)


# -- processes ---------------------------------------------------------------------------------------------------------


def test_a_forked_child_has_connections_of_its_own(open_store: Open) -> None:
    """A child uses the store without touching the parent's sessions, which are as good as before when it is gone."""
    store = open_store()
    put(store, "pi_parent")
    store.next_due_ns()
    parent = [link._session for link in (store._links.ledger, store._links.outbox)]  # type: ignore[union-attr]
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            put(store, "pi_child")
            store.next_due_ns()
            store.close()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    put(store, "pi_after")

    assert (0, 3) == (status, store.stats()["payments_known"])
    assert parent == [link._session for link in (store._links.ledger, store._links.outbox)]  # type: ignore[union-attr]


@pytest.mark.parametrize("skew_s", [600, -600])
def test_clocks_that_differ_do_not_shorten_a_lease(open_store: Open, skew_s: int) -> None:
    """What one host has claimed another one with a clock of ten minutes more or less does not get, until the lease is over."""
    skew = skew_s * SECOND
    one, two = open_store(), open_store(clock_ns=lambda: time.time_ns() + skew)
    now = time.time_ns()
    add(one, row(1))
    first = claim(one, now)
    early = claim(two, now + skew + SECOND)
    late = claim(two, now + skew + 16 * SECOND)

    assert (["event-1"], [], ["event-1"]) == (first, early, late)


def test_a_wait_is_the_same_on_every_host(open_store: Open) -> None:
    """A row that one host puts off for a minute is put off for a minute on a host whose clock is an hour ahead."""
    skew = 3600 * SECOND
    one, two = open_store(), open_store(clock_ns=lambda: time.time_ns() + skew)
    now = time.time_ns()
    add(one, row(1))
    (claimed,) = one.claim("otlp", limit=1, now_ns=now, lease_ns=SECOND)
    one.settle("otlp", [Settlement(claimed.seq, "later", not_before_ns=now + 60 * SECOND)], now_ns=now)
    shown = two.rows("otlp")[0].not_before_ns

    assert ([], ["event-1"]) == (claim(two, now + skew + 50 * SECOND), claim(two, now + skew + 61 * SECOND))
    assert 1 >= abs(shown - (now + skew + 60 * SECOND)) / SECOND


def test_many_workers_claim_each_row_once(open_store: Open) -> None:
    """Workers of several hosts that claim at the same time share the rows; none gets one that another has."""
    stores = [open_store() for _ in range(4)]
    add(stores[0], *(row(n) for n in range(200)))
    taken: list[str] = []
    barrier = threading.Barrier(len(stores))

    def work(store: PostgresStore) -> None:
        barrier.wait()
        while found := store.claim("otlp", limit=7, now_ns=NOW, lease_ns=15 * SECOND):
            taken.extend(r.event_id for r in found)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(f"event-{n}" for n in range(200)) == sorted(taken)
