# SPDX-License-Identifier: Apache-2.0
"""
The public door as applications use it. Never run: mypy reads it, so that a type that widens or narrows breaks the build.

What must not be allowed carries a `type: ignore` with its error; mypy's strict mode reports one that is not needed.
"""

from __future__ import annotations

from decimal import Decimal

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from typing_extensions import assert_type

import otel_revenue
from otel_revenue import RevenueInstrumentor, bind, flush, stage, track
from otel_revenue.config import Settings, checked, load
from otel_revenue.errors import ConfigError, RevenueError
from otel_revenue.events import DesignApproved
from otel_revenue.privacy.values import kinds, scrub
from otel_revenue.schema.events import EVENTS, CommonEvent, OrderPaid
from otel_revenue.schema.money import to_major, to_number
from otel_revenue.signals.bound import Binding

assert_type(otel_revenue.__version__, str)

# -- bind: text or integers as ids, exact amounts, and nothing else
assert_type(bind(order_id="o-1"), Binding)
bind(order_id=1042, tier="pro", subtotal=Decimal("49.00"), currency="EUR", country="DE", surface="home", journey_id="j")
bind(subtotal=49, currency="EUR")
bind(subtotal="49.00", currency="EUR")
bind(subtotal_minor=4900, currency="EUR")
with bind(order_id=None) as binding:
    assert_type(binding, Binding)
bind(subtotal=49.0, currency="EUR")  # type: ignore[arg-type]
bind(order_id=10.5)  # type: ignore[arg-type]
bind("o-1")  # type: ignore[call-arg]
bind(customer="ada")  # type: ignore[call-arg]

# -- track: a name, then attributes
track("design.approved", order_id="o-1", design_id="d-7", duration_ms=61000)
track(name="design.approved")  # type: ignore[call-arg]
track(DesignApproved(order_id="o-1", duration_ms=61000), tier="pro")
track(5)  # type: ignore[arg-type]
DesignApproved(order_id=7)  # type: ignore[arg-type]
DesignApproved(customer="ada")  # type: ignore[call-arg]

# -- stage: a block, and a decorator that changes no signature
with stage("design", order_id="o-1") as design:
    assert_type(design, stage)
    design.set(tier="pro")


@stage("design")
def approve(design_id: str) -> int:
    return len(design_id)


assert_type(approve("d-1"), int)
approve(1)  # type: ignore[arg-type]

# -- flush: seconds, or the setting
assert_type(flush(), bool)
assert_type(flush(2.5), bool)
flush("2")  # type: ignore[arg-type]

# -- the instrumentor, in code
instrumentor = RevenueInstrumentor()
instrumentor.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider(), hold=10, store="/tmp/x")
instrumentor.uninstrument()

# -- settings
assert_type(load({"OTEL_REVENUE_HOLD": "90"}), tuple[Settings, list[str]])
assert_type(checked({}).hold, float)
assert_type(Settings().order_id_from, tuple[str, ...])
Settings().hold = 1.0  # type: ignore[misc]
problem: RevenueError = ConfigError("text")

# -- schema, money, privacy
assert_type(EVENTS, tuple[type[CommonEvent], ...])
assert_type(OrderPaid.event_name, str)
assert_type(to_major(4900, "EUR"), Decimal)
assert_type(to_number(4900, "EUR"), float)
assert_type(scrub("text"), str)
assert_type(kinds("text"), tuple[str, ...])
