"""FakeStripe against what the newest stripe library declares: fields of objects, parameters of endpoints."""

from __future__ import annotations

import importlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from stripe._object_classes import get_object_class
from stripe._request_options import RequestOptions

from otel_revenue.testing.fake_stripe import allowed
from support.scenarios import PLATFORM, SCENARIOS, play

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMETERS = {
    "POST /v1/charges": "_charge_create_params:ChargeCreateParams",
    "POST /v1/checkout/sessions": "checkout._session_create_params:SessionCreateParams",
    "POST /v1/checkout/sessions/{}": "checkout._session_update_params:SessionUpdateParams",
    "POST /v1/coupons": "_coupon_create_params:CouponCreateParams",
    "POST /v1/customers": "_customer_create_params:CustomerCreateParams",
    "POST /v1/customers/{}": "_customer_update_params:CustomerUpdateParams",
    "POST /v1/disputes/{}": "_dispute_update_params:DisputeUpdateParams",
    "POST /v1/invoiceitems": "_invoice_item_create_params:InvoiceItemCreateParams",
    "POST /v1/invoices": "_invoice_create_params:InvoiceCreateParams",
    "POST /v1/invoices/{}": "_invoice_update_params:InvoiceUpdateParams",
    "POST /v1/invoices/{}/attach_payment": "_invoice_attach_payment_params:InvoiceAttachPaymentParams",
    "POST /v1/invoices/{}/pay": "_invoice_pay_params:InvoicePayParams",
    "POST /v1/payment_intents": "_payment_intent_create_params:PaymentIntentCreateParams",
    "POST /v1/payment_intents/{}": "_payment_intent_update_params:PaymentIntentUpdateParams",
    "POST /v1/payment_intents/{}/cancel": "_payment_intent_cancel_params:PaymentIntentCancelParams",
    "POST /v1/payment_intents/{}/capture": "_payment_intent_capture_params:PaymentIntentCaptureParams",
    "POST /v1/payment_intents/{}/confirm": "_payment_intent_confirm_params:PaymentIntentConfirmParams",
    "POST /v1/payment_links": "_payment_link_create_params:PaymentLinkCreateParams",
    "POST /v1/payment_links/{}": "_payment_link_update_params:PaymentLinkUpdateParams",
    "POST /v1/payment_methods": "_payment_method_create_params:PaymentMethodCreateParams",
    "POST /v1/prices": "_price_create_params:PriceCreateParams",
    "POST /v1/prices/{}": "_price_update_params:PriceUpdateParams",
    "POST /v1/products": "_product_create_params:ProductCreateParams",
    "POST /v1/products/{}": "_product_update_params:ProductUpdateParams",
    "POST /v1/promotion_codes": "_promotion_code_create_params:PromotionCodeCreateParams",
    "POST /v1/refunds": "_refund_create_params:RefundCreateParams",
    "POST /v1/setup_intents": "_setup_intent_create_params:SetupIntentCreateParams",
    "POST /v1/setup_intents/{}/confirm": "_setup_intent_confirm_params:SetupIntentConfirmParams",
    "POST /v1/subscriptions": "_subscription_create_params:SubscriptionCreateParams",
    "POST /v1/subscriptions/{}": "_subscription_update_params:SubscriptionUpdateParams",
    "POST /v1/tax_rates": "_tax_rate_create_params:TaxRateCreateParams",
    "GET /v1/charges": "_charge_list_params:ChargeListParams",
    "GET /v1/checkout/sessions": "checkout._session_list_params:SessionListParams",
    "GET /v1/customers": "_customer_list_params:CustomerListParams",
    "GET /v1/events": "_event_list_params:EventListParams",
    "GET /v1/invoice_payments": "_invoice_payment_list_params:InvoicePaymentListParams",
    "GET /v1/invoices": "_invoice_list_params:InvoiceListParams",
    "GET /v1/payment_intents": "_payment_intent_list_params:PaymentIntentListParams",
    "GET /v1/prices": "_price_list_params:PriceListParams",
    "GET /v1/refunds": "_refund_list_params:RefundListParams",
    "GET /v1/subscriptions": "_subscription_list_params:SubscriptionListParams",
}
NESTED = {
    "payment_intent_data": "SessionCreateParamsPaymentIntentData",
    "subscription_data": "SessionCreateParamsSubscriptionData",
    "line_items": "SessionCreateParamsLineItem",
    "price_data": "SessionCreateParamsLineItemPriceData",
    "product_data": "SessionCreateParamsLineItemPriceDataProductData",
}


def fields(where: str) -> set[str]:
    module, name = where.split(":")
    declared = getattr(importlib.import_module(f"stripe.params.{module}"), name)
    return set(declared.__annotations__) - set(RequestOptions.__annotations__)


@pytest.mark.parametrize("route", sorted(PARAMETERS))
def test_every_parameter_that_the_library_can_send_is_known(route: str) -> None:
    """
    What the newest library declares for an endpoint is never answered with `parameter_unknown`.
    """
    assert set() == fields(PARAMETERS[route]) - allowed.ROUTES[route]


@pytest.mark.parametrize("name", sorted(NESTED))
def test_every_nested_parameter_of_a_checkout_is_known(name: str) -> None:
    """
    The same for the hashes inside a Session's parameters that are looked into.
    """
    assert set() == fields(f"checkout._session_create_params:{NESTED[name]}") - allowed.NESTED[name]


def objects(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if isinstance(tree.get("object"), str) and tree["object"] != "list":
            yield tree
        for value in tree.values():
            yield from objects(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from objects(value)


def declared(kind: str) -> dict[str, str]:
    """The fields that the library's class of an object has, with their types as text."""
    found: dict[str, str] = {}
    for cls in reversed(get_object_class("V1", kind).__mro__):
        found |= {k: str(v) for k, v in getattr(cls, "__annotations__", {}).items()}
    return {k: v for k, v in found.items() if not k.startswith("_") and "ClassVar" not in v and k != "deleted"}


# Fields that the library declares without `Optional` and that Stripe leaves out where they do not apply.
ONLY_WHERE_IT_APPLIES = {"charge": {"transfer"}}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_object_of_every_event_has_the_fields_that_the_library_declares(name: str) -> None:
    """
    No field that the library does not know, and none missing that it takes for granted.
    """
    odd: set[tuple[str, str]] = set()
    lacking: set[tuple[str, str]] = set()
    for delivery in play(name)[1]:
        if delivery.endpoint != PLATFORM:
            continue
        for obj in objects(json.loads(delivery.body)):
            kind = obj["object"]
            types = declared(kind)
            granted = {k for k, v in types.items() if not re.search(r"Optional\[|NoneType|None\b", v)}
            odd |= {(kind, key) for key in set(obj) - set(types)}
            lacking |= {(kind, key) for key in granted - set(obj) - ONLY_WHERE_IT_APPLIES.get(kind, set())}

    assert (set(), set()) == (odd, lacking)
