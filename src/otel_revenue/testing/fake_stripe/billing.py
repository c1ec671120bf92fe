# SPDX-License-Identifier: Apache-2.0
"""
Invoices: drafted, finalised, paid through Stripe or outside of it.

Sources: Stripe documentation, "Invoicing", "Partial payments", and the changelog of 2025-03-31.basil.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import intents
from .failure import invalid
from .pricing import Line, priced
from .shapes import billing as shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .world import Obj, Scope

_DESCRIPTIONS = {
    "subscription_create": "Subscription creation",
    "subscription_cycle": "Subscription update",
    "subscription_update": "Subscription update",
}


def draft(
    scope: Scope,
    customer: Obj,
    lines: Sequence[Line],
    *,
    currency: str,
    reason: str,
    subscription: Obj | None = None,
    **fields: Any,
) -> Obj:
    """Make a draft invoice out of *lines*; a copy of the subscription's metadata goes on the invoice and its lines."""
    parent = None
    if subscription is not None:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    obj = scope.put(
        shapes.invoice(
            scope.new_id("invoice"),
            scope.now,
            currency,
            reason,
            customer=customer["id"],
            customer_address=customer["address"],
            customer_email=customer["email"],
            customer_name=customer["name"],
            customer_phone=customer["phone"],
            customer_shipping=customer["shipping"],
            parent=parent,
            **fields,
        )
    )
    set_lines(scope, obj, lines, subscription)
    scope.emit("invoice.created", obj)
    return obj


def set_lines(scope: Scope, invoice: Obj, lines: Sequence[Line], subscription: Obj | None = None) -> None:
    """Give a draft its lines, and the sums that follow from them."""
    data = [_line(scope, invoice, line, subscription) for line in lines]
    invoice["lines"] = {
        "object": "list",
        "data": data,
        "has_more": False,
        "total_count": len(data),
        "url": f"/v1/invoices/{invoice['id']}/lines",
    }
    discount, tax = sum(line.discount for line in lines), sum(line.tax for line in lines)
    subtotal, total = sum(line.subtotal for line in lines), sum(line.total for line in lines)
    invoice |= {
        "subtotal": subtotal,
        "total": total,
        "total_excluding_tax": total - tax,
        "subtotal_excluding_tax": subtotal - sum(line.inclusive for line in lines),
        "amount_due": total,
        "amount_remaining": total,
        "total_discount_amounts": [{"amount": discount, "discount": scope.new_id("discount")}] if discount else [],
        "total_taxes": [{"amount": tax, "tax_behavior": "exclusive", "taxability_reason": "standard_rated"}]
        if tax
        else [],
    }


def _line(scope: Scope, invoice: Obj, line: Line, subscription: Obj | None) -> Obj:
    pricing: Obj | None = None
    if line.price is not None:
        details = {"price": line.price["id"], "product": line.price["product"]}
        pricing = {
            "price_details": details,
            "type": "price_details",
            "unit_amount_decimal": line.price["unit_amount_decimal"],
        }
    if subscription is not None:
        parent = {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "subscription": subscription["id"],
                "subscription_item": subscription["items"]["data"][0]["id"],
            },
            "type": "subscription_item_details",
        }
    else:
        parent = {
            "invoice_item_details": {"invoice_item": line.item, "proration": False, "subscription": None},
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    copied = dict(subscription["metadata"]) if subscription else {}
    return {
        "id": scope.new_id("line_item"),
        "object": "line_item",
        "amount": line.subtotal,
        "currency": invoice["currency"],
        "description": f"{line.quantity} × {line.description}" if line.price else line.description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": {**copied, **(line.metadata or {})},
        "parent": parent,
        "period": {"end": invoice["period_end"], "start": invoice["period_start"]},
        "pretax_credit_amounts": [],
        "pricing": pricing,
        "quantity": line.quantity,
        "subtotal": line.subtotal,
        "taxes": [],
    }


def finalize(scope: Scope, invoice: Obj, *, paid_by: Obj | None = None) -> None:
    """
    Make a draft open, with a PaymentIntent when money is due; nothing due is paid at once.

    Args:
        scope, invoice: what is finalised.
        paid_by: a PaymentIntent that exists already (Checkout's).

    Raises:
        StripeFailure: it is no draft.
    """
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    world = scope.world
    world.invoice_numbers += 1
    customer = scope.get("customer", invoice["customer"])
    credit = min(max(0, -customer["balance"]), invoice["total"])
    customer["balance"] += credit
    secret = scope.new_id("receipt")
    invoice |= {
        "status": "open",
        "number": f"{customer['invoice_prefix']}-{world.invoice_numbers:04d}",
        "starting_balance": -credit,
        "ending_balance": customer["balance"],
        "amount_due": invoice["total"] - credit,
        "amount_remaining": invoice["total"] - credit,
        "hosted_invoice_url": f"https://invoice.stripe.com/i/acct_fake/{secret}?s=ap",
        "invoice_pdf": f"https://pay.stripe.com/invoice/acct_fake/{secret}/pdf?s=ap",
        "effective_at": scope.now,
    }
    invoice["status_transitions"]["finalized_at"] = scope.now
    intent = paid_by
    if intent is None and invoice["amount_due"] > 0:
        intent = intents.start(
            scope,
            invoice["amount_due"],
            invoice["currency"],
            customer=invoice["customer"],
            description=_DESCRIPTIONS.get(invoice["billing_reason"], "Payment for Invoice"),
            receipt_email=invoice["customer_email"],
            payment_details={"customer_reference": None, "order_reference": invoice["id"]},
        )
    if intent is not None:
        attach(scope, invoice, intent, invoice["amount_due"])
    scope.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        _paid(scope, invoice)


def attach(scope: Scope, invoice: Obj, intent: Obj, amount: int, *, default: bool = True) -> None:
    """Let *intent* pay *amount* of *invoice*."""
    scope.hidden(intent)["invoice"] = invoice["id"]
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    scope.put(
        shapes.invoice_payment(scope.new_id("invoice_payment"), scope.now, invoice, amount, payment, is_default=default)
    )


def payments_of(scope: Scope, invoice: Obj) -> list[Obj]:
    """Return the InvoicePayments of *invoice*, oldest first."""
    return [p for p in scope.all("invoice_payment") if p["invoice"] == invoice["id"]]


def intent_changed(scope: Scope, intent: Obj) -> None:
    """Tell the invoice of *intent* how its payment went; does nothing when it pays none."""
    invoice = scope.find(scope.hidden(intent).get("invoice"), "invoice")
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return
    payment = next(p for p in payments_of(scope, invoice) if p["payment"].get("payment_intent") == intent["id"])
    if intent["status"] == "succeeded" and payment["status"] == "open":
        payment |= {"status": "paid", "amount_paid": payment["amount_requested"]}
        payment["status_transitions"]["paid_at"] = scope.now
        left = invoice["amount_remaining"] - payment["amount_paid"]
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        invoice |= {"amount_paid": invoice["amount_paid"] + payment["amount_paid"], "amount_remaining": max(0, left)}
        if left > 0:
            scope.emit("invoice_payment.paid", payment)
            scope.emit("invoice.updated", invoice)
            return
        for other in payments_of(scope, invoice):
            if other["status"] == "open":
                other["status"] = "canceled"
                other["status_transitions"]["canceled_at"] = scope.now
        _paid(scope, invoice, payment)
    elif intent["status"] == "requires_payment_method" and intent["last_payment_error"]:
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        scope.emit("invoice.payment_failed", invoice)
        _subscription_failed(scope, invoice)


def pay_out_of_band(scope: Scope, invoice: Obj) -> None:
    """Mark as paid outside of Stripe: since 2025-03-31 `amount_paid` holds it, paid by a payment record."""
    payment = shapes.invoice_payment(
        scope.new_id("invoice_payment"),
        scope.now,
        invoice,
        invoice["amount_remaining"],
        {"payment_record": scope.new_id("payment_record"), "type": "payment_record"},
    )
    scope.put(payment)
    payment |= {"status": "paid", "amount_paid": payment["amount_requested"]}
    payment["status_transitions"]["paid_at"] = scope.now
    for other in payments_of(scope, invoice):
        if other["status"] == "open":
            other["status"] = "canceled"
            intents.cancel(scope, scope.get("payment_intent", other["payment"]["payment_intent"]), None)
    invoice |= {"amount_paid": invoice["amount_paid"] + payment["amount_paid"], "amount_remaining": 0}
    scope.hidden(invoice)["out_of_band"] = True
    _paid(scope, invoice, payment, by_stripe=False)


def _paid(scope: Scope, invoice: Obj, payment: Obj | None = None, *, by_stripe: bool = True) -> None:
    invoice |= {"status": "paid", "attempted": True, "auto_advance": False}
    invoice["status_transitions"]["paid_at"] = scope.now
    scope.emit("invoice.updated", invoice, {"status": "open"})
    scope.emit("invoice.paid", invoice)
    if by_stripe:
        scope.emit("invoice.payment_succeeded", invoice)
    if payment is not None:
        scope.emit("invoice_payment.paid", payment)
    subscription = subscription_of(scope, invoice)
    if subscription is not None and subscription["status"] in ("incomplete", "past_due"):
        before = {"status": subscription["status"]}
        subscription["status"] = "active"
        scope.emit("customer.subscription.updated", subscription, before)


def _subscription_failed(scope: Scope, invoice: Obj) -> None:
    subscription = subscription_of(scope, invoice)
    if subscription is not None and subscription["status"] == "active":
        subscription["status"] = "past_due"
        scope.emit("customer.subscription.updated", subscription, {"status": "active"})


def subscription_of(scope: Scope, invoice: Obj) -> Obj | None:
    """Return the subscription that *invoice* bills."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return scope.find(details.get("subscription"), "subscription")


def pay_with(scope: Scope, invoice: Obj, method: Obj) -> str:
    """Pay the open rest of *invoice* with *method*, and return the status of the PaymentIntent; "" when nothing is due."""
    if invoice["status"] != "open" or invoice["amount_remaining"] == 0:
        return ""
    payment = next(p for p in payments_of(scope, invoice) if p["status"] == "open")
    intent = scope.get("payment_intent", payment["payment"]["payment_intent"])
    if intent["amount"] > invoice["amount_remaining"]:
        intent["amount"] = payment["amount_requested"] = invoice["amount_remaining"]
    status = intents.attempt(scope, intent, method)
    intent_changed(scope, intent)
    return status


def lines_of_items(scope: Scope, items: Sequence[Obj]) -> list[Line]:
    """Return the lines that pending invoice items make."""
    lines = []
    for item in items:
        price = scope.find((item["pricing"] or {}).get("price_details", {}).get("price"), "price")
        rates = tuple(scope.get("tax_rate", rate, "tax_rates") for rate in scope.hidden(item).get("tax_rates", ()))
        lines.append(
            Line(
                price,
                item["quantity"],
                item["amount"],
                description=item["description"] or "",
                metadata=item["metadata"],
                tax_rates=rates,
                item=item["id"],
            )
        )
    return priced(scope, lines, None)
