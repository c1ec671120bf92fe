"""Pages whose far end is of another origin: a static site with a Collector, and a site beside the application's own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from support.everything import Everything
from support.ports import free_port
from support.receiver import wait_for
from support.running_shop import RunningShop
from support.site import SCRIPT

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.testing import FakeStripe
    from support.browser import Visitor
    from support.receiver import Receiver
    from support.site import Site

BOUND_S = 45.0
PAGE = (
    '<meta name="otel-revenue" data-endpoint="{endpoint}" data-service="static-shop">{script}'
    '<a id="go" href="http://pay.example:9/" data-otel-revenue="checkout.start" data-otel-revenue-tier="pro" '
    'data-otel-revenue-amount="1">Pay</a>'
)


def test_a_static_site_speaks_to_a_collector(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    """A page without a server of its own sends to a real Collector's browser receiver, also with the click that leaves it."""
    environ = {"REVENUE_BROWSER_ORIGINS": json.dumps([site.url])}
    with Everything(tmp_path, ("browser.yaml",), environ) as everything:
        site.pages["/"] = PAGE.format(endpoint=everything.collector.browser_url, script=SCRIPT)
        visitor.goto(f"{site.url}/?utm_source=news")
        visitor.on_page(
            "import('/otel-revenue/otel-revenue.js').then((ours) => ours.trackEvent('design.started', { design_id: 'd-1' }))"
        )
        visitor.click_and_close("#go")

        assert wait_for(
            lambda: {"design.started", "checkout.start"} <= {log.name for log in everything.receiver.logs}, BOUND_S
        )
        (start,) = everything.receiver.named("checkout.start")
    sent = {key: start.attributes.get(key) for key in ("tier", "surface", "telemetry.source", "amount")}

    assert {"tier": "pro", "surface": "news", "telemetry.source": "browser", "amount": None} == sent
    assert "static-shop" == start.resource["service.name"]


def test_a_listed_site_speaks_to_the_application(
    visitor: Visitor, site: Site, fake: FakeStripe, receiver: Receiver, tmp_path: Path
) -> None:
    """A page of a listed origin loads the module from the application and posts to it; the browser asks for leave first."""
    port = free_port()
    shop = RunningShop(fake, tmp_path, receiver.url, port=port)
    shop.environ = {"OTEL_REVENUE_BROWSER_ORIGINS": site.url}
    code = "import uvicorn, shop; from otel_revenue.browser import asgi_app; "
    shop.command = [sys.executable, "-c", f"{code}uvicorn.run(asgi_app(shop.app), port={port})"]
    with shop:
        site.pages["/"] = (
            f'<script type="module" src="{shop.url}/otel-revenue/otel-revenue.js"></script><main data-otel-revenue="checkout.start">'
        )
        visitor.goto(site.url)

        assert wait_for(lambda: bool(receiver.named("checkout.start")), BOUND_S), shop.log
        errors = visitor.errors
    assert [] == errors
    assert [] == [span.name for span in receiver.spans if "otel-revenue" in span.name]
