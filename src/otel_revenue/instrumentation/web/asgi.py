# SPDX-License-Identifier: Apache-2.0
"""
ASGI: start delivering when the application starts, flush before it stops.

Under uvicorn a SIGTERM ends the process without `atexit`: the lifespan's shutdown is the last moment there is. Starlette,
FastAPI and Django applications are reached by patching their `__call__`; any other ASGI application by wrapping it in
`RevenueMiddleware`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard
from otel_revenue.instrumentation.stages import active as mapped
from otel_revenue.runtime import active
from otel_revenue.signals.spans import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from contextlib import AbstractContextManager

    from .life import Life

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

    Start = Callable[[], None]
    Flush = Callable[[], object]

_MARK = "otel_revenue.lifespan"
_ANSWERED = "otel_revenue.request"
_NOT_HERE = nullcontext()


class RevenueMiddleware:
    """
    Wraps an ASGI application that is not Starlette's.

    Args:
        app: the application.
        start: called when the application has started; by default delivery begins, where we are instrumented by then.
        flush: called, in a thread, before the application says that it has stopped; must be bounded in time. By default
            what waits is delivered within `OTEL_REVENUE_FLUSH_TIMEOUT`.
    """

    def __init__(self, app: App, start: Start | None = None, flush: Flush | None = None) -> None:
        self._app = app
        self._start = start or _start_active
        self._flush = flush or _flush_active

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with answering(scope):
            send = watched(scope, send, self._start, self._flush)
            stages = mapped.get()
            if stages is not None:
                with guard("stages.request"):
                    from otel_revenue.instrumentation.stages.asgi import looked_at

                    send = looked_at(stages, scope, send, None)
            await self._app(scope, receive, send)


def _start_active() -> None:
    runtime = active.get()
    if runtime is not None:
        runtime.start()


def _flush_active() -> None:
    runtime = active.get()
    if runtime is not None:
        runtime.wind_down()


def answering(scope: Scope) -> AbstractContextManager[object]:
    """Return what a request is answered in; the outermost application alone does it, and no lifespan is a request."""
    if scope.get("type") not in ("http", "websocket") or scope.get(_ANSWERED):
        return _NOT_HERE
    scope[_ANSWERED] = True
    return Request(time.time_ns())


def watched(scope: Scope, send: Send, start: Start, flush: Flush) -> Send:
    """Return *send*, or for a lifespan one that starts and flushes at the right messages; the outermost application alone does it."""
    if scope.get("type") != "lifespan" or scope.get(_MARK):
        return send
    scope[_MARK] = True

    async def sender(message: Message) -> None:
        kind = message.get("type")
        if kind == "lifespan.startup.complete":
            with guard("asgi.start"):
                start()
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            with guard("asgi.flush"):
                await _in_thread(flush)
        await send(message)

    return sender


async def _in_thread(flush: Flush) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # another async library: the flush is bounded, and the application has stopped serving
        flush()
        return
    await loop.run_in_executor(None, flush)


def in_lifespan(life: Life) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap `__call__` of an ASGI application that answers the lifespan itself."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def __call__(app: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807 - replaces a method of that name
            if not life.active:
                await original(app, scope, receive, send)
                return
            with answering(scope):
                await original(app, scope, receive, watched(scope, send, life.begin, life.end))

        return __call__

    return wrap


def with_lifespan(life: Life) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap `__call__` of an ASGI application that refuses the lifespan, as Django does: it is answered in its place."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def __call__(app: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807 - replaces a method of that name
            if life.active and scope.get("type") == "lifespan":
                await _answer_lifespan(receive, watched(scope, send, life.begin, life.end))
                return
            with guard("asgi.start"):
                life.begin_once()
            with answering(scope) if life.active else nullcontext():
                await original(app, scope, receive, send)

        return __call__

    return wrap


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive()).get("type")
        if kind == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif kind == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
