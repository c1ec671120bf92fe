# SPDX-License-Identifier: Apache-2.0
"""A verified payment webhook until ledger and outbox are on disk, beside one synced insert into SQLite."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import inspect
import multiprocessing
import os
import sqlite3
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

from . import sink
from .figures import Line, Table, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

_INSERT: Final = "one SQLite insert (WAL, FULL)"
_SESSION: Final = "checkout.session.completed, new order"
_INTENT: Final = "payment_intent.succeeded, joined to it"
_VERIFY: Final = "stripe's own check of the signature"
_REST_S: Final = 0.004
_WARM: Final = 10

Deliveries = dict[str, tuple[bytes, dict[str, str]]]
"""By event type: the body, and the ids in it that are to be made new, with what tells them apart."""


def webhook(folder: Path, *, rounds: int) -> list[Table]:
    """Time the two webhooks of a payment and the insert in turn, one of each per round, in a process of their own."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    with sink.running() as receiver:
        process = spawn.Process(target=_child, args=(there, receiver.url, folder, rounds), daemon=True)
        process.start()
        there.close()
        try:
            taken: dict[str, list[float]] = here.recv()
        except EOFError:
            raise RuntimeError("the process that takes the webhooks has died") from None
        process.join(30)
        delivered = receiver.counts().get("webhook", 0)
    recorded = int(taken.pop("recorded")[0])
    reference = taken[_INSERT]
    ratios = {name: ratio(taken[name], reference) for name in (_SESSION, _INTENT)}
    lines = [Line(name, taken[name], ratios.get(name)) for name in (_INSERT, _SESSION, _INTENT, _VERIFY)]
    return [
        Table(
            "Payment webhook until ledger and outbox are on disk (added to the app's verification of the signature)",
            "µs",
            lines,
            goal="≤ 1.5 × the insert",
            met=max(ratios.values()) <= 1.5,
            notes=(f"{recorded} payments, {delivered} delivered; medians {_medians(taken)}",),
        )
    ]


def _medians(taken: dict[str, list[float]]) -> str:
    ours = statistics.median(taken[_SESSION]) + statistics.median(taken[_INTENT])
    return f"of a payment's two webhooks together: {ours:.0f} µs"


def _child(pipe: Connection, url: str, folder: Path, rounds: int) -> None:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{url}/webhook"
    deliveries = captured()
    with _instrumented(folder / "webhook"), _plain(folder / "plain.sqlite3") as insert:
        pipe.send(_measured(deliveries, insert, rounds))


def _measured(deliveries: Deliveries, insert: Callable[[int], None], rounds: int) -> dict[str, list[float]]:
    import stripe

    from otel_revenue.testing.fake_stripe import WEBHOOK_SECRET
    from otel_revenue.testing.fake_stripe.deliveries import sign

    verify = stripe.WebhookSignature.verify_header
    # The library's own function: what the application pays without us.
    bare: Any = inspect.unwrap(inspect.getattr_static(stripe.WebhookSignature, "verify_header").__func__)
    clock = time.perf_counter_ns
    taken: dict[str, list[float]] = {_INSERT: [], _SESSION: [], _INTENT: [], _VERIFY: []}
    gc.collect()
    for number in range(rounds + _WARM):
        started = clock()
        insert(number)
        times = {_INSERT: clock() - started}
        for name, kind in ((_SESSION, "checkout.session.completed"), (_INTENT, "payment_intent.succeeded")):
            time.sleep(_REST_S)
            body = _renewed(*deliveries[kind], number).decode()
            header = sign(body.encode(), WEBHOOK_SECRET, int(time.time()))
            started = clock()
            bare(stripe.WebhookSignature, body, header, WEBHOOK_SECRET)
            checked = clock()
            verify(body, header, WEBHOOK_SECRET)
            times[_VERIFY] = checked - started
            times[name] = clock() - checked - times[_VERIFY]
        time.sleep(_REST_S)
        if number >= _WARM:
            for name, nanoseconds in times.items():
                taken[name].append(nanoseconds / 1000)
    return {**taken, "recorded": [rounds + _WARM]}


def captured() -> Deliveries:
    """Return the two webhooks of one payment as a Stripe with current shapes sends them."""
    import stripe

    from otel_revenue.testing import FakeStripe

    with FakeStripe() as fake:
        fake.collect(events=("checkout.session.completed", "payment_intent.succeeded"))
        client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
        session = client.v1.checkout.sessions.create(_session_parameters())
        fake.pay(session.id)
        fake.drain()
        bodies = {event["type"]: fake.signed(event)[0] for event in fake.events}
        objects = {event["type"]: event for event in fake.events}
    kinds = ("checkout.session.completed", "payment_intent.succeeded")
    charge = objects[kinds[1]]["data"]["object"]["latest_charge"]
    ids = {session.id: "session", objects[kinds[0]]["data"]["object"]["payment_intent"]: "intent", charge: "charge"}
    return {kind: (bodies[kind], {**ids, objects[kind]["id"]: kind}) for kind in kinds}


def _session_parameters() -> Any:
    price = {"currency": "eur", "unit_amount": 4900, "product_data": {"name": "Poster"}}
    return {
        "mode": "payment",
        "success_url": "https://shop.example/thanks",
        "line_items": [{"quantity": 1, "price_data": price}],
        "metadata": {"order_id": "order-1", "tier": "pro"},
    }


def _renewed(body: bytes, ids: dict[str, str], number: int) -> bytes:
    """Return the body with ids of its own: as random as Stripe's, of the same length, the same in both webhooks of a payment."""
    for old, salt in ids.items():
        fresh = base64.b32encode(hashlib.sha256(f"{salt}{number}".encode()).digest()).decode()[:14]
        body = body.replace(old.encode(), f"{old[:-14]}{fresh}".encode())
    return body.replace(b'"order-1"', f'"order-{number}"'.encode())


@contextlib.contextmanager
def _instrumented(folder: Path) -> Iterator[None]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from otel_revenue.instrumentation import RevenueInstrumentor

    instrumentor = RevenueInstrumentor()
    meters = MeterProvider([InMemoryMetricReader()])
    instrumentor.instrument(tracer_provider=TracerProvider(), meter_provider=meters, store=str(folder))
    try:
        yield
    finally:
        instrumentor.uninstrument()


@contextlib.contextmanager
def _plain(file: Path) -> Iterator[Callable[[int], None]]:
    """A table of rows like the outbox's, and a function that inserts one and returns when it is synced."""
    raw = sqlite3.connect(file, isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL, record BLOB NOT NULL)")
    record = os.urandom(700)

    def insert(number: int) -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO event (event_id, record) VALUES (?, ?)", (f"event-{number:030d}", record))
        raw.execute("COMMIT")

    try:
        yield insert
    finally:
        raw.close()
