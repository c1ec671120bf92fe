# SPDX-License-Identifier: Apache-2.0
"""
WSGI: start delivering when a process begins to serve.

WSGI has no word for "begins" or "ends". gunicorn's workers begin when they have loaded the application, after the fork; for
all other servers it is the first request that Flask or Django answers in a process. There is nothing to patch for the
end: a process that ends by itself flushes in `atexit`, and what a killed one leaves is on disk.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard
from otel_revenue.signals.spans import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .life import Life


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
