# SPDX-License-Identifier: Apache-2.0
"""
The edge to ASGI: the chunks of an answer are looked at as they go by.

Nothing is held back, changed or read twice. Chunks are kept of JSON answers alone, where a stage asks for a field of them,
and up to a bound. Starlette and FastAPI are met in the route itself, inside of every middleware, where the template is known
and the SERVER span lives; other applications in `RevenueMiddleware`, by their path alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard

from .values import MAX_ANSWER, SEEN, Asked, is_small_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from .stages import Pending, Stages

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]

_looking = guard("stages.answer")


def in_route(stages: Stages) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap `handle` of Starlette's routes."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(route: Any, scope: Scope, receive: Any, send: Send) -> None:
            with guard("stages.request"):
                send = looked_at(stages, scope, send, getattr(route, "path", None))
            await original(route, scope, receive, send)

        return handle

    return wrap


def looked_at(stages: Stages, scope: Scope, send: Send, route: str | None) -> Send:
    """Return *send*, or for a request of a mapped route one that looks at its answer; once for each request."""
    if not stages.active or scope.get("type") != "http" or scope.get(SEEN):
        return send
    scope[SEEN] = True
    candidates = stages.of(scope["method"], route)
    if not candidates:
        return send
    pending = stages.begin(candidates, _asked(scope))
    return send if pending is None else _Answer(send, pending)


def _asked(scope: Scope) -> Asked:
    # `root_path` grows with each mount; what is below the server's own is the application's path.
    path, root = scope["path"], scope.get("app_root_path", scope.get("root_path", ""))
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]

    def header(name: str) -> str | None:
        wanted = name.encode("latin-1")
        return next((value.decode("latin-1") for key, value in scope.get("headers", ()) if key.lower() == wanted), None)

    return Asked(scope["method"], path, scope.get("query_string", b"").decode("latin-1"), header)


class _Answer:
    """Sends an answer's messages on, as they are."""

    __slots__ = ("_chunks", "_done", "_pending", "_send", "_size", "_status")

    def __init__(self, send: Send, pending: Pending) -> None:
        self._send = send
        self._pending = pending
        self._chunks: list[bytes] = []
        self._size = 0
        self._status = 0
        self._done = False

    async def __call__(self, message: Message) -> None:
        if not self._done:
            with _looking:
                self._see(message)
        await self._send(message)

    def _see(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
            if not (self._pending.wants_body(self._status) and _is_small_json(message.get("headers", ()))):
                self._finish(None)
        elif kind == "http.response.body":
            chunk = message.get("body", b"")
            self._size += len(chunk)
            if self._size > MAX_ANSWER:
                self._finish(None)
                return
            self._chunks.append(chunk)
            if not message.get("more_body", False):
                self._finish(b"".join(self._chunks))
        elif kind.startswith("http.response.") and "send" in kind:  # a file: by its path or descriptor
            self._finish(None)

    def _finish(self, body: bytes | None) -> None:
        self._done = True
        self._chunks = []
        self._pending.answered(self._status, lambda: body)


def _is_small_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    found = {name.lower(): value.decode("latin-1") for name, value in headers}
    return is_small_json(found.get(b"content-type"), found.get(b"content-encoding"), found.get(b"content-length"))
