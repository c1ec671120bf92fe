# SPDX-License-Identifier: Apache-2.0
"""What application code calls. Does nothing, and costs nothing, while the application is not instrumented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _guard
from ._guard import guard
from .errors import SchemaError
from .runtime import active
from .schema._table import STAGES

if TYPE_CHECKING:
    from decimal import Decimal

    from .schema.events import CommonEvent
    from .signals.bound import Binding

_tracking = guard("api.track")  # made once: it holds nothing but its name


def bind(
    *,
    order_id: str | int | None = None,
    tier: str | None = None,
    subtotal: Decimal | int | str | None = None,
    subtotal_minor: int | None = None,
    currency: str | None = None,
    country: str | None = None,
    surface: str | None = None,
    journey_id: str | None = None,
) -> Binding:
    """
    Say what the current request knows about its order.

    It holds until the request ends: one that Starlette, FastAPI, Django or Flask answers, or one with a span. Elsewhere it
    holds inside `with bind(...)` only. Payments that the request creates at
    Stripe carry it, marked in `requested_attributes` as known from the request alone.

    Args:
        order_id: the shop's id of the order.
        tier: price level, as the shop names it.
        subtotal: sum of the items in major units: an int, a Decimal or text; a float is refused, it is not exact.
        subtotal_minor: the same as an integer in Stripe's minor unit; give one of both.
        currency: three letters; needed with a subtotal.
        country: ISO 3166-1 alpha-2.
        surface: the place in the product that led to the order.
        journey_id: opaque id of the buying attempt.

    Returns:
        a context manager that ends the binding early; it may be ignored.

    A wrong value is counted and left out (metric `otel_revenue.failures`); it never raises into the application.
    """
    from .signals.bound import Binding, checked

    values: dict[str, Any] = {
        "order_id": order_id,
        "tier": tier,
        "subtotal": subtotal,
        "subtotal_minor": subtotal_minor,
        "currency": currency,
        "country": country,
        "surface": surface,
        "journey_id": journey_id,
    }
    runtime = active.get()
    with guard("api.bind"):
        clean = checked(values)
        return runtime.bind(clean) if runtime is not None else Binding({})
    return Binding({})


def track(event: str | CommonEvent, /, **attributes: Any) -> None:
    """
    Record an event of the schema that is not money: `track("design.approved", order_id="o-1", design_id="d-7")`.

    Or one of `otel_revenue.events` as an object: `track(DesignApproved(order_id="o-1", design_id="d-7"))`.

    Checked, masked, written to disk (it survives a crash of the process) and put on the live span; a few microseconds.

    Args:
        event: `checkout.start`, `design.started`, `design.approved` (see docs/analytics-events.md), or one of your own; or an
            object of its class.
        attributes: by their name in the schema. What is not declared is left out and counted.

    Never raises into the application: an unknown event is counted in `otel_revenue.failures`. In tests, the fixture
    `strict_revenue` lets it raise.
    """
    runtime = active.get()
    if runtime is None:
        return
    with _tracking:
        if type(event) is not str:
            event, attributes = _of_object(event, attributes)
        if event not in STAGES:
            _known(event)
        if _guard.reraise:
            _refuse_undeclared(event, attributes)
        runtime.track(event, attributes)


def _of_object(event: Any, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return name and attributes of an event's object; one of the application's own is declared by its first."""
    from .schema import own
    from .schema.events import CommonEvent
    from .signals import record

    if not isinstance(event, CommonEvent):
        raise SchemaError("track takes an event's name, or an object of a class of otel_revenue.events")
    name = event.event_name
    if not event.stage and name not in record.recordable():
        record.declare(name, own.of_class(type(event)))
    return name, {**event.model_dump(by_alias=True, exclude_none=True), **more}


def _known(name: Any) -> None:
    """
    Refuse what an application may not record.

    Raises:
        SchemaError: naming what it may.
    """
    from .signals import record

    known = record.recordable()
    if name not in known:
        raise SchemaError(
            f"{str(name)[:60]} is no event that an application may record; known are {', '.join(sorted(known))}. "
            "Money is recorded on Stripe's word alone"
        )


def _refuse_undeclared(name: str, attributes: dict[str, Any]) -> None:
    """
    Refuse, in tests, what is left out and counted in production.

    Raises:
        SchemaError: naming the attribute.
    """
    from .signals import record

    strange = sorted(attributes.keys() - record.recordable()[name].keys())
    if strange:
        raise SchemaError(f"{name} has no attribute {strange[0]}; see docs/analytics-events.md")


def flush(timeout_s: float | None = None) -> bool:
    """
    Deliver what waits now, within a bound in seconds (`OTEL_REVENUE_FLUSH_TIMEOUT` by default).

    Returns:
        whether all of it was delivered or set aside. What was not stays on disk, and is delivered later.
    """
    runtime = active.get()
    if runtime is None:
        return True
    with guard("api.flush"):
        return runtime.flush(timeout_s)
    return False
