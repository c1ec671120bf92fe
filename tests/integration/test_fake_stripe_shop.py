"""The example shop as its README starts it: a process of its own, unmodified, against FakeStripe."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from otel_revenue.testing import Buyer, FakeStripe
from otel_revenue.testing.fake_stripe import WEBHOOK_SECRET
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOP = Path(__file__).parents[2] / "examples" / "shop_fastapi"


class Running:
    """A shop that answers, and the fake behind it."""

    def __init__(self, url: str, fake: FakeStripe) -> None:
        self.url = url
        self.fake = fake

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.post(self.url + path, json=body, timeout=30)
        answer.raise_for_status()
        return dict(answer.json())

    def buy(self, tier: str = "basic", currency: str = "eur", *lines: tuple[str, int]) -> dict[str, Any]:
        articles = [{"sku": sku, "quantity": quantity} for sku, quantity in lines or [("poster-a3", 1)]]
        return self.post("/checkout", tier=tier, currency=currency, lines=articles)

    def status(self, order: dict[str, Any]) -> str:
        self.fake.drain()
        return str(requests.get(f"{self.url}/orders/{order['order_id']}", timeout=30).json()["status"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("shop")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with FakeStripe() as fake:
        environment = {
            **os.environ,
            "STRIPE_API_BASE": fake.url,
            "STRIPE_API_KEY": fake.api_key,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SHOP_BASE_URL": url,
            "SHOP_DATABASE": str(folder / "shop.db"),
            "NO_PROXY": "127.0.0.1",
        }
        command = [sys.executable, "-m", "uvicorn", "shop:app", "--port", str(port), "--log-level", "warning"]
        with (folder / "shop.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=SHOP, env=environment, stdout=log, stderr=log)
        try:
            wait_for(url, process, folder / "shop.log")
            fake.add_endpoint(f"{url}/webhooks/stripe")
            fake.webhooks.configure(duplicates=2, reorder=True)
            yield Running(url, fake)
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            requests.get(f"{url}/healthz", timeout=5).raise_for_status()
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(log.read_text())


def test_the_shop_knows_nothing_of_us() -> None:
    """
    No word of otel-revenue or OpenTelemetry in its code and requirements.
    """
    code = (SHOP / "shop.py").read_text() + (SHOP / "requirements.txt").read_text()

    assert "otel" not in code.lower().replace("hotel", "")
    assert "opentelemetry" not in code.lower()


@pytest.mark.parametrize("tier", ["basic", "pro", "studio"])
def test_an_order_is_paid(shop: Running, tier: str) -> None:
    """
    Through each of the three ways in which the shop calls Stripe: design, checkout, Stripe's page, webhook, paid.
    """
    design = shop.post("/designs", motif="a lighthouse in the fog")
    shop.post(f"/designs/{design['design_id']}/approve")
    order = shop.buy(tier, "eur", ("poster-a3", 2), ("tube", 1))
    requests.post(order["checkout_url"], data={"method": "card", "country": "DE"}, timeout=30).raise_for_status()

    (row,) = [row for row in shop.fake.books() if row.session == order["session_id"]]
    percent = {"basic": 100, "pro": 140, "studio": 210}[tier]
    assert "paid" == shop.status(order)
    assert (2 * (2490 * percent // 100) + 490 * percent // 100, "eur") == (row.amount_minor, row.currency)
    assert {"order_id": order["order_id"], "tier": tier} == row.metadata


@pytest.mark.parametrize(("currency", "amount"), [("usd", 2790), ("jpy", 4200), ("kwd", 8500)])
def test_other_currencies_are_paid_in_their_own_minor_unit(shop: Running, currency: str, amount: int) -> None:
    """
    Yen have no decimals, dinars three.
    """
    order = shop.buy("basic", currency)
    shop.fake.pay(order["session_id"], buyer=Buyer(country="US"))

    assert "paid" == shop.status(order)
    assert [(amount, currency)] == [
        (row.amount_minor, row.currency) for row in shop.fake.books() if row.session == order["session_id"]
    ]


def test_a_bank_debit_is_processing_until_it_arrives(shop: Running) -> None:
    """
    In euros the shop offers bank debits; the order is paid when the money comes.
    """
    order = shop.buy()
    shop.fake.pay(order["session_id"], "sepa_debit", Buyer(country="DE"))
    before = shop.status(order)
    shop.fake.settle(order["session_id"])

    assert ("processing", "paid") == (before, shop.status(order))


def test_a_decline_leaves_the_order_open_and_the_page_too(shop: Running) -> None:
    """
    The buyer may try again, and pays once.
    """
    order = shop.buy()
    shop.fake.pay(order["session_id"], decline="insufficient_funds")
    before = shop.status(order)
    shop.fake.pay(order["session_id"])

    assert ("open", "paid") == (before, shop.status(order))
    assert 1 == len([row for row in shop.fake.books() if row.session == order["session_id"]])


def test_a_webhook_that_is_not_stripes_is_refused(shop: Running) -> None:
    """
    A forged body, a forged header and none at all: 400, as without us.
    """
    body, header = shop.fake.signed(
        {"id": "evt_x", "object": "event", "type": "x", "data": {"object": {}}}, secret="whsec_x"
    )
    answers = [
        requests.post(f"{shop.url}/webhooks/stripe", data=body, headers=headers, timeout=30).status_code
        for headers in ({"Stripe-Signature": header}, {"Stripe-Signature": "nonsense"}, {})
    ]

    assert [400, 400, 400] == answers
