"""Visitors of an unmodified shop with two pages, in a real Chromium: from a campaign to the payment, and away from it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.receiver import wait_for
from support.running_shop import SHOP, RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.testing import FakeStripe
    from support.browser import Visitor
    from support.receiver import Receiver

APP = Path(__file__).resolve().parents[1] / "support" / "apps" / "browser_shop"
BOUND_S = 45.0
STAGES = """
stages:
  - route: POST /designs
    event: design.started
    attributes: {design_id: answer.design_id, journey_id: header.x-journey}
  - route: POST /designs/{id}/approve
    event: design.approved
    attributes: {design_id: path.id, journey_id: header.x-journey}
"""


@pytest.fixture
def shop(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> Iterator[RunningShop]:
    running = RunningShop(fake, tmp_path, receiver.url, cwd=APP)
    (tmp_path / "otel-revenue.yaml").write_text(STAGES, encoding="utf-8")
    running.environ = {"PYTHONPATH": str(SHOP), "OTEL_REVENUE_CONFIG": str(tmp_path / "otel-revenue.yaml")}
    running.command = [
        sys.executable,
        "-m",
        "uvicorn",
        "two_pages:app",
        "--host",
        "127.0.0.1",
        "--port",
        str(running.port),
    ]
    with running:
        fake.add_endpoint(f"{running.url}/webhooks/stripe")
        yield running


def show(visitor: Visitor, name: str) -> None:
    """Keep a picture of the page in the folder that OTEL_REVENUE_TEST_PICTURES names, where it names one."""
    folder = os.environ.get("OTEL_REVENUE_TEST_PICTURES")
    if folder:
        visitor.do("await page.screenshot({ path: args.path })", path=str(Path(folder) / f"{name}.png"))


def follows_the_order(shop: RunningShop) -> bool:
    """Tell whether what the browser has said of an order waits for its payment."""
    with contextlib.closing(sqlite3.connect(shop.store / "ledger.sqlite3", timeout=30)) as ledger:
        return bool(ledger.execute("SELECT 1 FROM order_said WHERE kind = 'order_id'").fetchone())


def order_prints(visitor: Visitor, shop: RunningShop) -> str:
    """Come from a newsletter, design and approve a poster, order it, and pay on Stripe's page; returns where that ends."""
    visitor.goto(f"{shop.url}/?utm_source=Newsletter&utm_medium=email&fbclid=IwAR0private")
    visitor.do(
        "await page.click('#start'); await page.waitForSelector('#approve:enabled'); await page.click('#approve')"
    )
    visitor.do("await page.waitForFunction(() => document.getElementById('design').textContent.endsWith('approved'))")
    show(visitor, "design")
    visitor.do("await page.click('#order'); await page.waitForURL('**/order.html')")
    show(visitor, "order")
    visitor.do("await page.click('#pay'); await page.waitForURL('**/c/pay/**')")
    show(visitor, "stripe")
    assert wait_for(lambda: follows_the_order(shop), BOUND_S), (
        shop.log
    )  # it is written within a second: buyers take longer
    visitor.do("await page.click('button[type=submit]'); await page.waitForURL('**/orders/**')")
    return str(visitor.on_page("location.pathname.split('/')[2]"))


def test_a_payment_knows_where_the_visitor_came_from(
    visitor: Visitor, shop: RunningShop, fake: FakeStripe, receiver: Receiver
) -> None:
    """A visitor comes with a campaign, designs, approves, leaves for Stripe and pays: the payment carries the browser's surface and journey."""
    order_id = order_prints(visitor, shop)
    errors = visitor.errors
    fake.webhooks.drain(60)

    assert wait_for(lambda: bool(receiver.named("order.paid")), BOUND_S), shop.log
    assert wait_for(
        lambda: all(map(receiver.named, ("design.started", "design.approved", "checkout.start"))), BOUND_S
    ), shop.log
    (paid,), (start, *again) = receiver.named("order.paid"), receiver.named("checkout.start")
    journey = start.attributes["journey_id"]
    assert (order_id, "newsletter/email", "browser", journey) == tuple(
        paid.attributes.get(key) for key in ("order_id", "surface", "surface_source", "journey_id")
    )
    assert ("browser", order_id, "newsletter/email", "pro", 2, None) == tuple(
        start.attributes.get(key)
        for key in ("telemetry.source", "order_id", "surface", "tier", "item_count", "synthetic")
    )
    assert ({journey}, "server") == (
        {receiver.named(name)[0].attributes["journey_id"] for name in ("design.started", "design.approved")},
        receiver.named("design.started")[0].attributes["telemetry.source"],
    )
    assert {start.attributes["event_id"]} == {event.attributes["event_id"] for event in (start, *again)}
    assert [] == errors
    assert "IwAR0private" not in repr(receiver.logs)


def test_a_visitor_who_closes_the_tab_on_leaving_is_seen(
    visitor: Visitor, shop: RunningShop, receiver: Receiver
) -> None:
    """The last click of a visitor whose tab is gone at once has begun a checkout."""
    visitor.goto(f"{shop.url}/order.html")
    visitor.on_page("document.getElementById('elsewhere').href = args.url; 0", url="http://pay.example:9/")
    visitor.click_and_close("#elsewhere")

    assert wait_for(lambda: bool(receiver.named("checkout.start")), BOUND_S), shop.log
    assert ("basic", "/order.html", "browser") == tuple(
        receiver.named("checkout.start")[0].attributes[key] for key in ("tier", "surface", "telemetry.source")
    )


def test_the_report_shows_the_surface_of_the_order(visitor: Visitor, fake: FakeStripe, tmp_path: Path) -> None:
    """What a visitor of a campaign has paid stands in the report under that campaign."""
    database = tmp_path / "local.duckdb"
    command = [str(Path(sys.executable).with_name("otel-revenue"))]
    with subprocess.Popen(
        [*command, "dev", "--port", "0", "--database", str(database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as dev:
        assert dev.stdout is not None
        try:
            url = next(word for line in dev.stdout for word in line.split() if word.startswith("http://127.0.0.1"))
            running = RunningShop(fake, tmp_path, url.rstrip(".,"), cwd=APP)
            running.environ = {"PYTHONPATH": str(SHOP)}
            running.command = [sys.executable, "-m", "uvicorn", "two_pages:app", "--port", str(running.port)]
            with running:
                fake.add_endpoint(f"{running.url}/webhooks/stripe")
                order_prints(visitor, running)
                fake.webhooks.drain(60)

                def reported() -> dict[str, Any]:
                    said = subprocess.run(
                        [*command, "report", "--database", str(database), "--test-mode", "--json"],
                        capture_output=True, text=True, check=True,
                    )  # fmt: skip
                    return dict(json.loads(said.stdout))

                assert wait_for(lambda: bool(reported()["surfaces"]), BOUND_S), running.log
                surfaces = reported()["surfaces"]
        finally:
            dev.terminate()
    assert ["newsletter/email"] == [row["label"] for row in surfaces]
