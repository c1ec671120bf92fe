# SPDX-License-Identifier: Apache-2.0
"""
ASGI: start delivering when the application starts, flush before it stops.

Under uvicorn a SIGTERM ends the process without `atexit`: the lifespan's shutdown is the last moment there is. Starlette
and FastAPI applications are reached by patching `Starlette.__call__`; any other ASGI application by wrapping it in
`RevenueMiddleware`.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

    Start = Callable[[], None]
    Flush = Callable[[], object]

_MARK = "otel_revenue.lifespan"


class RevenueMiddleware:
    """
    Wraps an ASGI application that is not Starlette's.

    Args:
        app: the application.
        start: called when the application has started; `otel_revenue`'s own by default.
        flush: called, in a thread, before the application says that it has stopped; must be bounded in time.
    """

    def __init__(self, app: App, start: Start, flush: Flush) -> None:
        self._app = app
        self._start = start
        self._flush = flush

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, watched(scope, send, self._start, self._flush))


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


class StarlettePatch:
    """Patches `Starlette.__call__` once starlette is imported; `remove` puts the original back."""

    def __init__(self, start: Start, flush: Flush) -> None:
        self._start = start
        self._flush = flush
        self._original: Any = None
        self._cls: Any = None
        self._active = True

    def apply(self, module: Any) -> None:
        """Patch the class in *module* (`starlette.applications`)."""
        if not self._active or self._cls is not None:
            return
        cls = module.Starlette
        original = inspect.getattr_static(cls, "__call__")

        async def __call__(app: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807 - replaces a method of that name
            await original(
                app, scope, receive, watched(scope, send, self._start, self._flush) if self._active else send
            )

        __call__.__wrapped__ = original  # type: ignore[attr-defined]
        cls.__call__ = __call__
        self._cls, self._original = cls, original

    def remove(self) -> None:
        """Put the original back; if somebody patched over ours, become a pass-through instead."""
        self._active = False
        if (
            self._cls is not None
            and getattr(inspect.getattr_static(self._cls, "__call__"), "__wrapped__", None) is self._original
        ):
            self._cls.__call__ = self._original
