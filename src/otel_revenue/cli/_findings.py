# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at, and what it finds. Checks are functions from `Around` to findings; they print nothing."""

from __future__ import annotations

import enum
import importlib.metadata
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace

from otel_revenue import config
from otel_revenue.runtime import active
from otel_revenue.runtime.plan import SDK, make_plan
from otel_revenue.signals import resource as resources
from otel_revenue.signals import sdk

from . import _store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_revenue.config import Settings
    from otel_revenue.delivery.otlp_settings import OtlpSettings
    from otel_revenue.runtime.plan import Plan

    Check = Callable[["Around"], "list[Finding]"]


OLD_NS: Final = 300 * 10**9
"""What waits longer than five minutes is not waiting for the next batch."""


class Level(str, enum.Enum):
    """How bad it is. `FAIL` makes the exit code 1; `SKIP` was not looked at, and `what` says why."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True)
class Finding:
    """One line for people, and what to do about it ("" where nothing is to be done). Never holds a secret."""

    level: Level
    what: str
    remedy: str = ""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, what)


def warn(what: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(Level.WARN, what, remedy)


def fail(what: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, what, remedy)


def skip(what: str, remedy: str = "") -> Finding:
    """Could not be looked at."""
    return Finding(Level.SKIP, what, remedy)


@dataclass(frozen=True)
class Live:
    """The providers of this process, where it was started by `opentelemetry-instrument`; `runtime` is ours, None when dormant."""

    tracer: Any
    logger: Any
    meter: Any
    runtime: Any


@dataclass(frozen=True)
class Around:
    """
    Everything that a check may look at.

    Attributes:
        environ: variables of the process; for names and presence, values only where they are no secrets.
        settings, problems: ours, as they were read, and what is wrong with them.
        plan: what the application would decide from them.
        place: where the store is.
        installed: version by distribution, in lower case.
        entry_points: by group: name and distribution of each, in the order in which they are found.
        live: see `Live`; None under plain `otel-revenue doctor`.
        now_ns: the time.
    """

    environ: Mapping[str, str] = field(repr=False)
    settings: Settings
    problems: tuple[str, ...]
    plan: Plan
    place: _store.Place
    installed: Mapping[str, str]
    entry_points: Mapping[str, tuple[tuple[str, str], ...]]
    live: Live | None
    now_ns: int

    @property
    def otlp(self) -> OtlpSettings:
        """Where our own sender sends to."""
        return self.plan.otlp

    @property
    def own_sender(self) -> bool:
        """Whether events leave by our own sender."""
        return self.plan.logs and self.plan.delivery != SDK


GROUPS: Final = (
    "opentelemetry_instrumentor",
    "opentelemetry_distro",
    "opentelemetry_configurator",
    "opentelemetry_traces_exporter",
    "opentelemetry_metrics_exporter",
    "opentelemetry_logs_exporter",
)


@dataclass(frozen=True)
class _Stated:
    """A provider without a pipeline: only what the environment says about the resource."""

    attributes: Mapping[str, Any]

    @property
    def resource(self) -> _Stated:
        return self


def look(environ: Mapping[str, str], store: str | None, now_ns: int) -> Around:
    """
    Gather it.

    Args:
        environ: variables of the process.
        store: the text of `--store`, None where it is not given.
        now_ns: the time.
    Raises:
        ConfigError: *store* is no place.
    """
    settings, problems = config.load(environ)
    settings = _store.with_store(settings, store)
    live = _live()
    resource = getattr(getattr(live.tracer, "resource", None), "attributes", None) if live else None
    stated = _Stated({"service.name": resources.service_name(environ, resource)})
    return Around(
        environ=environ,
        settings=settings,
        problems=tuple(problems),
        plan=make_plan(settings, environ, live.tracer if live and resource else stated),
        place=_store.find(environ, store, settings=settings, resource=resource),
        installed=_installed(),
        entry_points={group: _entry_points(group) for group in GROUPS},
        live=live,
        now_ns=now_ns,
    )


def instrumented_start() -> bool:
    """Whether this process was started by `opentelemetry-instrument`."""
    file = str(getattr(sys.modules.get("sitecustomize"), "__file__", "") or "")
    return Path(file).parent.parts[-3:] == ("opentelemetry", "instrumentation", "auto_instrumentation")


def _live() -> Live | None:
    if not instrumented_start():
        return None
    return Live(trace.get_tracer_provider(), sdk.global_provider(), metrics.get_meter_provider(), active.get())


def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            # The first one on the path is the one that is imported.
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


def _entry_points(group: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (point.name, point.dist.name if point.dist is not None else "unknown")
        for point in importlib.metadata.entry_points(group=group)
    )
