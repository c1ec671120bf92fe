"""What belongs to which request: several of one trace, tasks side by side, spans that are not sampled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanKind

from otel_revenue import bind, flush, track

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from support.instrumented import App


@pytest.fixture
def app(app: App) -> App:
    app.instrument()
    return app


def _caller(app: App) -> Context:
    """What a caller's `traceparent` header leads to."""
    with app.tracers.get_tracer("caller").start_as_current_span("batch", kind=SpanKind.CLIENT) as span:
        return trace.set_span_in_context(NonRecordingSpan(span.get_span_context()))


def _designs(app: App) -> dict[str, dict[str, Any]]:
    flush(60)
    return {e.attributes["design_id"]: e.attributes for e in app.receiver.logs}


def test_requests_of_one_trace_keep_their_orders_apart(app: App) -> None:
    """A batch job calls the shop twice at once, in one trace: neither request hears of the other's order, whichever ends first."""
    context, tracer = _caller(app), app.tracers.get_tracer("web")
    first = tracer.start_span("first", context=context, kind=SpanKind.SERVER)
    second = tracer.start_span("second", context=context, kind=SpanKind.SERVER)
    with trace.use_span(first):
        bind(order_id="o-1", tier="gold")
    with trace.use_span(second):
        track("design.started", design_id="d-alone")
    first.end()
    with trace.use_span(second), tracer.start_as_current_span("inner"):
        bind(order_id="o-2")
        track("design.approved", design_id="d-bound")
    second.end()
    events = _designs(app)
    servers = {s.name: dict(s.attributes or {}) for s in app.spans.get_finished_spans()}

    assert (None, None) == (events["d-alone"].get("order_id"), events["d-alone"].get("tier"))
    assert ("o-2", None) == (events["d-bound"]["order_id"], events["d-bound"].get("tier"))
    assert "elapsed_ms" in events["d-bound"]
    assert [{"order_id": "o-1", "tier": "gold"}, {"order_id": "o-2"}] == [servers["first"], servers["second"]]


def test_one_request_after_the_other_in_one_trace(app: App) -> None:
    """A server that reuses the thread for the next request of the same trace starts with nothing bound."""
    context, tracer = _caller(app), app.tracers.get_tracer("web")
    with tracer.start_as_current_span("first", context=context, kind=SpanKind.SERVER):
        bind(order_id="o-1", tier="gold")
    with tracer.start_as_current_span("second", context=context, kind=SpanKind.SERVER):
        track("design.started", design_id="d-2")

    assert not {"order_id", "tier"} & set(_designs(app)["d-2"])


def test_tasks_of_one_request_bind_for_themselves(app: App) -> None:
    """Orders that one request puts side by side keep what each of them bound."""

    async def put(number: int) -> None:
        bind(order_id=f"o-{number}")
        for _ in range(3):  # each of the others has bound by then
            await asyncio.sleep(0)
        track("design.started", design_id=f"d-{number}")

    async def request() -> None:
        with app.tracers.get_tracer("web").start_as_current_span("POST", kind=SpanKind.SERVER):
            await asyncio.gather(*(put(number) for number in range(3)))

    asyncio.run(request())
    events = _designs(app)

    assert ["o-0", "o-1", "o-2"] == [events[f"d-{number}"]["order_id"] for number in range(3)]


def test_after_the_request_nothing_is_bound(app: App) -> None:
    """A task that outlives its request has its trace, and nothing of what the request had bound."""

    async def request() -> asyncio.Task[None]:
        with app.tracers.get_tracer("web").start_as_current_span("POST", kind=SpanKind.SERVER):
            bind(order_id="o-1")
            return asyncio.create_task(later())

    async def later() -> None:
        await asyncio.sleep(0)
        track("design.started", design_id="d-late")

    async def main() -> None:
        await (await request())

    asyncio.run(main())
    flush(60)
    (server,) = app.spans.get_finished_spans()
    (event,) = app.receiver.logs

    assert format(server.get_span_context().trace_id, "032x") == event.trace_id
    assert "order_id" not in event.attributes


def test_a_provider_that_comes_later(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that is instrumented first and sets its tracer provider then has the order on its SERVER spans, too."""
    app.instrumentor.uninstrument()
    providers: list[Any] = [trace.ProxyTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: providers[-1])
    app.instrumentor.instrument(store=str(app.folder / "store"))
    providers.append(app.tracers)
    assert app.instrumentor.runtime is not None
    app.instrumentor.runtime.start()
    tracer = app.tracers.get_tracer("web")
    with tracer.start_as_current_span("POST", kind=SpanKind.SERVER), tracer.start_as_current_span("inner"):
        bind(order_id="o-1")
    (server,) = [s for s in app.spans.get_finished_spans() if s.name == "POST"]

    assert {"order_id": "o-1"} == dict(server.attributes or {})
