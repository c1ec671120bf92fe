# SPDX-License-Identifier: Apache-2.0
"""What a shop sets up: products, prices, customers, payment methods, coupons, tax rates."""

from __future__ import annotations

import dataclasses
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from . import params as read
from .buyer import AT_ONCE, DELAYED, Buyer, Instrument, bank_account, by_test_name
from .failure import StripeFailure, decline, invalid, no_such
from .shapes import catalogue as shapes

if TYPE_CHECKING:
    from .world import Obj, Scope

_TEXTS = (
    "description",
    "email",
    "name",
    "phone",
    "individual_name",
    "business_name",
    "statement_descriptor",
    "unit_label",
    "url",
    "tax_code",
)


def create_product(scope: Scope, params: Obj) -> Obj:
    """POST /v1/products, and `product_data` of prices."""
    object_id = read.text(params, "id") or scope.new_id("product")
    if scope.find(object_id):
        raise invalid("Product already exists.", code="resource_already_exists", param="id")
    obj = scope.put(
        shapes.product(
            object_id,
            scope.now,
            read.required(params, "name"),
            metadata=read.metadata(params),
            images=read.list_of(params, "images"),
            **{name: read.text(params, name) for name in _TEXTS if name in params and name != "name"},
        )
    )
    scope.emit("product.created", obj)
    priced = read.hash_of(params, "default_price_data")
    if priced:
        obj["default_price"] = create_price(scope, {**priced, "product": object_id})["id"]
    return obj


def create_price(scope: Scope, params: Obj, *, active: bool = True) -> Obj:
    """POST /v1/prices, and `price_data` of line items (those prices are not active)."""
    currency = read.currency(params)
    if not params.get("product") and not params.get("product_data"):
        raise invalid("You must specify either `product` or `product_data` when creating a price.", executed=False)
    unit = _unit_amount(params)
    if params.get("product"):
        product = scope.get("product", params["product"], "product")
    else:
        product = create_product(scope, read.hash_of(params, "product_data"))
        product["active"] = active
    recurring = read.hash_of(params, "recurring")
    every: Obj | None = None
    if recurring:
        interval = read.one_of(recurring, "interval", ("day", "week", "month", "year"))
        if interval is None:
            raise invalid("Missing required param: recurring[interval].", code="parameter_missing", executed=False)
        every = shapes.recurring(interval, read.integer(recurring, "interval_count", least=1) or 1)
    obj = scope.put(
        shapes.price(
            scope.new_id("price"),
            scope.now,
            product["id"],
            currency,
            unit,
            active=active,
            lookup_key=read.text(params, "lookup_key"),
            nickname=read.text(params, "nickname"),
            metadata=read.metadata(params),
            recurring=every,
        )
    )
    if active:
        scope.emit("price.created", obj)
    return obj


def _unit_amount(params: Obj) -> int:
    if params.get("unit_amount_decimal") and not params.get("unit_amount"):
        try:
            number = Decimal(str(params["unit_amount_decimal"]))
        except InvalidOperation:
            raise invalid("Invalid decimal", param="unit_amount_decimal", executed=False) from None
        if number != number.to_integral_value():
            raise invalid("This fake knows whole minor units only.", param="unit_amount_decimal", executed=False)
        return int(number)
    return read.amount(params, "unit_amount", least=0)


def create_customer(scope: Scope, params: Obj) -> Obj:
    """POST /v1/customers."""
    settings = read.hash_of(params, "invoice_settings")
    obj = scope.put(
        shapes.customer(
            scope.new_id("customer"),
            scope.now,
            scope.world.ids.digits(8),
            **_person(params),
            balance=read.integer(params, "balance") or 0,
            metadata=read.metadata(params),
        )
    )
    if read.text(params, "payment_method"):
        attach(scope, {"customer": obj["id"]}, params["payment_method"])
    _default_method(scope, obj, settings)
    scope.emit("customer.created", obj)
    return obj


def update_customer(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/customers/{id}."""
    obj = scope.get("customer", object_id)
    before = {name: obj[name] for name in (*_person(params), "metadata")}
    obj.update(_person(params))
    obj["metadata"] = read.metadata(params, obj["metadata"])
    if "balance" in params:
        obj["balance"] = read.integer(params, "balance") or 0
    _default_method(scope, obj, read.hash_of(params, "invoice_settings"))
    scope.emit("customer.updated", obj, {k: v for k, v in before.items() if v != obj[k]})
    return obj


def _person(params: Obj) -> Obj:
    found: Obj = {name: read.text(params, name) for name in _TEXTS if name in params}
    found |= {name: read.hash_of(params, name) for name in ("address", "shipping") if name in params}
    return found


def _default_method(scope: Scope, customer: Obj, settings: Obj) -> None:
    wanted = read.text(settings, "default_payment_method")
    if wanted is None:
        return
    mine = [m for m in scope.all("payment_method") if m["customer"] == customer["id"]]
    named = [m for m in mine if m["id"] == wanted or scope.hidden(m).get("test_name") == wanted]
    if not named:
        raise no_such("payment_method", wanted, "invoice_settings[default_payment_method]")
    customer["invoice_settings"]["default_payment_method"] = named[-1]["id"]


def create_payment_method(scope: Scope, params: Obj) -> Obj:
    """POST /v1/payment_methods: a card by test number or token, or any other type."""
    kind = read.required(params, "type")
    billing = read.hash_of(params, "billing_details")
    if kind == "card":
        card = read.hash_of(params, "card")
        name = read.text(card, "token") or read.text(card, "number") or ""
        used = by_test_name(name)
        if used is None:
            raise StripeFailure(402, {**decline("incorrect_number"), "code": "incorrect_number", "param": "number"})
    elif kind in AT_ONCE or kind in DELAYED:
        used = bank_account(kind, read.text(read.hash_of(params, kind), "iban") or "")
    else:
        raise invalid(f"Invalid payment_method type: {kind}", param="type", executed=False)
    return keep_method(scope, used, billing_of(billing))


def billing_of(given: Obj) -> Obj:
    """Return `billing_details` with every field that Stripe shows."""
    empty: Obj = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
    return {**empty, **{k: v for k, v in given.items() if k in empty}}


def keep_method(scope: Scope, used: Instrument, billing: Obj, customer_id: str | None = None) -> Obj:
    """Keep a payment method that behaves as *used*."""
    obj = scope.put(shapes.payment_method(scope.new_id("payment_method"), scope.now, used, billing, customer_id))
    scope.hidden(obj)["instrument"] = used
    return obj


def method_of_buyer(scope: Scope, used: Instrument, buyer: Buyer, customer_id: str | None) -> Obj:
    """Keep the payment method that *buyer* types in."""
    country = buyer.country if used.country == Instrument().country else used.country
    own = dataclasses.replace(used, country=country, last4=buyer.last4 or used.last4)
    return keep_method(scope, own, buyer.billing_details, customer_id)


def method_named(scope: Scope, name: str, customer_id: str | None = None, param: str = "payment_method") -> Obj:
    """
    Return the payment method *name*: one that is kept, or a fresh one for a test name (`pm_card_visa`).

    Raises:
        StripeFailure: not known.
    """
    kept = scope.find(name, "payment_method")
    if kept is not None:
        return kept
    used = by_test_name(name)
    if used is None:
        raise no_such("payment_method", name, param)
    obj = keep_method(scope, used, billing_of({}), customer_id)
    scope.hidden(obj)["test_name"] = name
    return obj


def attach(scope: Scope, params: Obj, name: str) -> Obj:
    """POST /v1/payment_methods/{id}/attach; a test name makes a new payment method."""
    customer = scope.get("customer", read.required(params, "customer"), "customer")
    obj = method_named(scope, name)
    obj["customer"] = customer["id"]
    scope.emit("payment_method.attached", obj)
    return obj


def create_coupon(scope: Scope, params: Obj) -> Obj:
    """POST /v1/coupons."""
    object_id = read.text(params, "id") or scope.new_id("coupon")
    percent, fixed = read.text(params, "percent_off"), read.integer(params, "amount_off", least=1)
    if (percent is None) == (fixed is None):
        raise invalid("You must pass exactly one of percent_off and amount_off.", executed=False)
    if percent is not None and not 0 < _decimal(percent, "percent_off") <= 100:
        raise invalid("percent_off must be between 0 and 100.", param="percent_off", executed=False)
    if scope.find(object_id):
        raise invalid("Coupon already exists.", code="resource_already_exists", param="id")
    obj = scope.put(
        shapes.coupon(
            object_id,
            scope.now,
            amount_off=fixed,
            currency=read.currency(params) if fixed is not None else None,
            # As Stripe writes it: a JSON number. The exact one is kept beside it, and is what is computed with.
            percent_off=None if percent is None else _json_number(percent),
            duration=read.one_of(params, "duration", ("forever", "once", "repeating")) or "once",
            name=read.text(params, "name"),
            metadata=read.metadata(params),
        )
    )
    scope.hidden(obj)["percent"] = None if percent is None else Decimal(percent)
    scope.emit("coupon.created", obj)
    return obj


def create_promotion_code(scope: Scope, params: Obj) -> Obj:
    """POST /v1/promotion_codes."""
    given = read.hash_of(params, "promotion")
    coupon = scope.get("coupon", given.get("coupon") or read.required(params, "coupon"), "coupon")
    obj = scope.put(
        {
            "id": scope.new_id("promotion_code"),
            "object": "promotion_code",
            "active": True,
            "code": read.text(params, "code") or scope.world.ids.digits(8),
            "created": scope.now,
            "customer": None,
            "expires_at": None,
            "livemode": False,
            "max_redemptions": None,
            "metadata": read.metadata(params),
            "promotion": {"coupon": coupon["id"], "type": "coupon"},
            "times_redeemed": 0,
        }
    )
    scope.emit("promotion_code.created", obj)
    return obj


def create_tax_rate(scope: Scope, params: Obj) -> Obj:
    """POST /v1/tax_rates."""
    percentage = str(read.required(params, "percentage"))
    _decimal(percentage, "percentage")
    obj = scope.put(
        shapes.tax_rate(
            scope.new_id("tax_rate"),
            scope.now,
            display_name=read.required(params, "display_name"),
            inclusive=read.boolean(params, "inclusive"),
            percentage=_json_number(percentage),
            effective_percentage=_json_number(percentage),
            country=read.text(params, "country"),
            metadata=read.metadata(params),
        )
    )
    scope.hidden(obj)["percent"] = Decimal(percentage)
    scope.emit("tax_rate.created", obj)
    return obj


def _decimal(value: str, param: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise invalid(f"Invalid decimal: {value}", param=param, executed=False)
    return number


def _json_number(value: str) -> Any:
    number = Decimal(value)
    return int(number) if number == number.to_integral_value() else float(number)
