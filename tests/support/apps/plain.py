"""A shop that keeps to what every release of the stripe library has had since 8.0, and says which one it runs on."""

from __future__ import annotations

import os
import re
from typing import Any

import stripe
from fastapi import FastAPI, HTTPException, Request

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
stripe.api_key = os.environ["STRIPE_API_KEY"]
stripe.api_base = os.environ["STRIPE_API_BASE"]
app = FastAPI()


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok", "stripe": stripe.__file__}


@app.post("/checkout", status_code=201)
def checkout(cart: dict[str, Any]) -> dict[str, str]:
    params: dict[str, Any] = {
        "mode": "payment",
        "line_items": [
            {"quantity": 3, "price_data": {"currency": "kwd", "unit_amount": 1250, "product_data": {"name": "Mug"}}}
        ],
        "metadata": {"order_id": cart["order_id"], "tier": "gold"},
        "success_url": "https://shop.test/thanks",
    }
    if cart["door"] == "class":
        return {"session_id": stripe.checkout.Session.create(**params).id}
    client = stripe.StripeClient(os.environ["STRIPE_API_KEY"], base_addresses={"api": stripe.api_base})
    numbers = [int(n) for n in re.findall(r"\d+", stripe.VERSION)[:2]]
    sessions = (client.v1 if numbers >= [12, 5] else client).checkout.sessions  # type: ignore[attr-defined]
    return {"session_id": sessions.create(params=params).id}


@app.post("/webhooks/stripe")
async def webhook(request: Request) -> dict[str, str]:
    body = await request.body()
    try:
        event = stripe.Webhook.construct_event(body, request.headers["stripe-signature"], SECRET)  # type: ignore[no-untyped-call]
    except stripe.SignatureVerificationError:
        raise HTTPException(400, "Not from Stripe") from None
    return {"id": event.id}
