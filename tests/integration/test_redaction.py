"""
Masking in the process, on the SDK's own providers: whatever the processors, whoever came first, from many threads.
"""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as logs_export
from opentelemetry.sdk._logs._internal import ConcurrentMultiLogRecordProcessor, SynchronousMultiLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    Event,
    ReadableSpan,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_revenue import RevenueInstrumentor
from otel_revenue.privacy.policy import Policy
from otel_revenue.privacy.redactor import Redactor
from otel_revenue.redaction import (
    RedactedLogRecordExporter,
    RedactedMetricExporter,
    RedactedSpanExporter,
    RedactingSpanProcessor,
)
from otel_revenue.redaction.install import Installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

InMemoryLogExporter: Any = getattr(logs_export, "InMemoryLogRecordExporter", None) or logs_export.InMemoryLogExporter

THREADS = 4
EACH = 250
CANARY = "xanthippe"
ADDRESS = f"{CANARY}@example.com"


@pytest.fixture
def redactor() -> Redactor:
    """Return a redactor with the default policy."""
    return Redactor(Policy(), lambda kind: None)


def _everything(tracer: trace.Tracer, i: int) -> None:
    """End a span with an address in every place that holds text."""
    link = trace.Link(trace.SpanContext(1, 2, is_remote=True), {"note": f"link {ADDRESS}"})
    span = tracer.start_span(
        f"GET /{ADDRESS}", attributes={"note": ADDRESS, "list": ["a", ADDRESS], "i": i}, links=[link]
    )
    span.add_event(f"event {ADDRESS}", {"user.email": CANARY})
    span.record_exception(ValueError(f"no such customer {CANARY}"))
    span.set_status(trace.Status(trace.StatusCode.ERROR, f"ValueError: {CANARY}"))
    span.end()


def _in_threads(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=lambda: [work(i) for i in range(EACH)]) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


MULTI: dict[str, Callable[[], Any]] = {
    "one after another": SynchronousMultiSpanProcessor,
    "side by side": lambda: ConcurrentMultiSpanProcessor(2),
}


WAYS = [
    pytest.param((name, processor, when), id=f"{name}, {processor.__name__}, {when}")
    for name in MULTI
    for processor in (SimpleSpanProcessor, BatchSpanProcessor)
    for when in ("before", "after")
]


@pytest.fixture(params=WAYS)
def exported(
    request: pytest.FixtureRequest, redactor: Redactor
) -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """A masked provider for each way to run processors, each processor, and an exporter that came before or after us."""
    name, processor, when = request.param
    exporter = InMemorySpanExporter()
    options = {"max_queue_size": THREADS * EACH} if processor is BatchSpanProcessor else {}
    provider = TracerProvider(active_span_processor=MULTI[name](), resource=Resource.create({"process.owner": CANARY}))
    if when == "before":
        provider.add_span_processor(processor(exporter, **options))
    Installed(redactor, provider, LoggerProvider(), MeterProvider()).find()
    if when == "after":
        provider.add_span_processor(processor(exporter, **options))
    yield provider, exporter
    provider.shutdown()


def test_no_span_leaves_unmasked(exported: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    """Of a thousand spans from four threads, with an address in every place, none is exported with it."""
    provider, exporter = exported
    tracer = provider.get_tracer("app")
    _in_threads(lambda i: _everything(tracer, i))
    provider.force_flush()
    spans = exporter.get_finished_spans()

    assert THREADS * EACH == len(spans)
    assert [] == [span for span in spans if CANARY in span.to_json()]


def test_a_span_keeps_all_else(redactor: Redactor) -> None:
    """Ids, times, kind, numbers, the count of what was dropped: what is nobody's leaves as it was."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(RedactingSpanProcessor(redactor))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = provider.get_tracer("app", "1.0").start_span("work", kind=trace.SpanKind.CLIENT, start_time=1)
    span.set_attributes({f"k{i}": i for i in range(130)})
    span.set_attribute("user.email", CANARY)
    span.add_event("seen", {"n": 1}, timestamp=2)
    span.end(end_time=3)
    (found,) = exporter.get_finished_spans()
    assert isinstance(found, ReadableSpan)

    assert (1, 3, trace.SpanKind.CLIENT, "work") == (found.start_time, found.end_time, found.kind, found.name)
    assert (3, {"n": 1}, 2) == (
        found.dropped_attributes,
        dict(found.events[0].attributes or {}),
        found.events[0].timestamp,
    )
    assert (found.attributes or {})["user.email"] == "[email]"
    assert found.context == span.get_span_context()


def test_a_span_that_cannot_be_masked_leaves_empty(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where masking itself breaks, the application goes on, and the span leaves with its ids and times alone."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Installed(redactor, provider, LoggerProvider(), MeterProvider()).find()
    monkeypatch.setattr(Redactor, "attributes", lambda self, attributes: 1 / 0)
    _everything(provider.get_tracer("app"), 0)
    (found,) = exporter.get_finished_spans()

    assert CANARY not in found.to_json()
    assert ("[masked]", {}, ()) == (found.name, dict(found.attributes or {}), found.events)


@pytest.mark.parametrize("multi", [SynchronousMultiLogRecordProcessor, lambda: ConcurrentMultiLogRecordProcessor(2)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_log_record_leaves_unmasked(multi: Callable[[], Any], when: str, redactor: Redactor) -> None:
    """The same for log records: loggers that existed, processors that come later, processors that run side by side."""
    exporter = InMemoryLogExporter()
    provider = LoggerProvider(multi_log_record_processor=multi())
    logger = provider.get_logger("app")
    if when == "before":
        provider.add_log_record_processor(logs_export.SimpleLogRecordProcessor(exporter))
    Installed(redactor, TracerProvider(), provider, MeterProvider()).find()
    if when == "after":
        provider.add_log_record_processor(logs_export.SimpleLogRecordProcessor(exporter))
    bodies = [f"for {ADDRESS}", {"name": CANARY}, ["a", ADDRESS], ADDRESS.encode(), {"deep": {"name": CANARY}}]
    _in_threads(
        lambda i: logger.emit(
            timestamp=i,
            body=bodies[i % len(bodies)],
            attributes={"user.email": CANARY, "i": i},
            event_name=f"e {ADDRESS}",
        )
    )
    provider.force_flush()
    records = exporter.get_finished_logs()
    provider.shutdown()

    assert THREADS * EACH == len(records)
    assert [] == [record for record in records if CANARY in repr(vars(record.log_record))]


def test_stripe_s_own_log_leaves_no_text(redactor: Redactor) -> None:
    """Stripe's library logs whole answers of its API at DEBUG: of that text nothing leaves."""
    exporter = InMemoryLogExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(logs_export.SimpleLogRecordProcessor(exporter))
    Installed(redactor, TracerProvider(), provider, MeterProvider()).find()
    provider.get_logger("stripe").emit(timestamp=1, body=f"API response body {CANARY}")
    (found,) = exporter.get_finished_logs()
    provider.shutdown()

    assert found.log_record.body == "[masked]"


def test_metrics_of_a_live_reader(redactor: Redactor) -> None:
    """Attributes of points and exemplars, and the resource, are masked before the exporter of a periodic reader gets them."""
    out = io.StringIO()
    reader = PeriodicExportingMetricReader(ConsoleMetricExporter(out=out), export_interval_millis=60_000_000)
    provider = MeterProvider([reader], resource=Resource.create({"process.owner": CANARY}))
    Installed(redactor, TracerProvider(), LoggerProvider(), provider).find()
    tracer = TracerProvider().get_tracer("app")
    with tracer.start_as_current_span("sampled"):
        provider.get_meter("app").create_counter("orders").add(1, {"user.email": CANARY, "tier": "pro"})
        provider.get_meter("app").create_histogram("value").record(5, {"note": ADDRESS})
    provider.force_flush()
    provider.shutdown()

    assert CANARY not in out.getvalue()
    assert json.dumps("pro") in out.getvalue()


def test_what_is_removed_masks_nothing(redactor: Redactor) -> None:
    """After `remove` the providers are as they were."""
    spans, logs = InMemorySpanExporter(), InMemoryLogExporter()
    tracers, loggers = TracerProvider(), LoggerProvider()
    reader = PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=60_000_000)
    meters = MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(logs_export.SimpleLogRecordProcessor(logs))
    before = reader._exporter
    installed = Installed(redactor, tracers, loggers, meters)
    installed.find()
    installed.find()
    installed.remove()
    tracers.get_tracer("app").start_span(ADDRESS).end()
    loggers.get_logger("app").emit(timestamp=1, body=ADDRESS)
    meters.shutdown()

    assert ADDRESS == spans.get_finished_spans()[0].name
    assert ADDRESS == logs.get_finished_logs()[0].log_record.body
    assert before is reader._exporter


def test_a_proxy_is_passed_over(redactor: Redactor) -> None:
    """Where the application has set no provider yet, nothing is done and nothing raised."""
    installed = Installed(redactor, trace.ProxyTracerProvider(), ProxyLoggerProvider(), NoOpMeterProvider())
    installed.find()
    installed.remove()


def test_providers_that_the_application_sets_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An application that sets its provider after it was instrumented is masked from the moment on when it begins to serve."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    global_one: list[Any] = [trace.ProxyTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: global_one[-1])
    instrumentor = RevenueInstrumentor()
    instrumentor.instrument(store=str(tmp_path))
    try:
        global_one.append(provider)
        servers = instrumentor._servers
        assert servers is not None
        servers._life.begin()
        provider.get_tracer("app").start_span(f"for {ADDRESS}").end()
    finally:
        instrumentor.uninstrument()

    assert ["for [email]"] == [span.name for span in exporter.get_finished_spans()]


# -- exporters ---------------------------------------------------------------------------------------------------------


def test_an_exporter_masks_without_a_processor(redactor: Redactor) -> None:
    """Around any exporter, by public means alone, nothing unmasked is passed on, and the SDK's own span stays as it is."""
    masked, plain = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(RedactedSpanExporter(masked, redactor)))
    provider.add_span_processor(SimpleSpanProcessor(plain))
    _everything(provider.get_tracer("app", "1.0"), 7)
    (found,), (original,) = masked.get_finished_spans(), plain.get_finished_spans()
    provider.shutdown()

    assert CANARY not in found.to_json()
    assert CANARY in original.to_json()
    assert (original.context, original.start_time, original.end_time) == (
        found.context,
        found.start_time,
        found.end_time,
    )
    assert [event.timestamp for event in original.events] == [event.timestamp for event in found.events]


def test_a_log_exporter_masks_without_a_processor(redactor: Redactor) -> None:
    """The same for log records."""
    masked, plain = InMemoryLogExporter(), InMemoryLogExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(logs_export.SimpleLogRecordProcessor(RedactedLogRecordExporter(masked, redactor)))
    provider.add_log_record_processor(logs_export.SimpleLogRecordProcessor(plain))
    provider.get_logger("app").emit(timestamp=1, body=ADDRESS, attributes={"user.email": CANARY})
    (found,), (original,) = masked.get_finished_logs(), plain.get_finished_logs()
    provider.shutdown()

    assert ("[email]", {"user.email": "[email]"}) == (found.log_record.body, dict(found.log_record.attributes or {}))
    assert (ADDRESS, {"user.email": CANARY}) == (original.log_record.body, dict(original.log_record.attributes or {}))


def test_what_an_exporter_cannot_mask_is_left_out(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span that cannot be masked is left out; the others of the batch go out."""
    inner = InMemorySpanExporter()
    exporter = RedactedSpanExporter(inner, redactor)
    provider = TracerProvider()
    spans = [provider.get_tracer("app").start_span(name) for name in ("good", "bad")]
    original = Redactor.text
    monkeypatch.setattr(Redactor, "text", lambda self, text: 1 / 0 if text == "bad" else original(self, text))
    exporter.export([span._readable_span() for span in spans])  # type: ignore[attr-defined]

    assert ["good"] == [span.name for span in inner.get_finished_spans()]


def test_a_metric_exporter_is_what_it_wraps(redactor: Redactor) -> None:
    """The reader asks an exporter for its temporality: it gets that of the exporter inside."""
    inner = ConsoleMetricExporter(out=io.StringIO(), preferred_temporality={})
    exporter = RedactedMetricExporter(inner, redactor)

    assert inner._preferred_temporality == exporter._preferred_temporality


def test_events_of_ours_come_back_as_they_are(redactor: Redactor) -> None:
    """An event that passed the schema's gate is not changed by the second one."""
    attributes = {
        "event_id": "6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53", "order_id": "order-1042", "amount_minor": 4999, "amount": 49.99,
        "currency": "EUR", "country": "DE", "skus": ("poster-a2", "frame-oak"), "livemode": True,
        "stripe.checkout.session.id": "cs_test_a1B2c3", "stripe.payment_intent.id": "pi_3Nds82s1t6Uzpa2cY7Jk18RF",
    }  # fmt: skip
    event = Event("order.paid", attributes)
    found = RedactingSpanProcessor(redactor)._parts.events([event])

    assert event is found[0]
