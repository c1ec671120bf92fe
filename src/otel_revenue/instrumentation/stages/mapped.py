# SPDX-License-Identifier: Apache-2.0
"""What is mapped in an application, and where its frameworks are patched for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_revenue._guard import logger
from otel_revenue.instrumentation.web.patch import MethodPatch
from otel_revenue.signals import record

from . import active, asgi, django, flask
from .mapping import parse
from .stages import Stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_revenue.config import Settings
    from otel_revenue.runtime import Runtime

    from .mapping import Stage


def mapped(settings: Settings, runtime: Runtime) -> Mapped:
    """Declare the application's own events, and map its routes; what is wrong is logged, and the rest stands."""
    found, problems = read(settings)
    for problem in problems:
        logger.error("otel-revenue: %s", problem)
    result = Mapped(found, runtime)
    result.install()
    return result


def read(settings: Settings) -> tuple[list[Stage], list[str]]:
    """Declare the application's own events; return its stages, and what is wrong with either, in the reader's words."""
    problems: list[str] = []
    if settings.events:
        from otel_revenue.schema import own  # with the models behind it: nobody else needs them at run time

        events, problems = own.of_settings(settings.events)
        for name, attributes in events.items():
            record.declare(name, attributes)
    stages, wrong = parse(settings.stages, record.recordable())
    return stages, problems + wrong


class Mapped:
    """
    The mapped routes of an application, with every patch of its frameworks. Without a route nothing is patched.

    Args:
        found: what is mapped.
        runtime: the running parts.
    """

    def __init__(self, found: Sequence[Stage], runtime: Runtime) -> None:
        self._stages = stages = Stages(found, runtime)
        base = "django.core.handlers.base", "BaseHandler"
        every = (
            MethodPatch("starlette.routing", "Route", "handle", asgi.in_route(stages)),
            MethodPatch("fastapi.routing", "APIRoute", "handle", asgi.in_route(stages)),
            MethodPatch("flask.app", "Flask", "full_dispatch_request", flask.in_dispatch(stages)),
            MethodPatch(*base, "resolve_request", django.when_resolved(stages)),
            MethodPatch(*base, "_get_response", django.when_answered),
            MethodPatch(*base, "_get_response_async", django.when_answered_async),
        )
        self._patches = every if found else ()

    def install(self) -> None:
        """Patch what is imported, and the rest when it is."""
        active.set_(self._stages if self._patches else None)
        for patch in self._patches:
            patch.install()

    def remove(self) -> None:
        """Put the originals back."""
        active.set_(None)
        self._stages.active = False
        for patch in self._patches:
            patch.remove()
