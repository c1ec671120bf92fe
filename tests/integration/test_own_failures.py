"""Our own failures, one after the other: the application's answer stays, and the payment is recorded, or noted by its ids."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import stripe
from opentelemetry.trace import SpanKind

from otel_revenue import _guard, flush
from otel_revenue.errors import StoreBusy
from otel_revenue.instrumentation.stripe import facts
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.runtime import Runtime, patience
from otel_revenue.runtime.money import Money
from otel_revenue.signals import bound, spans
from otel_revenue.testing import FakeStripe
from otel_revenue.testing.fake_stripe.deliveries import sign
from support.instrumented import SECRET, App, paid
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.ledger.model import Facts

pytestmark = pytest.mark.swallow


@pytest.fixture
def app(app: App) -> App:
    app.instrument(enrich_hold=0)
    return app


@pytest.fixture
def client() -> Iterator[stripe.StripeClient]:
    with FakeStripe() as fake:
        yield stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})


def _fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("jane@person.example")


def _deliver(app: App, number: int) -> Any:
    body = paid(number)
    with app.tracers.get_tracer("web").start_as_current_span("POST /webhooks", kind=SpanKind.SERVER):
        return stripe.Webhook.construct_event(body, sign(body, SECRET, int(time.time())), SECRET)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (spans, "request_ids"),
        (spans, "current_ids"),
        (spans, "elapsed_ms"),
        (spans, "add_event"),
        (spans, "link_checkout"),
        (spans, "payment_span"),
        (bound, "current"),
        (Runtime, "show_context"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_fails_around_a_payment(app: App, monkeypatch: pytest.MonkeyPatch, place: object, name: str) -> None:
    """Where tracing or what the application has bound cannot be read, the payment is recorded all the same."""
    monkeypatch.setattr(place, name, _fail)
    event = _deliver(app, 1)
    monkeypatch.undo()
    flush(60)

    assert "evt_1" == event.id
    assert ["o-1"] == [log.attributes["order_id"] for log in app.receiver.named("order.paid")]
    assert _guard.failures or name == "payment_span"


@pytest.mark.parametrize(("place", "name"), [(facts, "from_event"), (facts, "_facts"), (Money, "_encode")])
def test_a_payment_that_cannot_be_read_is_noted(
    app: App, monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    """Where the facts themselves cannot be read or written, their ids are kept with the reason, and the next payment counts."""
    monkeypatch.setattr(place, name, _fail)
    event = _deliver(app, 1)
    monkeypatch.undo()
    _deliver(app, 2)
    flush(60)
    with closing(sqlite3.connect(app.folder / "store" / "ledger.sqlite3")) as database:
        noted = "\n".join(database.iterdump())

    assert "evt_1" == event.id
    assert ["o-2"] == [log.attributes["order_id"] for log in app.receiver.named("order.paid")]
    assert "failed_RuntimeError" in noted
    assert "cs_test_1" in noted
    assert "jane" not in noted


def test_a_stage_that_fails_keeps_no_money_back(
    app: App, client: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that tells of a creation and of its payment: when the first cannot be announced, the second counts."""
    monkeypatch.setattr(Runtime, "record", _fail)
    with app.tracers.get_tracer("web").start_as_current_span("POST /pay", kind=SpanKind.SERVER):
        client.v1.payment_intents.create(
            {
                "amount": 500,
                "currency": "eur",
                "confirm": True,
                "payment_method": "pm_card_visa",
                "return_url": "https://a.b",
            }
        )
    monkeypatch.undo()

    assert wait_for(lambda: flush(5) and len(app.receiver.named("order.paid")) == 1)


def test_a_checkout_while_the_store_is_held(app: App, client: stripe.StripeClient) -> None:
    """The ledger is locked for longer than a request waits: `checkout.session_created` is recorded all the same, with its order."""
    _deliver(app, 1)
    with closing(sqlite3.connect(app.folder / "store" / "ledger.sqlite3", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with app.tracers.get_tracer("web").start_as_current_span("POST /checkout", kind=SpanKind.SERVER):
            session = client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "success_url": "https://a.b",
                    "metadata": {"order_id": "o-7"},
                    "line_items": [{"quantity": 1, "price_data": _PRICE}],
                }
            )
        holder.execute("ROLLBACK")

    assert wait_for(lambda: flush(5) and len(app.receiver.named("checkout.session_created")) == 1)
    (event,) = app.receiver.named("checkout.session_created")
    assert (session.id, "o-7") == (event.attributes["stripe.checkout.session.id"], event.attributes["order_id"])


def test_one_webhook_waits_for_a_store_that_is_held(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the ledger the first webhook waits for it and no other; afterwards all count, and it is asked again."""
    monkeypatch.setattr(patience, "SPENT_S", 3600.0)
    here, begin = threading.current_thread(), SqliteStore.transaction
    asked: list[SqliteStore] = []

    def noted(store: SqliteStore) -> Any:
        if threading.current_thread() is here:
            asked.append(store)
        return begin(store)

    monkeypatch.setattr(SqliteStore, "transaction", noted)
    _deliver(app, 0)
    asked.clear()
    with closing(sqlite3.connect(app.folder / "store" / "ledger.sqlite3", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        for number in range(1, 6):
            _deliver(app, number)
        during = len(asked)
        holder.execute("ROLLBACK")
    came = wait_for(lambda: len(app.receiver.named("order.paid")) == 6)
    _deliver(app, 6)

    assert (1, True, 2) == (during, came, len(asked))


_PRICE: Any = {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Poster"}}


def test_a_payment_whose_creation_found_the_store_busy(
    app: App, client: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer tells of a creation, for which the ledger is locked, and of its payment, when it no longer is: that counts."""
    take = Ledger.take

    def busy_for_creations(ledger: Ledger, facts: Facts, *args: Any) -> Any:
        if facts.created:
            raise StoreBusy("locked")
        return take(ledger, facts, *args)

    monkeypatch.setattr(Ledger, "take", busy_for_creations)
    with app.tracers.get_tracer("web").start_as_current_span("POST /pay", kind=SpanKind.SERVER):
        client.v1.payment_intents.create(
            {
                "amount": 500,
                "currency": "eur",
                "confirm": True,
                "payment_method": "pm_card_visa",
                "return_url": "https://a.b",
            }
        )

    monkeypatch.setattr(Ledger, "take", take)

    assert wait_for(lambda: flush(5) and len(app.receiver.named("order.paid")) == 1)
    assert wait_for(lambda: flush(5) and len(app.receiver.named("checkout.session_created")) == 1)
