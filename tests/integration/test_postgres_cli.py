"""`otel-revenue outbox` and `doctor` with a ledger in PostgreSQL."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest

from otel_revenue import cli
from otel_revenue._store_url import StoreUrl
from otel_revenue.ledger.model import Alias, Group
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.store import ASIDE, Settlement
from support.postgres import PASSWORD
from support.waiting_store import paid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postgres import Postgres

Capture = pytest.CaptureFixture[str]
SECRETS = (PASSWORD, quote(PASSWORD, safe=""))


@pytest.fixture
def url(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> StoreUrl:
    found = StoreUrl(postgres.schema())
    monkeypatch.setenv("OTEL_REVENUE_STORE", found.secret)
    return found


@pytest.fixture
def store(url: StoreUrl) -> Iterator[PostgresStore]:
    """A store as an application leaves it, open beside the command line: two events wait, one is set aside."""
    store = PostgresStore(url.secret, location=url.location, busy_s=5.0)
    with store.transaction() as tx:
        tx.put(Group(aliases=frozenset({Alias("pi", "", "pi_1")})))
        tx.add_rows([paid(1), paid(2, 1000, "JPY"), paid(3, 12345, "KWD")])
        tx.set_aside(time.time_ns(), "webhook", "charge.succeeded", "amount_type", ("ch_1",))
    second = store.rows("otlp")[1].seq
    store.settle("otlp", [Settlement(second, ASIDE, reason="http 400")], now_ns=time.time_ns())
    yield store
    store.close()


def run(capsys: Capture, *words: str) -> tuple[int, str]:
    code = cli.main(list(words))
    said = capsys.readouterr()
    assert [] == [secret for secret in SECRETS if secret in said.out + said.err]
    return code, said.out + said.err


def test_the_outbox_is_listed_retried_and_dropped(store: PostgresStore, url: StoreUrl, capsys: Capture) -> None:
    """All that `outbox` does works on a shared ledger, beside the running application."""
    seqs = [r.seq for r in store.rows("otlp")]
    code, out = run(capsys, "outbox")
    listed = json.loads(run(capsys, "outbox", "list", "--json")[1])
    shown = run(capsys, "outbox", "show", paid(3).event_id)[1]
    aside = run(capsys, "outbox", "list", "--state", "aside")[1]
    retried = run(capsys, "outbox", "retry", "--all")
    dropped = run(capsys, "outbox", "drop", str(seqs[0]), "--yes")
    unknown = run(capsys, "outbox", "show", "77777")

    assert (0, True) == (code, f"{url.location} -> otlp: 2 waiting" in out)
    assert ([1, 1], 3) == ([listed["set_aside"], len(listed["unread"])], len(listed["events"]))
    assert (True, True, False) == ("order-3" in shown, paid(2).event_id in aside, paid(1).event_id in aside)
    assert ((0, True), (0, True)) == (
        (retried[0], "1 event due" in retried[1]),
        (dropped[0], "Removed 1 event" in dropped[1]),
    )
    assert (2, True) == (unknown[0], "no event waits" in unknown[1])
    assert [(seqs[1], "later"), (seqs[2], "later")] == [(r.seq, r.state) for r in store.rows("otlp")]


def test_the_doctor_looks_at_a_shared_ledger(store: PostgresStore, url: StoreUrl, capsys: Capture) -> None:
    """`doctor` says where it is, what it knows, what waits, and where this host's part is."""
    _, out = run(capsys, "doctor", "--offline")

    for said in (
        f"the store is {url.location} (OTEL_REVENUE_STORE); what waits on this host is in ",
        "the ledger knows 1 payment, has recorded 0",
        "PaymentIntents 1",
        "2 events of the outbox wait",
        "1 event set aside",
        "could not be read",
    ):
        assert said in out


def test_a_database_without_a_ledger_is_not_changed(url: StoreUrl, postgres: Postgres, capsys: Capture) -> None:
    """Looking makes no tables: both commands say that there is no ledger yet, and what to look at."""
    listed = run(capsys, "outbox")
    looked = run(capsys, "doctor", "--offline")
    made = postgres.sql("SELECT to_regclass('otel_revenue_layout')", url=url.secret)

    assert (2, 1, [(None,)]) == (listed[0], looked[0], made)
    assert (True, True) == ("holds no ledger" in listed[1], "holds no ledger" in looked[1])


def test_a_database_that_is_away_is_said(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why it cannot be reached is in the answer, with the remedy, and once."""
    monkeypatch.setenv("OTEL_REVENUE_STORE", "postgresql://u:hunter2hunter2@127.0.0.1:1/shop")
    code, out = run(capsys, "outbox")
    looked = run(capsys, "doctor", "--offline")[1]

    assert (2, 1, 1) == (code, out.count("nothing listens there"), looked.count("nothing listens there"))
    assert "hunter2" not in out + looked


def test_a_password_is_not_taken_on_the_command_line(capsys: Capture) -> None:
    """`--store` takes a database's URL without its password, and refuses one with it without repeating it."""
    refused = [
        run(capsys, command, "--store", "postgresql://u:hunter2hunter2@db/shop") for command in ("outbox", "doctor")
    ]

    assert [2, 2] == [code for code, _ in refused]
    assert [True, True] == ["PGPASSWORD" in out and "hunter2" not in out for _, out in refused]


def test_the_store_can_be_named(
    store: PostgresStore, postgres: Postgres, url: StoreUrl, capsys: Capture, monkeypatch: Any
) -> None:
    """A URL without a password in `--store`, and the password in PGPASSWORD, lead to the ledger."""
    monkeypatch.delenv("OTEL_REVENUE_STORE")
    monkeypatch.setenv("PGPASSWORD", str(psycopg.conninfo.conninfo_to_dict(url.secret)["password"]))
    options = url.secret.partition("?")[2]
    code, out = run(capsys, "outbox", "--store", f"{url.location}?{options}")

    assert (0, True) == (code, "2 waiting" in out)
