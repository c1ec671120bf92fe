# SPDX-License-Identifier: Apache-2.0
"""The route as an ASGI application: to be mounted, or around another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard

from .answers import Answer, Request
from .limits import MAX_BODY
from .service import Service, tail_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]


def asgi_app(app: App | None = None, *, path: str = "/otel-revenue") -> App:
    """
    Return the ASGI application that serves the browser's module and takes what it tells.

    Args:
        app: an application to stand in front of; everything that is not ours goes through to it. None: ours alone, to be
            mounted below a path: `app.mount("/otel-revenue", asgi_app())`.
        path: where ours begins, where *app* is given.
    """
    service = Service()
    prefix = "" if app is None else path.rstrip("/")

    async def otel_revenue_browser(scope: Scope, receive: Receive, send: Send) -> None:
        tail = tail_of(scope["path"], prefix) if scope["type"] == "http" else None
        if tail is not None:
            with guard("browser.asgi"):
                await _send(send, await _answer(service, _request(scope, tail), receive))
        elif app is not None:
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await _send(send, Answer(404, (), b""))

    return otel_revenue_browser


def _request(scope: Scope, tail: str) -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["method"].upper(), tail, headers, (scope.get("client") or ("",))[0])


async def _answer(service: Service, request: Request, receive: Receive) -> Answer:
    answer = service.before_body(request)
    return service.with_body(request, await _body(receive)) if answer is None else answer


async def _body(receive: Receive) -> bytes:
    """Return the body, or so much of it that it is known to be too large."""
    body = bytearray()
    while len(body) <= MAX_BODY:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):  # nor has one who has gone away
            break
    return bytes(body)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.said]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
