# SPDX-License-Identifier: Apache-2.0
"""The route as a WSGI application: to be mounted, or around another one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard

from .answers import Answer, Request, refusal
from .service import Service, tail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Environ = dict[str, Any]
    App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def wsgi_app(app: App | None = None, *, path: str = "/otel-revenue") -> App:
    """
    Return the WSGI application that serves the browser's module and takes what it tells.

    Args:
        app: an application to stand in front of; everything that is not ours goes through to it:
            `application = wsgi_app(application)`. None: ours alone, to be mounted below a path.
        path: where ours begins, where *app* is given.
    """
    service = Service()
    prefix = "" if app is None else path.rstrip("/")

    def otel_revenue_browser(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        tail = tail_of(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), prefix)
        if tail is None and app is not None:
            return app(environ, start_response)
        answer = Answer(404 if tail is None else 500, (), b"")
        if tail is not None:
            with guard("browser.wsgi"):
                answer = _answer(service, _request(environ, tail), environ)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.said)
        return [answer.body]

    return otel_revenue_browser


def _request(environ: Environ, tail: str) -> Request:
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        if environ.get(key):
            headers[name] = environ[key]
    return Request(environ["REQUEST_METHOD"].upper(), tail, headers, environ.get("REMOTE_ADDR", ""))


def _answer(service: Service, request: Request, environ: Environ) -> Answer:
    answer = service.before_body(request)
    if answer is not None:
        return answer
    if "content-length" not in request.headers:  # WSGI has no other way to say where a body ends
        return refusal("length")
    return service.with_body(request, environ["wsgi.input"].read(int(request.headers["content-length"])))
