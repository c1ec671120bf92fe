"""A shop that verifies no webhook and asks Stripe's API instead; it also has a back office that lists old payments."""

from __future__ import annotations

import os
from typing import Any

import stripe
from fastapi import FastAPI, Request

import otel_revenue

stripe.api_key = os.environ["STRIPE_API_KEY"]
stripe.api_base = os.environ["STRIPE_API_BASE"]
app = FastAPI()


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/checkout", status_code=201)
def checkout(cart: dict[str, Any]) -> dict[str, str]:
    otel_revenue.bind(order_id=cart["order_id"], tier="gold", surface="landing-b")
    session = stripe.checkout.Session.create(
        mode="payment",
        line_items=[
            {
                "quantity": "2",  # as form values come
                "price_data": {"currency": "eur", "unit_amount": "1250", "product_data": {"name": "Mug"}},
            }
        ],
        success_url="https://shop.test/thanks",
    )
    return {"session_id": session.id}


@app.post("/charge", status_code=201)
def charge(cart: dict[str, Any]) -> dict[str, str]:
    with otel_revenue.bind(order_id=cart["order_id"]):
        intent = stripe.PaymentIntent.create(
            amount=990,
            currency="usd",
            payment_method="pm_card_visa",
            confirm=True,
            automatic_payment_methods={"enabled": True, "allow_redirects": "never"},
        )
    return {"payment_intent": intent.id, "status": intent.status}


@app.get("/thanks/{session_id}")
def thanks(session_id: str) -> dict[str, str]:
    return {"payment_status": stripe.checkout.Session.retrieve(session_id).payment_status}


@app.get("/backoffice")
def backoffice() -> dict[str, int]:
    intents = [stripe.PaymentIntent.retrieve(i.id) for i in stripe.PaymentIntent.list(limit=50).data]
    return {"succeeded": sum(i.status == "succeeded" for i in intents)}


@app.post("/unverified")
async def unverified(request: Request) -> dict[str, bool]:
    event = stripe.Event.construct_from(await request.json(), stripe.api_key)
    return {"received": bool(event.id)}
