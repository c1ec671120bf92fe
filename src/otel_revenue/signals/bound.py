# SPDX-License-Identifier: Apache-2.0
"""
What application code says about the order of the current request: `otel_revenue.bind(order_id=..., tier=...)`.

It holds for the request alone: a server that reuses threads must not carry one buyer's order into the next buyer's
request. Where we do not see the request begin (no ASGI or WSGI application that we know) and its span is not sampled, it
is known by its trace alone; outside a trace, too, a binding then holds inside `with bind(...)` only.
"""

from __future__ import annotations

from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import BadMoney, SchemaError, UnknownCurrency
from otel_revenue.schema.money import checked_currency, checked_minor, exponent

from .spans import Request, ServerSpans, current_ids, onto

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

NAMES: Final = ("order_id", "tier", "country", "surface", "surface_source", "journey_id", "subtotal_minor", "currency")

Owner = Request | int | None
"""Whose a binding is: of a request, of a trace (its id), of a `with` block, or nobody's."""

_BLOCK: Final = -1
_bound: ContextVar[tuple[Owner, Mapping[str, Any]]] = ContextVar("otel_revenue_bound", default=(None, {}))
"""What was bound in this context: tasks of one request that run side by side may each have an order of their own."""


class Binding:
    """What `bind` returns: use it as a context manager to end the binding early, or ignore it."""

    def __init__(self, values: Mapping[str, Any], undo: Callable[[], None] | None = None) -> None:
        self.values = values
        self._undo = undo
        self._before: tuple[Owner, Mapping[str, Any]] | None = None

    def __enter__(self) -> Binding:
        self._before = _bound.get()
        outer = self._before[1] if self._before[0] == _BLOCK else {}
        _bound.set((_BLOCK, onto(outer, self.values)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            _bound.set(self._before)
            if self._undo is not None:
                self._undo()


def bind(servers: ServerSpans, values: Mapping[str, Any]) -> Binding:
    """Keep checked *values* for the rest of the request."""
    trace_id = current_ids()[0]
    request = servers.request(trace_id)
    earlier = {} if request is None else request.bound
    owner: Owner = servers.bind(trace_id, values) or trace_id
    known_owner, known = _bound.get()
    if owner and known_owner != _BLOCK:
        _bound.set((owner, onto(known, values) if known_owner == owner else values))

    def undo() -> None:
        if request is not None:
            servers.unbind(request, values, earlier)
        if known_owner != _BLOCK:
            _bound.set((known_owner, known))

    return Binding(values, undo)


def current(servers: ServerSpans) -> dict[str, Any]:
    """Return what is bound to the current request: the narrower binding wins."""
    owner, known = _bound.get()
    if not known and not servers.has_bound:
        return {}
    trace_id = current_ids()[0]
    request = servers.request(trace_id)
    values = {} if request is None else dict(request.bound)
    if owner == _BLOCK or (owner and owner == (request or trace_id)):
        return onto(values, known)
    return values


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return *values* in the schema's form; None is left out.

    `subtotal` is an exact amount in major units (int, Decimal or text, never a float) and needs `currency`; it becomes
    `subtotal_minor`.

    Raises:
        SchemaError: an unknown name, or a value of a wrong type or form.
    """
    result: dict[str, Any] = {}
    values = {name: value for name, value in values.items() if value is not None}
    try:
        if "currency" in values:
            result["currency"] = checked_currency(values["currency"])
        if "subtotal_minor" in values:
            result["subtotal_minor"] = checked_minor(values["subtotal_minor"])
    except BadMoney as error:
        raise SchemaError(
            f"bind: {error.reason}: give integers in minor units and a currency of three letters"
        ) from None
    if "subtotal" in values:
        result["subtotal_minor"] = minor_units(values["subtotal"], result.get("currency"))
    if "subtotal_minor" in result and "currency" not in result:
        raise SchemaError("bind: an amount needs its currency, for example currency='EUR'")
    for name, value in values.items():
        if name in ("currency", "subtotal", "subtotal_minor"):
            continue
        if name not in NAMES:
            raise SchemaError(f"bind: there is no attribute {name!r}; known are {', '.join(NAMES)} and subtotal")
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            raise SchemaError(f"bind: {name} must be text, or an integer that becomes text")
        result[name] = str(value).upper() if name == "country" else str(value)
    return result


def minor_units(value: object, currency: str | None) -> int:
    """
    Return an exact amount in major units as an integer in Stripe's minor unit of *currency*.

    Raises:
        SchemaError: no exact amount, none of that currency, or no currency.
    """
    if isinstance(value, (bool, float)) or not isinstance(value, (int, str, Decimal)):
        raise SchemaError(
            "bind: subtotal must be an int, a Decimal or text: a float is not exact; or give subtotal_minor"
        )
    if currency is None:
        raise SchemaError("bind: an amount needs its currency, for example currency='EUR'")
    try:
        minor = Decimal(value).scaleb(exponent(currency))
    except (ArithmeticError, UnknownCurrency):
        raise SchemaError(
            "bind: subtotal is no number, or the currency's decimals are unknown: give subtotal_minor"
        ) from None
    if not minor.is_finite() or minor != minor.to_integral_value() or not 0 <= minor < 2**63:
        raise SchemaError("bind: subtotal has more decimals than its currency, or is out of range")
    return int(minor)
