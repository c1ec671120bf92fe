# SPDX-License-Identifier: Apache-2.0
"""
Checkout Sessions as a shop makes them.

Source: Stripe API reference, "Create a Checkout Session", and documentation, "How Checkout works".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import params as read
from .buyer import AT_ONCE, DELAYED
from .failure import invalid
from .pricing import coupon_in, priced, read_lines
from .shapes import checkout as shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .pricing import Line
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
# What is switched on in the account; bank debits in euros only.
_BY_DEFAULT = ("card", "link", "sepa_debit")
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
    scope.hidden(obj)["chosen_methods"] = bool(
        read.list_of(params, "payment_method_types") or read.list_of(params, "allowed_payment_method_types")
    )
    scope.hidden(obj).update(
        params=params, lines=lines, items=shown_lines(scope, lines), trial=trial, shipping=shipping
    )
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
    fitting = [kind for kind in given or _BY_DEFAULT if kind not in _EUROPEAN or currency in (None, "eur")]
    excluded = read.list_of(params, "excluded_payment_method_types")
    return [kind for kind in fitting if kind not in excluded] or ["card"]


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


def shown_lines(scope: Scope, lines: Sequence[Line]) -> list[Obj]:
    """Return *lines* as the line items of a Session or Payment Link."""
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
