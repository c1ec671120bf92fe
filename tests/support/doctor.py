# SPDX-License-Identifier: Apache-2.0
"""Surroundings for the checks of the doctor, and what they say of them."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from otel_revenue import config
from otel_revenue.cli import (
    _store,
)
from otel_revenue.cli._findings import Around, Finding, Level
from otel_revenue.runtime.plan import make_plan

EXPORTERS = (("console", "opentelemetry-sdk"), ("otlp_proto_grpc", "grpc"), ("otlp_proto_http", "http"))
INSTALLED = {
    "opentelemetry-api": "1.45.1",
    "opentelemetry-sdk": "1.45.1",
    "opentelemetry-instrumentation": "0.66b1",
    "opentelemetry-instrumentation-fastapi": "0.66b1",
    "fastapi": "0.165.0",
    "grpcio": "1.80.0",
    "stripe": "16.1.0",
}
ENTRY_POINTS = {
    "opentelemetry_instrumentor": (("otel_revenue", "otel-revenue"),),
    "opentelemetry_distro": (("distro", "opentelemetry-distro"),),
    "opentelemetry_configurator": (("configurator", "opentelemetry-distro"),),
    "opentelemetry_traces_exporter": EXPORTERS,
    "opentelemetry_metrics_exporter": EXPORTERS,
    "opentelemetry_logs_exporter": EXPORTERS,
}


def around(environ: dict[str, str] | None = None, **changed: Any) -> Around:
    """Surroundings in which all is well, but for what is stated."""
    environ = {"OTEL_SERVICE_NAME": "shop", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **(environ or {})}
    settings, problems = config.load(environ)
    resource = SimpleNamespace(attributes={"service.name": environ["OTEL_SERVICE_NAME"]})
    values: dict[str, Any] = {
        "environ": environ,
        "settings": settings,
        "problems": tuple(problems),
        "plan": make_plan(settings, environ, SimpleNamespace(resource=resource)),
        "place": _store.find(environ, settings=settings),
        "installed": INSTALLED,
        "entry_points": ENTRY_POINTS,
        "live": None,
        "now_ns": time.time_ns(),
    }
    return Around(**{**values, **changed})


def without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def trouble(findings: list[Finding]) -> list[tuple[str, str]]:
    """What is not well: level and text with remedy."""
    return [(f.level.value, f"{f.what} -> {f.remedy}") for f in findings if f.level in (Level.WARN, Level.FAIL)]


def one(findings: list[Finding]) -> tuple[str, str]:
    (found,) = trouble(findings)
    return found
