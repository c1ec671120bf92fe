# SPDX-License-Identifier: Apache-2.0
"""What is installed: the parts without which nothing is observed or nothing leaves."""

from __future__ import annotations

import importlib
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_revenue.delivery.otlp_settings import GRPC
from otel_revenue.instrumentation.stripe import versions
from otel_revenue.version import __version__

from ._findings import fail, ok, skip, warn

if TYPE_CHECKING:
    from ._findings import Around, Check, Finding

ENTRY_POINT: Final = "otel_revenue"
_PATCHED: Final = (
    ("stripe._api_requestor", "_APIRequestor", "request_raw"),
    ("stripe._webhook", "WebhookSignature", "verify_header"),
)
_FRAMEWORKS: Final = ("fastapi", "flask", "django")
_AUTO: Final = 'pip install "otel-revenue[auto]"'


def python(around: Around) -> list[Finding]:
    """Which Python, and which of us."""
    where = f"otel-revenue {__version__} on Python {platform.python_version()} in {sys.prefix}"
    script = shutil.which("opentelemetry-instrument", path=around.environ.get("PATH"))
    here = Path(sys.executable).parent
    if script is None or Path(script).parent == here or not (here / "opentelemetry-instrument").exists():
        return [ok(where)]
    return [
        ok(where),
        warn(
            f"the first opentelemetry-instrument on PATH is {script}, of another Python: it instruments what is installed there",
            f"start the application with {here / 'opentelemetry-instrument'}",
        ),
    ]


def stripe(around: Around) -> list[Finding]:
    """Whether the stripe library can be observed."""
    verdict = versions.support(around.installed.get("stripe"))
    if verdict.active:
        verdict = versions.support(around.installed.get("stripe"), _missing())
    if verdict.active:
        return [ok(verdict.text)]
    return [fail(verdict.text, 'pip install --upgrade "stripe>=11", in the environment of the application')]


def _missing() -> list[str]:
    """Return the names that we patch and that the library does not have."""
    missing = []
    for module, owner, name in _PATCHED:
        try:
            found = getattr(getattr(importlib.import_module(module), owner, None), name, None)
        except ImportError:
            found = None
        if not callable(found):
            missing.append(f"{owner}.{name}")
    return missing


def entry_point(around: Around) -> list[Finding]:
    """Whether `opentelemetry-instrument` finds us."""
    names = [name for name, _ in around.entry_points["opentelemetry_instrumentor"]]
    if ENTRY_POINT in names:
        try:
            getattr(importlib.import_module("otel_revenue.instrumentation"), "RevenueInstrumentor")  # noqa: B009 - imports it
        except ImportError as error:
            return [
                fail(
                    f"the entry point {ENTRY_POINT} is there and cannot be loaded: {error.msg}",
                    'pip install --force-reinstall "otel-revenue[auto]"; pip check names what does not fit',
                )
            ]
        return [ok(f"entry point opentelemetry_instrumentor: {ENTRY_POINT} is visible, and can be loaded")]
    return [
        fail(
            f"the entry point opentelemetry_instrumentor: {ENTRY_POINT} is not visible: opentelemetry-instrument passes us over",
            "install otel-revenue with pip in the application's environment; a copied folder on PYTHONPATH has no entry points",
        )
    ]


def opentelemetry(around: Around) -> list[Finding]:
    """Whether OpenTelemetry's packages are of one release."""
    api, sdk, contrib = (
        around.installed.get(f"opentelemetry-{name}", "") for name in ("api", "sdk", "instrumentation")
    )
    if not sdk or not contrib:
        return [fail("opentelemetry-sdk or opentelemetry-instrumentation is not installed", _AUTO)]
    found = [ok(f"opentelemetry-api {api}, -sdk {sdk}, -instrumentation {contrib}")]
    if api != sdk:
        found = [
            warn(
                f"opentelemetry-api {api} and opentelemetry-sdk {sdk} are of different releases",
                f'pip install "opentelemetry-api=={sdk}"',
            )
        ]
    apart = sorted(
        f"{name} {version}"
        for name, version in around.installed.items()
        if name.startswith("opentelemetry-instrumentation-") and _minor(version) != _minor(contrib)
    )
    if apart:
        found.append(
            warn(
                f"of another release than opentelemetry-instrumentation {contrib}: {', '.join(apart)}",
                "install them at one version; pip check names what does not fit",
            )
        )
    return found


def setup(around: Around) -> list[Finding]:
    """Whether something sets the SDK up, and whether it is the one that is meant."""
    found = []
    for group, variable in (("distro", "OTEL_PYTHON_DISTRO"), ("configurator", "OTEL_PYTHON_CONFIGURATOR")):
        there = around.entry_points[f"opentelemetry_{group}"]
        names = [name for name, _ in there]
        named = around.environ.get(variable, "")
        listed = ", ".join(f"{name} (of {package})" for name, package in there)
        if named and named not in names:
            found.append(
                fail(
                    f"{variable}={named} names no installed {group}; there are: {listed or 'none'}", f"unset {variable}"
                )
            )
        elif not there:
            found.append(
                fail(f"no {group} is installed: opentelemetry-instrument sets up no SDK, and nothing leaves", _AUTO)
                if around.live is None
                else warn(f"no {group} is installed: the SDK must be set up by the application's own code", _AUTO)
            )
        elif len(there) > 1 and not named:
            found.append(
                warn(
                    f"{len(there)} {group}s are installed and the first one wins: {listed}",
                    f"set {variable} to the one that is meant, or uninstall the other",
                )
            )
        else:
            found.append(ok(f"{group}: {named or listed}"))
    return found


def exporters(around: Around) -> list[Finding]:
    """Whether what the SDK is told to export with is installed. One that is missing keeps the whole SDK from starting."""
    if around.environ.get("OTEL_CONFIG_FILE"):
        return [skip("exporters: OTEL_CONFIG_FILE names them")]
    found = []
    for signal in ("traces", "metrics", "logs"):
        default = "otlp" if around.entry_points["opentelemetry_distro"] else ""
        text = around.environ.get(f"OTEL_{signal.upper()}_EXPORTER") or default
        names = [name.strip() for name in text.split(",") if name.strip()]
        if not names or names == ["none"]:
            if signal != "logs":  # what it means for logs is the plan's to say
                lost = (
                    "no spans leave" if signal == "traces" else "our metrics do not leave: there is nothing to alert on"
                )
                found.append(warn(f"no {signal} exporter: {lost}", f"set OTEL_{signal.upper()}_EXPORTER=otlp"))
            continue
        there = {name for name, _ in around.entry_points[f"opentelemetry_{signal}_exporter"]}
        wanted = [_resolved(name, signal, around) for name in names]
        missing = [name for name in wanted if name not in there]
        if missing:
            found.append(
                fail(
                    f"OTEL_{signal.upper()}_EXPORTER={text}: {', '.join(missing)} is not installed, and the SDK does not start",
                    'pip install "opentelemetry-exporter-otlp", or set OTEL_EXPORTER_OTLP_PROTOCOL to grpc or http/protobuf',
                )
            )
        else:
            found.append(ok(f"{signal} are exported by {', '.join(wanted)}"))
    return found


def _resolved(name: str, signal: str, around: Around) -> str:
    """Return the exporter's entry point, as the SDK finds it."""
    if name != "otlp":
        return name
    own = around.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL")
    protocol = (own or around.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or GRPC).strip()
    return {GRPC: "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}.get(protocol, f"otlp over {protocol}")


def grpc(around: Around) -> list[Finding]:
    """Whether our own sender can speak gRPC where it has to."""
    if not around.own_sender or around.otlp.protocol != GRPC or "grpcio" in around.installed:
        return []
    return [
        fail(
            "events are to leave over gRPC, and grpcio is not installed: they wait on disk",
            'pip install "otel-revenue[grpc]", or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf',
        )
    ]


def web(around: Around) -> list[Finding]:
    """Whether requests get SERVER spans, on which orders are shown."""
    found = []
    disabled = [name.strip() for name in around.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")]
    for name in _FRAMEWORKS:
        version = around.installed.get(name)
        if version is None:
            continue
        package = f"opentelemetry-instrumentation-{name}"
        if package not in around.installed:
            found.append(
                warn(
                    f"{name} {version} without {package}: orders are on no request's trace", f'pip install "{package}"'
                )
            )
        elif name in disabled:
            found.append(
                warn(
                    f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS leaves {name} out: orders are on no request's trace",
                    f"take {name} out of it",
                )
            )
        else:
            found.append(ok(f"{name} {version} is instrumented by {package} {around.installed[package]}"))
    return found or [skip(f"web framework: none of {', '.join(_FRAMEWORKS)} is installed here")]


def _minor(version: str) -> str:
    found = re.match(r"\d+\.\d+", version)
    return found[0] if found else version


CHECKS: Final[tuple[Check, ...]] = (python, stripe, entry_point, opentelemetry, setup, exporters, grpc, web)
