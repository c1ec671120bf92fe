# SPDX-License-Identifier: Apache-2.0
"""The unmodified shop, a real Collector, and every backend that one Collector has parts for, all at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from collector.backends.load import MARK, poisoned
from collector.backends.table import BACKENDS
from otel_revenue.testing import FakeStripe
from support.collector import PROGRAM, Collector
from support.receiver import wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from pathlib import Path

    from collector.backends.sinks import OtlpSink, RemoteWriteSink, Sink
    from collector.backends.table import Backend

THERE = [backend for backend in BACKENDS if backend.program == PROGRAM]
FILES = ("metrics.yaml", *(backend.file for backend in THERE))
BUYER = (b"jenny", b"Jenny", b"Rosen", b"Townsend", b"ring twice")
"""What the fake Stripe's buyers are called, where they live, and what they write: in the webhooks' bodies. No numbers: clocks have those, too."""


def buy(shop: RunningShop, fake: FakeStripe, count: int) -> set[str]:
    """Buyers pay; returns the ids of their orders."""
    orders = [shop.order() for _ in range(count)]
    for order in orders:
        fake.pay(order["session_id"])
    return {order["order_id"] for order in orders}


def missing(orders: set[str], record: OtlpSink, sinks: dict[str, Sink]) -> list[str]:
    """Names of the backends that lack one of the events of an order that the backend of record has; itself, when it lacks a payment."""
    if not wait_for(lambda: orders <= {log.attributes["order_id"] for log in record.receiver.named("order.paid")}, 60):
        return ["otlp"]
    wanted = Counter(order for order in record.orders() if order in orders)

    def has_all(backend: Backend) -> bool:
        least = wanted if backend.signal == "logs" else Counter(orders)
        return wait_for(lambda: least <= Counter(sinks[backend.name].orders()), 60)

    return [backend.name for backend in THERE if backend.signal != "metrics" and not has_all(backend)]


def test_one_shop_fills_every_backend(tmp_path: Path) -> None:
    """
    Each order is in every backend, personal data in none; a wrong key of the backend of record loses nothing and holds nobody up.
    """
    sinks: dict[str, Sink] = {}
    environ = {"REVENUE_RECORD": "otlp_http/otlp_record"}
    for backend in THERE:
        (tmp_path / backend.name).mkdir()
        sinks[backend.name] = backend.sink(tmp_path / backend.name)
        sinks[backend.name].up()
        environ |= sinks[backend.name].variables
    record: OtlpSink = sinks["otlp"]  # type: ignore[assignment]
    written: RemoteWriteSink = sinks["prometheus-remote-write"]  # type: ignore[assignment]
    collector = Collector(tmp_path / "collector", FILES, environ)
    header = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization={collector.headers['Authorization']}"}
    (tmp_path / "shop").mkdir()
    try:
        with collector, FakeStripe() as fake, RunningShop(fake, tmp_path / "shop", collector.url, header) as shop:
            fake.add_endpoint(f"{shop.url}/webhooks/stripe")
            poison = {collector.post(body, path).status_code for path, body in poisoned()}
            first = missing(buy(shop, fake, 3), record, sinks)
            record.receiver.status = 401
            late = buy(shop, fake, 1)
            held = wait_for(lambda: "refuses us" in shop.log, 60)
            record.receiver.status = 200
            then = missing(late, record, sinks)
            counted = wait_for(lambda: sum(written.server.query("revenue_orders_total").values()) >= 4, 60)
            contents = {name: sink.everything() for name, sink in sinks.items()} | {"log": collector.said().encode()}
    finally:
        for sink in sinks.values():
            sink.end()
    leaks = [(name, mark) for name, content in contents.items() for mark in (MARK, *BUYER) if mark in content]

    assert ({200}, [], True, [], True, []) == (poison, first, held, then, counted, leaks)
