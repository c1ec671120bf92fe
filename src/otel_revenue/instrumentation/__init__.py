# SPDX-License-Identifier: Apache-2.0
"""
Instruments an application that sells through Stripe.

Without code: `opentelemetry-instrument` finds `RevenueInstrumentor` by its entry point. In code:

    from otel_revenue import RevenueInstrumentor

    RevenueInstrumentor().instrument(tracer_provider=..., hold=30)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .instrumentor import RevenueInstrumentor

__all__ = ["RevenueInstrumentor"]


def __getattr__(name: str) -> Any:
    # The parts below are used without the whole (tests, tools): they do not load it.
    if name == "RevenueInstrumentor":
        from .instrumentor import RevenueInstrumentor

        return RevenueInstrumentor
    raise AttributeError(f"module 'otel_revenue.instrumentation' has no attribute {name!r}")
