"""
Postercraft: people design a poster, approve it and pay for prints through Stripe Checkout.

    pip install -r requirements.txt
    STRIPE_API_KEY=sk_test_... STRIPE_WEBHOOK_SECRET=whsec_... uvicorn shop:app
"""

from __future__ import annotations

import html
import os
import secrets
import sqlite3
from contextlib import closing, suppress
from typing import Any, Literal

import stripe
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

WEBHOOK_SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
BASE_URL = os.environ.get("SHOP_BASE_URL", "http://127.0.0.1:8000")
DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")

stripe.api_key = os.environ["STRIPE_API_KEY"]
stripe.api_base = os.environ.get("STRIPE_API_BASE", "https://api.stripe.com")
# Studios are billed by their own code, which is on Stripe's newer client already.
studio = stripe.StripeClient(stripe.api_key, base_addresses={"api": stripe.api_base}, max_network_retries=2)

Tier = Literal["basic", "pro", "studio"]

# Prices in the minor unit of each currency, as Stripe wants them: yen have none, Kuwaiti dinars three decimals.
CATALOGUE: dict[str, dict[str, Any]] = {
    "poster-a3": {"name": "Poster A3", "eur": 2490, "usd": 2790, "jpy": 4200, "kwd": 8500},
    "poster-a1": {"name": "Poster A1", "eur": 5990, "usd": 6490, "jpy": 9800, "kwd": 19950},
    "canvas-xl": {"name": "Canvas XL", "eur": 14900, "usd": 15900, "jpy": 24500, "kwd": 48750},
    "frame-oak": {"name": "Oak frame", "eur": 3250, "usd": 3550, "jpy": 5400, "kwd": 10900},
    "tube": {"name": "Gift tube", "eur": 490, "usd": 550, "jpy": 800, "kwd": 1650},
}
# Pro and studio pay more for colour-managed prints: percent of the list price.
TIER_PERCENT: dict[str, int] = {"basic": 100, "pro": 140, "studio": 210}

app = FastAPI(title="Postercraft")


class NewDesign(BaseModel):
    motif: str = Field(max_length=500)


class Line(BaseModel):
    sku: str
    quantity: int = Field(default=1, ge=1, le=50)


class Cart(BaseModel):
    tier: Tier = "basic"
    currency: Literal["eur", "usd", "jpy", "kwd"] = "eur"
    lines: list[Line] = Field(min_length=1, max_length=20)
    design_id: str | None = None


def query(sql: str, *values: Any) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as connection, connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection.execute(sql, values).fetchall()


# With a rollback journal customers wait for one another's commits, on a slow disk for longer than the timeout.
with suppress(sqlite3.OperationalError):  # another worker is at it
    query("PRAGMA journal_mode = WAL")
query("CREATE TABLE IF NOT EXISTS designs (id TEXT PRIMARY KEY, motif TEXT, approved INTEGER NOT NULL DEFAULT 0)")
query(
    "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, tier TEXT, currency TEXT, design_id TEXT,"
    " session_id TEXT, status TEXT NOT NULL DEFAULT 'open')"
)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


# -- the design --------------------------------------------------------------------------------------------------------


@app.post("/designs", status_code=201)
def start_design(design: NewDesign) -> dict[str, str]:
    design_id = f"d-{secrets.token_hex(6)}"
    query("INSERT INTO designs (id, motif) VALUES (?, ?)", design_id, design.motif)
    return {"design_id": design_id}


@app.post("/designs/{design_id}/approve")
def approve_design(design_id: str) -> dict[str, str]:
    if not query("UPDATE designs SET approved = 1 WHERE id = ? RETURNING id", design_id):
        raise HTTPException(404, "No such design")
    return {"design_id": design_id, "status": "approved"}


# -- the checkout ------------------------------------------------------------------------------------------------------


@app.get("/checkout", response_class=HTMLResponse)
def checkout_page(tier: Tier = "basic", currency: str = "eur", design_id: str = "") -> str:
    if currency not in {"eur", "usd", "jpy", "kwd"}:
        raise HTTPException(422, "No such currency")
    rows = "".join(
        f"<li>{html.escape(item['name'])}: {unit_amount(sku, tier, currency)} {currency.upper()} (minor units)</li>"
        for sku, item in CATALOGUE.items()
    )
    return f"<!doctype html><title>Checkout</title><h1>Your order</h1><p>{html.escape(design_id)}</p><ul>{rows}</ul>"


@app.post("/checkout", status_code=201)
async def checkout(cart: Cart) -> dict[str, str | None]:
    order_id = f"order-{secrets.token_hex(6)}"
    await run_in_threadpool(
        query,
        "INSERT INTO orders (id, tier, currency, design_id) VALUES (?, ?, ?, ?)",
        order_id,
        cart.tier,
        cart.currency,
        cart.design_id,
    )
    params = session_params(order_id, cart)
    if cart.tier == "studio":
        session = await run_in_threadpool(studio.v1.checkout.sessions.create, params)  # type: ignore[arg-type]
    elif cart.tier == "pro":
        session = await stripe.checkout.Session.create_async(**params)
    else:
        session = await run_in_threadpool(stripe.checkout.Session.create, **params)
    await run_in_threadpool(query, "UPDATE orders SET session_id = ? WHERE id = ?", session.id, order_id)
    return {"order_id": order_id, "session_id": session.id, "checkout_url": session.url}


def session_params(order_id: str, cart: Cart) -> dict[str, Any]:
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
        "success_url": f"{BASE_URL}/orders/{order_id}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{BASE_URL}/checkout?tier={cart.tier}&currency={cart.currency}",
    }


def unit_amount(sku: str, tier: str, currency: str) -> int:
    if sku not in CATALOGUE:
        raise HTTPException(422, "No such article")
    amount = CATALOGUE[sku][currency] * TIER_PERCENT[tier] // 100
    return amount - amount % 10 if currency == "kwd" else amount  # Stripe takes dinars in steps of ten fils


# -- what Stripe tells us ----------------------------------------------------------------------------------------------


@app.post("/webhooks/stripe")
async def stripe_webhook(request: Request, stripe_signature: str = Header(default="")) -> dict[str, bool]:
    payload = await request.body()
    try:
        event = stripe.Webhook.construct_event(payload, stripe_signature, WEBHOOK_SECRET)
    except (ValueError, stripe.SignatureVerificationError):
        raise HTTPException(400, "Not from Stripe") from None

    if event.type in {"checkout.session.completed", "checkout.session.async_payment_succeeded"}:
        session = event.data.object
        paid = session.payment_status == "paid"
        await run_in_threadpool(
            query,
            "UPDATE orders SET status = ? WHERE session_id = ? AND status <> 'paid'",
            "paid" if paid else "processing",
            session.id,
        )
    return {"received": True}


@app.get("/orders/{order_id}")
def order(order_id: str) -> dict[str, Any]:
    rows = query("SELECT id, tier, currency, status FROM orders WHERE id = ?", order_id)
    if not rows:
        raise HTTPException(404, "No such order")
    return dict(rows[0])
