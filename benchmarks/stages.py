# SPDX-License-Identifier: Apache-2.0
"""What the mapping of routes costs a request: one that is not mapped, one that is, one whose answer is looked into."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any, Final

from . import serving, sink
from .figures import Line, Table, ratio

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

BARE: Final = "nothing"
_ORDERS: Final = "a stage, order from the answer, kept for its payment"
_APPROVED: Final = {"route": "POST /designs/{id}", "event": "design.approved", "attributes": {"design_id": "path.id"}}
_ANSWER: Final = {"order_id": "answer.order_id", "tier": "value.pro"}
MAPPINGS: Final[dict[str, list[dict[str, Any]]]] = {
    BARE: [],
    "another route is mapped": [{**_APPROVED, "route": "POST /carts/{id}"}],
    "a stage, by its path": [_APPROVED],
    _ORDERS: [{**_APPROVED, "attributes": _ANSWER}],
}


def stages(folder: Path, *, rounds: int, busy: int) -> list[Table]:
    """Let each application have its turn in each round."""
    rates: dict[str, list[float]] = {name: [] for name in MAPPINGS}
    with sink.running() as receiver, serving.shops(receiver.url, folder, list(MAPPINGS), _serve) as running:
        for number in range(rounds + serving.WARM):
            for shop in random.sample(running, len(running)):
                rate = shop.busy(busy)
                shop.ask("/flush")
                time.sleep(serving.REST_S)
                if number >= serving.WARM:
                    rates[shop.name].append(rate)
        recorded = next(shop.ask("/flush") for shop in running if shop.name == _ORDERS)
        lost = recorded - receiver.counts().get("shop", 0)
    lines = [
        Line(
            name,
            rates[name],
            None if name == BARE else ratio(rates[name], rates[BARE]),
            f"{lost} LOST" if lost and name == _ORDERS else "",
        )
        for name in MAPPINGS
    ]
    return [
        Table(
            "Stages from routes: requests per second of a FastAPI application, 8 connections, one uvicorn worker",
            "req/s",
            lines,
            notes=(
                "`nothing` is the application alone; in the two last lines every request is an event; delivery runs meanwhile",
            ),
        )
    ]


def _serve(name: str, url: str, folder: Path, pipe: Connection) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from otel_revenue.instrumentation import RevenueInstrumentor

    if name == BARE:
        serving.answer(_application(), pipe)
        return
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{url}/shop"
    instrumentor = RevenueInstrumentor()
    instrumentor.instrument(
        tracer_provider=TracerProvider(),
        meter_provider=MeterProvider([InMemoryMetricReader()]),
        store=str(folder),
        stages=MAPPINGS[name],
    )
    serving.answer(_application(), pipe)
    instrumentor.uninstrument()


def _application() -> Any:
    from fastapi import FastAPI

    import otel_revenue

    answered = 0
    application = FastAPI()

    @application.post("/flush")
    def flush() -> int:
        otel_revenue.flush(30.0)
        return answered

    @application.post("/designs/{design_id}")
    async def approve(design_id: str) -> dict[str, str]:
        nonlocal answered
        answered += 1
        return {"design_id": design_id, "order_id": f"order-{answered}"}

    return application
