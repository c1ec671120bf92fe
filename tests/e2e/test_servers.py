"""
Servers that people run, and the ways in which they end: nothing is lost, nothing counts twice, and nobody waits beyond the bound.

`make test` plays a cut through the table of docs/servers.md; `make servers` plays all of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.receiver import Receiver, wait_for
from support.running_shop import RunningShop, children
from support.servers import ALL, shop_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_revenue.testing import FakeStripe

ORDERS = 6
LATEST_S = 90.0
"""A bound against hanging: longer than the lease of a row that a killed process was sending."""

TERM, INT, QUIT, ABRT, HUP, KILL = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGABRT,
    signal.SIGHUP,
    signal.SIGKILL,
)


# -- endings -----------------------------------------------------------------------------------------------------------


def _ends(number: int) -> Callable[[RunningShop], None]:
    """The whole server ends, and is started again."""

    def act(shop: RunningShop) -> None:
        shop.end(number)
        shop.kill_group()
        shop.start()

    return act


def _loses_a_worker(number: int) -> Callable[[RunningShop], None]:
    """One worker ends; its master goes on and starts another."""

    def act(shop: RunningShop) -> None:
        before = shop.workers
        os.kill(before[-1], number)
        assert wait_for(lambda: before[-1] not in shop.workers and len(shop.workers) == len(before), LATEST_S), shop.log

    return act


def _reloads(shop: RunningShop) -> None:
    """New workers take the place of the old ones."""
    before = set(shop.workers)
    shop.signal(HUP)
    assert wait_for(lambda: len(shop.workers) == len(before) and not before & set(shop.workers), LATEST_S), shop.log


def _recycles(shop: RunningShop) -> None:
    """Every worker has had its number of requests."""
    before = set(shop.workers)

    def replaced() -> bool:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            requests.get(f"{shop.url}/healthz", timeout=10)
        return bool(shop.workers) and not before & set(shop.workers)

    assert wait_for(replaced, LATEST_S), shop.log


ENDINGS: dict[str, Callable[[RunningShop], None]] = {
    "TERM": _ends(TERM),
    "INT": _ends(INT),
    "QUIT": _ends(QUIT),
    "kill everything": _ends(KILL),
    "kill a worker": _loses_a_worker(KILL),
    "abort a worker": _loses_a_worker(ABRT),
    "TERM for a worker": _loses_a_worker(TERM),
    "reload": _reloads,
    "recycle": _recycles,
}
RECYCLING = {"gunicorn": ("--max-requests", "20"), "uvicorn": ("--limit-max-requests", "20"), "hypercorn": ("--max-requests", "40")}  # fmt: skip


def _cases() -> list[Any]:
    """Every server with every ending that it knows; those that `make test` plays are not slow."""
    short = {
        ("uvicorn", "TERM"), ("uvicorn-workers", "kill a worker"), ("gunicorn-uvicorn", "reload"), ("gunicorn-sync-preload", "recycle"),
        ("gunicorn-sync", "abort a worker"), ("gunicorn-gthread-preload", "kill a worker"), ("gunicorn-django", "kill everything"),
        ("hypercorn-workers", "TERM"), ("flask-run", "TERM"), ("runserver", "INT"),
    }  # fmt: skip
    found = []
    for name, server in ALL.items():
        endings = ["TERM", "INT", "kill everything"]
        if server.gunicorn:
            endings += ["QUIT", "reload", "recycle", "kill a worker", "abort a worker", "TERM for a worker"]
        if name == "uvicorn-workers":
            endings += ["recycle", "reload", "kill a worker", "TERM for a worker"]
        if name.startswith("hypercorn"):
            endings += ["recycle"]
        found += [
            pytest.param(
                name, ending, id=f"{name}-{ending}", marks=[] if (name, ending) in short else [pytest.mark.slow]
            )
            for ending in endings
        ]
    return found


# -- what is told, and what arrives ------------------------------------------------------------------------------------


def _order(shop: RunningShop) -> str:
    """Put an order; a buyer whose request a recycled worker has left unanswered tries again."""
    end = time.monotonic() + LATEST_S
    while True:
        try:
            return str(shop.order()["session_id"])
        except (requests.ConnectionError, requests.Timeout):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _expected(fake: FakeStripe) -> list[tuple[str, int]]:
    return sorted((b.id, b.amount_minor) for b in fake.books())


def _recorded(receiver: Receiver) -> list[tuple[str, int]]:
    unique = {log.attributes["event_id"]: log.attributes for log in receiver.named("order.paid")}
    return sorted((a["stripe.payment_intent.id"], a["amount_minor"]) for a in unique.values())


def _sessions(receiver: Receiver) -> list[str]:
    unique = {log.attributes["event_id"]: log.attributes for log in receiver.named("checkout.session_created")}
    return sorted(a["stripe.checkout.session.id"] for a in unique.values())


@pytest.mark.parametrize(("name", "ending"), _cases())
def test_nothing_is_lost_and_nothing_counts_twice(
    name: str, ending: str, fake: FakeStripe, receiver: Receiver, tmp_path: Path
) -> None:
    """
    Buyers pay and webhooks come doubled while the server ends; the receiver is down until then. Afterwards each payment and
    each checkout has arrived, and counts once after dedupe by `event_id`.
    """
    server = ALL[name]
    more = RECYCLING[server.words.split()[0]] if ending == "recycle" else ()
    if name == "uvicorn-workers" and ending == "reload":  # it gives up where a new worker is not ready by then
        more = ("--timeout-worker-healthcheck", "60")
    fake.webhooks.configure(attempts=60, backoff=0.1, duplicates=2, reorder=True)
    environ = {"OTEL_REVENUE_FLUSH_TIMEOUT": "1", "OTEL_REVENUE_ENRICH_HOLD": "1", "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
    receiver.status = 503
    with shop_on(server, fake, tmp_path, receiver.url, *more, **environ) as shop:
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        orders = [_order(shop) for _ in range(ORDERS)]
        payer = threading.Thread(target=lambda: [fake.pay(session) for session in orders])
        payer.start()
        assert wait_for(lambda: any(d.status == 200 for d in fake.deliveries), LATEST_S), shop.log
        ENDINGS[ending](shop)
        receiver.status = 200
        payer.join(LATEST_S)
        fake.webhooks.drain(LATEST_S)

        assert wait_for(
            lambda: len(_recorded(receiver)) >= ORDERS and set(orders) <= set(_sessions(receiver)), LATEST_S
        ), shop.log
        shop.stop()
    sessions = _sessions(receiver)

    assert _expected(fake) == _recorded(receiver)
    assert len(set(sessions)) == len(sessions)


FLUSHING = [
    *((name, TERM) for name in ALL if name not in ("flask-run", "runserver", "runserver-noreload")),
    *(
        (name, INT)
        for name in ALL
        if not name.startswith(("gunicorn-uvicorn", "gunicorn-gthread")) and name != "runserver"
    ),
    *((name, QUIT) for name in ALL if name.startswith(("gunicorn-sync", "gunicorn-django"))),
]
"""gunicorn's gthread worker stops its pool inside the handler of SIGQUIT, where it may wait for itself, and is killed then."""

SHORT = {
    ("uvicorn-workers", TERM), ("gunicorn-uvicorn-preload", TERM), ("gunicorn-sync", TERM), ("gunicorn-gthread", TERM),
    ("gunicorn-django-preload", INT), ("uvicorn-django", TERM), ("hypercorn", TERM), ("flask-run", INT),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(
            name, number, id=f"{name}-{number.name}", marks=[] if (name, number) in SHORT else [pytest.mark.slow]
        )
        for name, number in FLUSHING
    ],
)
def test_the_end_delivers_what_waits(
    name: str, number: signal.Signals, fake: FakeStripe, receiver: Receiver, tmp_path: Path
) -> None:
    """
    Where a server ends by itself, what waits in memory's reach goes out before it has ended: no start is needed.
    """
    more = ("--graceful-timeout", "60") if ALL[name].gunicorn else ()
    environ = {"OTEL_REVENUE_LINGER": "30", "OTEL_REVENUE_FLUSH_TIMEOUT": "45"}
    with shop_on(ALL[name], fake, tmp_path, receiver.url, *more, **environ) as shop:
        endpoint = fake.collect()
        for _ in range(ORDERS):
            fake.pay(shop.order()["session_id"])
        statuses = {shop.webhook(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url}
        shop.end(number)

    assert {200} == statuses
    assert _expected(fake) == _recorded(receiver), shop.log
    assert ORDERS == len(_sessions(receiver)), shop.log


@pytest.mark.parametrize(
    "name",
    [
        "uvicorn",
        "gunicorn-sync",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ALL
            if name not in ("uvicorn", "gunicorn-sync", "flask-run", "runserver", "runserver-noreload")
        ),
    ],
)
def test_a_receiver_that_hangs_does_not_keep_the_server(
    name: str, fake: FakeStripe, receiver: Receiver, tmp_path: Path
) -> None:
    """
    While the receiver holds every request without an answer, the server ends all the same; the next start delivers.
    """
    environ = {"OTEL_REVENUE_FLUSH_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    with shop_on(ALL[name], fake, tmp_path, receiver.url, **environ) as shop:
        endpoint = fake.collect()
        receiver.status, receiver.delay_s = 503, 90
        fake.pay(shop.order()["session_id"])
        statuses = {shop.webhook(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url}
        shop.end(TERM)  # waits for less than the receiver does
        receiver.status, receiver.delay_s = 200, 0
        shop.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
        shop.forget_leases()
        shop.start()

        assert wait_for(lambda: _expected(fake) == _recorded(receiver), LATEST_S), shop.log
    assert {200} == statuses


@pytest.mark.parametrize(
    "name",
    [
        "gunicorn-sync-preload",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ALL
            if name.startswith("gunicorn") and name != "gunicorn-sync-preload"
        ),
    ],
)
def test_nothing_is_open_and_no_thread_runs_before_the_fork(
    name: str, fake: FakeStripe, receiver: Receiver, tmp_path: Path
) -> None:
    """
    gunicorn's master, with the application loaded or not, has no thread of ours and nothing of the store open when it forks,
    also when it replaces a worker after payments; and its workers get nothing of the kind.
    """
    probe = tmp_path / "probe.jsonl"
    with shop_on(ALL[name], fake, tmp_path, receiver.url) as shop:
        endpoint = fake.collect()
        fake.pay(shop.order()["session_id"])
        statuses = {shop.webhook(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url}
        _loses_a_worker(KILL)(shop)
        assert wait_for(lambda: probe.read_text(encoding="utf-8").count("\n") == 6, LATEST_S), shop.log
        shop.stop()
    noted = [json.loads(line) for line in probe.read_text(encoding="utf-8").splitlines()]

    assert {200} == statuses
    assert {"master": 3, "worker": 3} == {m: sum(n["moment"] == m for n in noted) for m in ("master", "worker")}
    assert [] == [t for n in noted for t in n["threads"] if t.startswith("otel-revenue")]
    assert [] == [file for n in noted for file in n["files"]]


def test_what_waits_goes_out_before_the_first_request(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """
    Workers of gunicorn begin to deliver when they have loaded the application: a shop that nobody visits after a crash
    delivers all the same.
    """
    receiver.status = 503
    with shop_on(ALL["gunicorn-sync"], fake, tmp_path, receiver.url) as shop:
        endpoint = fake.collect()
        fake.pay(shop.order()["session_id"])
        statuses = {shop.webhook(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url}
        shop.kill()
        shop.kill_group()
        receiver.status = 200
        shop.start(ready=lambda: len(children(shop.pid)) == 2)

        assert wait_for(lambda: _expected(fake) == _recorded(receiver), LATEST_S), shop.log
    assert {200} == statuses
