# SPDX-License-Identifier: Apache-2.0
"""
How objects looked before 2025-03-31.basil: for endpoints with an old version, and for answers to old libraries.

Back then invoices, PaymentIntents and charges named one another, and money from outside of Stripe was on no field of an
invoice. Source: Stripe changelog, 2025-03-31.basil.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import billing
from .world import Obj, Scope, Shapes

if TYPE_CHECKING:
    from collections.abc import Callable

_BASIL: Final = "2025-03-31"
_OLD: Final = "2024-12-18"
# Events that came with or after the change.
_NEWER: Final = ("invoice_payment.",)


def is_old(version: str | None) -> bool:
    """Whether *version* is one from before the change."""
    return bool(version) and str(version)[:10] < _BASIL


def knows(version: str, event_type: str) -> bool:
    """Whether an endpoint of *version* gets events of that type at all."""
    return not (is_old(version) and event_type.startswith(_NEWER))


def shapes(scope: Scope, obj: Obj) -> Shapes:
    """Return *obj* as it is now in both shapes."""
    old = as_of(_OLD, scope, obj) if obj.get("object") in _CHANGES else None
    return Shapes(scope.world.shown(obj), old, is_old)


def as_of(version: str | None, scope: Scope, obj: Obj) -> Obj:
    """Return a copy of *obj* as *version* shows it."""
    shown = scope.world.shown(obj)
    if is_old(version):
        change = _CHANGES.get(str(obj.get("object")))
        if change is not None:
            change(scope, shown)
    return shown


def _invoice(scope: Scope, shown: Obj) -> None:
    kept = scope.find(shown["id"]) or shown
    intents = [
        scope.find(p["payment"].get("payment_intent"), "payment_intent") for p in billing.payments_of(scope, shown)
    ]
    intent = next((i for i in intents if i is not None), None)
    outside = bool(scope.hidden(kept).get("out_of_band")) and shown["status"] == "paid"
    details = (shown.pop("parent") or {}).get("subscription_details") or {}
    shown |= {
        "charge": intent["latest_charge"] if intent else None,
        "paid": shown["status"] == "paid",
        "paid_out_of_band": outside,
        "payment_intent": intent["id"] if intent else None,
        "subscription": details.get("subscription"),
        "subscription_details": {"metadata": details["metadata"]} if details else None,
        "tax": sum(tax["amount"] for tax in shown["total_taxes"]) or None,
        "total_tax_amounts": [{"amount": tax["amount"], "inclusive": False} for tax in shown.pop("total_taxes")],
    }
    if outside:
        shown |= {"amount_paid": 0, "amount_remaining": shown["amount_due"]}
    for line in shown["lines"]["data"]:
        pricing = line.pop("pricing", None) or {}
        price = scope.find((pricing.get("price_details") or {}).get("price"), "price")
        line["price"] = scope.world.shown(price) if price else None
        line["plan"] = None
        line["subscription"] = details.get("subscription")
        line["type"] = "subscription" if details else "invoiceitem"
        line.pop("parent", None)


def _intent(scope: Scope, shown: Obj) -> None:
    shown["invoice"] = scope.hidden(shown).get("invoice")
    shown.pop("payment_details", None)


def _charge(scope: Scope, shown: Obj) -> None:
    intent = scope.find(shown["payment_intent"], "payment_intent")
    shown["invoice"] = scope.hidden(intent).get("invoice") if intent else None


def _session(_scope: Scope, shown: Obj) -> None:
    information = shown.pop("collected_information", None) or {}
    shown["shipping_details"] = information.get("shipping_details")
    shown["ui_mode"] = {"hosted_page": "hosted", "embedded_page": "embedded", "elements": "custom"}.get(
        shown["ui_mode"], shown["ui_mode"]
    )


def _subscription(_scope: Scope, shown: Obj) -> None:
    items = shown["items"]["data"]
    shown["current_period_start"] = items[0]["current_period_start"]
    shown["current_period_end"] = items[0]["current_period_end"]


_CHANGES: Final[dict[str, Callable[[Scope, Obj], None]]] = {
    "invoice": _invoice,
    "payment_intent": _intent,
    "charge": _charge,
    "checkout.session": _session,
    "subscription": _subscription,
}
