"""Each metric that we record about ourselves, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_revenue import _guard
from otel_revenue.signals.metrics import Instruments

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

_SHOWN = {
    "durable": 1,
    "held": 0,
    "waiting": 1,
    "aside": 0,
    "oldest_s": 5.0,
    "spool_bytes": 7,
    "unconfirmed": {"EUR": 4999},
    "delivery": {"delivered": 1},
    "dropped": {"limit": 1},
    "facts_lost": 1,
    "unprotected": 0,
}


def record_each(meter: Meter) -> None:
    """Record each metric of `Instruments` with the labels that it has."""
    instruments = Instruments(meter, lambda: _SHOWN)
    instruments.recorded.add("order.paid")
    instruments.refused.add(1, {"attribute": "undeclared"})
    instruments.unread.add(1, {"source": "webhook", "kind": "invoice", "reason": "amount_missing"})
    instruments.injection.add(1, {"reason": "injected"})
    instruments.lookups.add(1, {"question": "line_items", "outcome": "told"})
    instruments.browser_refused.add(1, {"reason": "origin"})
    for counter in (instruments.late_joins, instruments.disagreed, instruments.fallback):
        counter.add(1)
    _guard.failures["step"] += 1
