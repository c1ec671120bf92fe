# SPDX-License-Identifier: Apache-2.0
"""
Checkout Sessions and Payment Links: from creation to the buyer's click, with the events of each step.

The PaymentIntent is made when the buyer first tries to pay (since 2022-08-01), the subscription and its invoice after
the payment (since 2025-03-31). Sources: Stripe changelog, and documentation "How Checkout works", "Fulfil orders".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import billing, intents
from . import params as read
from .buyer import AT_ONCE, DELAYED, Buyer, Instrument
from .catalogue import billing_of, create_customer, method_of_buyer
from .failure import invalid
from .pricing import Line, coupon_in, presented, priced, read_lines
from .shapes import checkout as shapes
from .shapes import payment as payment_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .world import Obj, Scope

_MODES = ("payment", "subscription", "setup")
_UI = ("hosted_page", "embedded_page", "elements", "form", "hosted", "embedded", "custom")
_EUROPEAN = ("bancontact", "eps", "giropay", "ideal", "p24", "sepa_debit", "sofort", "multibanco")
_TEXTS = (
    "cancel_url",
    "client_reference_id",
    "customer_email",
    "locale",
    "return_url",
    "submit_type",
    "success_url",
    "billing_address_collection",
    "customer_creation",
    "payment_method_collection",
    "integration_identifier",
)
_HASHES = (
    "after_expiration",
    "consent_collection",
    "phone_number_collection",
    "tax_id_collection",
    "saved_payment_method_options",
    "shipping_address_collection",
    "name_collection",
    "branding_settings",
)
# Data of one mode, refused in the others.
_DATA_OF = {"payment_intent_data": "payment", "subscription_data": "subscription", "setup_intent_data": "setup"}


def create(scope: Scope, params: Obj) -> Obj:
    """POST /v1/checkout/sessions."""
    read.refuse_method_types(params, scope.version or None)
    mode = read.one_of(params, "mode", _MODES)
    if mode is None:
        raise invalid("Missing required param: mode.", code="parameter_missing", param="mode", executed=False)
    _check_data(params, mode)
    ui_mode = read.one_of(params, "ui_mode", _UI) or "hosted_page"
    hosted = ui_mode in ("hosted_page", "hosted", "form")
    if hosted and not params.get("success_url"):
        raise invalid("Missing required param: success_url.", code="parameter_missing", param="success_url")
    if (
        not hosted
        and not params.get("return_url")
        and params.get("redirect_on_completion") not in ("never", "if_required")
    ):
        raise invalid("Missing required param: return_url.", code="parameter_missing", param="return_url")
    for name in ("success_url", "cancel_url", "return_url"):
        url = read.text(params, name)
        if url is not None and not url.startswith(("http://", "https://")):
            raise invalid("Not a valid URL", code="url_invalid", param=name)
    items = read.hashes_of(params, "line_items")
    if not items and mode != "setup":
        raise invalid(
            f"Missing required param: line_items. You must pass it in `{mode}` mode.",
            code="parameter_missing",
            param="line_items",
            executed=False,
        )
    read.metadata(params)
    lines = read_lines(scope, items)
    _check_recurring(mode, lines)
    return _open(scope, params, mode, ui_mode, lines)


def _check_data(params: Obj, mode: str) -> None:
    for name, wanted in _DATA_OF.items():
        if name in params and mode != wanted:
            raise invalid(f"You can not pass `{name}` in `{mode}` mode.", param=name, executed=False)
        read.metadata(read.hash_of(params, name))


def _check_recurring(mode: str, lines: Sequence[Line]) -> None:
    recurring = any(line.price and line.price["recurring"] for line in lines)
    if mode == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only"
            " one-time prices.",
            param="line_items",
        )
    if mode == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using prices.",
            param="line_items",
        )


def _open(scope: Scope, params: Obj, mode: str, ui_mode: str, lines: Sequence[Line]) -> Obj:
    customer_id = read.text(params, "customer")
    if customer_id is not None:
        scope.get("customer", customer_id, "customer")
    coupon = coupon_in(scope, read.hashes_of(params, "discounts"))
    trial = read.integer(read.hash_of(params, "subscription_data"), "trial_period_days", least=1) or 0
    lines = priced(scope, lines, coupon)
    due = [] if trial else lines
    shipping = _shipping(params)
    object_id = scope.new_id("checkout.session")
    currency = next((line.price["currency"] for line in lines if line.price), None) or read.text(params, "currency")
    hosted = ui_mode in ("hosted_page", "hosted", "form")
    obj = scope.put(
        shapes.session(
            object_id,
            scope.now,
            mode,
            currency=currency,
            customer=customer_id,
            metadata=read.metadata(params),
            payment_method_types=_method_types(params, currency),
            ui_mode=ui_mode,
            url=f"{scope.world.url}/c/pay/{object_id}" if hosted else None,
            client_secret=None if hosted else f"{object_id}_{scope.new_id('client_secret')}",
            custom_fields=_custom_fields(params),
            **{name: read.text(params, name) for name in _TEXTS if name in params},
            **{name: read.hash_of(params, name) for name in _HASHES if name in params},
        )
    )
    if coupon is not None:
        obj["discounts"] = [{"coupon": coupon["id"], "promotion_code": None}]
    if read.integer(params, "expires_at") is not None:
        obj["expires_at"] = read.integer(params, "expires_at")
    if mode != "setup":
        _totals(obj, due, shipping)
    if read.boolean(read.hash_of(params, "adaptive_pricing"), "enabled"):
        obj["adaptive_pricing"] = {"enabled": True}
    if read.boolean(read.hash_of(params, "invoice_creation"), "enabled"):
        obj["invoice_creation"] = {"enabled": True, "invoice_data": {"metadata": {}}}
    if mode == "payment":
        options = read.hash_of(read.hash_of(params, "payment_method_options"), "card")
        obj["payment_method_options"] = {"card": {"request_three_d_secure": "automatic", **options}}
    scope.hidden(obj).update(params=params, lines=lines, items=_items(scope, lines), trial=trial, shipping=shipping)
    return obj


def _method_types(params: Obj, currency: str | None) -> list[str]:
    given = read.list_of(params, "payment_method_types") or read.list_of(params, "allowed_payment_method_types")
    for kind in given:
        if kind not in AT_ONCE and kind not in DELAYED:
            raise invalid(f"Invalid payment_method_types: {kind}", param="payment_method_types", executed=False)
        if kind in _EUROPEAN and currency not in (None, "eur") and "payment_method_types" in params:
            raise invalid(
                f"The currency provided ({currency}) is invalid for one or more of the payment method types ({kind}).",
                param="payment_method_types",
            )
    excluded = read.list_of(params, "excluded_payment_method_types")
    return [k for k in given if k not in _EUROPEAN or currency in (None, "eur")] or [
        k for k in ("card", "link") if k not in excluded
    ]


def _custom_fields(params: Obj) -> list[Obj]:
    found = []
    for given in read.hashes_of(params, "custom_fields"):
        kind = read.one_of(given, "type", ("text", "numeric", "dropdown")) or "text"
        found.append(
            {
                "key": read.required(given, "key"),
                "label": read.hash_of(given, "label"),
                "optional": read.boolean(given, "optional"),
                "type": kind,
                kind: {"default_value": None, "value": None},
            }
        )
    return found


def _shipping(params: Obj) -> int:
    """What the first offered way of shipping costs; the fake's buyers take that one."""
    for option in read.hashes_of(params, "shipping_options"):
        fixed = read.hash_of(read.hash_of(option, "shipping_rate_data"), "fixed_amount")
        return read.integer(fixed, "amount", least=0) or 0
    return 0


def _totals(session: Obj, lines: Sequence[Line], shipping: int) -> None:
    session["amount_subtotal"] = sum(line.subtotal for line in lines)
    session["amount_total"] = sum(line.total for line in lines) + shipping
    session["total_details"] = {
        "amount_discount": sum(line.discount for line in lines),
        "amount_shipping": shipping,
        "amount_tax": sum(line.tax for line in lines),
    }
    if shipping:
        session["shipping_cost"] = {
            "amount_subtotal": shipping,
            "amount_tax": 0,
            "amount_total": shipping,
            "shipping_rate": None,
        }


def _items(scope: Scope, lines: Sequence[Line]) -> list[Obj]:
    return [
        {
            "id": scope.new_id("item"),
            "object": "item",
            "adjustable_quantity": None,
            "amount_discount": line.discount,
            "amount_subtotal": line.subtotal,
            "amount_tax": line.tax,
            "amount_total": line.total,
            "currency": line.price["currency"],
            "description": line.description,
            "metadata": line.metadata or {},
            "price": line.price,
            "quantity": line.quantity,
        }
        for line in lines
        if line.price is not None
    ]


def update(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/checkout/sessions/{id}: metadata."""
    obj = scope.get("checkout.session", object_id)
    obj["metadata"] = read.metadata(params, obj["metadata"])
    return obj


def expire(scope: Scope, session: Obj) -> Obj:
    """
    Let a Session run out.

    Raises:
        StripeFailure: it is not open.
    """
    if session["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Session has a status of '
            f"`{session['status']}`."
        )
    session |= {"status": "expired", "url": None}
    scope.emit("checkout.session.expired", session)
    return session


def complete(scope: Scope, session: Obj, used: Instrument, buyer: Buyer) -> str:
    """
    Let *buyer* press the button, paying with *used*, and return the Session's status: `complete`, or `open` if declined.

    Raises:
        ValueError: the Session is not open.
    """
    if session["status"] != "open":
        raise ValueError(f"{session['id']} is {session['status']}: it cannot be paid")
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
    subscription = billing.start_subscription(
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
    invoice = billing.subscription_invoice(scope, subscription, hidden["lines"], "subscription_create")
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


def create_link(scope: Scope, params: Obj) -> Obj:
    """POST /v1/payment_links."""
    items = read.hashes_of(params, "line_items")
    if not items:
        raise invalid(
            "Missing required param: line_items.", code="parameter_missing", param="line_items", executed=False
        )
    lines = read_lines(scope, items)
    recurring = any(line.price and line.price["recurring"] for line in lines)
    first = lines[0].price
    assert first is not None
    obj = scope.put(
        shapes.payment_link(
            scope.new_id("payment_link"),
            scope.now,
            f"{scope.world.url}/pay/{scope.new_id('link_path')}",
            first["currency"],
            metadata=read.metadata(params),
            payment_intent_data=params.get("payment_intent_data"),
            subscription_data=params.get("subscription_data"),
        )
    )
    scope.hidden(obj).update(params=params, items=_items(scope, lines), mode="subscription" if recurring else "payment")
    scope.emit("payment_link.created", obj)
    return obj


def open_link(scope: Scope, link: Obj) -> Obj:
    """Let a buyer open a Payment Link: a Session with the link's metadata."""
    hidden = scope.hidden(link)
    after = read.hash_of(read.hash_of(hidden["params"], "after_completion"), "redirect")
    names: tuple[str, ...] = (
        "payment_intent_data",
        "subscription_data",
        "shipping_address_collection",
        "custom_fields",
    )
    names += ("shipping_options", "invoice_creation", "customer_creation", "phone_number_collection")
    params: Obj = {name: hidden["params"][name] for name in names if name in hidden["params"]}
    params["line_items"] = [{"price": i["price"]["id"], "quantity": str(i["quantity"])} for i in hidden["items"]]
    params |= {
        "mode": hidden["mode"],
        "metadata": dict(link["metadata"]),
        "success_url": after.get("url") or f"{scope.world.url}/thanks",
    }
    session = create(scope, params)
    session["payment_link"] = link["id"]
    return session


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
    try:
        complete(scope, session, scope.hidden(method)["instrument"], Buyer(**person, **address))
    except ValueError as error:
        raise invalid(str(error)) from None
    return session
