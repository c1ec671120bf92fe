"""What the browser's module posts, made in Python; and requests to the route through either edge."""

from __future__ import annotations

import asyncio
import io
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otel_revenue.browser import asgi_app, wsgi_app

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH = "/otel-revenue/v1/logs"
FROM_PAGE = {
    "host": "shop.example",
    "origin": "https://shop.example",
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36",
}
"""The headers of a page's post, as far as they matter."""


def value(item: Any) -> dict[str, Any]:
    """One value as OTLP's JSON has it."""
    if isinstance(item, bool):
        return {"boolValue": item}
    if isinstance(item, int):
        return {"intValue": str(item)}
    if isinstance(item, float):
        return {"doubleValue": item}
    if isinstance(item, list):
        return {"arrayValue": {"values": [value(one) for one in item]}}
    return {"stringValue": item}


def record(
    name: Any = "checkout.start", at_ns: int | None = None, sent_ns: int | None = None, **attributes: Any
) -> dict[str, Any]:
    """One log record; `uid` is the random id that the module gives it."""
    uid = attributes.pop("uid", None)
    pairs = [*([("log.record.uid", uid)] if uid else []), *attributes.items()]
    now_ns = time.time_ns()
    return {
        "timeUnixNano": str(now_ns if at_ns is None else at_ns),
        "observedTimeUnixNano": str(now_ns if sent_ns is None else sent_ns),
        "eventName": name,
        "attributes": [{"key": key, "value": value(item)} for key, item in pairs],
    }


def body(*records: dict[str, Any]) -> bytes:
    """The request that holds them."""
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}).encode()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Sent:
    """One request. `chunks` is the body as it comes in; its length is said unless `chunked`."""

    method: str = "POST"
    path: str = PATH
    headers: dict[str, str] | None = None
    chunks: Iterable[bytes] = ()
    chunked: bool = False
    client: str = "203.0.113.7"

    @property
    def said(self) -> dict[str, str]:
        given = dict(FROM_PAGE if self.headers is None else self.headers)
        if not self.chunked:
            given.setdefault("content-length", str(sum(map(len, self.chunks))))
        return given


class Asgi:
    """The route around an ASGI application that answers "app"; counts the bytes that it was given of bodies."""

    def __init__(self, app: Any = None) -> None:
        self._app = asgi_app(app or self._rest)
        self.taken = 0

    async def _rest(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"app"})

    def ask(self, sent: Sent) -> Reply:
        chunks = list(sent.chunks)
        messages: list[Any] = []

        async def receive() -> Any:
            chunk = chunks.pop(0) if chunks else b""
            self.taken += len(chunk)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": sent.method,
            "path": sent.path,
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in sent.said.items()],
            "client": (sent.client, 1) if sent.client else None,
        }
        asyncio.run(self._app(scope, receive, send))
        headers = {k.decode(): v.decode() for k, v in messages[0]["headers"]}
        return Reply(messages[0]["status"], headers, b"".join(m.get("body", b"") for m in messages[1:]))


class Wsgi:
    """The same for WSGI."""

    def __init__(self, app: Any = None) -> None:
        self._app = wsgi_app(app or self._rest)
        self.taken = 0

    def _rest(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"app"]

    def ask(self, sent: Sent) -> Reply:
        edge = self

        class Counted(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                found = super().read(size)
                edge.taken += len(found)
                return found

        names = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
        environ = {names.get(k) or f"HTTP_{k.upper().replace('-', '_')}": v for k, v in sent.said.items()}
        environ |= {
            "REQUEST_METHOD": sent.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": sent.path,
            "REMOTE_ADDR": sent.client,
        }
        answer: list[Any] = []
        chunks = self._app(
            {**environ, "wsgi.input": Counted(b"".join(sent.chunks))}, lambda *given: answer.extend(given)
        )
        return Reply(int(answer[0].partition(" ")[0]), dict(answer[1]), b"".join(chunks))
