"""When a process begins to serve and when it stops, seen by the patches of frameworks and servers."""

from __future__ import annotations

import asyncio
import inspect
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from flask import Flask
from gunicorn.workers.base import Worker
from starlette.applications import Starlette

from otel_revenue.instrumentation.web import Life, Servers
from otel_revenue.instrumentation.web.asgi import RevenueMiddleware
from otel_revenue.instrumentation.web.patch import MethodPatch
from otel_revenue.instrumentation.web.wsgi import at_first_request, when_loaded
from otel_revenue.runtime import active

if TYPE_CHECKING:
    from collections.abc import Iterator

PATCHED = [(Starlette, "__call__"), (ASGIHandler, "__call__"), (WSGIHandler, "__call__"), (Flask, "__call__"), (Worker, "load_wsgi")]  # fmt: skip


class Calls(list[str]):
    """What was called, in order."""

    def start(self) -> None:
        self.append("start")

    def flush(self) -> None:
        self.append("flush")


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def installed(calls: Calls) -> Iterator[Servers]:
    servers = Servers(calls.start, calls.flush)
    servers.install()
    yield servers
    servers.remove()


def _lifespan(app: Any) -> list[str]:
    """Play a server's lifespan; return what the application answers."""
    answers: list[str] = []
    questions = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(questions)}

    async def send(message: Any) -> None:
        answers.append(message["type"])

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    return answers


def test_what_is_installed_is_put_back() -> None:
    """`remove` leaves every class as it was, to the object; what is patched looks to servers as before."""
    before = [inspect.getattr_static(cls, name) for cls, name in PATCHED]
    servers = Servers(list, list)
    servers.install()
    during = [inspect.getattr_static(cls, name) for cls, name in PATCHED]
    servers.remove()
    after = [inspect.getattr_static(cls, name) for cls, name in PATCHED]

    assert not any(a is b for a, b in zip(before, during, strict=True))
    assert [inspect.iscoroutinefunction(b) for b in before] == [inspect.iscoroutinefunction(d) for d in during]
    assert all(a is b for a, b in zip(before, after, strict=True))


def test_a_flask_application_begins_with_its_first_request(installed: Servers, calls: Calls) -> None:
    """Once in a process, before the first request is answered."""
    app = Flask("shop")
    app.get("/")(lambda: f"{len(calls)}")
    with app.test_client() as client:
        answers = [client.get("/").text for _ in range(3)]

    assert (["1", "1", "1"], ["start"]) == (answers, calls)


def test_a_forked_process_begins_anew() -> None:
    """Each process has a first request of its own."""
    calls = Calls()
    life = Life(calls.start, calls.flush)
    call = at_first_request(life)(lambda app: len(calls))
    parent = [call(None), call(None)]
    child = os.fork()
    if child == 0:
        os._exit(call(None) + call(None))
    _, status = os.waitpid(child, 0)

    assert ([1, 1], 4) == (parent, os.waitstatus_to_exitcode(status))


def test_djangos_lifespan_is_answered(installed: Servers, calls: Calls) -> None:
    """Django refuses the lifespan; under us its servers get an answer, and we a moment to flush."""
    answers = _lifespan(ASGIHandler.__new__(ASGIHandler))

    assert (["lifespan.startup.complete", "lifespan.shutdown.complete"], ["start", "flush"]) == (answers, calls)


def test_starlettes_own_lifespan(installed: Servers, calls: Calls) -> None:
    """An application with a lifespan of its own answers itself; we begin after its start and flush after its end."""
    answers = _lifespan(Starlette())

    assert (["lifespan.startup.complete", "lifespan.shutdown.complete"], ["start", "flush"]) == (answers, calls)


def test_the_middleware_begins_and_ends_the_active_runtime(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any ASGI application in the middleware starts and flushes; in a process that is not instrumented nothing happens."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await receive()
            await send({"type": answer})

    bare = _lifespan(RevenueMiddleware(app))
    before = list(calls)
    monkeypatch.setattr(active, "get", lambda: SimpleNamespace(start=calls.start, wind_down=calls.flush))
    _lifespan(RevenueMiddleware(app))

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == bare
    assert ([], ["start", "flush"]) == (before, calls)


def test_a_worker_of_gunicorn_begins_when_it_has_loaded(calls: Calls) -> None:
    """After the application was loaded, in the worker; what fails there is gunicorn's, and starts nothing."""
    life = Life(calls.start, calls.flush)
    load = when_loaded(life)(lambda worker: worker.load())
    with pytest.raises(ImportError):
        load(SimpleNamespace(load=lambda: __import__("no_such_module")))
    before = list(calls)
    loaded = load(SimpleNamespace(load=lambda: "app"))

    assert ([], "app", ["start"]) == (before, loaded, calls)


def test_after_removal_nothing_is_called() -> None:
    """Where somebody patched over ours it stays in place, and lets everything pass."""
    calls = Calls()
    servers = Servers(calls.start, calls.flush)
    servers.install()
    ours = Flask.__call__
    Flask.__call__ = lambda self, *args: ours(self, *args)  # type: ignore[method-assign,misc]
    try:
        servers.remove()
        app = Flask("shop")
        app.get("/")(lambda: "ok")
        with app.test_client() as client:
            answer = client.get("/").text
    finally:
        Flask.__call__ = ours.__wrapped__  # type: ignore[attr-defined,method-assign]

    assert ("ok", []) == (answer, calls)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(SimpleNamespace(), id="no class"),
        pytest.param(SimpleNamespace(App=type("App", (), {})), id="no method"),
        pytest.param(SimpleNamespace(App=type("App", (Flask,), {})), id="inherited"),
        pytest.param(SimpleNamespace(App=type("App", (), {"__call__": staticmethod(print)})), id="of another kind"),
    ],
)
def test_what_has_another_shape_is_left_alone(module: Any) -> None:
    """A release that moved its class loses our start, never its own."""
    before = dict(vars(getattr(module, "App", SimpleNamespace())))
    MethodPatch("nowhere", "App", "__call__", at_first_request(Life(list, list))).apply(module)

    assert before == dict(vars(getattr(module, "App", SimpleNamespace())))
