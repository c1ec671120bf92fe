# SPDX-License-Identifier: Apache-2.0
"""The demo's scene: a fake Stripe, the local backend and an unmodified shop, each a process, and how to ask them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.analytics.orders import Query
from otel_revenue.analytics.period import period
from otel_revenue.analytics.server import read_note
from otel_revenue.analytics.source import ServerSource
from otel_revenue.testing.fake_stripe.fake import API_KEY, WEBHOOK_SECRET
from otel_revenue.testing.fake_stripe.summary import Traffic

from ._demo_buyers import StripePage, walk_all
from ._demo_check import Sum
from ._demo_parts import Part, PartFailed, local_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_revenue.analytics.figures import Report
    from otel_revenue.analytics.funnel_figures import FunnelReport
    from otel_revenue.analytics.trace import OrderTrace

    from ._demo_buyers import Buyer, Walk

DRAIN_S: Final = 15.0
"""In so many seconds the shop must take at least one of the webhooks that are under way when the last buyer has gone."""

_STAGES: Final = [
    {
        "route": "POST /designs",
        "event": "design.started",
        "attributes": {"design_id": "answer.design_id", "journey_id": "header.x-journey"},
    },
    {
        "route": "POST /designs/{design_id}/approve",
        "event": "design.approved",
        "attributes": {"design_id": "path.design_id", "journey_id": "header.x-journey"},
    },
    {
        "route": "POST /checkout",
        "event": "checkout.start",
        "attributes": {"order_id": "answer.order_id", "journey_id": "header.x-journey"},
    },
]
"""Which of the shop's routes is which stage: what a user of a shop like this one writes into `otel-revenue.yaml`."""

_FORGOTTEN: Final = ("OTEL_", "STRIPE_", "SHOP_", "UVICORN_", "WEB_CONCURRENCY")
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy", "ftp_proxy"})


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return *environ* as the parts may see it.

    The developer's own settings are left out: a real Stripe key or a company's OTLP endpoint has no business here. So are
    proxies: everything is on this machine.
    """
    kept = {k: v for k, v in environ.items() if not k.startswith(_FORGOTTEN) and k.lower() not in _PROXIES}
    return {**kept, "PYTHONUNBUFFERED": "1"}


class Scene:
    """
    The three processes. Ports are free ones, so any number of demos can play side by side.

    Args:
        folder: an empty one, for logs, store and databases.
        shop: the shop's file.
        environ: the process's environment.
    """

    def __init__(self, folder: Path, shop: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.database = folder / "local.duckdb"
        self.shop_file = shop
        self.parts: list[Part] = []
        self._environ = environment(environ)
        self._control = local_session()
        # Bound here and handed down: between looking for a free port and using it, somebody else could take it.
        self._shop_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._shop_socket.bind(("127.0.0.1", 0))
        self.shop_url = f"http://127.0.0.1:{self._shop_socket.getsockname()[1]}"
        self.stripe_url = self.backend_url = ""

    def close(self) -> None:
        """Give the sockets back; the parts are ended by `stopping`."""
        self._shop_socket.close()
        self._control.close()

    # -- the parts -----------------------------------------------------------------------------------------------------

    def start(self, started: Callable[[str, str], None]) -> None:
        """
        Start the parts, and call *started* with name and address of each when it answers.

        Raises:
            PartFailed: one ended or did not answer.
        """
        stripe, backend = self._stripe(), self._backend()
        for part in (stripe, backend):
            self.parts.append(part)
            part.start()
        self.stripe_url = stripe.wait_ready()
        started("fake Stripe", self.stripe_url)
        self.backend_url = backend.wait_ready()
        started("local backend", f"{self.backend_url}  (otel-revenue dev)")
        shop = self._shop()
        self.parts.append(shop)
        shop.start()
        shop.wait_ready()
        started("shop", f"{self.shop_url}  (opentelemetry-instrument uvicorn {self.shop_file.stem}:app)")

    def check(self) -> None:
        """
        Look whether all parts still run.

        Raises:
            PartFailed: one does not.
        """
        for part in self.parts:
            part.check()

    def _part(
        self, name: str, argv: Sequence[str], log: str, address: Callable[[Path], str | None], health: str, **more: Any
    ) -> Part:
        path = self.folder / log
        given = {"environ": self._environ, **more}
        return Part(name, argv, log=path, cwd=self.folder, address=lambda: address(path), health=health, **given)

    def _stripe(self) -> Part:
        argv = [
            sys.executable,
            "-m",
            "otel_revenue.testing.fake_stripe",
            "--seed",
            "1",
            "--duplicates",
            "2",
            "--reorder",
        ]
        argv += ["--endpoint", f"{self.shop_url}/webhooks/stripe"]
        return self._part("the fake Stripe", argv, "stripe.log", announced, "/_fake/")

    def _backend(self) -> Part:
        call = "import sys; from otel_revenue.cli import main; sys.exit(main())"
        argv = [sys.executable, "-c", call, "dev", "--port", "0", "--database", str(self.database)]
        return self._part("the local backend", argv, "backend.log", lambda _: read_note(self.database), "/")

    def _shop(self) -> Part:
        handle = self._shop_socket.fileno()
        uvicorn = [sys.executable, "-m", "uvicorn", f"{self.shop_file.stem}:app"]
        return self._part(
            "the shop",
            [_instrument(), *uvicorn, "--app-dir", str(self.shop_file.parent), "--fd", str(handle)],
            "shop.log",
            lambda _: self.shop_url,
            "/healthz",
            environ=self._shop_environment(),
            handles=(handle,),
        )

    def _shop_environment(self) -> dict[str, str]:
        return {
            **self._environ,
            # What its README asks for.
            "STRIPE_API_KEY": API_KEY,
            "STRIPE_API_BASE": self.stripe_url,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SHOP_BASE_URL": self.shop_url,
            "SHOP_DATABASE": str(self.folder / "shop.db"),
            # What the README of otel-revenue asks for.
            "OTEL_SERVICE_NAME": "postercraft",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.backend_url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_REVENUE_STORE": str(self.folder / "store"),
            "OTEL_REVENUE_STAGES": json.dumps(_STAGES),
            # Nobody likes to wait five seconds for the spans of a demo.
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }

    # -- what happens --------------------------------------------------------------------------------------------------

    async def walk(self, buyers: Sequence[Buyer], *, pace: float, progress: Callable[[Walk], None]) -> Walk:
        """
        Let the buyers walk through the shop; see `walk_all`.

        Raises:
            PartFailed: a part ended meanwhile.
        """
        import httpx

        async with (
            httpx.AsyncClient(base_url=self.shop_url, trust_env=False, timeout=30) as shop,
            httpx.AsyncClient(base_url=self.stripe_url, trust_env=False, timeout=30) as stripe,
        ):
            walking = asyncio.create_task(walk_all(buyers, shop, StripePage(stripe), pace=pace, progress=progress))
            watching = asyncio.create_task(self._watch())
            try:
                await asyncio.wait((walking, watching), return_when=asyncio.FIRST_COMPLETED)
                self.check()
                return await walking
            finally:
                for task in (walking, watching):
                    task.cancel()
                await asyncio.gather(walking, watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self.check()

    def drain(self) -> None:
        """
        Wait until Stripe has delivered every webhook, as often as it means to.

        Raises:
            PartFailed: it could not.
        """
        before = self._pending()
        while "error" in self._ask("POST", "drain", timeout=DRAIN_S):
            self.check()
            pending = self._pending()
            if pending >= before:
                raise PartFailed(
                    f"The shop does not take its webhooks: {pending} are still under way.{self.complaints()}"
                )
            before = pending

    def _pending(self) -> int:
        return int(self._ask("GET", "traffic")["pending"])

    # -- what is known afterwards --------------------------------------------------------------------------------------

    def books(self) -> dict[str, Sum]:
        """Return Stripe's own books: payments per currency."""
        return {code.upper(): Sum(row["count"], row["minor"]) for code, row in self._ask("GET", "sums").items()}

    def known(self) -> dict[str, Sum]:
        """Return what the local backend knows from telemetry: payments per currency."""
        rows = self._source().payments(live=False)
        return {row.currency.upper(): Sum(row.payments, row.gross_minor) for row in rows}

    def traffic(self) -> Traffic:
        """Return how webhooks went."""
        answer = self._ask("GET", "traffic")
        return Traffic(**{name: answer[name] for name in Traffic.__dataclass_fields__})

    def report(self) -> Report:
        """Return the report, as `otel-revenue report --test-mode` makes it."""
        return self._source().report(_in_test_mode())

    def funnel(self) -> FunnelReport:
        """Return the funnel, as `otel-revenue report --funnel --test-mode` makes it."""
        return self._source().funnel(_in_test_mode())

    def trace(self, order_id: str | None) -> OrderTrace | None:
        """Return one order's traces; of the order that was paid last when None."""
        return self._source().trace(order_id)

    def complaints(self) -> str:
        """Return the last lines of the shop's log that are no access log, for people."""
        return self.parts[-1].tail(but="INFO:")

    def _source(self) -> ServerSource:
        return ServerSource(self.backend_url)

    def _ask(self, method: str, what: str, **body: Any) -> Any:
        import requests

        try:
            url = f"{self.stripe_url}/_fake/{what}"
            return self._control.request(method, url, json=body if method == "POST" else None, timeout=60).json()
        except (requests.RequestException, ValueError):
            self.check()
            raise PartFailed("The fake Stripe does not answer any more.") from None


def _in_test_mode() -> Query:
    return Query(period(now=dt.datetime.now(dt.timezone.utc)), live=False)


def announced(log: Path) -> str | None:
    """Return the first line of a log that is nothing but a local address; None when there is none yet."""
    with contextlib.suppress(OSError):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("http://127.0.0.1:") and line.rpartition(":")[2].isdecimal():
                return line
    return None


def _instrument() -> str:
    name = "opentelemetry-instrument"
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise PartFailed(f'There is no {name} beside {sys.executable}: pip install "otel-revenue[demo]"')
    return found
