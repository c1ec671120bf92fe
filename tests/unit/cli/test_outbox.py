# SPDX-License-Identifier: Apache-2.0
"""What waits, what was refused, what could not be read: seen and handled from the command line."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue import cli
from otel_revenue.cli import _words
from otel_revenue.delivery.spool import Spool
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.sqlite_file import LAYOUT
from otel_revenue.ledger.store import ASIDE, LATER
from support.waiting_store import DAY, fail, open_store, paid, refuse, unread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Running:
    """An application's store, open beside the command line; `outbox` is the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.store = open_store(folder, paid(1), paid(2, 1000, "JPY"), paid(3, 12345, "KWD"))
        refuse(self.store, 2)
        fail(self.store, 3)

    def outbox(self, *words: str) -> tuple[int, str, str]:
        code = cli.main(["outbox", *words])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str) -> Any:
        code, out, err = self.outbox(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def states(self) -> dict[int, str]:
        return {row.seq: row.state for row in self.store.rows("otlp")}


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Running]:
    folder = tmp_path / "store"
    monkeypatch.setenv("OTEL_REVENUE_STORE", str(folder))
    running = Running(folder, capsys)
    yield running
    running.store.close()


def test_list_says_what_waits_and_what_it_is_worth(running: Running) -> None:
    """`outbox` alone lists every undelivered event with state, tries, age, amount and reason, and the money per currency."""
    code, out, _ = running.outbox()
    lines = out.splitlines()

    assert 0 == code
    assert f"{running.folder}/ledger.sqlite3 -> otlp: 2 waiting, the oldest since 3d, 1 set aside" == lines[0]
    assert "not yet acknowledged: 49.99 EUR, 1,000 JPY, 12.345 KWD" == lines[1]
    assert re.search(r"1  order\.paid +0{8}-\S+  waiting, 0 tries, 1d old  49\.99 EUR$", lines[2])
    assert re.search(r"2  order\.paid .*  set aside, 1 try, 2d old  1,000 JPY  http 400$", lines[3])
    assert re.search(r"3  order\.paid .*  waiting, 1 try, 3d old  12\.345 KWD  http 503$", lines[4])


def test_json_says_the_same_to_programs(running: Running) -> None:
    """`--json` before or after the action carries counts, money in minor units, and events with their attributes."""
    unread(running.store)
    found = running.json("list")

    assert found == running.json()
    assert (2, 1, {"EUR": 4999, "JPY": 1000, "KWD": 12345}) == (
        found["waiting"],
        found["set_aside"],
        found["unconfirmed_minor_units"],
    )
    assert [(1, "waiting", ""), (2, "aside", "http 400"), (3, "waiting", "http 503")] == [
        (e["seq"], e["state"], e["reason"]) for e in found["events"]
    ]
    assert ("order-2", 1000) == (
        found["events"][1]["attributes"]["order_id"],
        found["events"][1]["attributes"]["amount_minor"],
    )
    assert [("webhook", "invoice", "amount_missing", ["in_1Unread"])] == [
        (u["source"], u["kind"], u["reason"], u["ids"]) for u in found["unread"]
    ]


def test_only_one_state_and_only_some(running: Running) -> None:
    """`--state` and `--limit` narrow the list, and the list says that there is more."""
    aside = running.json("list", "--state", "aside")
    _, out, _ = running.outbox("list", "--limit", "1")

    assert [2] == [e["seq"] for e in aside["events"]]
    assert ("... and more" in out, 1) == (True, out.count("order.paid"))


def test_what_could_not_be_read_is_listed_by_its_ids(running: Running) -> None:
    """News of money that could not be read is shown with kind, reason and ids."""
    unread(running.store)
    _, out, _ = running.outbox("list")

    assert "webhook invoice: amount_missing  in_1Unread" in out


def test_show_prints_all_attributes_by_number_or_event_id(running: Running) -> None:
    """`show` takes the number or the event_id, each event once, and prints what will be sent."""
    _, out, _ = running.outbox("show", "1", paid(1).event_id)
    (event,) = running.json("show", "3")

    assert 1 == out.count("waiting, 0 tries")
    assert re.search(r'order_id +"order-1"', out)
    assert re.search(r"amount_minor +4999\b", out)
    assert ("order-3", "pro") == (event["attributes"]["order_id"], event["attributes"]["tier"])


def test_retry_puts_a_refused_event_back_to_due(running: Running) -> None:
    """`retry` makes an event that was set aside due again, in the store that the application has open."""
    code, out, _ = running.outbox("retry", "2")

    assert (0, {1: LATER, 2: LATER, 3: LATER}) == (code, running.states())
    assert "1 event due again" in out


def test_retry_all_takes_all(running: Running) -> None:
    """`retry --all` takes all that were set aside, however many steps that is."""
    rows = [paid(number) for number in range(10, 510)]
    with running.store.transaction() as tx:
        tx.add_rows(rows)
    for row in running.store.rows("otlp", limit=1000):
        refuse(running.store, row.seq)
    code, out, _ = running.outbox("retry", "--all")

    assert (0, "503 events due again") == (code, out.split(".")[0])
    assert {LATER} == {row.state for row in running.store.rows("otlp", limit=1000)}


@pytest.mark.parametrize("words", [(), ("2", "--all")])
def test_retry_wants_to_be_told_which(running: Running, words: tuple[str, ...]) -> None:
    """`retry` without a word, or with both, does nothing and says what is missing."""
    code, _, err = running.outbox("retry", *words)

    assert (2, True, ASIDE) == (code, "or --all" in err, running.states()[2])


def test_retry_of_an_event_that_waits_anyway(running: Running) -> None:
    """An event that was never set aside is left alone, and that is said."""
    code, out, err = running.outbox("retry", "1")

    assert (0, "Nothing was set aside.\n", True) == (code, out, "1 is not set aside" in err)


def test_drop_asks_first(running: Running) -> None:
    """Without `--yes` nothing goes; what would go is said in money."""
    code, out, _ = running.outbox("drop", "1", "3")

    assert (1, 3) == (code, len(running.states()))
    assert "Would remove 2 events" in out
    assert "49.99 EUR, 12.345 KWD" in out


def test_drop_removes_for_good(running: Running) -> None:
    """With `--yes` the named events leave the outbox, and only those."""
    code, out, _ = running.outbox("drop", "2", "--yes")

    assert (0, {1: LATER, 3: LATER}) == (code, running.states())
    assert "Removed 1 event (1,000 JPY)" in out


@pytest.mark.parametrize("action", ["show", "retry", "drop"])
def test_a_word_that_names_nothing(running: Running, action: str) -> None:
    """One unknown word stops the whole command before it does anything."""
    code, _, err = running.outbox(action, "2", "99", *(["--yes"] if action == "drop" else []))

    assert (2, True, ASIDE) == (code, "under 99;" in err, running.states()[2])


def test_a_writer_in_the_application_keeps_nobody_from_reading(running: Running) -> None:
    """While a transaction of the application is open, the list is there at once; its own rows are not seen yet."""
    with running.store.transaction() as tx:
        tx.add_rows([paid(7)])
        code, out, _ = running.outbox("list")

    assert (0, 3) == (code, out.count("order.paid"))


def test_reading_changes_nothing(running: Running) -> None:
    """`list` and `show` open the ledger for reading: its content is byte for byte what it was."""
    running.store.close()
    before = (running.folder / "ledger.sqlite3").read_bytes()
    running.outbox("list")
    running.outbox("show", "1")

    assert before == (running.folder / "ledger.sqlite3").read_bytes()


def test_the_ledger_of_a_killed_application(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left in its write-ahead log is seen, and left to the application to move into the ledger."""
    copy = tmp_path / "killed"
    copy.mkdir()
    for file in running.folder.glob("ledger.sqlite3*"):
        (copy / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("OTEL_REVENUE_STORE", str(copy))
    (copy / "ledger.sqlite3-shm").unlink()

    before = (copy / "ledger.sqlite3").read_bytes()

    assert [1, 2, 3] == [e["seq"] for e in running.json("list")["events"]]
    assert before == (copy / "ledger.sqlite3").read_bytes()


def test_a_missing_ledger_is_not_made(tmp_path: Path, monkeypatch, capsys) -> None:
    """Where there is no ledger nothing is created; the text names the place, what said so, and the other stores there are."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    state = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    open_store(state / "otel-revenue" / "postercraft").close()
    code = cli.main(["outbox"])
    said = capsys.readouterr().err

    assert (2, False) == (code, (state / "otel-revenue" / "shop").exists())
    assert f"no ledger at {state}/otel-revenue/shop/ledger.sqlite3 (the default for the service 'shop')" in said
    assert f"stores of other services are in {state}/otel-revenue/postercraft." in said
    assert "--store FOLDER" in said


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_SERVICE_NAME": "poster craft"},
        {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,service.name=poster%20craft"},
        {"OTEL_SERVICE_NAME": "poster craft", "OTEL_RESOURCE_ATTRIBUTES": "service.name=another"},
    ],
)
def test_the_store_is_found_as_the_application_finds_it(tmp_path, monkeypatch, capsys, environ) -> None:
    """Service name from either variable, as the SDK reads them, leads to the folder that the application uses."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    from otel_revenue import config
    from otel_revenue.runtime.plan import make_plan

    for name, value in {**environ, "XDG_STATE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    settings, _ = config.load(os.environ)
    plan = make_plan(settings, os.environ, TracerProvider(resource=Resource.create(), shutdown_on_exit=False))
    assert plan.folder is not None
    open_store(plan.folder, paid(1)).close()
    code = cli.main(["outbox"])

    assert (0, True) == (code, str(plan.ledger) in capsys.readouterr().out)


def test_the_store_can_be_named_in_three_ways(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--store` takes a folder, the ledger's file and sqlite:///path, before and after the action."""
    monkeypatch.delenv("OTEL_REVENUE_STORE")
    ledger = running.folder / "ledger.sqlite3"
    codes = [
        running.outbox(*words)[0]
        for where in (str(running.folder), str(ledger), f"sqlite:///{ledger}")
        for words in (("--store", where, "list"), ("list", "--store", where), ("--store", where))
    ]

    assert [0] * 9 == codes


def test_a_damaged_ledger_stays_where_it_is(running: Running) -> None:
    """A file that is no database is neither moved nor replaced by a look at it."""
    running.store.close()
    ledger = running.folder / "ledger.sqlite3"
    ledger.write_bytes(b"no database " * 1000)
    code, _, err = running.outbox("list")

    assert (2, True, True) == (code, "is damaged" in err, ledger.read_bytes().startswith(b"no database"))
    assert [] == list(running.folder.glob("*.corrupt-*"))


def test_a_ledger_of_a_newer_version(running: Running) -> None:
    """A layout that this version does not know is not touched; the text says what to run instead."""
    running.store.close()
    raw = sqlite3.connect(running.folder / "ledger.sqlite3")
    raw.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    raw.close()
    code, _, err = running.outbox("retry", "--all")

    assert (2, True) == (code, "newer otel-revenue" in err)


def test_a_ledger_that_could_not_be_begun(tmp_path, capsys) -> None:
    """A file without anything in it, as a full disk leaves it, is named as that, and not as one of another version."""
    (tmp_path / "ledger.sqlite3").touch()
    code = cli.main(["outbox", "--store", str(tmp_path)])
    told = capsys.readouterr().err

    assert (2, True, False) == (code, "is empty: the application could not begin it" in told, "layout" in told)


def test_no_ledger_is_told_in_whole_sentences(tmp_path, capsys) -> None:
    """Where there is no ledger, the place is named, and the remedy is a sentence of its own."""
    code = cli.main(["outbox", "--store", str(tmp_path)])
    told = capsys.readouterr().err

    assert (2, True) == (code, f"there is no ledger at {tmp_path}/ledger.sqlite3 (--store). It is made when" in told)


def test_a_store_in_memory_cannot_be_seen(capsys, monkeypatch) -> None:
    """Where the store is the application's memory, that is said, with the remedy."""
    monkeypatch.setenv("OTEL_REVENUE_STORE", ":memory:")
    code = cli.main(["outbox"])

    assert (2, True) == (code, "only the application itself can see it" in capsys.readouterr().err)


def test_what_waits_beside_the_ledger(running: Running) -> None:
    """Events of the spool, of live and dead processes, facts kept aside and thin events are counted; delivered ones are not."""
    mine = Spool(running.folder / "spool", token="1-live", readers=("otlp",))
    mine.append(b"delivered")
    batch = mine.read("otlp")
    assert batch is not None
    mine.commit("otlp", batch)
    mine.append(b"waits")
    dead = Spool(running.folder / "spool", token="2-dead", readers=("otlp",))
    dead.append(b"waits")
    dead.append(b"waits too")
    dead.close()
    (torn,) = (running.folder / "spool").glob("2-dead*.seg")
    torn.write_bytes(torn.read_bytes() + b"\x09\x00\x00\x00half")
    kept = Spool(running.folder / "facts", token="1-live", readers=("ledger",), fsync=True)
    kept.append(b"{}")
    thin = Spool(running.folder / "thin", token="1-live", readers=("lookup",), fsync=True)
    for secret in (b"evt_1secret", b"evt_2secret"):
        thin.append(secret)
    found = running.json("list")
    _, out, _ = running.outbox("list")
    mine.close()
    kept.close()
    thin.close()

    assert (2, 1, 3, 8) == tuple(found["spool"][key] for key in ("segments", "orphans", "frames", "torn"))
    assert (1, 0, 1) == tuple(found["kept_facts"][key] for key in ("segments", "orphans", "frames"))
    assert "spool: 3 events without money waiting" in out
    assert "1 of dead processes" in out
    assert (1, 0, 2) == tuple(found["thin_events"][key] for key in ("segments", "orphans", "frames"))
    assert "kept aside while the store was busy or broken: 1 fact, 10 B, untouched since " in out
    assert "to be fetched from Stripe: the objects of 2 thin events, 38 B, untouched since " in out
    assert "secret" not in out


def test_a_look_takes_no_segment_from_anybody(running: Running) -> None:
    """After a look the files of a dead process can be adopted, and those of a live one go on."""
    dead = Spool(running.folder / "spool", token="2-dead")
    dead.append(b"waits")
    dead.close()
    running.outbox("list")
    heir = Spool(running.folder / "spool", token="3-heir")
    adopted = heir.adopt()
    running.outbox("list")
    batch = heir.read("otlp")
    heir.close()

    assert (1, [b"waits"]) == (adopted, list(batch.frames) if batch else None)


def test_an_application_that_delivers_through_its_own_pipeline(running: Running) -> None:
    """Without a word about it, the list is that of the far end that the store was used with."""
    store = SqliteStore(running.folder / "other" / "ledger.sqlite3", destinations=("sdk",))
    store.add_aside("sdk", paid(1), "record unreadable")
    found = running.json("list", "--store", str(running.folder / "other"))
    store.close()

    assert ("sdk", 1) == (found["destination"], found["set_aside"])


def test_an_event_that_cannot_be_decoded(running: Running) -> None:
    """A row of another make is listed and said to be unreadable, not passed over."""
    with running.store.transaction() as tx:
        tx.add_rows([paid(8).__class__("broken", "order.paid", b"\xff\xff\xff", 1, 1, "EUR")])
    _, out, _ = running.outbox("show", "broken")

    assert "3 bytes that are no log record" in out


def test_payments_on_hold_are_counted(running: Running) -> None:
    """Payments that wait for the fact that settles them are said, with when the first is due."""
    raw = sqlite3.connect(running.folder / "ledger.sqlite3")
    raw.execute(
        "INSERT INTO payment (doc, recorded_ns, due_ns, soft_key, soft_ns, twin, touched_ns) VALUES ('{}', 0, 9e18, NULL, 0, 0, 1)"
    )
    raw.commit()
    raw.close()
    _, out, _ = running.outbox("list")

    assert "1 payment on hold for the fact that settles them, the first due in" in out


@given(st.recursive(st.text() | st.integers() | st.booleans(), st.lists, max_leaves=5))
def test_a_terminal_shows_values_and_obeys_none(value: Any) -> None:
    """Whatever a value holds, what is printed has no control character in it, and says the value."""
    text = _words.shown(value)

    assert text.isprintable()
    assert value == json.loads(text)


@pytest.mark.parametrize(
    ("nanoseconds", "said"), [(-DAY, "0s"), (59 * 10**9, "59s"), (3600 * 10**9, "1h"), (3 * DAY + 1, "3d")]
)
def test_ages(nanoseconds: int, said: str) -> None:
    """An age is whole, in its largest unit, and never negative."""
    assert said == _words.age(nanoseconds)
