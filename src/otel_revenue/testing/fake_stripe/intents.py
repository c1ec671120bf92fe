# SPDX-License-Identifier: Apache-2.0
"""
PaymentIntents: the state machine, with the events of each step.

Sources: Stripe documentation, "How PaymentIntents work", "Place a hold", "Multicapture".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import charges, disputes
from . import params as read
from .failure import invalid
from .pricing import presented
from .shapes import payment as shapes

if TYPE_CHECKING:
    from .buyer import Buyer, Instrument
    from .world import Obj, Scope

_CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_METHODS = ("automatic", "automatic_async", "manual")


def start(scope: Scope, amount: int, currency: str, **fields: Any) -> Obj:
    """Make a PaymentIntent; the caller has checked what it is made of."""
    object_id = scope.new_id("payment_intent")
    obj = scope.put(
        shapes.intent(
            object_id,
            scope.now,
            amount,
            currency,
            client_secret=f"{object_id}_{scope.new_id('client_secret')}",
            **fields,
        )
    )
    scope.emit("payment_intent.created", obj)
    return obj


def fields_from(params: Obj) -> Obj:
    """Return the fields of a PaymentIntent that `PaymentIntent.create` and `payment_intent_data` share."""
    shipping = read.hash_of(params, "shipping")
    details = read.hash_of(params, "payment_details")
    names: tuple[str, ...] = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")
    names += ("setup_future_usage", "transfer_group", "on_behalf_of")
    fields: Obj = {name: read.text(params, name) for name in names if name in params}
    if "capture_method" in params:
        fields["capture_method"] = read.one_of(params, "capture_method", _METHODS) or "automatic_async"
    if shipping:
        empty = {"address": None, "carrier": None, "name": None, "phone": None, "tracking_number": None}
        fields["shipping"] = {**empty, **shipping}
    if details:
        fields["payment_details"] = {"customer_reference": None, "order_reference": None, **details}
    if read.hash_of(params, "transfer_data"):
        fields["transfer_data"] = dict(params["transfer_data"])
    return fields


def attempt(scope: Scope, intent: Obj, method: Obj, buyer: Buyer | None = None) -> str:
    """
    Try to pay *intent* with *method*, and return its status.

    A decline leaves it at `requires_payment_method`; a method that needs the buyer at `requires_action`.
    """
    used: Instrument = scope.hidden(method)["instrument"]
    intent["last_payment_error"] = None
    intent["next_action"] = None
    intent["payment_method"] = method["id"]
    if used.action and not scope.hidden(intent).get("authenticated"):
        intent["status"] = "requires_action"
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        scope.emit("payment_intent.requires_action", intent)
        return "requires_action"
    charge = charges.of_intent(scope, intent, method, used)
    intent["latest_charge"] = charge["id"]
    if used.decline:
        charges.declined(scope, intent, charge, method, used.decline)
    elif used.delayed:
        charge["receipt_url"] = None
        intent["status"] = "processing"
        scope.emit("payment_intent.processing", intent)
        scope.emit("charge.pending", charge)
    elif intent["capture_method"] == "manual":
        charge |= {"status": "succeeded", "paid": True}
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        scope.emit("charge.succeeded", charge)
        scope.emit("payment_intent.amount_capturable_updated", intent)
    else:
        if buyer is not None and buyer.currency:
            shown = _presentable(scope, intent) and presented(intent["amount"], intent["currency"], buyer.currency)
            if shown:
                intent["presentment_details"] = shown
                charge["presentment_details"] = shown
        charges.succeeded(scope, intent, charge, intent["amount"])
        scope.emit("charge.succeeded", charge)
        scope.emit("payment_intent.succeeded", intent)
        charges.fee_follows(scope, charge)
        if used.disputed:
            scope.world.afterwards(lambda: _dispute(scope, charge, inquiry=used.disputed == "inquiry"))
    return str(intent["status"])


def _dispute(scope: Scope, charge: Obj, *, inquiry: bool) -> None:
    # The bank's doing, no API request's.
    disputes.open_(type(scope)(scope.world, account=scope.account), charge, inquiry=inquiry)


def _presentable(scope: Scope, intent: Obj) -> bool:
    return bool(scope.hidden(intent).get("adaptive"))


def settle(scope: Scope, intent: Obj, *, succeed: bool) -> None:
    """
    Let the money of a delayed method arrive, or not.

    Raises:
        ValueError: nothing is on its way.
    """
    if intent["status"] != "processing":
        raise ValueError(f"{intent['id']} is {intent['status']}: there is nothing to settle")
    charge = scope.get("charge", intent["latest_charge"])
    if succeed:
        charges.succeeded(scope, intent, charge, intent["amount"])
        scope.emit("charge.succeeded", charge)
        scope.emit("payment_intent.succeeded", intent)
        charges.fee_follows(scope, charge)
    else:
        method = scope.get("payment_method", intent["payment_method"])
        charges.declined(scope, intent, charge, method, "generic_decline")


def capture(scope: Scope, intent: Obj, amount: int | None, *, final: bool = True) -> None:
    """
    Take (a part of) what was authorised.

    Args:
        scope, intent: what is captured.
        amount: minor units; None for all that is left.
        final: False keeps the rest capturable (multicapture).

    Raises:
        StripeFailure: nothing is capturable, or the amount is too large.
    """
    if intent["status"] != "requires_capture":
        raise invalid(
            f"This PaymentIntent could not be captured because it has a status of {intent['status']}. "
            "Only a PaymentIntent with one of the following statuses may be captured: requires_capture.",
            code="payment_intent_unexpected_state",
        )
    part = intent["amount_capturable"] if amount is None else amount
    if not 0 < part <= intent["amount_capturable"]:
        raise invalid(
            "The amount to capture must be positive and no more than the amount that is capturable.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    if not final and not scope.hidden(intent).get("multicapture"):
        raise invalid(
            "This PaymentIntent does not support multicapture: create it with "
            "payment_method_options[card][request_multicapture]=if_available.",
            param="final_capture",
        )
    charge = scope.get("charge", intent["latest_charge"])
    taken = charge["amount_captured"] + part
    if final:
        charges.succeeded(scope, intent, charge, taken)
        scope.emit("charge.captured", charge)
        scope.emit("payment_intent.succeeded", intent)
        charges.fee_follows(scope, charge)
    else:
        charge |= {"captured": True, "amount_captured": taken}
        intent |= {"amount_received": taken, "amount_capturable": intent["amount"] - taken}
        scope.emit("charge.captured", charge)
        scope.emit("payment_intent.amount_capturable_updated", intent)


def cancel(scope: Scope, intent: Obj, reason: str | None) -> None:
    """Cancel; what was captured before stays taken."""
    if intent["status"] in ("succeeded", "canceled", "processing"):
        raise invalid(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    intent |= {
        "status": "canceled",
        "canceled_at": scope.now,
        "cancellation_reason": reason,
        "amount_capturable": 0,
    }
    scope.emit("payment_intent.canceled", intent)


def refuse_unless_confirmable(intent: Obj) -> None:
    """
    Check that *intent* waits for a payment.

    Raises:
        StripeFailure: it does not.
    """
    if intent["status"] not in _CONFIRMABLE:
        raise invalid(
            f"You cannot confirm this PaymentIntent because it has already {intent['status']}. "
            "Only a PaymentIntent that waits for a payment method can be confirmed.",
            code="payment_intent_unexpected_state",
        )
