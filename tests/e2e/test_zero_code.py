"""An existing shop that has never heard of us, under `opentelemetry-instrument`."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from support.far_end import GrpcFarEnd, acknowledged
from support.receiver import Receiver, wait_for
from support.running_shop import SHOP, RunningShop

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe
    from support.receiver import Log, Span

SERVER, CLIENT = 2, 3


def _paid(receiver: Receiver, count: int) -> list[Log]:
    assert wait_for(lambda: len(receiver.named("order.paid")) >= count), [log.name for log in receiver.logs]
    return receiver.named("order.paid")


def _span(receiver: Receiver, name: str, trace_id: str) -> Span:
    def found() -> list[Span]:
        return [s for s in receiver.spans if s.name == name and s.trace_id == trace_id]

    assert wait_for(lambda: bool(found())), sorted({s.name for s in receiver.spans})
    return found()[0]


def test_the_shop_imports_nothing_of_ours() -> None:
    """The example is an existing application: no word of us in it."""
    tree = ast.parse((SHOP / "shop.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert not {name for name in names if "otel_revenue" in name or "opentelemetry" in name}


# The shop makes Sessions by three doors of the library, one per tier: sync, async, and the newer client.
@pytest.mark.parametrize("tier", ["basic", "pro", "studio"])
def test_one_payment_end_to_end(shop: RunningShop, fake: FakeStripe, receiver: Receiver, tier: str) -> None:
    """A payment arrives once, exact, with its order, on the traces of the requests that led to it."""
    fake.add_endpoint(f"{shop.url}/webhooks/stripe")
    order = shop.order(tier=tier, currency="kwd", lines=[{"sku": "poster-a1", "quantity": 3}, {"sku": "tube"}])
    fake.pay(order["session_id"])
    (booked,) = fake.books()
    (event,) = _paid(receiver, 1)
    assert wait_for(lambda: bool(receiver.named("checkout.session_created")))
    (created,) = receiver.named("checkout.session_created")

    assert {
        "order_id": order["order_id"],
        "tier": tier,
        "amount_minor": booked.amount_minor,
        "currency": "KWD",
        "country": "US",
        "item_count": 4,
        "skus": ["poster-a1", "tube"],
        "livemode": False,
        "payment_kind": "one_off",
        "stripe.checkout.session.id": order["session_id"],
        "stripe.payment_intent.id": booked.id,
    }.items() <= event.attributes.items()
    assert isinstance(event.attributes["amount_minor"], int)
    assert event.attributes["amount"] == pytest.approx(booked.amount_minor / 1000)
    assert re.fullmatch(r"[0-9a-f-]{36}", event.attributes["event_id"])
    assert (order["order_id"], tier) == (created.attributes["order_id"], created.attributes["tier"])

    webhook = _span(receiver, "POST /webhooks/stripe", event.trace_id)
    checkout = _span(receiver, "POST /checkout", created.trace_id)
    call = _span(receiver, "POST /v1/checkout/sessions", created.trace_id)
    payment = _span(receiver, "checkout.payment", created.trace_id)

    assert (SERVER, CLIENT) == (webhook.kind, call.kind)
    assert checkout.trace_id in webhook.links
    assert event.attributes == webhook.events["order.paid"]
    assert created.attributes == checkout.events["checkout.session_created"]
    assert order["order_id"] == checkout.attributes["order_id"] == webhook.attributes["order_id"]
    assert (checkout.span_id, [webhook.trace_id]) == (payment.parent_id, payment.links)
    assert event.attributes["event_id"] == payment.attributes["event_id"]
    assert {
        "http.request.method": "POST",
        "url.template": "/v1/checkout/sessions",
        "http.response.status_code": 200,
    }.items() <= call.attributes.items()
    assert call.attributes["stripe.request_id"].startswith("req_")


def test_doubled_and_shuffled_webhooks_count_once(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """Two endpoints, each event three times, out of order: every payment once, and Stripe's books agree to the cent."""
    fake.webhooks.configure(duplicates=3, reorder=True)
    for path in ("?a", "?b"):
        fake.add_endpoint(f"{shop.url}/webhooks/stripe{path}")
    for number in range(8):
        order = shop.order(currency=("eur", "usd", "jpy", "kwd")[number % 4])
        fake.pay(order["session_id"], decline="insufficient_funds" if number == 3 else "")
        if number == 3:
            fake.pay(order["session_id"])
    fake.webhooks.drain(60)
    paid = _paid(receiver, 8)

    assert shop.stop() in (0, -15)
    assert sorted((b.amount_minor, b.currency.upper(), b.id) for b in fake.books()) == sorted(
        (e.attributes["amount_minor"], e.attributes["currency"], e.attributes["stripe.payment_intent.id"]) for e in paid
    )
    assert 8 == len({e.attributes["event_id"] for e in receiver.named("order.paid")})


def test_a_delayed_method_counts_when_the_money_comes(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """A bank debit is no order on the day of the checkout, and one when it settles; one that fails is none."""
    fake.add_endpoint(f"{shop.url}/webhooks/stripe")
    settles, fails, card = (shop.order() for _ in range(3))
    fake.pay(settles["session_id"], "sepa_debit")
    fake.pay(fails["session_id"], "sepa_debit")
    fake.pay(card["session_id"])
    fake.webhooks.drain(30)
    before = [e.attributes["order_id"] for e in _paid(receiver, 1)]
    fake.settle(settles["session_id"])
    fake.settle(fails["session_id"], succeed=False)
    fake.webhooks.drain(30)
    after = [e.attributes["order_id"] for e in _paid(receiver, 2)]

    assert [card["order_id"]] == before
    assert {card["order_id"], settles["order_id"]} == set(after)


def test_sigterm_loses_nothing(shop: RunningShop, fake: FakeStripe, receiver: Receiver) -> None:
    """An orchestrator's SIGTERM right after the payments: the flush at the lifespan's end delivers what waits."""
    shop.kill()
    shop.environ |= {"OTEL_REVENUE_LINGER": "30", "OTEL_REVENUE_FLUSH_TIMEOUT": "45"}
    shop.start()
    endpoint = fake.collect()
    for _ in range(5):
        fake.pay(shop.order()["session_id"])
    statuses = {shop.webhook(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url}
    shop.stop()

    assert {200} == statuses
    assert 5 == len(receiver.named("order.paid"))
    assert 5 == len(receiver.named("checkout.session_created"))


def test_unsampled_traces_still_count(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Sampling at zero takes the spans away, never the money."""
    with RunningShop(fake, tmp_path, receiver.url, environ={"OTEL_TRACES_SAMPLER": "always_off"}) as shop:
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        order = shop.order()
        fake.pay(order["session_id"])
        (event,) = _paid(receiver, 1)
        shop.stop()

    assert order["order_id"] == event.attributes["order_id"]
    assert not receiver.spans


def test_the_applications_own_log_pipeline(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Where logs go elsewhere, events take that way, and what is given up is said once."""
    with RunningShop(fake, tmp_path, receiver.url, environ={"OTEL_LOGS_EXPORTER": "console"}) as shop:
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        order = shop.order()
        fake.pay(order["session_id"])

        assert wait_for(lambda: '"order.paid"' in shop.log and order["order_id"] in shop.log)
        assert 1 == shop.log.count("OTEL_REVENUE_DELIVERY=durable")
        shop.stop()
    assert not receiver.named("order.paid")


def test_wrong_settings_are_loud_and_the_shop_serves(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """A wrong value is named with its shape and remedy; the application starts with the default."""
    wrong = {"OTEL_REVENUE_HOLD": "soon", "OTEL_REVENUE_ENRICH_HOLT": "3"}
    with RunningShop(fake, tmp_path, receiver.url, environ=wrong) as shop:
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        fake.pay(shop.order()["session_id"])
        _paid(receiver, 1)

        assert 'OTEL_REVENUE_HOLD="soon": expected seconds from 0 to 3600, for example 90' in shop.log
        assert "OTEL_REVENUE_ENRICH_HOLT: there is no such setting; did you mean OTEL_REVENUE_ENRICH_HOLD?" in shop.log


def test_the_distros_own_defaults(fake: FakeStripe, tmp_path: Path) -> None:
    """With nothing but an endpoint set the distro chooses gRPC: payments arrive there, too."""
    with GrpcFarEnd(acknowledged) as far_end:
        environ = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": ""}
        shop = RunningShop(fake, tmp_path, f"http://127.0.0.1:{far_end.port}", environ=environ)
        with shop:
            fake.add_endpoint(f"{shop.url}/webhooks/stripe")
            order = shop.order()
            fake.pay(order["session_id"])
            arrived = Receiver()

            def paid() -> list[Log]:
                arrived.logs.clear()
                for body in list(far_end.bodies):
                    arrived.take("/v1/logs", body)
                return arrived.named("order.paid")

            assert wait_for(lambda: bool(paid())), shop.log
            shop.stop()

    assert [order["order_id"]] == [event.attributes["order_id"] for event in paid()]
