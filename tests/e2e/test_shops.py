"""The example shops: existing applications on three frameworks that do the same, and know nothing of us."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import requests

from otel_revenue.testing import FakeStripe
from support.receiver import Receiver, wait_for
from support.servers import ALL, EXAMPLES, shop_on

if TYPE_CHECKING:
    from pathlib import Path

    from support.running_shop import RunningShop

SHOPS = {"shop_fastapi": "uvicorn", "shop_flask": "flask-run", "shop_django": "runserver-noreload"}
LINES = [{"sku": "poster-a1", "quantity": 3}, {"sku": "tube"}]


@pytest.mark.parametrize("name", SHOPS)
def test_a_shop_knows_nothing_of_us(name: str) -> None:
    """No word of us or of OpenTelemetry in any file that runs, nor in what it requires."""
    files = [path for pattern in ("*.py", "requirements.txt") for path in (EXAMPLES / name).rglob(pattern)]
    found = [
        path.name for path in files if re.search(r"otel|opentelemetry", path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]

    assert (True, []) == (len(files) > 1, found)


def _walk(shop: RunningShop, fake: FakeStripe) -> list[Any]:
    """A buyer's way, and what a shop must refuse; return statuses and bodies without what is random."""
    url, seen = shop.url, []

    def ask(method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = requests.request(method, f"{url}{path}", timeout=20, **more)
        body: dict[str, Any] = answer.json() if "json" in answer.headers["Content-Type"] else {"text": answer.text}
        known = {k: v for k, v in body.items() if k in ("status", "tier", "currency", "received", "text")}
        seen.append((answer.status_code, sorted(body), known, bool(body.get("detail"))))
        return body

    ask("GET", "/healthz")
    design = ask("POST", "/designs", json={"motif": "a lighthouse in the fog"})["design_id"]
    ask("POST", "/designs", json={"motif": "x" * 501})
    ask("POST", f"/designs/{design}/approve")
    ask("POST", "/designs/d-none/approve")
    ask("GET", "/checkout?tier=pro&currency=kwd&design_id=%3Cb%3E")
    ask("GET", "/checkout?tier=none")
    ask("GET", "/checkout?currency=xxx")
    for tier in ("basic", "pro", "studio"):
        order = ask("POST", "/checkout", json={"tier": tier, "currency": "kwd", "lines": LINES, "design_id": design})
        fake.pay(order["session_id"])
        fake.webhooks.drain(30)
        ask("GET", f"/orders/{order['order_id']}")
    ask("POST", "/checkout", json={"lines": []})
    ask("POST", "/checkout", json={"lines": [{"sku": "tube", "quantity": 51}]})
    ask("POST", "/checkout", json={"lines": [{"sku": "none"}]})
    ask("POST", "/checkout", data=b"no json")
    ask("GET", "/orders/none")
    ask("POST", "/webhooks/stripe", data=b"{}", headers={"Stripe-Signature": "t=1,v1=0"})
    return [*seen, sorted((b.amount_minor, b.currency) for b in fake.books())]


@pytest.mark.parametrize("name", SHOPS)
def test_a_payment_on_each_framework(name: str, fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Three payments arrive with their order, each on the trace of its webhook and with the order on the SERVER span."""
    with shop_on(ALL[SHOPS[name]], fake, tmp_path, receiver.url) as shop:
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        orders = [shop.order(tier=tier) for tier in ("basic", "pro", "studio")]
        for order in orders:
            fake.pay(order["session_id"])
        fake.webhooks.drain(30)

        def shown() -> set[Any]:
            return {s.attributes.get("order_id") for s in receiver.spans if s.kind == 2 and "order.paid" in s.events}

        assert wait_for(lambda: {o["order_id"] for o in orders} <= shown()), shop.log
        assert wait_for(lambda: len(receiver.named("order.paid")) >= len(orders)), shop.log
    paid = receiver.named("order.paid")
    servers = {s.trace_id: s.attributes["order_id"] for s in receiver.spans if s.kind == 2 and "order.paid" in s.events}

    assert sorted((o["order_id"], t) for o, t in zip(orders, ("basic", "pro", "studio"), strict=True)) == sorted(
        (e.attributes["order_id"], e.attributes["tier"]) for e in paid
    )
    assert {e.trace_id: e.attributes["order_id"] for e in paid} == servers


def test_the_shops_are_the_same(tmp_path: Path) -> None:
    """Same routes, same answers, same refusals, same money at Stripe, whatever the framework."""
    walks = {}
    for name, server in SHOPS.items():
        folder = tmp_path / name
        folder.mkdir()
        with FakeStripe() as fake, Receiver() as receiver:
            shop = shop_on(ALL[server], fake, folder, receiver.url)
            shop.instrumented = False
            with shop:
                fake.add_endpoint(f"{shop.url}/webhooks/stripe")
                walks[name] = _walk(shop, fake)
        assert not receiver.bodies

    assert walks["shop_fastapi"] == walks["shop_flask"]
    assert walks["shop_fastapi"] == walks["shop_django"]
