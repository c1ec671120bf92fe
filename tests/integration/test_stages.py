"""Mapped routes in applications of each framework: answers untouched, hostile values cleaned, money left to Stripe."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI, Header, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from flask import Flask
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from werkzeug.test import Client

from otel_revenue import bind, flush
from otel_revenue.instrumentation.stages import stages as stages_module
from otel_revenue.instrumentation.web import wsgi
from otel_revenue.instrumentation.web.asgi import RevenueMiddleware
from support.instrumented import App
from support.receiver import Log, Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

STARTED = {"route": "POST /designs", "event": "design.started"}
APPROVED = {"route": "POST /designs/{id}/approve", "event": "design.approved", "attributes": {"design_id": "path.id"}}
START = {"route": "GET /checkout", "event": "checkout.start"}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        app = App(receiver, tmp_path)
        yield app
        app.instrumentor.uninstrument()


def events(app: App, name: str) -> list[Log]:
    """Return what arrived; every event before this call has."""
    assert flush(45)
    return app.receiver.named(name)


def mapped(app: App, *stages: dict[str, Any], **settings: Any) -> App:
    app.instrument(stages=list(stages), **settings)
    return app


def asking(**attributes: object) -> dict[str, Any]:
    return {**STARTED, "attributes": attributes}


# -- what is no stage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_what_is_no_stage(app: App, framework: str) -> None:
    """A refusal, a redirect, an exception, another method and another route of the same form are none; the wanted answer is one."""
    mapped(app, APPROVED)
    client = _fastapi_shop() if framework == "fastapi" else _flask_shop()
    for path, status in (("d-1", 200), ("missing", 404), ("moved", 303), ("broken", 500), ("new", 200)):
        assert status == client("POST", f"/designs/{path}/approve")
    assert client("GET", "/designs/d-1/approve") in (404, 405)
    assert client("HEAD", "/designs/d-1/approve") in (404, 405)

    assert ["d-1"] == [e.attributes["design_id"] for e in events(app, "design.approved")]


def _fastapi_shop() -> Any:
    shop, router = FastAPI(), APIRouter(prefix="/{design_id}")

    @shop.post("/designs/new/approve")
    def new() -> None: ...

    @router.post("/approve", response_model=None)
    def approve(design_id: str) -> Response | None:
        if design_id == "broken":
            raise RuntimeError
        if design_id == "moved":
            return RedirectResponse("/", 303)
        return Response(status_code=404) if design_id == "missing" else None

    shop.include_router(router, prefix="/designs")
    client = TestClient(shop, raise_server_exceptions=False, follow_redirects=False)
    return lambda method, path: client.request(method, path).status_code


def _flask_shop() -> Any:
    shop = Flask("shop")

    @shop.post("/designs/new/approve")
    def new() -> str:
        return ""

    @shop.post("/designs/<design_id>/approve")
    def approve(design_id: str) -> Any:
        if design_id == "broken":
            raise RuntimeError
        if design_id == "moved":
            return "", 303
        return ("", 404) if design_id == "missing" else ""

    client = Client(shop)
    return lambda method, path: client.open(path, method=method).status_code


@pytest.mark.parametrize("root", ["", "/proxy"])
def test_a_mounted_application_is_met_by_its_whole_path(app: App, root: str) -> None:
    """A route below a mount is meant with its prefix; the same route elsewhere is another one."""
    mapped(app, {**APPROVED, "route": "POST /api/designs/{id}/approve"})

    async def approve(_: Any) -> JSONResponse:
        return JSONResponse({})

    route = Route("/designs/{design_id}/approve", approve, methods=["POST"])
    client = TestClient(Starlette(routes=[Mount("/api", routes=[route]), route]), root_path=root)
    for path in ("/api/designs/d-1/approve", "/designs/d-2/approve"):
        assert client.post(f"{root}{path}").is_success

    assert ["d-1"] == [e.attributes["design_id"] for e in events(app, "design.approved")]


# -- answers -----------------------------------------------------------------------------------------------------------


BODIES = {
    "small": (b'{"design_id": "d-1"}', "application/json"),
    "large": (json.dumps({"design_id": "d-1", "x": "x" * 5_000_000}).encode(), "application/json"),
    "html": (b'{"design_id": "d-1"}', "text/html"),
    "no json": (b"{'design_id': 'd-1'}", "application/json"),
    "empty": (b"", "application/json"),
}


@pytest.mark.parametrize("chunk", [1, 7, 10**7])
@pytest.mark.parametrize("kind", BODIES)
def test_asgi_answers_pass_untouched(app: App, kind: str, chunk: int) -> None:
    """The very messages of an answer reach the server, one by one as they are sent; a small JSON one tells its field, whatever its chunks."""
    body, content_type = BODIES[kind]
    chunk = max(chunk, len(body) // 1000)
    sent: list[dict[str, Any]] = [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type.encode())]},
        *(
            {"type": "http.response.body", "body": body[i : i + chunk], "more_body": True}
            for i in range(0, len(body), chunk)
        ),
        {"type": "http.response.body", "body": b""},
    ]
    received: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        for number, message in enumerate(sent):
            await send(message)
            assert received[-1] is message
            assert number + 1 == len(received)

    mapped(app, asking(design_id="answer.design_id"))
    _run(RevenueMiddleware(application), received)
    (event,) = events(app, "design.started")

    assert sent == received
    assert ("d-1" if kind == "small" else None) == event.attributes.get("design_id")


def _run(application: Any, received: list[Any]) -> None:
    scope = {"type": "http", "method": "POST", "path": "/designs", "headers": [], "query_string": b""}

    async def send(message: Any) -> None:
        received.append(message)

    coroutine = application(scope, None, send)
    with pytest.raises(StopIteration):
        coroutine.send(None)


@pytest.mark.parametrize("kind", BODIES)
def test_wsgi_answers_pass_untouched(app: App, kind: str) -> None:
    """The very chunks of an answer reach the server, and its iterable is closed; without a field that is wanted it is the application's own."""
    body, content_type = BODIES[kind]
    chunks, closed = [body[:5], body[5:]], []

    class Lazy:
        def __iter__(self) -> Iterator[bytes]:
            yield from chunks

        def close(self) -> None:
            closed.append(True)

    def application(_: Any, start_response: Any) -> Lazy:
        start_response("200 OK", [("Content-Type", content_type)])
        return lazy

    lazy = Lazy()
    mapped(app, asking(design_id="answer.design_id"), {**STARTED, "route": "PUT /designs"})
    wrapped = wsgi.RevenueMiddleware(application)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/designs", "QUERY_STRING": ""}
    result = wrapped(environ, lambda *_: None)
    seen = list(result)
    result.close()
    plain = wrapped({"REQUEST_METHOD": "PUT", "PATH_INFO": "/designs"}, lambda *_: None)
    told = [e.attributes.get("design_id") for e in events(app, "design.started")]

    assert (chunks, [True], True) == (seen, closed, plain is lazy)
    assert ["d-1" if kind == "small" else None, None] == told


@pytest.mark.parametrize("lazy", [False, True])
def test_a_wsgi_application_of_another_make(app: App, lazy: bool) -> None:
    """Wrapped in `RevenueMiddleware` what it binds holds for its request alone, and its events are delivered by themselves."""
    mapped(app, asking(design_id="answer.id"))

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if "plan" in environ["QUERY_STRING"]:
            bind(tier="pro")
        start_response("201 Created", [("Content-Type", "application/json")])
        yield b'{"id": 7}'

    def eager(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return list(application(environ, start_response))

    client = Client(wsgi.RevenueMiddleware(application if lazy else eager))
    answers = [client.post(f"/designs{query}").get_data() for query in ("?plan", "")]
    tiers = [(e.attributes["design_id"], e.attributes.get("tier")) for e in events(app, "design.started")]

    assert [b'{"id": 7}'] * 2 == answers
    assert [("7", None if lazy else "pro"), ("7", None)] == tiers  # what binds while it is sent is beyond its request


def test_a_stream_is_a_stage_when_it_begins(app: App) -> None:
    """Of an answer that nobody looks into the stage is recorded with its first message, not with its last."""
    mapped(app, STARTED)
    recorded = []
    shop = FastAPI()

    @shop.post("/designs")
    async def start() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            recorded.append(len(events(app, "design.started")))
            yield b"data: 2\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    answer = TestClient(shop).post("/designs")

    assert ("data: 1\n\ndata: 2\n\n", [1]) == (answer.text, recorded)


def test_compression_outside_of_the_route_hides_nothing(app: App) -> None:
    """The answer is seen as the route gives it, before a middleware compresses it."""
    mapped(app, asking(design_id="answer.design_id"))
    shop = FastAPI()
    shop.add_middleware(GZipMiddleware, minimum_size=1)

    @shop.post("/designs")
    def start() -> dict[str, str]:
        return {"design_id": "d-1", "x": "x" * 2000}

    answer = TestClient(shop).post("/designs", headers={"Accept-Encoding": "gzip"})

    assert ("gzip", "d-1") == (answer.headers["content-encoding"], answer.json()["design_id"])
    assert ["d-1"] == [e.attributes.get("design_id") for e in events(app, "design.started")]


@pytest.mark.parametrize("streamed", [False, True])
def test_flask_answers(app: App, streamed: bool) -> None:
    """A whole JSON answer tells its field; a streamed one goes by unseen, and is a stage all the same."""
    mapped(app, asking(design_id="answer.design_id"))
    shop = Flask("shop")

    @shop.post("/designs")
    def start() -> Any:
        if streamed:
            return shop.response_class(iter(['{"design_id"', ': "d-1"}']), mimetype="application/json")
        return {"design_id": "d-1"}

    answer = Client(shop).post("/designs")

    assert {"design_id": "d-1"} == answer.get_json()
    assert [None if streamed else "d-1"] == [e.attributes.get("design_id") for e in events(app, "design.started")]


# -- values ------------------------------------------------------------------------------------------------------------


HOSTILE = {
    "jane.doe@person.example": "jane.doe@person.example",
    "4242 4242 4242 4242": "4242 4242 4242 4242",
    "+49 170 1234567": "1234567",
    "<script>alert(1)</script>"
    * 40: "alert(1)</script><script>alert(1)</script><script>alert(1)</script><script>alert(1)</script>" * 4,
}


@pytest.mark.parametrize("value", HOSTILE)
def test_personal_data_in_a_mapped_value_does_not_leave(app: App, value: str) -> None:
    """What looks like personal data in tier, surface or order is masked or left out, on the event, on the span and in the store."""
    mapped(app, asking(tier="query.tier", surface="query.surface", order_id="query.order", journey_id="value.j-1"))
    shop = FastAPI()

    @shop.post("/designs")
    def start() -> None: ...

    with app.tracers.get_tracer("web").start_as_current_span("POST /designs", kind=SpanKind.SERVER):
        TestClient(shop).post("/designs", params={"tier": value, "surface": value, "order": value})
    (event,) = events(app, "design.started")
    (span,) = app.spans.get_finished_spans()
    app.instrumentor.uninstrument()
    stored = b"".join(path.read_bytes() for path in sorted(app.folder.rglob("*")) if path.is_file())
    left = f"{event.attributes} {span.attributes} {[e.attributes for e in span.events]} {stored!r}"

    assert HOSTILE[value] not in left
    assert all(len(v) < 255 for v in event.attributes.values() if isinstance(v, str))


def test_the_answer_precedes_the_visitor_where_it_is_listed_first(app: App) -> None:
    """On the event, on the request's span and on what follows the order it is the application's word, and the visitor's where that is silent."""
    attributes: dict[str, object] = {name: [f"answer.{name}", f"query.{name}"] for name in ("tier", "surface")}
    mapped(app, asking(**attributes))
    shop = FastAPI()

    @shop.post("/designs")
    def start(silent: bool = False) -> dict[str, str]:
        return {} if silent else {"tier": "pro", "surface": "home"}

    client = TestClient(shop)
    with app.tracers.get_tracer("web").start_as_current_span("POST /designs", kind=SpanKind.SERVER):
        client.post("/designs?tier=forged&surface=forged")
    client.post("/designs?tier=said&surface=page&silent=true")
    (span,) = app.spans.get_finished_spans()

    assert [("pro", "home", "explicit"), ("said", "page", "explicit")] == [
        tuple(e.attributes[name] for name in ("tier", "surface", "surface_source"))
        for e in events(app, "design.started")
    ]
    assert "pro" == (span.attributes or {})["tier"]


def test_what_the_application_binds_precedes_the_mapping(app: App) -> None:
    """What code says of its order stands; the mapping fills in what code does not say."""
    mapped(app, asking(tier="query.tier", order_id="query.order", surface="query.surface"))
    shop = FastAPI()

    @shop.post("/designs")
    def start() -> None:
        bind(order_id="o-code", surface="code")

    TestClient(shop).post("/designs?tier=pro&order=o-query&surface=query")
    (event,) = events(app, "design.started")

    assert ("o-code", "pro", "code", "explicit") == tuple(
        event.attributes[name] for name in ("order_id", "tier", "surface", "surface_source")
    )


SURFACES = [
    ({"utm_source": "News", "utm_medium": "email", "gclid": "x"}, "https://a.example/", "news/email", "utm"),
    ({"utm_source": "jane@person.example"}, "https://a.example/x?y", "a.example", "referrer"),
    ({"utm_source": "click-1234567890"}, "http://www.b.example", "b.example", "referrer"),
    ({}, "http://testserver/pricing", "/designs", "route"),
    ({}, "https://checkout.stripe.com/c/pay", "/designs", "route"),
    ({}, "http://10.1.2.3/", "/designs", "route"),
    ({}, "http://[", "/designs", "route"),
    ({}, "", "/designs", "route"),
    ({"s": "studio", "utm_source": "news"}, "", "studio", "explicit"),
]


@pytest.mark.parametrize(("query", "referrer", "surface", "source"), SURFACES)
def test_the_surface_of_a_request(app: App, query: dict[str, str], referrer: str, surface: str, source: str) -> None:
    """The best source that says something: the application, the campaign, another site's host, the route; never a URL or a person."""
    mapped(app, asking(surface="query.s"))
    shop = FastAPI()

    @shop.post("/designs")
    def start() -> None: ...

    TestClient(shop).post("/designs", params=query, headers={"Referer": referrer})
    (event,) = events(app, "design.started")

    assert (surface, source) == (event.attributes["surface"], event.attributes["surface_source"])


MACHINES = [
    ({"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, True),
    ({"Sec-Purpose": "prefetch;prerender"}, True),
    ({"Purpose": "prefetch"}, True),
    ({"User-Agent": "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36"}, None),
    ({"User-Agent": "python-requests/2.32"}, None),
    ({"User-Agent": ""}, None),
]


@pytest.mark.parametrize(("headers", "synthetic"), MACHINES)
def test_machines_are_marked(app: App, headers: dict[str, str], synthetic: bool | None) -> None:
    """A crawler's and a prefetching browser's request is a stage that says so; a front end that calls the shop is no machine."""
    mapped(app, START)
    shop = FastAPI()

    @shop.get("/checkout")
    def page() -> None: ...

    TestClient(shop).get("/checkout", headers=headers)

    assert [synthetic] == [e.attributes.get("synthetic") for e in events(app, "checkout.start")]


def test_words_of_visitors_are_few(app: App) -> None:
    """However many tiers and campaigns a visitor makes up, a bounded number of them labels a metric."""
    mapped(app, asking(tier="query.tier"))
    shop = FastAPI()

    @shop.post("/designs")
    def start() -> None: ...

    with TestClient(shop) as client:
        for number in range(250):
            client.post(f"/designs?tier=t{number}&utm_source=s{number}")
    found = events(app, "design.started")

    assert (201, 201) == tuple(len({e.attributes[name] for e in found}) for name in ("tier", "surface"))


def test_the_own_site_behind_a_proxy_is_no_referrer(app: App) -> None:
    """A page of the shop that a proxy knows by its public name is not taken for another site."""
    mapped(app, STARTED)
    shop = FastAPI()

    @shop.post("/designs")
    def start() -> None: ...

    headers = {
        "Host": "shop.internal:8000",
        "X-Forwarded-Host": "www.shop.example",
        "Referer": "https://shop.example/x",
    }
    TestClient(shop).post("/designs", headers=headers)

    assert ["route"] == [e.attributes["surface_source"] for e in events(app, "design.started")]


def test_which_sources_may_speak(app: App) -> None:
    """A source that is not named in the setting is not asked."""
    mapped(app, STARTED, surface_from="referrer")
    shop = FastAPI()

    @shop.post("/designs")
    def start(referer: str = Header(default="")) -> None: ...

    client = TestClient(shop)
    client.post("/designs?utm_source=news", headers={"Referer": "https://a.example"})
    client.post("/designs?utm_source=news")

    assert ["a.example", None] == [e.attributes.get("surface") for e in events(app, "design.started")]


# -- what is told ------------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_told_at_start(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong entry is one line in the log; the others work."""
    with caplog.at_level(logging.ERROR):
        mapped(app, {"route": "POST /designs", "event": "design.begun"}, START, events=[{"name": "x"}])
    shop = FastAPI()

    @shop.get("/checkout")
    def page() -> None: ...

    TestClient(shop).get("/checkout")

    assert [True, True] == [
        "stages, entry 1" in caplog.text and "design.begun" in caplog.text,
        "events, entry 1" in caplog.text,
    ]
    assert 1 == len(events(app, "checkout.start"))


def test_a_route_that_nobody_asks_for_is_told_once(
    app: App, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a number of requests a mapped route that was none of them is told, with the one that it may be; once."""
    monkeypatch.setattr(stages_module, "PATIENCE", 10)
    mapped(app, {**START, "route": "GET /chekout"}, {**STARTED, "route": "GET /designs"}, {**START, "status": 201})
    shop = FastAPI()

    @shop.get("/checkout")
    def page() -> None: ...

    @shop.get("/designs")
    def designs() -> None: ...

    with TestClient(shop) as client, caplog.at_level(logging.WARNING):
        for _ in range(25):
            assert client.get("/checkout").is_success
            assert client.get("/designs").is_success
    told = [r.getMessage() for r in caplog.records if "stages:" in r.getMessage()]

    assert 2 == len(told)
    assert "GET /chekout" in told[0]
    assert "did you mean GET /checkout?" in told[0]
    assert "GET /checkout was answered 20 times" in told[1]


def test_own_events_are_mapped(app: App) -> None:
    """An event that the file declares is recorded with the attributes that it declares, checked as ours are."""
    quote = {
        "name": "quote.requested",
        "meaning": "The buyer asked for a quote.",
        "attributes": {
            "quote_id": {"kind": "id", "meaning": "The shop's id of the quote.", "example": "q-7"},
            "page_count": {"kind": "count", "unit": "{page}", "meaning": "Number of pages.", "example": 12},
        },
    }
    stage = {
        "route": "POST /designs",
        "event": "quote.requested",
        "attributes": {"quote_id": "answer.id", "page_count": "query.p"},
    }
    mapped(app, stage, events=[quote])
    shop = FastAPI()

    @shop.post("/designs")
    def start() -> dict[str, int]:
        return {"id": 7}

    client = TestClient(shop)
    client.post("/designs?p=12")
    client.post("/designs?p=many")

    assert [("7", 12), ("7", None)] == [
        (e.attributes["quote_id"], e.attributes.get("page_count")) for e in events(app, "quote.requested")
    ]


@pytest.mark.swallow
def test_a_failure_of_ours_leaves_the_answer_alone(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails in us, before or after the answer, the application's answer is its own."""
    mapped(app, asking(design_id="answer.id"))
    shop = FastAPI()

    @shop.post("/designs")
    def start() -> dict[str, str]:
        return {"id": "d-1"}

    flask_shop = Flask("shop")
    flask_shop.post("/designs")(lambda: {"id": "d-1"})
    answers = []
    for name in ("begin", "reached"):
        with monkeypatch.context() as patch:
            patch.setattr(stages_module.Stages, name, lambda *_: 1 / 0)
            answers += [TestClient(shop).post("/designs").json(), Client(flask_shop).post("/designs").get_json()]

    assert [{"id": "d-1"}] * 4 == answers


def test_without_a_mapping_nothing_is_patched(app: App) -> None:
    """Whoever maps nothing pays nothing: no framework's route is touched."""
    before = Route.handle, Flask.full_dispatch_request
    app.instrument()
    untouched = (Route.handle, Flask.full_dispatch_request) == before
    app.instrumentor.uninstrument()
    mapped(app, STARTED)
    touched = Route.handle is not before[0]
    app.instrumentor.uninstrument()

    assert (True, True, True) == (untouched, touched, (Route.handle, Flask.full_dispatch_request) == before)
    assert "flask" in sys.modules
