"""Requests that the patched frameworks answer: what is bound, and how long they take, without sampled spans or without any."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from fastapi import BackgroundTasks, Depends, FastAPI
from flask import Flask
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind
from starlette.testclient import TestClient

from otel_revenue import bind, flush, track
from otel_revenue.instrumentation.web.asgi import RevenueMiddleware
from otel_revenue.testing import FakeStripe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.sdk.trace.sampling import Sampler
    from starlette.requests import Request
    from starlette.responses import Response

    from support.instrumented import App


def _shop(app: App, sampler: Sampler | None) -> TestClient:
    """An application whose requests have SERVER spans, sampled or not, or (None) no spans at all."""
    app.tracers = TracerProvider(sampler=sampler or ALWAYS_ON)
    app.instrument()
    tracer = app.tracers.get_tracer("web")
    shop = FastAPI()

    if sampler is not None:

        @shop.middleware("http")
        async def server_span(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
            with tracer.start_as_current_span("request", kind=SpanKind.SERVER):
                return await answer(request)

    def cart(number: int) -> int:  # sync: in a thread, whose own context the endpoint never sees
        if number:
            bind(order_id=f"o-{number}")
        return number

    @shop.get("/designs/{number}")
    def design(number: int = Depends(cart)) -> None:
        track("design.started", design_id=f"d-{number}")

    @shop.get("/later/{number}")
    async def later(background: BackgroundTasks, number: int = Depends(cart)) -> None:
        async def task() -> None:
            await over.wait()
            track("design.approved", design_id=f"d-{number}-task")

        tasks.append(asyncio.create_task(task()))
        background.add_task(track, "design.approved", design_id=f"d-{number}-background")

    @shop.get("/tasks")
    async def wait() -> None:
        over.set()
        await asyncio.gather(*tasks)

    over = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []
    return TestClient(shop)


def _designs(app: App) -> dict[str, dict[str, Any]]:
    flush(60)
    return {e.attributes["design_id"]: e.attributes for e in app.receiver.logs}


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF, None], ids=["sampled", "unsampled", "no spans"])
def test_what_a_dependency_binds_holds_for_its_request(app: App, sampler: Sampler | None) -> None:
    """What a sync dependency binds in its thread reaches the endpoint, and no other request, whatever becomes of the spans."""
    with _shop(app, sampler) as shop:
        for number in (1, 2, 0):
            assert shop.get(f"/designs/{number}").is_success
    events = _designs(app)

    assert ["o-1", "o-2", None] == [events[f"d-{number}"].get("order_id") for number in (1, 2, 0)]
    assert all("elapsed_ms" in event for event in events.values()) or sampler is None


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF, None], ids=["sampled", "unsampled", "no spans"])
def test_work_after_the_answer(app: App, sampler: Sampler | None) -> None:
    """A background task of the framework still belongs to the request; a task of the application's own that outlives it does not."""
    with _shop(app, sampler) as shop:
        assert shop.get("/later/1").is_success
        assert shop.get("/tasks").is_success
    events = _designs(app)

    assert "o-1" == events["d-1-background"]["order_id"]
    assert "order_id" not in events["d-1-task"]


@pytest.mark.parametrize("framework", ["starlette", "flask"])
def test_without_the_frameworks_instrumentation(app: App, framework: str) -> None:
    """Where Stripe's call is the only span there is, the checkout still carries what the request had bound."""
    app.instrument()
    with FakeStripe() as fake:
        client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})

        def pay() -> str:
            bind(order_id="o-1", tier="gold")
            client.v1.payment_intents.create({"amount": 700, "currency": "eur"})
            return ""

        if framework == "flask":
            flask = Flask("shop")
            flask.add_url_rule("/pay", view_func=pay)
            assert 200 == flask.test_client().get("/pay").status_code
        else:
            shop = FastAPI()
            shop.get("/pay")(pay)
            assert TestClient(shop).get("/pay").is_success
    flush(60)
    (event,) = app.receiver.named("checkout.session_created")

    assert ("o-1", "gold") == (event.attributes["order_id"], event.attributes["tier"])


def test_uninstrumented_in_the_middle_of_a_request(app: App) -> None:
    """A request that began while we were there ends as it would have without us."""
    app.instrument()
    shop = FastAPI()

    @shop.get("/off")
    def off() -> str:
        bind(order_id="o-1")
        app.instrumentor.uninstrument()
        bind(order_id="o-2")
        return "fine"

    assert "fine" == TestClient(shop).get("/off").json()
    assert "fine" == TestClient(shop).get("/off").json()


def test_an_application_of_another_make(app: App) -> None:
    """Wrapped in `RevenueMiddleware` any ASGI application delivers before it stops, and its requests are known."""
    app.instrument(linger=60)
    sent: list[str] = []
    request = {"type": "http", "method": "GET", "headers": []}

    async def shop(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        bind(order_id=f"o-{scope['path']}")
        await asyncio.to_thread(track, "design.started", design_id=scope["path"])

    async def say(message: Any) -> None:
        sent.append(message["type"])

    async def main() -> None:
        wrapped = RevenueMiddleware(shop)
        questions = asyncio.Queue[dict[str, str]]()
        life = asyncio.create_task(wrapped({"type": "lifespan"}, questions.get, say))
        questions.put_nowait({"type": "lifespan.startup"})
        await wrapped({**request, "path": "a"}, questions.get, say)
        await wrapped({**request, "path": "b"}, questions.get, say)
        questions.put_nowait({"type": "lifespan.shutdown"})
        await life

    asyncio.run(main())

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent
    assert [("a", "o-a"), ("b", "o-b")] == sorted(
        (e.attributes["design_id"], e.attributes["order_id"]) for e in app.receiver.named("design.started")
    )
