# SPDX-License-Identifier: Apache-2.0
"""The demo's buyers: who they are (pure, from a seed) and how they walk through the shop (over HTTP, as a browser would)."""

from __future__ import annotations

import asyncio
import enum
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx


class Fate(enum.Enum):
    """How far a buyer goes."""

    LEAVES_AT_DESIGN = "left at the design"
    LEAVES_AT_CHECKOUT = "left at the checkout"
    LEAVES_AT_STRIPE = "left at Stripe's page, which then ran out"
    DECLINED = "card declined"
    DECLINED_THEN_PAYS = "card declined, then paid"
    PAYS = "paid by card"
    PAYS_LATER = "paid by bank debit, settled later"
    PAYS_TWICE = "bought and paid twice"


_WEIGHTS: Final = {
    Fate.LEAVES_AT_DESIGN: 16,
    Fate.LEAVES_AT_CHECKOUT: 12,
    Fate.LEAVES_AT_STRIPE: 8,
    Fate.DECLINED: 4,
    Fate.DECLINED_THEN_PAYS: 4,
    Fate.PAYS: 50,
    Fate.PAYS_LATER: 4,
    Fate.PAYS_TWICE: 2,
}
_COUNTRIES: Final = {
    "eur": ("DE", "FR", "NL", "ES", "AT", "IT"),
    "usd": ("US", "US", "CA"),
    "jpy": ("JP",),
    "kwd": ("KW",),
}
_SKUS: Final = ("poster-a3", "poster-a1", "canvas-xl", "frame-oak", "tube")
_ARRIVALS: Final = {
    "/designs?utm_source=newsletter&utm_medium=email": 30,
    "/designs?utm_source=search&utm_medium=cpc": 25,
    "/designs": 45,
}
"""The first page's address, with what brought the buyer there."""
_SPREAD_S: Final = 16.0
"""Seconds over which the buyers arrive."""


@dataclass(frozen=True)
class Buyer:
    """One buyer. `arrives_s` counts from the demo's start; `thinks_s` is spent between two clicks, `types_s` on Stripe's page."""

    number: int
    fate: Fate
    tier: str
    currency: str
    country: str
    lines: tuple[tuple[str, int], ...]
    lands_on: str
    arrives_s: float
    thinks_s: float
    types_s: float


def plan(count: int, seed: int) -> list[Buyer]:
    """
    Return *count* buyers (at least one of each fate), the same ones for the same seed.

    Bank debits exist in euros only.
    """
    rng = random.Random(seed)  # noqa: S311  a reproducible crowd, no secret
    fates = list(Fate)
    fates += rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=max(0, count - len(fates)))
    rng.shuffle(fates)
    return [_buyer(number, fate, count, rng) for number, fate in enumerate(fates)]


def _buyer(number: int, fate: Fate, count: int, rng: random.Random) -> Buyer:
    currency = "eur" if fate is Fate.PAYS_LATER else rng.choices(("eur", "usd", "jpy", "kwd"), (50, 30, 12, 8))[0]
    return Buyer(
        number=number,
        fate=fate,
        tier=rng.choices(("basic", "pro", "studio"), (55, 33, 12))[0],
        currency=currency,
        country=rng.choice(_COUNTRIES[currency]),
        lines=tuple((sku, rng.choice((1, 1, 1, 2, 3))) for sku in rng.sample(_SKUS, rng.choice((1, 1, 2, 3)))),
        lands_on=rng.choices(list(_ARRIVALS), list(_ARRIVALS.values()))[0],
        arrives_s=number * _SPREAD_S / max(1, count),
        thinks_s=rng.uniform(0.05, 0.6),
        types_s=rng.uniform(1.5, 6),
    )


class StripePage:
    """Stripe's hosted payment page, as the fake one is paid: what a buyer does there."""

    def __init__(self, control: httpx.AsyncClient) -> None:
        self._control = control

    async def pay(self, session_id: str, buyer: Buyer, *, decline: bool = False, method: str = "card") -> None:
        """Fill in the page and press the button."""
        body: dict[str, Any] = {"session": session_id, "country": buyer.country, "payment_method": method}
        if decline:
            body["decline"] = "insufficient_funds"
        (await self._control.post("/_fake/pay", json=body)).raise_for_status()

    async def settle(self, session_id: str) -> None:
        """The bank debit arrives, days later in real life."""
        (await self._control.post("/_fake/settle", json={"session": session_id})).raise_for_status()

    async def expire(self, session_id: str) -> None:
        """The page runs out, a day later in real life."""
        (await self._control.post("/_fake/expire", json={"session": session_id})).raise_for_status()


@dataclass
class Walk:
    """What became of the buyers so far: for the progress bar and the check at the end."""

    done: int = 0
    example: str | None = None
    """The order of somebody who paid by card at once: a good one to show."""
    fates: Counter[Fate] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    @property
    def setbacks(self) -> int:
        """How often money did not come: declines, and pages that ran out."""
        return sum(self.fates[fate] for fate in (Fate.DECLINED, Fate.DECLINED_THEN_PAYS, Fate.LEAVES_AT_STRIPE))


async def walk_all(
    buyers: Sequence[Buyer], shop: httpx.AsyncClient, page: StripePage, *, pace: float, progress: Callable[[Walk], None]
) -> Walk:
    """
    Let every buyer walk, side by side.

    Args:
        buyers: who walks.
        shop: client of the shop.
        page: Stripe's page.
        pace: factor on arrival and thinking times; 0 for no waiting at all.
        progress: called after each buyer.
    """
    walk = Walk()
    at_once = asyncio.Semaphore(40)

    async def one(buyer: Buyer) -> None:
        await asyncio.sleep(buyer.arrives_s * pace)
        try:
            async with at_once:
                orders = await _walk(buyer, shop, page, pace)
        except Exception as error:  # noqa: BLE001  one buyer's trouble is reported, the others walk on
            walk.errors.append(f"buyer {buyer.number} ({buyer.fate.value}): {type(error).__name__}: {error}"[:300])
        else:
            if buyer.fate is Fate.PAYS:
                walk.example = orders[0]
        walk.done += 1
        walk.fates[buyer.fate] += 1
        progress(walk)

    await asyncio.gather(*(one(buyer) for buyer in buyers))
    return walk


async def _walk(buyer: Buyer, shop: httpx.AsyncClient, page: StripePage, pace: float) -> list[str]:
    journey = {"X-Journey": f"j-{random.getrandbits(48):012x}"}
    design = await _post(shop, buyer.lands_on, {"motif": "a lighthouse in the fog"}, journey)
    await asyncio.sleep(buyer.thinks_s * pace)
    if buyer.fate is Fate.LEAVES_AT_DESIGN:
        return []
    await _post(shop, f"/designs/{design['design_id']}/approve", {}, journey)
    await _open(shop, f"/checkout?tier={buyer.tier}&currency={buyer.currency}&design_id={design['design_id']}")
    await asyncio.sleep(buyer.thinks_s * pace)
    if buyer.fate is Fate.LEAVES_AT_CHECKOUT:
        return []
    times = 2 if buyer.fate is Fate.PAYS_TWICE else 1
    return [await _buy(buyer, design["design_id"], shop, page, pace, journey) for _ in range(times)]


async def _buy(
    buyer: Buyer, design_id: str, shop: httpx.AsyncClient, page: StripePage, pace: float, journey: dict[str, str]
) -> str:
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in buyer.lines]
    cart = {"tier": buyer.tier, "currency": buyer.currency, "lines": lines, "design_id": design_id}
    order = await _post(shop, "/checkout", cart, journey)
    await asyncio.sleep(buyer.types_s * pace)
    if await _pay(buyer, order["session_id"], page, pace):
        await _open(shop, f"/orders/{order['order_id']}")
    return str(order["order_id"])


async def _pay(buyer: Buyer, session_id: str, page: StripePage, pace: float) -> bool:
    if buyer.fate is Fate.LEAVES_AT_STRIPE:
        await page.expire(session_id)
        return False
    if buyer.fate in {Fate.DECLINED, Fate.DECLINED_THEN_PAYS}:
        await page.pay(session_id, buyer, decline=True)
        if buyer.fate is Fate.DECLINED:
            return False
        await asyncio.sleep(buyer.thinks_s * pace)
    if buyer.fate is Fate.PAYS_LATER:
        await page.pay(session_id, buyer, method="sepa_debit")
        await asyncio.sleep(3 * pace)
        await page.settle(session_id)
    else:
        await page.pay(session_id, buyer)
    return True


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    response = await client.post(path, json=body, headers=headers)
    response.raise_for_status()
    return dict(response.json())


async def _open(client: httpx.AsyncClient, path: str) -> None:
    (await client.get(path)).raise_for_status()
