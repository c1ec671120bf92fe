# SPDX-License-Identifier: Apache-2.0
"""The API of subscriptions, invoices and invoice items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import billing, intents, subscriptions
from . import params as read
from .catalogue import create_price, method_named
from .failure import StripeFailure, invalid
from .shapes import billing as shapes

if TYPE_CHECKING:
    from .world import Obj, Scope

_BEHAVIOURS = ("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete")


def create_subscription(scope: Scope, params: Obj) -> Obj:
    """POST /v1/subscriptions."""
    customer = scope.get("customer", read.required(params, "customer"), "customer")
    metadata = read.metadata(params)
    lines = subscriptions.read_items(scope, params)
    behaviour = read.one_of(params, "payment_behavior", _BEHAVIOURS) or "allow_incomplete"
    trial = read.integer(params, "trial_period_days", least=0) or 0
    method = default_method(scope, customer, read.text(params, "default_payment_method"))
    due = sum(line.total for line in lines)
    if method is None and due > 0 and not trial and behaviour != "default_incomplete":
        raise invalid(
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method.",
            code="resource_missing",
        )
    subscription = subscriptions.start(
        scope,
        customer,
        lines,
        metadata=metadata,
        trial_days=trial,
        method=method,
        description=read.text(params, "description"),
    )
    if due > 0 and not trial:
        subscription["status"] = "incomplete"
    invoice = subscriptions.invoice_of(scope, subscription, lines, "subscription_create")
    scope.emit("customer.subscription.created", subscription)
    billing.finalize(scope, invoice)
    if method is not None and behaviour != "default_incomplete":
        billing.pay_with(scope, invoice, method)
    return subscription


def default_method(scope: Scope, customer: Obj, name: str | None = None) -> Obj | None:
    """Return what *customer* pays with unless told otherwise."""
    if name is not None:
        return method_named(scope, name, customer["id"], "default_payment_method")
    return scope.find(customer["invoice_settings"]["default_payment_method"], "payment_method")


def update_subscription(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/subscriptions/{id}: metadata, description, cancel_at_period_end."""
    obj = scope.get("subscription", object_id)
    before = {"metadata": obj["metadata"], "cancel_at_period_end": obj["cancel_at_period_end"]}
    obj["metadata"] = read.metadata(params, obj["metadata"])
    obj["cancel_at_period_end"] = read.boolean(params, "cancel_at_period_end", default=obj["cancel_at_period_end"])
    scope.emit("customer.subscription.updated", obj, before)
    return obj


def cancel_subscription(scope: Scope, _params: Obj, object_id: str) -> Obj:
    """DELETE /v1/subscriptions/{id}."""
    obj = scope.get("subscription", object_id)
    if obj["status"] == "canceled":
        raise invalid(f"No such subscription: {object_id}", code="resource_missing", status=404)
    obj |= {"status": "canceled", "canceled_at": scope.now, "ended_at": scope.now}
    scope.emit("customer.subscription.deleted", obj)
    return obj


def create_invoice_item(scope: Scope, params: Obj) -> Obj:
    """POST /v1/invoiceitems: an amount, or a price and a quantity."""
    customer = scope.get("customer", read.required(params, "customer"), "customer")
    quantity = read.integer(params, "quantity", least=1) or 1
    named = read.text(read.hash_of(params, "pricing"), "price") or read.text(params, "price")
    pricing: Obj | None = None
    if named is not None or params.get("price_data"):
        price = (
            scope.get("price", named, "price")
            if named is not None
            else create_price(scope, read.hash_of(params, "price_data"), active=False)
        )
        amount, currency = price["unit_amount"] * quantity, price["currency"]
        details = {"price": price["id"], "product": price["product"]}
        pricing = {
            "price_details": details,
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
    else:
        number = read.integer(params, "amount")
        if number is None:
            raise invalid("Missing required param: amount.", code="parameter_missing", param="amount", executed=False)
        amount, currency = number, read.currency(params)
    invoice = read.text(params, "invoice")
    if invoice is not None:
        scope.get("invoice", invoice, "invoice")
    obj = scope.put(
        shapes.invoice_item(
            scope.new_id("invoiceitem"),
            scope.now,
            customer["id"],
            amount,
            currency,
            description=read.text(params, "description"),
            invoice=invoice,
            metadata=read.metadata(params),
            pricing=pricing,
            quantity=quantity,
        )
    )
    scope.hidden(obj)["tax_rates"] = tuple(read.list_of(params, "tax_rates"))
    scope.emit("invoiceitem.created", obj)
    return obj


def create_invoice(scope: Scope, params: Obj) -> Obj:
    """POST /v1/invoices: a draft, with the customer's waiting items when `pending_invoice_items_behavior=include`."""
    customer = scope.get("customer", read.required(params, "customer"), "customer")
    include = read.one_of(params, "pending_invoice_items_behavior", ("exclude", "include")) == "include"
    waiting = [i for i in scope.all("invoiceitem") if i["customer"] == customer["id"] and i["invoice"] is None]
    taken = waiting if include else []
    invoice = billing.draft(
        scope,
        customer,
        billing.lines_of_items(scope, taken),
        currency=taken[0]["currency"] if taken else (read.text(params, "currency") or "usd").lower(),
        reason="manual",
        metadata=read.metadata(params),
        description=read.text(params, "description"),
        auto_advance=read.boolean(params, "auto_advance"),
        collection_method=read.one_of(params, "collection_method", ("charge_automatically", "send_invoice"))
        or "charge_automatically",
        due_date=read.integer(params, "due_date"),
    )
    for item in taken:
        item["invoice"] = invoice["id"]
    return invoice


def update_invoice(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/invoices/{id}: metadata and description."""
    obj = scope.get("invoice", object_id)
    obj["metadata"] = read.metadata(params, obj["metadata"])
    if "description" in params:
        obj["description"] = read.text(params, "description")
    scope.emit("invoice.updated", obj, {})
    return obj


def finalize_invoice(scope: Scope, _params: Obj, object_id: str) -> Obj:
    """POST /v1/invoices/{id}/finalize."""
    invoice = scope.get("invoice", object_id)
    _take_items(scope, invoice)
    billing.finalize(scope, invoice)
    return invoice


def _take_items(scope: Scope, invoice: Obj) -> None:
    """Items that were added to the draft by name become its lines now."""
    mine = [item for item in scope.all("invoiceitem") if item["invoice"] == invoice["id"]]
    if invoice["status"] == "draft" and mine and len(mine) > len(invoice["lines"]["data"]):
        invoice["currency"] = mine[0]["currency"]
        billing.set_lines(scope, invoice, billing.lines_of_items(scope, mine))


def pay_invoice(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/invoices/{id}/pay; `paid_out_of_band` for money that did not come through Stripe."""
    invoice = scope.get("invoice", object_id)
    if invoice["status"] == "draft":
        finalize_invoice(scope, {}, object_id)
        if invoice["status"] == "paid":
            return invoice
    if invoice["status"] != "open":
        raise invalid("Invoice is already paid" if invoice["status"] == "paid" else "Invoice is not open")
    if read.boolean(params, "paid_out_of_band"):
        billing.pay_out_of_band(scope, invoice)
        return invoice
    customer = scope.get("customer", invoice["customer"])
    method = default_method(scope, customer, read.text(params, "payment_method") or invoice["default_payment_method"])
    if method is None:
        raise invalid("Cannot charge a customer that has no active card", code="missing", status=402)
    billing.pay_with(scope, invoice, method)
    _raise_decline(scope, invoice)
    return invoice


def _raise_decline(scope: Scope, invoice: Obj) -> None:
    for payment in billing.payments_of(scope, invoice):
        intent = scope.find(payment["payment"].get("payment_intent"), "payment_intent")
        error = intent["last_payment_error"] if intent else None
        if invoice["status"] == "open" and error is not None:
            raise StripeFailure(402, dict(error))


def attach_payment(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/invoices/{id}/attach_payment: a PaymentIntent of its own pays (a part of) the invoice."""
    invoice = scope.get("invoice", object_id)
    intent = scope.get("payment_intent", read.required(params, "payment_intent"), "payment_intent")
    if invoice["status"] != "open":
        raise invalid("The invoice must be open.")
    if scope.hidden(intent).get("invoice"):
        raise invalid("The PaymentIntent is attached to an invoice already.", param="payment_intent")
    amount = min(intent["amount"], invoice["amount_remaining"])
    billing.attach(scope, invoice, intent, amount, default=False)
    billing.intent_changed(scope, intent)
    return invoice


def void_invoice(scope: Scope, _params: Obj, object_id: str) -> Obj:
    """POST /v1/invoices/{id}/void."""
    invoice = scope.get("invoice", object_id)
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid("You can only pass in open or uncollectible invoices.")
    for payment in billing.payments_of(scope, invoice):
        intent = scope.find(payment["payment"].get("payment_intent"), "payment_intent")
        if payment["status"] == "open" and intent is not None and intent["status"] != "succeeded":
            payment["status"] = "canceled"
            intents.cancel(scope, intent, "void_invoice")
    invoice["status"] = "void"
    invoice["status_transitions"]["voided_at"] = scope.now
    scope.emit("invoice.voided", invoice)
    return invoice


def with_rest(scope: Scope, invoice: Obj) -> Obj:
    """Return a copy of *invoice* with what is there only when asked for: `payments` and `confirmation_secret`."""
    payments = billing.payments_of(scope, invoice)
    secret: Obj | None = None
    for payment in payments:
        intent = scope.find(payment["payment"].get("payment_intent"), "payment_intent")
        if intent is not None:
            secret = {"client_secret": intent["client_secret"], "type": "payment_intent"}
    listed = {
        "object": "list",
        "data": [dict(p) for p in payments],
        "has_more": False,
        "total_count": len(payments),
        "url": f"/v1/invoices/{invoice['id']}/payments",
    }
    return {**invoice, "payments": listed, "confirmation_secret": secret}


def renew(scope: Scope, subscription: Obj, method: Obj | None) -> Obj:
    """
    Let a subscription begin its next period, paid with *method* or with what the customer pays with; return the invoice.

    Raises:
        ValueError: it does not renew, or nothing is there to pay with.
    """
    customer = scope.get("customer", subscription["customer"])
    kept = scope.find(subscription["default_payment_method"], "payment_method")
    chosen = method or kept or default_method(scope, customer)
    if chosen is None:
        raise ValueError(f"{subscription['id']} has no payment method to renew with")
    return subscriptions.renew(scope, subscription, chosen)
