"""What there is to buy, and what a cart looks like."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Tier = Literal["basic", "pro", "studio"]
CURRENCIES = ("eur", "usd", "jpy", "kwd")

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


class NoSuchArticle(Exception):
    pass


def unit_amount(sku: str, tier: str, currency: str) -> int:
    if sku not in CATALOGUE:
        raise NoSuchArticle(sku)
    amount = int(CATALOGUE[sku][currency]) * TIER_PERCENT[tier] // 100
    return amount - amount % 10 if currency == "kwd" else amount  # Stripe takes dinars in steps of ten fils
