# SPDX-License-Identifier: Apache-2.0
"""
What happens when a buyer presses the button, with the events of each step.

The PaymentIntent is made when the buyer first tries to pay (since 2022-08-01), the subscription and its invoice after
the payment (since 2025-03-31). Sources: Stripe changelog, and documentation "How Checkout works", "Fulfil orders".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import billing, intents, subscriptions
from . import params as read
from .buyer import Buyer, Instrument
from .catalogue import billing_of, create_customer, method_of_buyer
from .failure import invalid
from .pricing import Line, presented
from .shapes import payment as payment_shapes

if TYPE_CHECKING:
    from .world import Obj, Scope


def complete(scope: Scope, session: Obj, used: Instrument, buyer: Buyer) -> str:
    """
    Let *buyer* press the button, paying with *used*, and return the Session's status: `complete`, or `open` if declined.

    Raises:
        ValueError: the Session is not open, or the shop chose payment method types that *used* is none of.
    """
    if session["status"] != "open":
        raise ValueError(f"{session['id']} is {session['status']}: it cannot be paid")
    if scope.hidden(session)["chosen_methods"] and used.type not in session["payment_method_types"]:
        raise ValueError(f"{session['id']} takes {', '.join(session['payment_method_types'])}, not {used.type}")
    if session["mode"] == "payment":
        return _complete_payment(scope, session, used, buyer)
    if session["mode"] == "subscription":
        return _complete_subscription(scope, session, used, buyer)
    return _complete_setup(scope, session, used, buyer)


def _complete_payment(scope: Scope, session: Obj, used: Instrument, buyer: Buyer) -> str:
    if session["amount_total"] == 0:
        _filled_in(scope, session, buyer)
        return _completed(scope, session, "no_payment_required")
    customer = _customer(scope, session, buyer) if session["customer_creation"] == "always" else None
    intent = _intent(scope, session, buyer, customer)
    method = method_of_buyer(scope, used, buyer, intent["customer"])
    status = intents.attempt(scope, intent, method, buyer)
    if status in ("requires_payment_method", "requires_action"):
        return "open"
    _filled_in(scope, session, buyer)
    session["payment_intent"] = intent["id"]
    if intent.get("presentment_details"):
        session["presentment_details"] = intent["presentment_details"]
    if session["invoice_creation"] and status == "succeeded":
        _receipt_invoice(scope, session, intent, buyer)
    return _completed(scope, session, "paid" if status == "succeeded" else "unpaid")


def _intent(scope: Scope, session: Obj, buyer: Buyer, customer: Obj | None) -> Obj:
    """Return the Session's PaymentIntent; made at the first try, used again after a decline."""
    hidden = scope.hidden(session)
    kept = scope.find(hidden.get("intent"), "payment_intent")
    if kept is not None:
        return kept
    data = read.hash_of(hidden["params"], "payment_intent_data")
    reference = session["id"][:25] if scope.world.cut_references else session["id"]
    fields = intents.fields_from(data)
    if session["shipping_address_collection"] is not None and "shipping" not in fields:
        who = {"address": buyer.address, "name": buyer.name, "phone": buyer.phone}
        fields["shipping"] = {**who, "carrier": None, "tracking_number": None}
    fields.setdefault("receipt_email", _email(scope, session, buyer) if buyer.email else None)
    intent = intents.start(
        scope,
        session["amount_total"],
        session["currency"],
        customer=session["customer"] or (customer["id"] if customer else None),
        metadata=read.metadata(data),
        payment_details={"customer_reference": None, "order_reference": reference},
        payment_method_types=session["payment_method_types"],
        **fields,
    )
    hidden["intent"] = intent["id"]
    scope.hidden(intent)["session"] = session["id"]
    scope.hidden(intent)["adaptive"] = bool((session["adaptive_pricing"] or {}).get("enabled"))
    card = session["payment_method_options"].get("card", {})
    scope.hidden(intent)["multicapture"] = card.get("request_multicapture") == "if_available"
    return intent


def _complete_subscription(scope: Scope, session: Obj, used: Instrument, buyer: Buyer) -> str:
    hidden = scope.hidden(session)
    customer = _customer(scope, session, buyer)
    intent: Obj | None = None
    status = ""
    method = method_of_buyer(scope, used, buyer, customer["id"])
    if session["amount_total"] > 0:
        intent = _intent(scope, session, buyer, customer)
        intent["description"] = "Subscription creation"
        scope.hidden(intent).setdefault("invoice", None)
        status = intents.attempt(scope, intent, method, buyer)
        if status in ("requires_payment_method", "requires_action"):
            return "open"
    _filled_in(scope, session, buyer)
    data = read.hash_of(hidden["params"], "subscription_data")
    subscription = subscriptions.start(
        scope,
        customer,
        hidden["lines"],
        metadata=read.metadata(data),
        trial_days=hidden["trial"],
        method=method,
        description=read.text(data, "description"),
    )
    hidden_sub = scope.hidden(subscription)
    hidden_sub["session"] = session["id"]
    invoice = subscriptions.invoice_of(scope, subscription, hidden["lines"], "subscription_create")
    scope.hidden(invoice)["session"] = session["id"]
    scope.emit("customer.subscription.created", subscription)
    billing.finalize(scope, invoice, paid_by=intent)
    if intent is not None:
        billing.intent_changed(scope, intent)
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}
    if intent is None:
        return _completed(scope, session, "no_payment_required")
    return _completed(scope, session, "paid" if status == "succeeded" else "unpaid")


def _complete_setup(scope: Scope, session: Obj, used: Instrument, buyer: Buyer) -> str:
    customer_id = session["customer"]
    method = method_of_buyer(scope, used, buyer, customer_id)
    data = read.hash_of(scope.hidden(session)["params"], "setup_intent_data")
    setup = scope.put(
        payment_shapes.setup_intent(
            scope.new_id("setup_intent"),
            scope.now,
            customer=customer_id,
            payment_method=method["id"],
            metadata=read.metadata(data),
            description=read.text(data, "description"),
        )
    )
    scope.emit("setup_intent.created", setup)
    scope.emit("setup_intent.succeeded", setup)
    _filled_in(scope, session, buyer)
    session["setup_intent"] = setup["id"]
    return _completed(scope, session, "no_payment_required")


def _receipt_invoice(scope: Scope, session: Obj, intent: Obj, buyer: Buyer) -> None:
    """`invoice_creation`: an invoice for a one-off payment that was made already."""
    customer = _customer(scope, session, buyer)
    hidden = scope.hidden(session)
    lines = list(hidden["lines"])
    if hidden["shipping"]:
        lines.append(Line(None, 1, hidden["shipping"], description="Shipping"))
    invoice = billing.draft(scope, customer, lines, currency=session["currency"], reason="manual")
    scope.hidden(invoice)["session"] = session["id"]
    billing.finalize(scope, invoice, paid_by=intent)
    billing.intent_changed(scope, intent)
    session["invoice"] = invoice["id"]


def _customer(scope: Scope, session: Obj, buyer: Buyer) -> Obj:
    kept = scope.find(session["customer"], "customer")
    if kept is not None:
        return kept
    person = {"email": _email(scope, session, buyer), "name": buyer.name, "phone": buyer.phone}
    made = create_customer(scope, {k: v for k, v in {**person, "address": buyer.address}.items() if v})
    session["customer"] = made["id"]
    return made


def _email(scope: Scope, session: Obj, buyer: Buyer) -> str:
    customer = scope.find(session["customer"], "customer") or {}
    return session["customer_email"] or customer.get("email") or buyer.email


def _filled_in(scope: Scope, session: Obj, buyer: Buyer) -> None:
    """What the buyer typed into the page."""
    email = _email(scope, session, buyer)
    tax_ids = [{"type": "eu_vat", "value": buyer.tax_id}] if buyer.tax_id else []
    session["customer_details"] = {
        "address": buyer.address,
        "business_name": buyer.business_name,
        "email": email,
        "individual_name": buyer.name,
        "name": buyer.name,
        "phone": buyer.phone,
        "tax_exempt": "none",
        "tax_ids": tax_ids,
    }
    if session["shipping_address_collection"] is not None:
        session["collected_information"] = {
            "business_name": buyer.business_name,
            "individual_name": buyer.name,
            "shipping_details": {"address": buyer.address, "name": buyer.name},
        }
    for field in session["custom_fields"]:
        field[field["type"]]["value"] = buyer.note
    if session["adaptive_pricing"] and session["adaptive_pricing"]["enabled"] and buyer.currency:
        shown = presented(session["amount_total"], session["currency"], buyer.currency)
        if shown:
            session["presentment_details"] = shown


def _completed(scope: Scope, session: Obj, payment_status: str) -> str:
    session |= {"status": "complete", "payment_status": payment_status, "url": None}
    # The buyer's click is no API request.
    type(scope)(scope.world, account=scope.account).emit("checkout.session.completed", session)
    return "complete"


def settle(scope: Scope, session: Obj, *, succeed: bool) -> None:
    """
    Let the money of a delayed method arrive, or not.

    Raises:
        ValueError: nothing is on its way.
    """
    intent = scope.find(scope.hidden(session).get("intent"), "payment_intent")
    if intent is None or session["status"] != "complete":
        raise ValueError(f"{session['id']}: there is nothing to settle")
    intents.settle(scope, intent, succeed=succeed)
    billing.intent_changed(scope, intent)
    if succeed:
        session["payment_status"] = "paid"
    outcome = "succeeded" if succeed else "failed"
    scope.emit(f"checkout.session.async_payment_{outcome}", session)


def confirm_page(scope: Scope, params: Obj, object_id: str) -> Obj:
    """
    POST /v1/payment_pages/{id}/confirm, a private endpoint of Stripe's page that the Stripe CLI's triggers use.

    Raises:
        StripeFailure: the amount is not the expected one, or the Session is not open.
    """
    session = scope.get("checkout.session", object_id)
    method = scope.get("payment_method", read.required(params, "payment_method"), "payment_method")
    expected = read.integer(params, "expected_amount")
    if expected is not None and expected != (session["amount_total"] or 0):
        raise invalid("The expected amount is not the Session's.", param="expected_amount")
    given = billing_of(method["billing_details"])
    address = {k: v for k, v in (given["address"] or {}).items() if k in Buyer().address}
    person = {k: v for k in ("email", "name", "phone") if (v := given[k])}
    used: Instrument = scope.hidden(method)["instrument"]
    try:
        complete(scope, session, used, Buyer(**person, **address))
    except ValueError as error:
        raise invalid(str(error)) from None
    if used.settles and session["payment_status"] == "unpaid":
        scope.world.afterwards(lambda: settle(scope, session, succeed=used.settles == "succeed"))
    return session
