"""`stage`, events as objects and events of an application's own."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from otel_revenue import bind, flush, stage, track
from otel_revenue.errors import SchemaError
from otel_revenue.events import CheckoutStart, CommonEvent, DesignApproved, Kind, Sensitivity, attribute
from otel_revenue.schema.events import OrderPaid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from support.instrumented import App
    from support.receiver import Log


@pytest.fixture
def app(app: App) -> App:
    app.instrument()
    return app


def arrived(app: App) -> list[Log]:
    assert flush(45)
    return app.receiver.logs


def names(app: App) -> list[str]:
    return [event.name for event in arrived(app)]


# -- stage -------------------------------------------------------------------------------------------------------------


def test_a_stage_is_a_span_and_two_events(app: App) -> None:
    """Started and approved stand on the stage's span and carry what is known by then; what happens inside carries its order."""
    tracer = app.tracers.get_tracer("web")
    with (
        tracer.start_as_current_span("POST /designs", kind=SpanKind.SERVER),
        stage("design", order_id=7, tier="pro") as design,
    ):
        design.set(design_id="d-1", subtotal="49.00", currency="EUR")
        track("checkout.start")
    started, inside, approved = arrived(app)
    span, server = app.spans.get_finished_spans()

    assert ["design.started", "checkout.start", "design.approved"] == [e.name for e in (started, inside, approved)]
    assert [("7", "pro", None), ("7", "pro", 4900), ("7", "pro", 4900)] == [
        (e.attributes["order_id"], e.attributes["tier"], e.attributes.get("subtotal_minor"))
        for e in (started, inside, approved)
    ]
    assert ("d-1", True) == (approved.attributes["design_id"], 0 <= approved.attributes["duration_ms"] < 60_000)
    assert ("design", ["design.started", "checkout.start", "design.approved"]) == (
        span.name,
        [e.name for e in span.events],
    )
    assert "7" == (server.attributes or {})["order_id"]


@pytest.mark.parametrize(
    "error", [ValueError("jane@person.example"), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()]
)
def test_nothing_is_approved_when_it_raises(app: App, error: BaseException) -> None:
    """The application's exception passes as it is; the span says its class, never its text."""
    with pytest.raises(type(error)) as raised, stage("design"):
        raise error
    (span,) = app.spans.get_finished_spans()

    assert (error, ["design.started"]) == (raised.value, names(app))
    assert (StatusCode.ERROR, None, type(error).__qualname__) == (
        span.status.status_code,
        span.status.description,
        (span.attributes or {})["error.type"],
    )
    assert "jane" not in span.to_json()


def test_every_kind_of_function_can_be_a_stage(app: App) -> None:
    """A function, a coroutine, a generator and an async generator: each call is a stage of its own, with its own result."""

    @stage("design", tier="pro")
    def plain(x: int) -> int:
        return x + 1

    @stage("design")
    async def coroutine(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    @stage("design")
    def generator(x: int) -> Iterator[int]:
        yield x
        yield x + 1

    @stage("design")
    async def async_generator(x: int) -> AsyncIterator[int]:
        yield x
        yield x + 1

    async def main() -> list[Any]:
        async with stage("design"):
            pass
        return [*await asyncio.gather(coroutine(1), coroutine(2)), [x async for x in async_generator(1)]]

    results = [plain(1), plain(2), list(generator(1)), *asyncio.run(main())]

    assert [2, 3, [1, 2], 2, 3, [1, 2]] == results
    assert ("plain", 7, 7) == (plain.__name__, names(app).count("design.started"), names(app).count("design.approved"))


def test_a_stage_leaves_no_trace_behind(app: App) -> None:
    """After the block neither its span is current nor its order bound, also where blocks are nested."""
    with stage("design", order_id="outer"), stage("design", order_id="inner"):
        track("checkout.start")
    with stage("design"):
        pass
    orders = [e.attributes.get("order_id") for e in arrived(app)]

    assert ["outer", "inner", "inner", "inner", "outer", None, None] == orders
    assert trace.INVALID_SPAN is trace.get_current_span()


def test_generators_that_take_turns_are_each_their_own_order(app: App) -> None:
    """Between two items neither span nor order of a generator is its consumer's, and each finds its own again."""

    @stage("design")
    def prints(order_id: str) -> Iterator[str]:
        with bind(order_id=order_id):
            for _ in range(2):
                track("checkout.start")
                yield order_id

    consumer = []
    first, second = prints("o-1"), prints("o-2")
    for _ in zip(first, second, strict=False):
        track("checkout.start")
        consumer.append(trace.get_current_span())
    orders = [e.attributes.get("order_id") for e in arrived(app) if e.name == "checkout.start"]

    assert ["o-1", "o-2", None] * 2 == orders
    assert [trace.INVALID_SPAN] * 2 == consumer


def test_async_generators_that_take_turns_are_each_their_own_order(app: App) -> None:
    """As above, over awaits; a consumer that stops early closes the generator at once, and nothing is approved."""
    closed = []

    @stage("design")
    async def prints(order_id: str) -> AsyncIterator[str]:
        try:
            with bind(order_id=order_id):
                for _ in range(3):
                    await asyncio.sleep(0)
                    track("checkout.start")
                    yield order_id
        finally:
            await asyncio.sleep(0)
            closed.append(order_id)

    async def main() -> list[str]:
        first, second = prints("o-1"), prints("o-2")
        items = []
        for _ in range(2):
            items += [await first.__anext__(), await second.__anext__()]
            track("checkout.start")
        for generator in (first, second):
            await generator.aclose()  # type: ignore[attr-defined]
        return [*items, *closed]

    assert ["o-1", "o-2", "o-1", "o-2", "o-1", "o-2"] == asyncio.run(main())
    assert ["o-1", "o-2", None] * 2 == [
        e.attributes.get("order_id") for e in arrived(app) if e.name == "checkout.start"
    ]
    assert "design.approved" not in names(app)


def test_a_generator_is_one_stage_wherever_its_items_are_asked_for(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """A server that streams may ask for each item in another thread: the stage is whole, what is sent and thrown arrives, nothing is logged."""

    @stage("design", order_id="o-1")
    def lines() -> Generator[str, str, str]:
        heard = [(yield "a")]
        try:
            yield "b"
        except LookupError:
            heard.append((yield "c"))
        track("checkout.start")
        return "".join(heard)

    def ask(step: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(step).result()

    steps = lines()
    items = [ask(lambda: next(steps)), ask(lambda: steps.send("x")), ask(lambda: steps.throw(LookupError()))]
    with pytest.raises(StopIteration) as end:
        steps.send("y")

    assert (["a", "b", "c"], "xy") == (items, end.value.value)
    assert [("design.started", "o-1"), ("checkout.start", "o-1"), ("design.approved", "o-1")] == [
        (e.name, e.attributes.get("order_id")) for e in arrived(app)
    ]
    assert [] == caplog.records


@pytest.mark.swallow
def test_a_wrong_stage_is_counted_and_the_block_runs(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """An unknown stage or a wrong value never raises into the application, nor does what the application raises get lost."""
    ran = []
    with caplog.at_level(logging.ERROR):
        with stage("desing") as design:
            design.set(order_id="o-1")
            ran.append(1)
        with stage("design", order_id=1.5):
            ran.append(2)
        with pytest.raises(ZeroDivisionError), stage("desing"):
            ran.append(3)
            1 / 0  # noqa: B018 - the application's bug

    assert ([1, 2, 3], True) == (ran, "api.stage failed (SchemaError" in caplog.text)
    assert {"design.approved"} >= set(names(app))


def test_a_wrong_stage_raises_in_tests(app: App) -> None:
    """Where failures of ours raise, an unknown stage or attribute says what there is."""
    with pytest.raises(SchemaError, match=r"no events desing\.started and desing\.approved"), stage("desing"):
        pass


def test_without_instrumentation_a_stage_does_nothing() -> None:
    """A block runs, a function returns, and its exception passes, where nobody instrumented the application."""
    with stage("whatever") as block:
        block.set(order_id="o-1")

    assert 2 == stage("whatever")(lambda: 2)()


# -- events as objects -------------------------------------------------------------------------------------------------


class QuoteRequested(CommonEvent):
    """The buyer asked for a quote."""

    event_name: ClassVar[str] = "quote.requested"

    quote_id: str | None = attribute("The shop's id of the quote.", Sensitivity.BUSINESS, Kind.ID, example="q-7")
    page_count: int = attribute(
        "Number of pages.", Sensitivity.BUSINESS, Kind.COUNT, example=12, unit="{page}", required=True
    )


def test_an_object_is_an_event(app: App) -> None:
    """An object of an event's class is recorded as its name with its attributes would be, one of the application's own too."""
    track(DesignApproved(order_id="o-1", design_id="d-7", duration_ms=12))
    track(QuoteRequested(order_id="o-1", quote_id="q-1", page_count=3), tier="pro")
    track("quote.requested", page_count=4)
    approved, first, second = arrived(app)

    assert ("design.approved", "d-7", 12) == (
        approved.name,
        approved.attributes["design_id"],
        approved.attributes["duration_ms"],
    )
    assert ("quote.requested", "q-1", 3, "pro") == (
        first.name, first.attributes["quote_id"], first.attributes["page_count"], first.attributes["tier"],
    )  # fmt: skip
    assert (4, 3) == (
        second.attributes["page_count"],
        len({e.attributes["event_id"] for e in (approved, first, second)}),
    )


def test_one_object_is_one_fact(app: App) -> None:
    """An object that is recorded twice has one `event_id`: a retry is no second event."""
    event = CheckoutStart(order_id="o-1")
    track(event)
    track(event)

    assert 1 == len({e.attributes["event_id"] for e in arrived(app)})


def test_personal_data_in_an_own_event_is_masked(app: App) -> None:
    """The gate holds for an application's own events as for ours."""
    track(QuoteRequested(tier="jane@person.example", quote_id="jane@person.example", page_count=1))
    (event,) = arrived(app)

    assert ("person.example" in str(event.attributes), "quote_id" in event.attributes) == (False, False)


REFUSED = [
    (("order.paid",), {"amount_minor": 1}, "no event that an application may record"),
    (("checkout.session_created",), {}, "no event that an application may record"),
    (("checkout.expired",), {}, "no event that an application may record"),
    (("design.aproved",), {}, "no event that an application may record"),
    ((5,), {}, "an event's name, or an object"),
    ((OrderPaid(amount_minor=1),), {}, "order.paid is not yours"),
    (("design.approved",), {"desing_id": "d"}, "has no attribute desing_id"),
]


@pytest.mark.parametrize(("event", "attributes", "told"), REFUSED)
def test_what_an_application_may_not_record_raises_in_tests(
    app: App, event: tuple[Any], attributes: dict[str, Any], told: str
) -> None:
    """Money, Stripe's own events, unknown names and attributes: a clear error where failures of ours raise."""
    with pytest.raises(SchemaError, match=told):
        track(*event, **attributes)


@pytest.mark.swallow
@pytest.mark.parametrize(("event", "attributes", "told"), REFUSED)
def test_what_an_application_may_not_record_is_counted_in_production(
    app: App, event: tuple[Any], attributes: dict[str, Any], told: str
) -> None:
    """The same raises nothing in production; an event that is none does not leave, an unknown attribute is left out and counted."""
    track(*event, **attributes)
    known = event == ("design.approved",)

    assert (["design.approved"] if known else []) == names(app)
    assert bool(app.metric("otel_revenue.events.refused" if known else "otel_revenue.failures"))
