# SPDX-License-Identifier: Apache-2.0
"""
Those who are compared: each records one funnel event per call, at its defaults, and delivers to the same receiver.

Libraries are imported in the constructor: a contender's process holds nothing of the others.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import TracerProvider

EVENT: Final = "design.approved"


def attributes(prefix: str, number: int) -> dict[str, Any]:
    """Return the eight attributes of one event; the ids are its own."""
    return {
        "order_id": f"order-{prefix}-{number}",
        "journey_id": f"j-{number * 2654435761 % 2**32:08x}",
        "tier": "pro",
        "subtotal_minor": 4900 + number % 100,
        "currency": "EUR",
        "surface": "gallery/featured",
        "design_id": f"design-{number}",
        "duration_ms": 1200 + number % 800,
    }


class Contender(Protocol):
    """One way to record an event."""

    name: ClassVar[str]

    def __init__(self, provider: TracerProvider, url: str, folder: Path) -> None: ...

    def record(self, values: dict[str, Any]) -> None:
        """Record one event; this is what is timed."""

    def flush(self) -> None:
        """Deliver what waits."""

    def close(self) -> None:
        """End."""


class Nothing:
    """Records nothing: what the harness itself costs."""

    name: ClassVar[str] = "nothing"

    def __init__(self, provider: TracerProvider, url: str, folder: Path) -> None:
        del provider, url, folder

    def record(self, values: dict[str, Any]) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Revenue:
    """`otel_revenue.track`: checked, masked, in the spool when it returns, on the live span."""

    name: ClassVar[str] = "otel-revenue"

    def __init__(self, provider: TracerProvider, url: str, folder: Path) -> None:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{url}/{self.name}"
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        import otel_revenue
        from otel_revenue.instrumentation import RevenueInstrumentor

        self._instrumentor = RevenueInstrumentor()
        # A reader, as a real application has one: without it counters cost nothing.
        meters = MeterProvider([InMemoryMetricReader()])
        self._instrumentor.instrument(tracer_provider=provider, meter_provider=meters, store=str(folder))
        self._track = otel_revenue.track
        self._flush = otel_revenue.flush

    def record(self, values: dict[str, Any]) -> None:
        """Record one event."""
        self._track(EVENT, **values)

    def flush(self) -> None:
        """Deliver what waits."""
        self._flush(30.0)

    def close(self) -> None:
        """End."""
        self._instrumentor.uninstrument()


class OtelLog:
    """A bare OTel log event through the SDK's batch processor; the queue is large enough to drop nothing."""

    name: ClassVar[str] = "otel-log"
    span_event: ClassVar[bool] = False

    def __init__(self, provider: TracerProvider, url: str, folder: Path) -> None:
        del provider, folder
        from opentelemetry import trace
        from opentelemetry._logs import SeverityNumber
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        self._current = trace.get_current_span
        self._severity = SeverityNumber.INFO
        self._logs = LoggerProvider()
        exporter = OTLPLogExporter(endpoint=f"{url}/{self.name}/v1/logs")
        self._logs.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=100_000))
        self._logger = self._logs.get_logger("benchmark")

    def record(self, values: dict[str, Any]) -> None:
        """Record one event."""
        self._logger.emit(event_name=EVENT, severity_number=self._severity, attributes=values)

    def flush(self) -> None:
        """Deliver what waits."""
        self._logs.force_flush(30_000)

    def close(self) -> None:
        """End."""
        self._logs.shutdown()


class OtelLogAndSpanEvent(OtelLog):
    """The same, and the event on the live span too: the two signals that ours writes."""

    name: ClassVar[str] = "otel-log+span-event"

    def record(self, values: dict[str, Any]) -> None:
        """Record one event."""
        self._logger.emit(event_name=EVENT, severity_number=self._severity, attributes=values)
        self._current().add_event(EVENT, attributes=values)


class PostHog:
    """PostHog's client."""

    name: ClassVar[str] = "posthog"

    def __init__(self, provider: TracerProvider, url: str, folder: Path) -> None:
        del provider, folder
        from posthog import Posthog

        # Its log of the first call would be timed; its queue holds 10 000.
        self._client = Posthog("phc_benchmark", host=f"{url}/{self.name}", max_queue_size=100_000)

    def record(self, values: dict[str, Any]) -> None:
        """Record one event."""
        self._client.capture(EVENT, distinct_id=values["journey_id"], properties=values)

    def flush(self) -> None:
        """Deliver what waits."""
        self._client.flush()

    def close(self) -> None:
        """End."""
        self._client.shutdown()


ALL: Final[dict[str, type[Contender]]] = {c.name: c for c in (Nothing, Revenue, OtelLog, OtelLogAndSpanEvent, PostHog)}
