# SPDX-License-Identifier: Apache-2.0
"""
What a bookkeeper would say was taken: one row per payment, read from what is, never from events.

A payment is an invoice for billing, else a PaymentIntent, else a charge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .world import Obj, Scope

if TYPE_CHECKING:
    from .world import World

Kind = Literal["one_off", "subscription_first", "subscription_renewal", "invoice"]
_KINDS: dict[str, Kind] = {
    "subscription_create": "subscription_first",
    "subscription_cycle": "subscription_renewal",
    "subscription_update": "subscription_renewal",
}


@dataclass(frozen=True)
class Booked:
    """
    One payment.

    Attributes:
        id: invoice, PaymentIntent or charge.
        amount_minor: what was taken, in Stripe's minor unit of `currency`, refunds not taken off.
        currency: three letters, lower case, as Stripe writes it.
        kind: how it came about.
        session: the Checkout Session, None for payments without one.
        metadata: of the order: the Session's, else the subscription's, invoice's, intent's or charge's.
        refunded_minor: what went back since.
        refunds: (id, amount in minor units) of each refund.
        account: the connected account, "" for the platform.
        created: when it was paid, seconds since the epoch.
        intents: PaymentIntents that paid it.
        livemode: of the whole fake.
    """

    id: str
    amount_minor: int
    currency: str
    kind: Kind
    session: str | None
    metadata: dict[str, str]
    refunded_minor: int
    refunds: tuple[tuple[str, int], ...]
    account: str
    created: int
    intents: tuple[str, ...]
    livemode: bool

    def as_json(self) -> dict[str, Any]:
        """Return what the HTTP control answers with."""
        return {**self.__dict__, "refunds": [list(r) for r in self.refunds], "intents": list(self.intents)}


def books(world: World) -> list[Booked]:
    """Return every payment, oldest first."""
    rows: list[Booked] = []
    billed: set[str] = set()
    for account, invoice in world.all("invoice"):
        scope = Scope(world, account)
        paying = [p for p in scope.all("invoice_payment") if p["invoice"] == invoice["id"] and p["status"] == "paid"]
        intents = tuple(p["payment"]["payment_intent"] for p in paying if "payment_intent" in p["payment"])
        billed.update(intents)
        if invoice["amount_paid"] > 0:
            rows.append(_of_invoice(scope, invoice, intents))
    for account, intent in world.all("payment_intent"):
        if intent["amount_received"] > 0 and intent["id"] not in billed:
            rows.append(_of_intent(Scope(world, account), intent))
    for account, charge in world.all("charge"):
        if charge["amount_captured"] > 0 and not charge["payment_intent"] and not charge["source_transfer"]:
            rows.append(_row(Scope(world, account), charge, charge["amount_captured"], "one_off", None, charge, ()))
    return sorted(rows, key=lambda row: row.created)


def _of_invoice(scope: Scope, invoice: Obj, intents: tuple[str, ...]) -> Booked:
    kind = _KINDS.get(invoice["billing_reason"], "invoice")
    session = scope.find(scope.hidden(invoice).get("session"), "checkout.session")
    parent = (invoice["parent"] or {}).get("subscription_details") or {}
    subscription = scope.find(parent.get("subscription"), "subscription")
    source = next((s for s in (session, subscription, invoice) if s is not None and s["metadata"]), invoice)
    if session is not None and kind == "invoice":
        kind = "one_off"
    return _row(scope, invoice, invoice["amount_paid"], kind, session, source, intents)


def _of_intent(scope: Scope, intent: Obj) -> Booked:
    session = scope.find(scope.hidden(intent).get("session"), "checkout.session")
    source = session if session is not None and session["metadata"] else intent
    return _row(scope, intent, intent["amount_received"], "one_off", session, source, (intent["id"],))


def _row(
    scope: Scope, paid: Obj, amount: int, kind: Kind, session: Obj | None, source: Obj, intents: tuple[str, ...]
) -> Booked:
    refunds = tuple(
        (refund["id"], refund["amount"])
        for refund in scope.all("refund")
        if refund["payment_intent"] in intents or refund["charge"] == paid["id"]
    )
    moment = (paid.get("status_transitions") or {}).get("paid_at") or paid["created"]
    return Booked(
        id=paid["id"],
        amount_minor=amount,
        currency=paid["currency"],
        kind=kind,
        session=session["id"] if session else None,
        metadata=dict(source["metadata"]),
        refunded_minor=sum(amount for _, amount in refunds),
        refunds=refunds,
        account=scope.account,
        created=moment,
        intents=intents,
        livemode=scope.world.livemode,
    )
