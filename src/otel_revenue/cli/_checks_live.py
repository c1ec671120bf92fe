# SPDX-License-Identifier: Apache-2.0
"""What is live in this process, where it was started as the application is: by `opentelemetry-instrument`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_revenue.runtime.plan import SDK

from ._findings import fail, ok, skip, warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._findings import Around, Check, Finding


def runtime(around: Around) -> list[Finding]:
    """Whether we are awake."""
    if around.live is None:
        return [
            skip(
                "the live providers and exporters: this process was not started by opentelemetry-instrument",
                "run it as the application is run: opentelemetry-instrument otel-revenue doctor",
            )
        ]
    if around.live.runtime is None:
        return [
            fail(
                "otel-revenue is dormant in this process: opentelemetry-instrument did not reach it, or it said why at start",
                "see the lines above, and what was logged before them",
            )
        ]
    return [ok("otel-revenue is awake in this process")]


def providers(around: Around) -> list[Finding]:
    """Which providers are live, and where they export to."""
    live = around.live
    if live is None:
        return []
    found = []
    for signal, provider, exporters in (
        ("traces", live.tracer, span_exporters(live.tracer)),
        ("metrics", live.meter, metric_exporters(live.meter)),
        ("logs", live.logger, log_exporters(live.logger)),
    ):
        name = type(provider).__name__
        if name.startswith(("Proxy", "_Proxy", "NoOp")):
            if signal == "logs" and around.plan.delivery != SDK:
                continue
            found.append(
                fail(
                    f"no provider for {signal} was set up ({name}): the SDK did not start",
                    "see the lines above; what kept it was logged before them",
                )
                if signal != "metrics"
                else warn(
                    f"no provider for {signal} was set up ({name})",
                    "set OTEL_METRICS_EXPORTER=otlp, to have something to alert on",
                )
            )
        elif not exporters:
            if signal != "logs" or around.plan.delivery == SDK:
                found.append(warn(f"{signal}: {name} exports nothing", f"set OTEL_{signal.upper()}_EXPORTER=otlp"))
        else:
            found.append(ok(f"{signal}: {name} exports by {', '.join(exporters)}"))
    return found


def span_exporters(provider: Any) -> list[str]:
    """Return the classes of a tracer provider's exporters; nothing where the SDK's inside is not as we know it."""
    return _exporters(_inside(provider, "_active_span_processor", "_span_processors"))


def log_exporters(provider: Any) -> list[str]:
    """Return the classes of a logger provider's exporters."""
    return _exporters(_inside(provider, "_multi_log_record_processor", "_log_record_processors"))


def metric_exporters(provider: Any) -> list[str]:
    """Return the classes of a meter provider's exporters; of a reader that is asked (Prometheus), its own class."""
    readers = _inside(provider, "_metric_readers") or _inside(provider, "_sdk_config", "metric_readers")
    return [type(getattr(reader, "_exporter", None) or reader).__name__ for reader in _listed(readers)]


def _exporters(processors: Any) -> list[str]:
    found = []
    for processor in _listed(processors):
        exporter = (
            getattr(processor, "span_exporter", None)
            or getattr(processor, "_exporter", None)
            or _inside(processor, "_batch_processor", "_exporter")
        )
        if exporter is not None:
            found.append(f"{type(exporter).__module__.rsplit('.', 1)[0]}.{type(exporter).__name__}")
    return found


def _inside(owner: Any, *names: str) -> Any:
    for name in names:
        owner = getattr(owner, name, None)
    return owner


def _listed(value: Any) -> Iterable[Any]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else []


CHECKS: Final[tuple[Check, ...]] = (runtime, providers)
