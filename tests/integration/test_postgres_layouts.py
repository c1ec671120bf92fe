"""What the ledger needs of PostgreSQL, and what it says where that is missing: URL, rights, layout, sessions."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from otel_revenue._store_url import StoreUrl
from otel_revenue.errors import StoreBusy, StoreError, StoreTooNew
from otel_revenue.ledger import postgres_layout
from otel_revenue.ledger.model import Alias
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.store import NewRow, Settlement
from support.postgres import PASSWORD, Postgres, with_schema
from support.shared_ledger import NOW, add, put, row

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., PostgresStore]


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
