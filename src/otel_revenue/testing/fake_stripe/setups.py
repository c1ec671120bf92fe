# SPDX-License-Identifier: Apache-2.0
"""
SetupIntents: a payment method is checked and kept, and no money is taken.

Source: Stripe documentation, "The Setup Intents API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import params as read
from .catalogue import create_payment_method, method_named
from .failure import StripeFailure, decline, invalid
from .shapes import payment as shapes

if TYPE_CHECKING:
    from .buyer import Instrument
    from .world import Obj, Scope

_CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


def create(scope: Scope, params: Obj) -> Obj:
    """POST /v1/setup_intents."""
    customer = read.text(params, "customer")
    if customer is not None:
        scope.get("customer", customer, "customer")
    metadata = read.metadata(params)
    method = _method(scope, params, customer)
    object_id = scope.new_id("setup_intent")
    setup = scope.put(
        shapes.setup_intent(
            object_id,
            scope.now,
            client_secret=f"{object_id}_{scope.new_id('client_secret')}",
            customer=customer,
            description=read.text(params, "description"),
            metadata=metadata,
            status="requires_confirmation" if method else "requires_payment_method",
            payment_method=method["id"] if method else None,
            usage=read.one_of(params, "usage", ("off_session", "on_session")) or "off_session",
        )
    )
    scope.emit("setup_intent.created", setup)
    return _confirm(scope, setup, method) if read.boolean(params, "confirm") else setup


def confirm(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/setup_intents/{id}/confirm."""
    setup = scope.get("setup_intent", object_id)
    return _confirm(scope, setup, _method(scope, params, setup["customer"]))


def cancel(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/setup_intents/{id}/cancel."""
    setup = scope.get("setup_intent", object_id)
    _refuse_unless(setup, "cancel")
    setup |= {"status": "canceled", "cancellation_reason": read.text(params, "cancellation_reason")}
    scope.emit("setup_intent.canceled", setup)
    return setup


def _confirm(scope: Scope, setup: Obj, method: Obj | None) -> Obj:
    _refuse_unless(setup, "confirm")
    chosen = method or scope.find(setup["payment_method"], "payment_method")
    if chosen is None:
        raise invalid(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
        )
    used: Instrument = scope.hidden(chosen)["instrument"]
    setup |= {"payment_method": chosen["id"], "last_setup_error": None, "next_action": None}
    if used.decline:
        error = {**decline(used.decline), "payment_method": dict(chosen)}
        setup |= {"status": "requires_payment_method", "payment_method": None, "last_setup_error": error}
        scope.emit("setup_intent.setup_failed", setup)
        raise StripeFailure(402, {**error, "setup_intent": dict(setup)})
    if used.action:
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        setup |= {"status": "requires_action", "next_action": action}
        scope.emit("setup_intent.requires_action", setup)
        return setup
    if setup["customer"] and chosen["customer"] is None:
        chosen["customer"] = setup["customer"]
        scope.emit("payment_method.attached", chosen)
    setup["status"] = "succeeded"
    scope.emit("setup_intent.succeeded", setup)
    return setup


def _method(scope: Scope, params: Obj, customer: str | None) -> Obj | None:
    name = read.text(params, "payment_method")
    if name is not None:
        return method_named(scope, name, customer)
    data = read.hash_of(params, "payment_method_data")
    return create_payment_method(scope, data) if data else None


def _refuse_unless(setup: Obj, verb: str) -> None:
    if setup["status"] not in _CONFIRMABLE:
        raise invalid(
            f"You cannot {verb} this SetupIntent because it has a status of {setup['status']}.",
            code="setup_intent_unexpected_state",
        )
