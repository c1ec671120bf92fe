# SPDX-License-Identifier: Apache-2.0
"""Products, prices, customers, payment methods, coupons, tax rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_revenue.testing.fake_stripe.buyer import Instrument

Obj = dict[str, Any]


def product(object_id: str, created: int, name: str, **fields: Any) -> Obj:
    """A product."""
    return {
        "id": object_id,
        "object": "product",
        "active": True,
        "created": created,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": created,
        "url": None,
        **fields,
    }


def price(object_id: str, created: int, product_id: str, currency: str, unit_amount: int, **fields: Any) -> Obj:
    """A price per unit; `recurring` in *fields* makes it one of a subscription."""
    return {
        "id": object_id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if fields.get("recurring") else "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
        **fields,
    }


def recurring(interval: str, interval_count: int) -> Obj:
    """How often a price recurs."""
    return {
        "interval": interval,
        "interval_count": interval_count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def customer(object_id: str, created: int, prefix: str, **fields: Any) -> Obj:
    """A customer; *prefix* begins the numbers of its invoices."""
    return {
        "id": object_id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "business_name": None,
        "created": created,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": None,
        "individual_name": None,
        "invoice_prefix": prefix,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **fields,
    }


def payment_method(
    object_id: str, created: int, used: Instrument, billing_details: Obj, customer_id: str | None
) -> Obj:
    """A payment method."""
    return {
        "id": object_id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details,
        "created": created,
        "customer": customer_id,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": used.type,
        used.type: method_details(used) if used.type != "card" else card(used),
    }


def card(used: Instrument) -> Obj:
    """The card of a payment method."""
    return {
        "brand": used.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": used.country,
        "display_brand": used.brand,
        "exp_month": 4,
        "exp_year": 2030,
        "fingerprint": f"Xt5EWLLDS7FJjR1{used.last4[:1] or 'c'}",
        "funding": used.funding,
        "generated_from": None,
        "last4": used.last4,
        "networks": {"available": [used.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def method_details(used: Instrument) -> Obj:
    """What a charge or payment method says about anything but a card."""
    if used.type == "sepa_debit":
        return {
            "bank_code": "37040044",
            "branch_code": "",
            "country": used.country if used.country != "US" else "DE",
            "fingerprint": "M1tT9xGdBGRJZ5LZ",
            "last4": used.last4 or "3000",
            "mandate": None,
        }
    if used.type == "us_bank_account":
        return {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "fingerprint": "JBvIHGvWBvHuPGmo",
            "last4": used.last4,
            "routing_number": "110000000",
        }
    return {"reference": f"{used.type}-{used.last4}"}


def coupon(object_id: str, created: int, **fields: Any) -> Obj:
    """A coupon: `percent_off`, or `amount_off` with `currency`."""
    return {
        "id": object_id,
        "object": "coupon",
        "amount_off": None,
        "created": created,
        "currency": None,
        "duration": "once",
        "duration_in_months": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
        **fields,
    }


def tax_rate(object_id: str, created: int, **fields: Any) -> Obj:
    """A tax rate."""
    return {
        "id": object_id,
        "object": "tax_rate",
        "active": True,
        "country": None,
        "created": created,
        "description": None,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": {},
        "rate_type": "percentage",
        "state": None,
        "tax_type": None,
        **fields,
    }
