"""What is held about an order is removed on request, wherever it is kept, and nothing of other orders."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue import cli
from otel_revenue._store_url import StoreUrl
from otel_revenue.delivery.spool import Spool
from otel_revenue.delivery.survey import survey
from otel_revenue.instrumentation.stripe.lookup.waiting import FOLDER as THIN
from otel_revenue.instrumentation.stripe.thin_events import Thin
from otel_revenue.ledger.model import Alias, Facts, Group, Saying, Setback
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import NewRow
from otel_revenue.runtime import kept
from otel_revenue.runtime.orders import Orders, labels_of
from otel_revenue.signals import record
from support.waiting_store import paid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_revenue.ledger.store import Store

    Capture = pytest.CaptureFixture[str]

NOW = time.time_ns()
BESIDE = ("spool", "orders", kept.FOLDER, THIN)


def labels(order_id: str, journey_id: str = "") -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, list[Any]]] = {"order_id": {"metadata.order_id": [0, order_id]}}
    return found | ({"journey_id": {"said": [0, journey_id]}} if journey_id else {})


def event(name: str, **values: Any) -> bytes:
    """An event without money, encoded as the application encodes it."""
    clean, refused = record.prepare(
        name, {"event_id": "00000000-0000-5000-8000-000000000001", "telemetry.source": "server", **values}
    )
    assert not refused, refused
    return record.encode(name, clean, time_ns=NOW, observed_ns=NOW)


def alias(kind: str, value: str) -> Alias:
    return Alias(kind, "", value)


class Shop:
    """A store with one order in each place that holds any, under `suffix`; both of two are alike."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.spools = {
            name: Spool(folder / name, token="1", readers=("otlp" if name == "spool" else "ledger",)) for name in BESIDE
        }

    def sell(self, order: str, suffix: str) -> None:
        """Let everything be held about one order that may be."""
        intent, charge = f"pi_{suffix}", f"ch_{suffix}"
        journey = f"journey-{suffix}-0123456789"
        row = paid(int(suffix), order_id=order)
        with self.store.transaction() as tx:
            first = tx.put(
                Group(aliases=frozenset({alias("pi", intent)}), labels=labels(order, journey), recorded_ns=NOW)
            )
            # Its twin does not name the order.
            other = tx.put(Group(aliases=frozenset({alias("in", f"in_{suffix}")}), twin=first.id))
            tx.put(first.changed(twin=other.id))
            lost = Setback("failed", alias("ch", charge), NOW, labels=labels(order))
            tx.put(Group(aliases=frozenset({alias("cs", f"cs_test_{suffix}")}), setbacks=(lost,), due_ns=NOW + 10**15))
            tx.add_rows(
                [
                    row,
                    NewRow(
                        f"session-{suffix}",
                        "checkout.session_created",
                        event("checkout.session_created", **{"stripe.checkout.session.id": f"cs_test_{suffix}"}),
                        NOW,
                    ),
                ]
            )
            tx.set_aside(NOW, "webhook", "charge", "amount_type", (intent,))
            tx.remember([
                Saying("order_id", order, {"tier": {"said": [0, "pro"]}}),
                Saying("journey_id", journey, {"surface": {"said": [0, "ad"]}}),
            ], NOW)  # fmt: skip
        self.spools["spool"].append(event("checkout.start", order_id=order))
        self.spools["spool"].append(event("checkout.start", journey_id=journey))
        orders = Orders(self.spools["orders"])
        values = {"order_id": order, "journey_id": journey, "tier": "pro"}
        orders.keep(values, labels_of(values, (), NOW))
        kept_facts = kept.Kept(self.spools[kept.FOLDER])
        kept_facts.facts(Facts(aliases=(alias("pi", intent), alias("ch", charge)), labels=labels(order)))
        kept_facts.facts(Facts(aliases=(alias("ch", charge),)))
        kept_facts.note(kept.Note(NOW, "webhook", "charge", "amount_type", (charge,)))
        kept_facts.event(NewRow("e", "checkout.start", event("checkout.start", order_id=order), NOW))
        thin = Thin("payment_intent.succeeded", f"evt_{suffix}", "", intent, livemode=False, at_ns=NOW, seen=(0, 0, 0))
        self.spools[THIN].append(thin.to_json())

    def frames(self) -> dict[str, int]:
        """How many frames wait beside the ledger, as people are shown."""
        return {name: survey(self.folder / name, "otlp" if name == "spool" else "ledger").frames for name in BESIDE}

    def read(self, name: str) -> list[bytes]:
        """What the running process reads of a folder, which it holds open."""
        batch = self.spools[name].read("otlp" if name == "spool" else "ledger")
        return [] if batch is None else list(batch.frames)


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    if request.param == "postgres":
        url = StoreUrl(request.getfixturevalue("postgres").schema())
        monkeypatch.setenv("OTEL_REVENUE_STORE", url.secret)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        folder = tmp_path / "otel-revenue" / "shop"
        store: Any = PostgresStore(url.secret, location=url.location, busy_s=5.0)
    else:
        folder = tmp_path / "store"
        monkeypatch.setenv("OTEL_REVENUE_STORE", str(folder))
        store = SqliteStore(folder / "ledger.sqlite3")
    found = Shop(store, folder)
    yield found
    store.close()
    for spool in found.spools.values():
        spool.close()


def forget(capsys: Capture, *words: str) -> tuple[int, dict[str, Any]]:
    code = cli.main(["outbox", "forget", *words, "--json"])
    said = capsys.readouterr()
    assert said.out, said.err
    return code, json.loads(said.out)


HELD = {"payments": 3, "events": 2, "notes": 1, "sayings": 2, "spool/": 2, "orders/": 2, "facts/": 4, "thin/": 1}
NOTHING = dict.fromkeys(HELD, 0)


def counted(answer: dict[str, Any]) -> dict[str, int]:
    return {name: answer[name] for name in HELD}


def test_everything_of_one_order_goes_and_nothing_of_another(shop: Shop, capsys: Capture) -> None:
    """`forget` removes what is held about an order in the ledger, its outbox and the files beside, while the application runs."""
    shop.sell("order-1", "1")
    shop.sell("order-12", "12")  # whose id begins like the other's
    code, answer = forget(capsys, "--order", "order-1", "--yes")
    _, again = forget(capsys, "--order", "order-1")
    _, other = forget(capsys, "--order", "order-12")

    assert (0, HELD, NOTHING, HELD) == (code, counted(answer), counted(again), counted(other))
    assert {"spool": 2, "orders": 2, kept.FOLDER: 4, THIN: 1} == shop.frames()


def test_the_running_process_reads_what_is_left_and_counts_no_loss(shop: Shop, capsys: Capture) -> None:
    """A frame that was removed under a running process is passed over by it; the others are read, and nothing counts as lost."""
    shop.sell("order-1", "1")
    shop.sell("order-2", "2")
    forget(capsys, "--order", "order-1", "--yes")
    left = b"".join(frame for name in BESIDE for frame in shop.read(name))

    assert (False, True) == (b"order-1" in left or b"pi_1" in left, b"order-2" in left and b"pi_2" in left)
    assert 0 == sum(spool.lost_bytes for spool in shop.spools.values())


def test_without_yes_nothing_changes(shop: Shop, capsys: Capture) -> None:
    """Without `--yes` the command says what would go, and leaves it."""
    shop.sell("order-1", "1")
    code, answer = forget(capsys, "--order", "order-1")

    assert (1, False, HELD) == (code, answer["removed"], counted(answer))
    assert HELD == counted(forget(capsys, "--order", "order-1")[1])


def test_orders_are_named_on_stdin(shop: Shop, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders may be named on stdin, one a line, so that no list of them stands on a command line."""
    shop.sell("order-1", "1")
    shop.sell("order-2", "2")
    monkeypatch.setattr("sys.stdin", io.StringIO("order-1\n\norder-2\n"))
    _, answer = forget(capsys, "--order", "-", "--yes")

    assert {name: 2 * number for name, number in HELD.items()} == counted(answer)


@pytest.mark.parametrize("order", ["Bestellung für Jürgen", 'o"1', "o\\1", "Ω-17", "x" * 300])
def test_an_order_id_of_any_form_is_found(shop: Shop, capsys: Capture, order: str) -> None:
    """Ids that leave as a hash, and ids with quotes, backslashes or letters of other scripts, are found like all others."""
    shop.sell(order, "1")
    _, answer = forget(capsys, "--order", order, "--yes")

    assert HELD == counted(answer)
    assert NOTHING == counted(forget(capsys, "--order", order)[1])


def test_people_are_told_what_is_not_reached(shop: Shop, capsys: Capture) -> None:
    """What the command cannot reach is said each time, and a damaged ledger that was moved away is named."""
    shop.sell("order-1", "1")
    (shop.folder / "ledger.sqlite3.corrupt-20261124T000000Z").write_bytes(b"")
    code = cli.main(["outbox", "forget", "--order", "order-1", "--yes"])
    said = capsys.readouterr().out

    assert code == 0
    assert [] == [
        word
        for word in ("delivered", "memory", "backups", "Stripe", "corrupt-20261124", "1 had no event yet")
        if word not in said
    ]


def test_nothing_of_it_is_left_in_the_ledger_s_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """SQLite's file and its journal hold no byte of a removed row."""
    monkeypatch.setenv("OTEL_REVENUE_STORE", str(tmp_path))
    store = SqliteStore(tmp_path / "ledger.sqlite3")
    shop = Shop(store, tmp_path)
    shop.sell("order-canary-1", "1")
    forget(capsys, "--order", "order-canary-1", "--yes")
    store.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    named = [path.name for path in files if b"order-canary-1" in path.read_bytes()]

    assert files
    assert [] == named


def test_a_payment_is_found_by_its_journey_alone(shop: Shop, capsys: Capture) -> None:
    """A payment that names no order, but the journey that an order is known to come from, is of that order."""
    journey = "journey-0123456789"
    with shop.store.transaction() as tx:
        tx.put(Group(aliases=frozenset({alias("pi", "pi_9")}), labels={"journey_id": {"said": [0, journey]}}))
        tx.put(Group(aliases=frozenset({alias("pi", "pi_8")}), labels=labels("order-8", journey)))
        tx.remember([Saying("order_id", "order-9", {"journey_id": {"said": [0, journey]}})], NOW)
    _, answer = forget(capsys, "--order", "order-9", "--yes")

    assert {**NOTHING, "payments": 1, "sayings": 1} == counted(answer)
