# SPDX-License-Identifier: Apache-2.0
"""
WSGI: start delivering when a process begins to serve.

WSGI has no word for "begins" or "ends". gunicorn's workers begin when they have loaded the application, after the fork; for
all other servers it is the first request that Flask or Django answers in a process. There is nothing to patch for the
end: a process that ends by itself flushes in `atexit`, and what a killed one leaves is on disk.
"""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard
from otel_revenue.instrumentation.stages import active as mapped
from otel_revenue.runtime import active
from otel_revenue.signals.spans import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .life import Life


class RevenueMiddleware:
    """
    Wraps a WSGI application that is neither Flask's nor Django's.

    What is bound holds for its requests, and mapped routes are met by their paths.

    Args:
        app: the application.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        self._pid = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        with guard("wsgi.start"):
            self._begin_once()
        with Request(time.time_ns()):
            answer = None
            stages = mapped.get()
            if stages is not None:
                with guard("stages.request"):
                    from otel_revenue.instrumentation.stages.wsgi import looked_at

                    answer = looked_at(stages, environ, start_response)
            if answer is None:
                return self._app(environ, start_response)
            return answer.watched(self._app(environ, answer.start_response))

    def _begin_once(self) -> None:
        runtime = active.get()
        if runtime is not None and self._pid != os.getpid():
            self._pid = os.getpid()
            runtime.start()


def at_first_request(life: Life) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap `__call__` of a WSGI application."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(app: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - replaces a method of that name
            with guard("wsgi.start"):
                life.begin_once()
            # What is streamed afterwards is no longer part of it: nothing tells when that ends.
            with Request(time.time_ns()) if life.active else nullcontext():
                return original(app, *args, **kwargs)

        return __call__

    return wrap


def when_loaded(life: Life) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap `load_wsgi` of gunicorn's workers: it runs in the worker, also with `--preload`, where the master has loaded the application."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def load_wsgi(worker: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(worker, *args, **kwargs)
            with guard("gunicorn.start"):
                life.begin_once()
            return result

        return load_wsgi

    return wrap
