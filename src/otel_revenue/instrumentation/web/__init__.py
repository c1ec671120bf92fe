# SPDX-License-Identifier: Apache-2.0
"""The web server's side: when a process begins to serve, and when it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .asgi import in_lifespan, with_lifespan
from .life import Life
from .patch import MethodPatch
from .wsgi import at_first_request, when_loaded

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Life", "Servers"]


class Servers:
    """
    Every patch of frameworks and servers.

    Args:
        start, flush: see `Life`.
    """

    def __init__(self, start: Callable[[], None], flush: Callable[[], object]) -> None:
        self._life = life = Life(start, flush)
        self._patches = (
            MethodPatch("starlette.applications", "Starlette", "__call__", in_lifespan(life)),
            MethodPatch("django.core.handlers.asgi", "ASGIHandler", "__call__", with_lifespan(life)),
            MethodPatch("django.core.handlers.wsgi", "WSGIHandler", "__call__", at_first_request(life)),
            MethodPatch("flask.app", "Flask", "__call__", at_first_request(life)),
            MethodPatch("gunicorn.workers.base", "Worker", "load_wsgi", when_loaded(life)),
        )

    def install(self) -> None:
        """Patch what is imported, and the rest when it is."""
        for patch in self._patches:
            patch.install()

    def remove(self) -> None:
        """Put the originals back."""
        self._life.active = False
        for patch in self._patches:
            patch.remove()
