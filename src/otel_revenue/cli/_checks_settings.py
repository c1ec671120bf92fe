# SPDX-License-Identifier: Apache-2.0
"""What is set: by our own variables, and by those of OpenTelemetry that change what we can do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.config import KEYS
from otel_revenue.instrumentation.stages import mapped
from otel_revenue.signals import resource as resources

from ._findings import fail, ok, skip, warn

if TYPE_CHECKING:
    from ._findings import Around, Check, Finding

_PROCESSORS: Final = frozenset({"batch", "simple"})


def switched_off(around: Around) -> list[Finding]:
    """The variables that keep us, or everything, out."""
    found = []
    if around.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        found.append(
            fail(
                "OTEL_SDK_DISABLED is true: everything is dormant, and no payment is recorded",
                "unset OTEL_SDK_DISABLED",
            )
        )
    text = around.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    disabled = [name.strip() for name in text.split(",")]
    if "*" in disabled or "otel_revenue" in disabled:
        found.append(
            fail(
                "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS keeps otel_revenue out: no payment is recorded",
                "take otel_revenue (or *) out of it",
            )
        )
    return found or [ok("neither OTEL_SDK_DISABLED nor OTEL_PYTHON_DISABLED_INSTRUMENTATIONS keeps us out")]


def own(around: Around) -> list[Finding]:
    """Our settings, as they were read, and what is wrong with them."""
    default = {f.name: f.default for f in dataclasses.fields(around.settings)}
    changed = {name: value for name, value in vars(around.settings).items() if value != default[name]}
    shown = ", ".join(f"{name}={_shown(value)}" for name, value in changed.items())
    found = [fail(problem, _remedy(problem)) for problem in around.problems]
    found += [fail(problem, "docs/funnel.md shows how it is written") for problem in mapped.read(around.settings)[1]]
    return [ok(f"settings: {shown or 'all at their defaults'}"), *found]


def _shown(value: Any) -> str:
    if isinstance(value, tuple) and any(isinstance(item, dict) for item in value):
        return f"({len(value)} of them)"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _remedy(problem: str) -> str:
    name = problem.partition("=")[0].partition(":")[0]
    known = {f.metadata["env"] for f in KEYS.values()}
    return (
        f"correct {name}: docs/settings.md has its shape" if name in known else "docs/settings.md lists every setting"
    )


def service(around: Around) -> list[Finding]:
    """Whether the service has a name: its telemetry and its store go by it."""
    name = str(around.plan.resource["service.name"])
    if name.startswith(resources.UNKNOWN_SERVICE):
        return [
            warn(
                "the service has no name: its telemetry is of unknown_service, and so is its store",
                "set OTEL_SERVICE_NAME, as the application has it",
            )
        ]
    return [ok(f"the service is {name}")]


def plan(around: Around) -> list[Finding]:
    """What the application decides from all this, and what it gives up."""
    givenup = [problem for problem in around.plan.problems if problem not in around.otlp.problems]
    found = [ok(around.plan.summary), *(warn(*_split(problem)) for problem in givenup)]
    if around.environ.get("OTEL_TRACES_SAMPLER", "").endswith("always_off"):
        found.append(
            warn(
                "OTEL_TRACES_SAMPLER samples nothing: events leave all the same, but are on no trace",
                "set OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG",
            )
        )
    return found


def _split(problem: str) -> tuple[str, str]:
    """Split a text of the plan into what is the case and what to do: the remedy is its last sentence."""
    what, dot, remedy = problem.rpartition(". Set ")
    return (f"{what}.", f"Set {remedy}") if dot else (problem, "")


def config_file(around: Around) -> list[Finding]:
    """The traps of declarative configuration."""
    found = []
    if around.environ.get("OTEL_EXPERIMENTAL_CONFIG_FILE"):
        found.append(warn("OTEL_EXPERIMENTAL_CONFIG_FILE is read by nobody", "the variable is called OTEL_CONFIG_FILE"))
    named = around.environ.get("OTEL_CONFIG_FILE", "")
    if not named:
        return found
    if "opentelemetry-configuration" not in around.installed:
        found.append(
            fail(
                "OTEL_CONFIG_FILE is set, and opentelemetry-configuration is not installed: the SDK does not start",
                "pip install opentelemetry-configuration, or unset OTEL_CONFIG_FILE",
            )
        )
    if around.own_sender:
        found.append(
            warn(
                f"OTEL_CONFIG_FILE says where spans go; events go to {around.otlp.shown}, as OTEL_EXPORTER_OTLP_* says",
                "set OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS as well where that is not the same place",
            )
        )
    return found + _content(Path(named), own_sender=around.own_sender)


def _content(path: Path, *, own_sender: bool) -> list[Finding]:
    if not path.is_file():
        return [
            fail(f"OTEL_CONFIG_FILE: there is no file {path}", "correct the path; without it the SDK does not start")
        ]
    try:
        import yaml
    except ImportError:
        return [skip("what stands in OTEL_CONFIG_FILE: PyYAML is not installed", 'pip install "otel-revenue[yaml]"')]
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return [fail(f"OTEL_CONFIG_FILE: {path} is not readable as YAML", "correct it; the SDK does not start")]
    if not isinstance(content, dict):
        return [fail(f"OTEL_CONFIG_FILE: {path} holds no settings", "correct it; the SDK does not start")]
    return _processors(content) + _sections(content, own_sender=own_sender)


def _processors(content: dict[str, Any]) -> list[Finding]:
    unknown = sorted(
        {
            str(name)
            for provider in ("tracer_provider", "logger_provider")
            for processor in _listed(_mapping(content.get(provider)).get("processors"))
            for name in _mapping(processor)
            if name not in _PROCESSORS
        }
    )
    if not unknown:
        return []
    return [
        fail(
            f"OTEL_CONFIG_FILE names processors that the SDK does not know ({', '.join(unknown)}): the application runs without "
            "any telemetry",
            "keep to batch and simple; a custom step goes into an exporter",
        )
    ]


def _sections(content: dict[str, Any], *, own_sender: bool) -> list[Finding]:
    found = []
    if not own_sender and "logger_provider" not in content:
        found.append(
            fail(
                "OTEL_CONFIG_FILE has no logger_provider: events that leave through the application's pipeline vanish",
                "add logger_provider, or set OTEL_REVENUE_DELIVERY=durable",
            )
        )
    python = _mapping(_mapping(content.get("instrumentation/development")).get("python"))
    ours = _mapping(python.get("otel_revenue"))
    if ours.get("enabled") is False:
        found.append(
            warn(
                "OTEL_CONFIG_FILE says enabled: false for otel_revenue, and opentelemetry-instrument instruments all the same",
                "set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=otel_revenue",
            )
        )
    return found


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


CHECKS: Final[tuple[Check, ...]] = (switched_off, own, service, plan, config_file)
