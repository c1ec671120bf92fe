# SPDX-License-Identifier: Apache-2.0
"""The API of PaymentIntents, charges and refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import billing, charges, intents
from . import params as read
from .catalogue import create_payment_method, method_named, method_of_buyer
from .failure import StripeFailure, decline, invalid
from .shapes import payment as shapes

if TYPE_CHECKING:
    from .buyer import Buyer, Instrument
    from .world import Obj, Scope


def create(scope: Scope, params: Obj) -> Obj:
    """POST /v1/payment_intents."""
    read.refuse_method_types(params, scope.version or None)
    amount, currency = read.amount(params), read.currency(params)
    metadata = read.metadata(params)
    customer = read.text(params, "customer")
    if customer is not None:
        scope.get("customer", customer, "customer")
    types = read.list_of(params, "payment_method_types") or read.list_of(params, "allowed_payment_method_types")
    automatic = read.hash_of(params, "automatic_payment_methods")
    fields = intents.fields_from(params)
    chosen = _method(scope, params, customer)
    intent = intents.start(
        scope,
        amount,
        currency,
        customer=customer,
        metadata=metadata,
        payment_method_types=types or ["card", "link"],
        automatic_payment_methods=None
        if types
        else {"allow_redirects": automatic.get("allow_redirects", "always"), "enabled": True},
        **fields,
    )
    card = read.hash_of(read.hash_of(params, "payment_method_options"), "card")
    scope.hidden(intent)["multicapture"] = card.get("request_multicapture") == "if_available"
    if chosen is not None:
        intent |= {"payment_method": chosen["id"], "status": "requires_confirmation"}
    if read.boolean(params, "confirm"):
        return _confirm(scope, intent, chosen)
    return intent


def update(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/payment_intents/{id}."""
    read.refuse_method_types(params, scope.version or None)
    intent = scope.get("payment_intent", object_id)
    if "amount" in params:
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise invalid("The amount cannot be changed now.", code="payment_intent_unexpected_state", param="amount")
        intent["amount"] = read.amount(params)
    if "currency" in params:
        intent["currency"] = read.currency(params)
    intent["metadata"] = read.metadata(params, intent["metadata"])
    intent.update(intents.fields_from(params))
    chosen = _method(scope, params, intent["customer"])
    if chosen is not None:
        intent |= {"payment_method": chosen["id"], "status": "requires_confirmation"}
    return intent


def confirm(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/payment_intents/{id}/confirm."""
    intent = scope.get("payment_intent", object_id)
    intent.update(intents.fields_from(params))
    return _confirm(scope, intent, _method(scope, params, intent["customer"]))


def _confirm(scope: Scope, intent: Obj, method: Obj | None) -> Obj:
    intents.refuse_unless_confirmable(intent)
    chosen = method or scope.find(intent["payment_method"], "payment_method")
    if chosen is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment "
            "method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )
    intents.attempt(scope, intent, chosen)
    billing.intent_changed(scope, intent)
    used: Instrument = scope.hidden(chosen)["instrument"]
    if used.settles and intent["status"] == "processing":
        scope.world.afterwards(lambda: settle_intent(scope, intent, succeed=used.settles == "succeed"))
    error = intent["last_payment_error"]
    if error is not None:
        raise StripeFailure(402, {**error, "payment_intent": dict(intent), "payment_method": dict(chosen)})
    return intent


def _method(scope: Scope, params: Obj, customer: str | None) -> Obj | None:
    name = read.text(params, "payment_method")
    if name is not None:
        return method_named(scope, name, customer)
    data = read.hash_of(params, "payment_method_data")
    return create_payment_method(scope, data) if data else None


def pay_intent(scope: Scope, intent: Obj, used: Instrument, buyer: Buyer) -> str:
    """
    Let *buyer* confirm *intent* in the browser (Elements, a mobile app, a terminal), and return its status.

    Raises:
        ValueError: it does not wait for a payment.
    """
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        raise ValueError(f"{intent['id']} is {intent['status']}: it cannot be paid")
    if intent["status"] == "requires_action":
        scope.hidden(intent)["authenticated"] = True
    if intent["receipt_email"] is None and intent["customer"] is None:
        intent["receipt_email"] = buyer.email
    method = method_of_buyer(scope, used, buyer, intent["customer"])
    status = intents.attempt(scope, intent, method, buyer)
    billing.intent_changed(scope, intent)
    return status


def settle_intent(scope: Scope, intent: Obj, *, succeed: bool) -> None:
    """
    Let the money of a delayed method arrive, or not.

    Raises:
        ValueError: nothing is on its way.
    """
    intents.settle(scope, intent, succeed=succeed)
    billing.intent_changed(scope, intent)


def capture(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/payment_intents/{id}/capture."""
    intent = scope.get("payment_intent", object_id)
    metadata = read.metadata(params, intent["metadata"])
    amount = read.integer(params, "amount_to_capture", least=0)
    final = read.boolean(params, "final_capture", default=True)
    if final and amount == 0 and intent["amount_received"] > 0:
        # Nothing more is taken: what was captured before is all.
        _finish_captures(scope, intent)
    else:
        intents.capture(scope, intent, amount, final=final)
    intent["metadata"] = metadata
    return intent


def _finish_captures(scope: Scope, intent: Obj) -> None:
    intent |= {"status": "succeeded", "amount_capturable": 0}
    scope.emit("payment_intent.succeeded", intent)


def cancel(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/payment_intents/{id}/cancel."""
    intent = scope.get("payment_intent", object_id)
    intents.cancel(scope, intent, read.text(params, "cancellation_reason"))
    return intent


def create_charge(scope: Scope, params: Obj) -> Obj:
    """POST /v1/charges, the old way: a token as `source`, no PaymentIntent."""
    read.amount(params)
    read.currency(params)
    charge = charges.legacy_charge(scope, method_named(scope, read.required(params, "source"), param="source"), params)
    if charge["status"] == "failed":
        raise StripeFailure(402, {**decline(charge["outcome"]["reason"]), "charge": charge["id"]})
    return charge


def create_refund(scope: Scope, params: Obj) -> Obj:
    """POST /v1/refunds."""
    named = read.text(params, "charge")
    if named is None:
        if not params.get("payment_intent"):
            raise invalid(
                "One of the following params should be provided for this request: payment_intent or charge.",
                code="parameter_missing",
                executed=False,
            )
        intent = scope.get("payment_intent", params["payment_intent"], "payment_intent")
        named = intent["latest_charge"]
        if named is None:
            raise invalid(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
    charge = scope.get("charge", named, "charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["amount_captured"] > 0 and left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = left if read.text(params, "amount") is None else read.amount(params)
    if not 0 < amount <= left:
        raise invalid(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount")
    refund = scope.put(
        shapes.refund(
            scope.new_id("refund"),
            scope.now,
            amount,
            charge,
            metadata=read.metadata(params),
            reason=read.one_of(params, "reason", ("duplicate", "fraudulent", "requested_by_customer")),
        )
    )
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    scope.emit("charge.refunded", charge, before)
    scope.emit("refund.created", refund)
    return refund


def update_refund(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/refunds/{id}: metadata."""
    refund = scope.get("refund", object_id)
    before = {"metadata": refund["metadata"]}
    refund["metadata"] = read.metadata(params, refund["metadata"])
    scope.emit("refund.updated", refund, before)
    scope.emit("charge.refund.updated", refund, before)
    return refund
