# SPDX-License-Identifier: Apache-2.0
"""What becomes of requests whose routes are mapped: their order context when they come, their event when they are answered."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from otel_revenue._guard import logger
from otel_revenue.runtime import surfaces
from otel_revenue.runtime.orders import EXPLICIT
from otel_revenue.signals import bound

from . import values
from .routes import is_part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_revenue.runtime import Runtime

    from .mapping import Stage
    from .values import Asked

    Body = Callable[[], bytes | None]

PATIENCE: Final = 1000
"""Requests after which a mapped route that none of them had is told."""
_MISSES: Final = 20
"""Answers of a mapped route after which a status that none of them had is told."""
_MOST_ROUTES: Final = 2000


class Stages:
    """
    Every mapped route.

    Args:
        stages: what is mapped.
        runtime: the running parts.

    Attributes:
        active: once False, nothing is looked at any more.
    """

    def __init__(self, stages: Sequence[Stage], runtime: Runtime) -> None:
        self.active = True
        self.runtime = runtime
        self._stages = tuple(stages)
        self._by_route: dict[tuple[str, str | None], tuple[Stage, ...]] = {}
        self._untold = set(stages)
        self._asked = 0
        self._statuses: dict[Stage, list[int]] = {stage: [] for stage in stages}

    def of(self, method: str, route: str | None) -> tuple[Stage, ...]:
        """
        Return what may be mapped for a request; asked for every request.

        *route* is the framework's own template, or the end of it; None where no framework tells it.
        """
        asked = self._asked = self._asked + 1
        if asked >= PATIENCE and self._untold:
            self._tell_unmet()
        found = self._by_route.get((method, route))
        if found is None:
            found = tuple(
                stage
                for stage in self._stages
                if stage.method == method and (route is None or is_part_of(route, stage.template.shape))
            )
            if len(self._by_route) < _MOST_ROUTES:
                self._by_route[method, route] = found
        return found

    def begin(self, candidates: Sequence[Stage], asked: Asked) -> Pending | None:
        """Bind what the request tells of its order; returns what waits for its answer, None where it is no mapped route after all."""
        begun = []
        known: dict[str, Any] = {}
        for stage in candidates:
            placeholders = stage.template.match(asked.path)
            if placeholders is None:
                continue
            self._untold.discard(stage)
            told, refused = values.before(stage, asked, placeholders)
            self.runtime.bound_words(told)
            begun.append((stage, told, refused))
            known.update({name: value for name, value in told.items() if name not in stage.answer_first})
            if asked.by_machine():
                told["synthetic"] = True
        if not begun:
            return None
        surface = self._surface(known, asked, begun[0][0])
        self.runtime.bound_words(surface)
        for _, told, _ in begun:
            told.update({"surface_source": EXPLICIT} if "surface" in told else surface)
        values.with_exact_money(known)
        self.runtime.learn({**known, **surface})
        return Pending(self, begun)

    def _surface(self, known: dict[str, Any], asked: Asked, stage: Stage) -> dict[str, str]:
        """Return the surface that the request itself tells, from the best source that may."""
        before = bound.current(self.runtime.servers)
        if "surface" in before or "surface" in known:
            return {}
        for source in self.runtime.settings.surface_from:
            word = None
            if source == "utm":
                word = surfaces.of_campaign(asked.query())
            elif source == "referrer":
                own = (asked.header("host"), asked.header("x-forwarded-host"))
                word = surfaces.of_referrer(asked.header("referer"), own)
            elif source == "route":
                return {"surface": stage.template.text, "surface_source": source}
            if word:
                return {"surface": word, "surface_source": source}
        return {}

    def reached(self, stage: Stage, told: dict[str, Any], refused: Sequence[str], body: Body) -> None:
        """Record the stage's event. What the application has bound itself precedes what is mapped."""
        if stage.after:
            certain = told if told.get("surface_source") == EXPLICIT else _without_surface(told)
            more, wrong = values.after(stage, body(), certain)
            self.runtime.bound_words(more)
            told = {**told, **more, **({"surface_source": EXPLICIT} if "surface" in more else {})}
            refused = [*refused, *wrong]
        refused = [*refused, *values.with_exact_money(told)]
        for name in refused:
            self.runtime.instruments.refused.add(1, {"attribute": name})
        known = bound.current(self.runtime.servers)
        if told.get("surface_source") == EXPLICIT and known.get("surface_source") != EXPLICIT:
            known = _without_surface(known)
        told = {**told, **known}
        if any(name in told and name not in known for name in bound.NAMES):
            known = self.runtime.learn(told)
        if "synthetic" not in told:
            self.runtime.remember(known)
        self.runtime.record(stage.event, told, on_server=True)

    def missed(self, stage: Stage, status: int) -> None:
        """Note an answer with another status; tell once where there were no others."""
        seen = self._statuses.get(stage)
        if seen is None:
            return
        seen.append(status)
        if len(seen) >= _MISSES:
            self._statuses.pop(stage, None)
            logger.warning(
                "otel-revenue: stages: %s was answered %d times, and never as its entry wants it for %s; the last status was %d. "
                "Name it in the entry's status, or mend the route.",
                stage.route,
                _MISSES,
                stage.event,
                status,
            )

    def met(self, stage: Stage) -> None:
        """Note an answer with a status that was wanted."""
        self._statuses.pop(stage, None)

    def _tell_unmet(self) -> None:
        untold, self._untold = self._untold, set()
        seen = {f"{method} {route}" for method, route in list(self._by_route) if route is not None}
        for stage in sorted(untold, key=lambda s: s.route):
            near = difflib.get_close_matches(stage.route, seen, n=1)
            logger.warning(
                "otel-revenue: stages: none of the first %d requests of this process was %s, so that nothing was recorded as %s%s",
                PATIENCE,
                stage.route,
                stage.event,
                f"; did you mean {near[0]}?"
                if near
                else "; are method and template, with every prefix, as the application has them?",
            )


def _without_surface(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in ("surface", "surface_source")}


class Pending:
    """A request of a mapped route, until it is answered."""

    __slots__ = ("_begun", "_stages")

    def __init__(self, stages: Stages, begun: Sequence[tuple[Stage, dict[str, Any], list[str]]]) -> None:
        self._stages = stages
        self._begun = begun

    def wants_body(self, status: int) -> bool:
        """Tell whether an answer of this status is to be looked into."""
        return any(status in stage.statuses and stage.after for stage, _, _ in self._begun)

    @property
    def may_want_body(self) -> bool:
        """Whether an answer of some status is to be looked into."""
        return any(stage.after for stage, _, _ in self._begun)

    def answered(self, status: int, body: Body) -> None:
        """Hear how the request was answered. *body* returns a small JSON answer, None for every other one."""
        for stage, told, refused in self._begun:
            if status in stage.statuses:
                self._stages.met(stage)
                self._stages.reached(stage, told, refused, body)
            else:
                self._stages.missed(stage, status)
