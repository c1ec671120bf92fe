"""The browser's route under real servers: what is taken arrives, and what is refused unread leaves the server as it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from support.browser_posts import FROM_PAGE, PATH, body, record
from support.receiver import wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.testing import FakeStripe
    from support.receiver import Receiver

APPS = Path(__file__).resolve().parents[1] / "support" / "apps"
BOUND_S = 45.0
SERVERS = {
    "uvicorn": "uvicorn browser_route:mounted --port PORT",
    "hypercorn": "hypercorn browser_route:mounted -b 127.0.0.1:PORT",
    "gunicorn": "gunicorn -b 127.0.0.1:PORT -w 2 --no-control-socket browser_route:wrapped",
    "flask": "flask --app browser_route:wrapped run --port PORT",
}
HEADERS = {name: value for name, value in FROM_PAGE.items() if name not in ("host", "origin")}


@pytest.mark.parametrize("server", SERVERS)
def test_the_route_under_a_real_server(server: str, fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """A page's post arrives, five megabytes with and without a length are refused, and the server answers as before."""
    app = RunningShop(fake, tmp_path, receiver.url, cwd=APPS)
    app.command = [sys.executable, "-m", *SERVERS[server].replace("PORT", str(app.port)).split()]

    def pieces() -> Iterator[bytes]:
        for _ in range(80):
            yield b"x" * 65536

    def status(data: bytes | Iterator[bytes]) -> int | None:
        try:
            return requests.post(f"{app.url}{PATH}", data=data, headers=HEADERS, timeout=30).status_code
        except requests.ConnectionError:  # refused while it was still being sent: the server has closed
            return None

    with app:
        served = requests.get(f"{app.url}/otel-revenue/otel-revenue.js", timeout=30)
        large, endless = status(b"x" * 5_000_000), status(pieces())
        small = status(body(record(tier="pro")))
        alive = requests.get(f"{app.url}/healthz", timeout=30).status_code

        assert wait_for(lambda: bool(receiver.named("checkout.start")), BOUND_S), app.log
    assert (200, "text/javascript; charset=utf-8", 202, 200) == (
        served.status_code,
        served.headers["content-type"],
        small,
        alive,
    )
    assert (True, True) == (large in (413, None), endless in (411, 413, None))
    assert ["pro"] == [event.attributes["tier"] for event in receiver.named("checkout.start")]
