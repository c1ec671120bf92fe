# SPDX-License-Identifier: Apache-2.0
"""
Charges: one per attempt to pay, and what follows from it.

Sources: Stripe documentation, "Asynchronous capture", "Destination charges"; API reference, "Charges".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import params as read
from .failure import decline
from .shapes import payment as shapes

if TYPE_CHECKING:
    from .buyer import Instrument
    from .world import Obj, Scope


def legacy_charge(scope: Scope, method: Obj, params: Obj) -> Obj:
    """Make a charge without a PaymentIntent, as the old Charges API does; a decline leaves a failed one."""
    used: Instrument = scope.hidden(method)["instrument"]
    amount = read.amount(params)
    charge = scope.put(
        shapes.charge(
            scope.new_id("charge"),
            scope.now,
            amount,
            read.currency(params),
            customer=read.text(params, "customer"),
            description=read.text(params, "description"),
            receipt_email=read.text(params, "receipt_email"),
            metadata=read.metadata(params),
            billing_details=method["billing_details"],
            payment_method=method["id"],
            payment_method_details=shapes.charge_method(used, amount, manual=False),
            outcome=shapes.outcome(used),
        )
    )
    if used.decline:
        error = decline(used.decline)
        charge |= {"status": "failed", "failure_code": error["code"], "failure_message": error["message"]}
        scope.emit("charge.failed", charge)
        return charge
    taken = read.boolean(params, "capture", default=True)
    charge |= {"status": "succeeded", "paid": True, "captured": taken, "amount_captured": amount if taken else 0}
    charge["receipt_url"] = _receipt(scope, charge, billing=False)
    scope.emit("charge.succeeded", charge)
    if taken:
        fee_follows(scope, charge)
    return charge


def of_intent(scope: Scope, intent: Obj, method: Obj, used: Instrument) -> Obj:
    """Make the charge of one attempt; the intent's metadata are copied once, here."""
    hidden = scope.hidden(intent)
    return scope.put(
        shapes.charge(
            scope.new_id("charge"),
            scope.now,
            intent["amount"],
            intent["currency"],
            billing_details=dict(method["billing_details"]),
            customer=intent["customer"],
            description=intent["description"],
            metadata=dict(intent["metadata"]),
            on_behalf_of=intent["on_behalf_of"],
            outcome=shapes.outcome(used),
            payment_intent=intent["id"],
            payment_method=method["id"],
            payment_method_details=shapes.charge_method(
                used, intent["amount"], manual=bool(hidden.get("multicapture"))
            ),
            receipt_email=intent["receipt_email"],
            shipping=intent["shipping"],
            statement_descriptor=intent["statement_descriptor"],
            transfer_data=intent["transfer_data"],
            transfer_group=intent["transfer_group"],
        )
    )


def declined(scope: Scope, intent: Obj, charge: Obj, method: Obj, code: str) -> None:
    """Note that *charge* was declined; the error on the intent holds the whole payment method, as Stripe's does."""
    error = decline(code)
    charge |= {
        "status": "failed",
        "paid": False,
        "failure_code": error["code"],
        "failure_message": error["message"],
        "receipt_url": None,
    }
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_payment_error": {**error, "charge": charge["id"], "payment_method": dict(method)},
    }
    scope.emit("charge.failed", charge)
    scope.emit("payment_intent.payment_failed", intent)


def succeeded(scope: Scope, intent: Obj, charge: Obj, taken: int) -> None:
    """Note that *taken* was taken in all; the events are the caller's."""
    billing = "invoice" in scope.hidden(intent)
    charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": taken}
    charge["receipt_url"] = _receipt(scope, charge, billing=billing)
    intent |= {"status": "succeeded", "amount_received": taken, "amount_capturable": 0, "processing": None}
    _mirror(scope, intent, charge)


def _receipt(scope: Scope, charge: Obj, *, billing: bool) -> str:
    kind = "invoices" if billing else "payment"
    return f"https://pay.stripe.com/receipts/{kind}/{scope.new_id('receipt')}{charge['id'][-4:]}?s=ap"


def _mirror(scope: Scope, intent: Obj, charge: Obj) -> None:
    """A destination charge: the connected account gets the same money as a payment of its own."""
    target = (intent["transfer_data"] or {}).get("destination")
    if not target or charge.get("transfer"):
        return
    charge["transfer"] = scope.new_id("transfer")
    theirs = type(scope)(scope.world, account=target)
    taken = charge["amount_captured"]
    copied = theirs.put(
        shapes.charge(
            scope.new_id("mirror"),
            scope.now,
            taken,
            charge["currency"],
            amount_captured=taken,
            captured=True,
            paid=True,
            status="succeeded",
            source_transfer=charge["transfer"],
            payment_method_details={"type": "stripe_account", "stripe_account": {}},
        )
    )
    theirs.emit("charge.succeeded", copied)
    theirs.emit("payment.created", copied)


def fee_follows(scope: Scope, charge: Obj) -> None:
    """With asynchronous capture the fee is known a moment after the payment: `charge.updated` brings it."""

    def step() -> None:
        before = {"balance_transaction": charge["balance_transaction"]}
        entry = scope.put(
            shapes.balance_transaction(
                scope.new_id("balance_transaction"),
                scope.now,
                charge["amount_captured"],
                charge["currency"],
                charge["id"],
            )
        )
        charge["balance_transaction"] = entry["id"]
        type(scope)(scope.world, account=scope.account).emit("charge.updated", charge, before)

    scope.world.afterwards(step)
