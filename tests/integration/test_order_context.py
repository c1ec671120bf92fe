"""What one request knows of an order, and what later requests and its payment carry of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import SpanKind

from otel_revenue import bind, flush

if TYPE_CHECKING:
    from support.instrumented import App

YESTERDAY_NS = 1_790_000_000 * 10**9
EVENT_ID = "6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53"


@pytest.fixture
def app(app: App) -> App:
    app.instrument()
    return app


def test_a_browser_speaks_for_itself(app: App) -> None:
    """An event that a browser tells of is marked as such, keeps its own time, and takes nothing from the request that brings it."""
    runtime = app.instrumentor.runtime
    with app.tracers.get_tracer("web").start_as_current_span("POST /ingest", kind=SpanKind.SERVER):
        bind(order_id="o-server", tier="gold")
        runtime.track_browser(
            "checkout.start", {"journey_id": "j-1"}, event_id=EVENT_ID, at_ns=YESTERDAY_NS, ids=(0xA1, 0xB2, 1)
        )
    flush(45)
    (event,) = app.receiver.named("checkout.start")

    assert (YESTERDAY_NS, f"{0xA1:032x}", f"{0xB2:016x}") == (event.time_ns, event.trace_id, event.span_id)
    assert {"telemetry.source": "browser", "journey_id": "j-1", "event_id": EVENT_ID, "schema_version": "1.0"} == (
        event.attributes
    )
