"""The ledger on PostgreSQL, with a real server: several hosts, one order; away, and back."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from otel_revenue._store_url import StoreUrl
from otel_revenue.errors import StoreBusy, StoreError, StoreTooNew
from otel_revenue.ledger import postgres_layout
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.model import Alias, Group
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.store import NewRow, Settlement
from support.ledger_worker import encode, some_flows
from support.postgres import PASSWORD, Postgres, running, with_schema
from support.postgres_worker import take_all
from support.reading import NOW_NS, read_event
from support.till import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Open = Callable[..., PostgresStore]

SECOND = 10**9
NOW = 1_790_000_000 * SECOND
TESTS = Path(__file__).resolve().parents[1]
HOLD_OVER = NOW_NS + 7200 * SECOND


@pytest.fixture
def url(postgres: Postgres) -> str:
    """A URL that leads to an empty schema."""
    return postgres.schema()


@pytest.fixture
def open_store(url: str) -> Iterator[Open]:
    """Open the store as one more process would."""
    opened: list[PostgresStore] = []

    def open_(at: str = url, **arguments: Any) -> PostgresStore:
        given: dict[str, Any] = {"busy_s": 5.0, **arguments}
        opened.append(PostgresStore(at, location=StoreUrl(at).location, **given))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def row(n: int) -> NewRow:
    return NewRow(f"event-{n}", "order.paid", b"record", NOW + n, 100, "EUR")


def put(store: PostgresStore, *ids: str) -> Group:
    with store.transaction() as tx:
        return tx.put(Group(aliases=frozenset(Alias("pi", "", name) for name in ids)))


def add(store: PostgresStore, *rows: NewRow) -> None:
    with store.transaction() as tx:
        tx.add_rows(rows)


def claim(store: PostgresStore, now_ns: int) -> list[str]:
    return [r.event_id for r in store.claim("otlp", limit=10, now_ns=now_ns, lease_ns=15 * SECOND)]


def books(store: PostgresStore) -> list[tuple[str, bytes]]:
    """Let every hold run out; return what was recorded."""
    Ledger(store, RULES).release(HOLD_OVER, encode, limit=1000)
    return sorted((r.event_id, r.record) for r in store.rows("otlp", limit=10_000))


def told_in_order(store: PostgresStore, count: int) -> list[tuple[str, bytes]]:
    """What one process records that hears of everything once and in order."""
    ledger = Ledger(store, RULES)
    for flow in some_flows(count):
        for body in flow.events:
            for item in read_event(body).facts:
                ledger.take(item, NOW_NS, encode)
    return books(store)


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


# -- what is said ------------------------------------------------------------------------------------------------------


def _place(postgres: Postgres) -> str:
    given = psycopg.conninfo.conninfo_to_dict(postgres.url)
    return f"{given['host']}:{given.get('port', 5432)}"


def _bad(postgres: Postgres, what: str) -> str:
    place = _place(postgres)
    return {
        "password": f"postgresql://postgres:hunter2hunter2@{place}/postgres",
        "role": f"postgresql://nobody:hunter2hunter2@{place}/postgres",
        "database": f"{postgres.url.rpartition('/')[0]}/nosuch",
        "port": "postgresql://u:hunter2hunter2@127.0.0.1:1/x",
        "host": "postgresql://u:hunter2hunter2@no-such-host.invalid/x",
        "url": "postgresql://u:hunter2hunter2@127.0.0.1:notaport/x",
        "option": "postgresql://u:hunter2hunter2@127.0.0.1/x?nosuchoption=hunter2hunter2",
    }[what]


@pytest.mark.parametrize(
    ("what", "said", "remedy"),
    [
        ("password", "user or password is wrong", "Correct OTEL_REVENUE_STORE, or PGPASSWORD"),
        ("role", "user or password is wrong", "Correct OTEL_REVENUE_STORE, or PGPASSWORD"),
        ("database", "no such database", "Create it"),
        ("port", "nothing listens there", "Check host and port"),
        ("host", "name cannot be resolved", "Check the host"),
        ("url", "URL cannot be read", "Expected postgresql://"),
        ("option", "URL cannot be read", "Expected postgresql://"),
    ],
)
def test_what_is_wrong_is_said_once_with_the_remedy_and_no_password(
    postgres: Postgres, what: str, said: str, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that cannot be reached says so once, with what to do; nothing that is logged, raised or shown holds the password."""
    url = StoreUrl(_bad(postgres, what))
    caplog.set_level(logging.DEBUG)
    store = PostgresStore(url.secret, location=url.location, busy_s=10.0)
    raised = []
    for _ in range(4):
        with pytest.raises(StoreError) as caught:
            put(store, "pi_1")
        raised.append(f"{caught.value!r} {caught.value.__cause__!r}")
        time.sleep(0.15)
    logged = [r.getMessage() for r in caplog.records if r.name == "otel_revenue"]

    assert 1 == len(logged)
    assert (True, True) == (said in logged[0], remedy in logged[0])
    assert "hunter2" not in " ".join([*logged, *raised, repr(store), store.location])
    assert PASSWORD not in " ".join([*logged, *raised, repr(store), store.location])


def test_a_missing_extra_is_said_with_the_line_that_installs_it(
    open_store: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without psycopg every change fails as one of a store does, and the log says what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    store = open_store()
    with pytest.raises(StoreError):
        put(store, "pi_1")

    assert ["pip install 'otel-revenue[postgres]'" in r.getMessage() for r in caplog.records] == [True]


def test_errors_of_the_server_hold_no_values(open_store: Open) -> None:
    """The server quotes what it refuses; what we raise does not."""
    with pytest.raises(StoreError) as caught, open_store().transaction() as tx:
        tx.add_rows([NewRow("jane@example.org", "order.paid", b"", 2**63, 1, "jane@example.org")])

    assert ("jane" in str(caught.value), caught.value.__cause__) == (False, None)


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


# -- layouts, rights, sessions -----------------------------------------------------------------------------------------


def test_what_a_newer_version_adds_is_lived_with(open_store: Open, postgres: Postgres, url: str) -> None:
    """A newer layout that says that this one may go on is used; one that says it may not is refused, open connections too."""
    store = open_store()
    put(store, "pi_1")
    postgres.sql("ALTER TABLE otel_revenue_payment ADD COLUMN colour text NOT NULL DEFAULT 'red'", url=url)
    postgres.sql("UPDATE otel_revenue_layout SET layout = 2", url=url)
    put(store, "pi_2")
    put(open_store(), "pi_3")
    postgres.sql("UPDATE otel_revenue_layout SET layout = 3, readable_by = 3", url=url)
    for each in (store, open_store()):
        with pytest.raises(StoreTooNew):
            put(each, "pi_4")

    assert [(3,)] == postgres.sql("SELECT count(*) FROM otel_revenue_payment", url=url)


def test_an_older_layout_is_brought_forward_once(
    open_store: Open, postgres: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer version adds what it needs to a ledger in use, by whichever process comes first, and keeps what is in it."""
    old = open_store()
    put(old, "pi_1")
    monkeypatch.setitem(
        postgres_layout.SQL, "layout_3", "ALTER TABLE otel_revenue_payment ADD COLUMN colour text; -- new;"
    )
    monkeypatch.setattr(postgres_layout, "LAYOUTS", (*postgres_layout.LAYOUTS, (3, 1)))
    for n in (2, 3):
        put(open_store(), f"pi_{n}")
    put(old, "pi_4")

    assert [(3, 1)] == postgres.sql("SELECT layout, readable_by FROM otel_revenue_layout", url=url)
    assert [(4, 0)] == postgres.sql("SELECT count(*), count(colour) FROM otel_revenue_payment", url=url)


def test_a_migration_that_fails_leaves_the_old_layout(
    open_store: Open, postgres: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layout is made whole or not at all."""
    put(open_store(), "pi_1")
    monkeypatch.setitem(postgres_layout.SQL, "layout_3", "CREATE TABLE otel_revenue_more (x integer); SELECT 1 / 0")
    monkeypatch.setattr(postgres_layout, "LAYOUTS", (*postgres_layout.LAYOUTS, (3, 1)))
    with pytest.raises(StoreError):
        put(open_store(), "pi_2")

    assert [(2,)] == postgres.sql("SELECT layout FROM otel_revenue_layout", url=url)
    assert [(None,)] == postgres.sql("SELECT to_regclass('otel_revenue_more')", url=url)


def _role(postgres: Postgres, schema: str, *grants: str) -> str:
    """Make a role with these rights; return a URL for it."""
    name = f"app_{schema}"
    postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    postgres.sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    for grant in grants:
        postgres.sql(grant.format(schema=schema, name=name))
    database = psycopg.conninfo.conninfo_to_dict(postgres.url)["dbname"]
    return with_schema(f"postgresql://{name}:pw@{_place(postgres)}/{database}", schema)


def test_the_least_rights_are_enough(open_store: Open, postgres: Postgres, url: str) -> None:
    """Where somebody else has made the tables, a role that may read and write them does everything."""
    schema = url.rpartition("%3D")[2]
    for statement in postgres_layout.definition().split(";\n"):
        if statement.strip(" ;\n"):
            postgres.sql(statement, url=url)
    app = _role(
        postgres, schema,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {name}",
    )  # fmt: skip
    store = open_store(app)
    put(store, "pi_1")
    add(store, row(1), row(2))
    with store.transaction() as tx:
        tx.set_aside(NOW, "webhook", "charge.succeeded", "amount_type", ("ch_1",))
    store.settle("otlp", [Settlement(r.seq, "done") for r in store.rows("otlp")], now_ns=NOW)
    removed = store.prune(before_ns=2**62, max_bytes=1)

    assert (1, 0, 1, []) == (removed, store.stats()["payments_known"], len(store.set_asides()), store.rows("otlp"))


def test_rights_that_are_missing_are_named(
    open_store: Open, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """A role that may make nothing in its schema is told where the rights are written down."""
    store = open_store(_role(postgres, postgres.schema().rpartition("%3D")[2]))
    with pytest.raises(StoreError):
        put(store, "pi_1")

    assert ["Least privileges" in r.getMessage() for r in caplog.records] == [True]


def test_nothing_stays_in_a_session(open_store: Open, postgres: Postgres, url: str) -> None:
    """After a change the session is as it was: no setting, no lock, no prepared statement, so that a pooler may pass it on."""
    store = open_store()
    for n in range(12):
        put(store, f"pi_{n}")
        add(store, row(n))
    with store._mine().ledger.held(time.monotonic() + 5) as session:
        ask = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), "
        ask += "current_setting('idle_in_transaction_session_timeout'), (SELECT count(*) FROM pg_prepared_statements), "
        ask += "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
        found = session.rows(ask, within_s=5)

    assert [("0", "0", "0", 0, 0)] == found


def test_a_commit_waits_for_the_disk_whatever_the_server_is_set_to(open_store: Open, url: str) -> None:
    """Where the role or the server commits asynchronously, the ledger does not."""
    store = open_store(f"{url}%20-csynchronous_commit%3Doff")
    with store.transaction() as tx:
        found = tx._session.rows("SELECT current_setting('synchronous_commit')", within_s=5)

    assert [("on",)] == found


def test_a_payment_that_waits_for_its_commit_holds_no_other_host_for_ever(open_store: Open) -> None:
    """A process that is stopped in the middle of a change is ended by the server, and the others go on."""
    stopped, other = open_store(), open_store()
    put(other, "pi_0")

    def stand_still() -> None:
        with stopped.transaction() as tx:
            tx._session.rows("SET LOCAL idle_in_transaction_session_timeout = 100", within_s=5)
            put(other, "pi_1")  # waits until the server has ended the session above
            tx.groups_of([Alias("pi", "", "pi_1")], ())

    with pytest.raises(StoreBusy):
        stand_still()

    assert 2 == other.stats()["payments_known"]
