# SPDX-License-Identifier: Apache-2.0
"""
Ties revenue to traces: every Stripe payment becomes one exact, durable, PII-free OpenTelemetry event.

Most applications need no import of ours: see `opentelemetry-instrument` in the README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from ._stage import stage
    from .api import bind, flush, track
    from .instrumentation import RevenueInstrumentor

__all__ = ["RevenueInstrumentor", "__version__", "bind", "flush", "stage", "track"]


def __getattr__(name: str) -> Any:
    # Light to import: what is not used is not loaded.
    if name == "RevenueInstrumentor":
        from .instrumentation import RevenueInstrumentor

        return RevenueInstrumentor
    if name in ("bind", "flush", "track"):
        from . import api

        return getattr(api, name)
    if name == "stage":
        from ._stage import stage

        return stage
    raise AttributeError(f"module 'otel_revenue' has no attribute {name!r}")
