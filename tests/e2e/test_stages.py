"""The unmodified example shops with a mapping of their routes: stages, and what an early one knows on the payment."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.receiver import wait_for
from support.servers import ALL, shop_on

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe
    from support.receiver import Receiver, Span
    from support.running_shop import RunningShop

MAPPING = """
tier_from: [bind]            # not Stripe's metadata: what the payment knows it knows from the stage alone
stages:
  - route: POST /designs
    event: design.started
    status: 201
    attributes:
      design_id: answer.design_id
      tier: header.x-plan
      journey_id: header.x-journey
  - route: POST /designs/{id}/approve
    event: design.approved
    attributes:
      design_id: path.id
      journey_id: header.x-journey
  - route: GET /checkout
    event: checkout.start
    attributes:
      tier: query.tier
      currency: query.currency
  - route: POST /checkout
    event: checkout.start
    status: 201
    attributes:
      order_id: answer.order_id
      journey_id: header.x-journey
"""
BOUND_S = 45.0


def _known(shop: RunningShop, kind: str) -> bool:
    """Tell whether the ledger has what was said by a kind of key."""
    with contextlib.closing(sqlite3.connect(shop.store / "ledger.sqlite3", timeout=30)) as ledger:
        return bool(ledger.execute("SELECT 1 FROM order_said WHERE kind = ?", (kind,)).fetchone())


def test_what_a_stage_knew_survives_a_kill(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """A process that is killed when it has answered has lost nothing of what it said of an order."""
    mapping = tmp_path / "otel-revenue.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    headers = {"X-Journey": "j-1", "X-Plan": "gold"}
    with shop_on(ALL["uvicorn"], fake, tmp_path, receiver.url, OTEL_REVENUE_CONFIG=str(mapping)) as shop:
        requests.post(f"{shop.url}/designs", json={"motif": "a pier"}, headers=headers, timeout=60).raise_for_status()
        shop.kill()
        shop.start()
        assert wait_for(lambda: _known(shop, "journey_id"), BOUND_S), shop.log
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        cart = {"lines": [{"sku": "tube"}]}
        order = requests.post(f"{shop.url}/checkout", json=cart, headers={"X-Journey": "j-1"}, timeout=60).json()
        fake.pay(order["session_id"])
        fake.webhooks.drain(60)
        assert wait_for(lambda: bool(receiver.named("order.paid")), BOUND_S), shop.log
    (paid,) = receiver.named("order.paid")

    assert (order["order_id"], "gold") == (paid.attributes["order_id"], paid.attributes["tier"])


def _on_servers(receiver: Receiver) -> dict[str, Span]:
    """Return the SERVER spans that arrived, by the event that stands on them."""
    return {name: span for span in receiver.spans if span.kind == 2 for name in span.events}


@pytest.mark.parametrize("server", ["uvicorn", "flask-run", "runserver-noreload", "uvicorn-django"])
def test_stages_of_an_unmodified_shop(server: str, fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Mapped routes become events on their requests; the payment carries tier and surface that only the first stage knew."""
    mapping = tmp_path / "otel-revenue.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    with shop_on(ALL[server], fake, tmp_path, receiver.url, OTEL_REVENUE_CONFIG=str(mapping)) as shop:
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")

        def ask(method: str, path: str, status: int, **more: Any) -> dict[str, Any]:
            headers = {"X-Journey": "j-1", **more.pop("headers", {})}
            answer = requests.request(method, f"{shop.url}{path}", timeout=60, headers=headers, **more)
            assert status == answer.status_code
            return dict(answer.json()) if "json" in answer.headers["Content-Type"] else {}

        campaign = "?utm_source=newsletter&utm_medium=email&gclid=Cj0KCQiA1234567"
        plan = {"X-Plan": "gold", "Referer": "https://news.example/jane"}
        design = ask("POST", f"/designs{campaign}", 201, json={"motif": "a lighthouse"}, headers=plan)["design_id"]
        assert wait_for(lambda: _known(shop, "journey_id"), BOUND_S), shop.log
        ask("POST", f"/designs/{design}/approve", 200)
        ask("POST", "/designs/none/approve", 404)
        ask("POST", "/designs", 422, json={"motif": "x" * 501})
        ask("GET", f"/checkout?tier=pro&currency=eur&design_id={design}", 200)
        order = ask("POST", "/checkout", 201, json={"tier": "basic", "lines": [{"sku": "tube"}], "design_id": design})
        fake.pay(order["session_id"])
        fake.webhooks.drain(60)
        assert wait_for(lambda: bool(receiver.named("order.paid")), BOUND_S), shop.log
        assert wait_for(lambda: 2 == len(receiver.named("checkout.start")), BOUND_S), shop.log
        assert wait_for(lambda: {"design.started", "design.approved"} <= _on_servers(receiver).keys(), BOUND_S)
    (started,) = receiver.named("design.started")
    (approved,) = receiver.named("design.approved")
    (paid,) = receiver.named("order.paid")
    servers = _on_servers(receiver)

    assert (design, "gold", "newsletter/email", "utm") == tuple(
        started.attributes[key] for key in ("design_id", "tier", "surface", "surface_source")
    )
    assert (design, "j-1") == (approved.attributes["design_id"], approved.attributes["journey_id"])
    assert [started.trace_id, approved.trace_id] == [servers[e.name].trace_id for e in (started, approved)]
    assert ("gold", "j-1") == tuple(servers["design.started"].attributes[key] for key in ("tier", "journey_id"))
    assert (order["order_id"], "gold", "newsletter/email", "utm", "newsletter/email") == tuple(
        paid.attributes.get(key) for key in ("order_id", "tier", "surface", "surface_source", "surface_last")
    )
    assert {"pro", None} == {e.attributes.get("tier") for e in receiver.named("checkout.start")}
    assert order["order_id"] in {e.attributes.get("order_id") for e in receiver.named("checkout.start")}
