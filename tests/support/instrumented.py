"""An application's providers under `RevenueInstrumentor`, in this process, with a real receiver."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from otel_revenue import RevenueInstrumentor
from otel_revenue.testing.fake_stripe.deliveries import sign
from support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "whsec_test_of_the_instrumentor"


class App:
    """An application's providers, and a webhook handler of its own."""

    def __init__(self, receiver: Receiver, folder: Path) -> None:
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider(
            resource=Resource.create({"service.name": "shop", "process.command_args": ["--key=secret"]})
        )
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.receiver = receiver
        self.folder = folder
        self.instrumentor = RevenueInstrumentor()

    def instrument(self, **arguments: Any) -> None:
        self.instrumentor.instrument(
            tracer_provider=self.tracers, meter_provider=self.meters, store=str(self.folder / "store"), **arguments
        )

    def handle(self, number: int, **fields: Any) -> None:
        """Handle one webhook inside a SERVER span, as a framework's instrumentation would."""
        body = paid(number, **fields)
        with self.tracers.get_tracer("web").start_as_current_span("POST /webhooks", kind=SpanKind.SERVER):
            stripe.Webhook.construct_event(body, sign(body, SECRET, int(time.time())), SECRET)  # type: ignore[no-untyped-call]

    def handle_event(self, kind: str, obj: dict[str, Any]) -> None:
        """Handle one webhook that tells of *obj*."""
        event = {
            "id": "evt_x",
            "object": "event",
            "type": kind,
            "created": int(time.time()),
            "livemode": True,
            "data": {"object": obj},
        }
        body = json.dumps(event).encode()
        with self.tracers.get_tracer("web").start_as_current_span("POST /webhooks", kind=SpanKind.SERVER):
            stripe.Webhook.construct_event(body, sign(body, SECRET, int(time.time())), SECRET)  # type: ignore[no-untyped-call]

    def metric(self, name: str) -> dict[tuple[tuple[str, Any], ...], float]:
        data = self.reader.get_metrics_data()
        return {
            tuple(sorted(dict(point.attributes or {}).items())): point.value  # type: ignore[union-attr]
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }


def paid(number: int, **fields: Any) -> bytes:
    session = {
        "id": f"cs_test_{number}",
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "payment_intent": f"pi_{number}",
        "amount_total": 4200 + number,
        "currency": "eur",
        "created": int(time.time()) - 60,
        "livemode": True,
        "customer_details": {"address": {"country": "DE"}, "email": "jane@person.example"},
        "metadata": {"order_id": f"o-{number}"},
        **fields,
    }
    event = {
        "id": f"evt_{number}",
        "object": "event",
        "type": "checkout.session.completed",
        "api_version": stripe.api_version,
        "created": int(time.time()),
        "livemode": True,
        "data": {"object": session},
    }
    return json.dumps(event).encode()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An application, not instrumented yet, that sends to a receiver of its own."""
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        app = App(receiver, tmp_path)
        yield app
        app.instrumentor.uninstrument()
