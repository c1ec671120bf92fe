# SPDX-License-Identifier: Apache-2.0
"""
Subscriptions and their periods.

Source: Stripe documentation, "How subscriptions work".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import billing
from . import params as read
from .failure import invalid
from .pricing import Line, coupon_in, priced, read_lines
from .shapes import billing as shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .world import Obj, Scope

_SECONDS = {"day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}


def start(
    scope: Scope,
    customer: Obj,
    lines: Sequence[Line],
    *,
    metadata: Obj,
    trial_days: int = 0,
    method: Obj | None = None,
    **fields: Any,
) -> Obj:
    """Make a subscription of *lines*; its first invoice is the caller's to make."""
    recurring = [line for line in lines if line.price is not None and line.price["recurring"]]
    if not recurring:
        raise invalid("You must provide at least one recurring price in `subscription` mode when using prices.")
    first = recurring[0].price
    assert first is not None
    every = first["recurring"]
    now = scope.now
    trial_end = now + trial_days * 86_400 if trial_days else None
    ends = trial_end or now + _SECONDS[every["interval"]] * every["interval_count"]
    obj = scope.put(
        shapes.subscription(
            scope.new_id("subscription"),
            now,
            customer["id"],
            first["currency"],
            default_payment_method=method["id"] if method else None,
            metadata=metadata,
            trial_start=now if trial_days else None,
            trial_end=trial_end,
            status="trialing" if trial_days else "active",
            **fields,
        )
    )
    items = [
        shapes.subscription_item(scope.new_id("subscription_item"), now, obj["id"], line.price, line.quantity, ends)
        for line in recurring
        if line.price is not None
    ]
    obj["items"] = {
        "object": "list",
        "data": items,
        "has_more": False,
        "total_count": len(items),
        "url": f"/v1/subscription_items?subscription={obj['id']}",
    }
    # Coupons count once: what follows is billed in full.
    scope.hidden(obj)["lines"] = priced(scope, recurring, None)
    return obj


def invoice_of(scope: Scope, subscription: Obj, lines: Sequence[Line], reason: str) -> Obj:
    """Make the draft invoice of one period; a trial's costs nothing."""
    customer = scope.get("customer", subscription["customer"])
    if subscription["status"] == "trialing":
        lines = [Line(line.price, line.quantity, 0, description=line.description) for line in lines]
    invoice = billing.draft(
        scope, customer, lines, currency=subscription["currency"], reason=reason, subscription=subscription
    )
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def renew(scope: Scope, subscription: Obj, method: Obj) -> Obj:
    """
    Begin the next period: invoice, payment with *method*, events. Nobody asked by API, so requests are null.

    Raises:
        ValueError: the subscription is over or not begun.
    """
    if subscription["status"] not in ("active", "trialing", "past_due"):
        raise ValueError(f"{subscription['id']} is {subscription['status']}: it does not renew")
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    lines = scope.hidden(subscription)["lines"]
    for item in subscription["items"]["data"]:
        span = _SECONDS[item["plan"]["interval"]] * item["plan"]["interval_count"]
        item |= {
            "current_period_start": item["current_period_end"],
            "current_period_end": item["current_period_end"] + span,
        }
    scope.emit("customer.subscription.updated", subscription, {"latest_invoice": subscription["latest_invoice"]})
    invoice = invoice_of(scope, subscription, lines, "subscription_cycle")
    billing.finalize(scope, invoice)
    billing.pay_with(scope, invoice, method)
    return invoice


def read_items(scope: Scope, params: Obj) -> list[Line]:
    """Return the lines that `items` of POST /v1/subscriptions ask for, discounts taken off."""
    items = read.hashes_of(params, "items")
    if not items:
        raise invalid("Missing required param: items.", code="parameter_missing", param="items", executed=False)
    return priced(scope, read_lines(scope, items), coupon_in(scope, read.hashes_of(params, "discounts")))
