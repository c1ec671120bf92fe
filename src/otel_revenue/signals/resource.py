# SPDX-License-Identifier: Apache-2.0
"""
Which attributes of the application's resource go along with events. Pure.

A resource detector puts command lines and user names into it; what goes along is what names the service and where it
runs, and what the operator wrote into `OTEL_RESOURCE_ATTRIBUTES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from otel_revenue.privacy.clip import clip_text
from otel_revenue.privacy.values import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIXES: Final = ("service.", "deployment.", "telemetry.", "cloud.", "k8s.", "faas.")
_NAMES: Final = frozenset({"container.id", "container.name", "host.name", "host.id", "process.pid"})
UNKNOWN_SERVICE: Final = "unknown_service"


def service_name(environ: Mapping[str, str], attributes: Mapping[str, Any] | None = None) -> str:
    """
    Return the service's name: the live resource's, else as the SDK would make it from the environment.

    It names the default folder of the store, so application and command line must agree on it.
    """
    name = (attributes or {}).get("service.name") or environ.get("OTEL_SERVICE_NAME")
    if not name:
        pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
        stated = {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}
        name = stated.get("service.name") or UNKNOWN_SERVICE
    return str(allowed({"service.name": str(name)})["service.name"])


def allowed(attributes: Mapping[str, Any], named: str = "") -> dict[str, Any]:
    """
    Return the attributes that go along.

    Args:
        attributes: of the resource.
        named: the text of `OTEL_RESOURCE_ATTRIBUTES`.
    """
    mine = {unquote(pair.partition("=")[0].strip()) for pair in named.split(",") if "=" in pair}
    kept = {
        key: clip_text(scrub(value)) if isinstance(value, str) else value
        for key, value in attributes.items()
        if isinstance(value, (str, bool, int, float)) and (key.startswith(_PREFIXES) or key in _NAMES or key in mine)
    }
    kept.setdefault("service.name", UNKNOWN_SERVICE)
    return kept
