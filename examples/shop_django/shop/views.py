"""
Postercraft: people design a poster, approve it and pay for prints through Stripe Checkout.
"""

from __future__ import annotations

import html
from typing import Any

import stripe
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from pydantic import ValidationError

from .catalogue import CATALOGUE, CURRENCIES, TIER_PERCENT, Cart, NewDesign, NoSuchArticle, unit_amount
from .models import Design, Order

stripe.api_key = settings.STRIPE_API_KEY
stripe.api_base = settings.STRIPE_API_BASE
# Studios are billed by their own code, which is on Stripe's newer client already.
studio = stripe.StripeClient(settings.STRIPE_API_KEY, base_addresses={"api": stripe.api_base}, max_network_retries=2)


def refusal(status: int, detail: Any) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


def not_valid(error: ValidationError) -> JsonResponse:
    return refusal(422, error.errors(include_url=False, include_context=False, include_input=False))


@require_GET
def healthz(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


# -- the design --------------------------------------------------------------------------------------------------------


@require_POST
def start_design(request: HttpRequest) -> HttpResponse:
    try:
        new = NewDesign.model_validate_json(request.body)
    except ValidationError as error:
        return not_valid(error)
    design = Design.objects.create(motif=new.motif)
    return JsonResponse({"design_id": design.id}, status=201)


@require_POST
def approve_design(_request: HttpRequest, design_id: str) -> HttpResponse:
    if not Design.objects.filter(id=design_id).update(approved=True):
        return refusal(404, "No such design")
    return JsonResponse({"design_id": design_id, "status": "approved"})


# -- the checkout ------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    return checkout_page(request) if request.method == "GET" else put_order(request)


def checkout_page(request: HttpRequest) -> HttpResponse:
    tier, currency = request.GET.get("tier", "basic"), request.GET.get("currency", "eur")
    if tier not in TIER_PERCENT:
        return refusal(422, "No such tier")
    if currency not in CURRENCIES:
        return refusal(422, "No such currency")
    rows = "".join(
        f"<li>{html.escape(item['name'])}: {unit_amount(sku, tier, currency)} {currency.upper()} (minor units)</li>"
        for sku, item in CATALOGUE.items()
    )
    design_id = html.escape(request.GET.get("design_id", ""))
    return HttpResponse(f"<!doctype html><title>Checkout</title><h1>Your order</h1><p>{design_id}</p><ul>{rows}</ul>")


def put_order(request: HttpRequest) -> HttpResponse:
    try:
        cart = Cart.model_validate_json(request.body)
    except ValidationError as error:
        return not_valid(error)
    order = Order.objects.create(tier=cart.tier, currency=cart.currency, design_id=cart.design_id or "")
    try:
        params = session_params(order.id, cart)
    except NoSuchArticle:
        return refusal(422, "No such article")
    session = create_session(cart.tier, params)
    Order.objects.filter(id=order.id).update(session_id=session.id)
    answer = {"order_id": order.id, "session_id": session.id, "checkout_url": session.url}
    return JsonResponse(answer, status=201)


def create_session(tier: str, params: dict[str, Any]) -> stripe.checkout.Session:
    if tier == "studio":
        return studio.v1.checkout.sessions.create(params)  # type: ignore[arg-type]
    return stripe.checkout.Session.create(**params)


def session_params(order_id: str, cart: Cart) -> dict[str, Any]:
    base = settings.SHOP_BASE_URL
    return {
        "mode": "payment",
        "line_items": [
            {
                "quantity": line.quantity,
                "price_data": {
                    "currency": cart.currency,
                    "unit_amount": unit_amount(line.sku, cart.tier, cart.currency),
                    "product_data": {"name": CATALOGUE[line.sku]["name"], "metadata": {"sku": line.sku}},
                },
            }
            for line in cart.lines
        ],
        "billing_address_collection": "required",
        "metadata": {"order_id": order_id, "tier": cart.tier},
        "success_url": f"{base}/orders/{order_id}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{base}/checkout?tier={cart.tier}&currency={cart.currency}",
    }


# -- what Stripe tells us ----------------------------------------------------------------------------------------------


@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    try:
        event = stripe.Webhook.construct_event(
            request.body, request.headers.get("Stripe-Signature", ""), settings.STRIPE_WEBHOOK_SECRET
        )
    except (ValueError, stripe.SignatureVerificationError):
        return refusal(400, "Not from Stripe")

    if event.type in {"checkout.session.completed", "checkout.session.async_payment_succeeded"}:
        session = event.data.object
        paid = session.payment_status == "paid"
        orders = Order.objects.filter(session_id=session.id).exclude(status="paid")
        orders.update(status="paid" if paid else "processing")
    return JsonResponse({"received": True})


@require_GET
def order(_request: HttpRequest, order_id: str) -> HttpResponse:
    found = Order.objects.filter(id=order_id).values("id", "tier", "currency", "status").first()
    return refusal(404, "No such order") if found is None else JsonResponse(found)
