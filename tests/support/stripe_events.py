"""Webhook events of Stripe's payment flows, small and in the current API shape (or the one before 2025-03-31, "old")."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

BASE = 1_790_000_000
Event = dict[str, Any]


@dataclass(frozen=True)
class Flow:
    """One flow: its deliveries, and what was really paid (canonical id, minor units), None when no money was taken."""

    name: str
    events: tuple[Event, ...]
    paid: int | None
    canonical: str = ""
    currency: str = "EUR"
    partial_ok: frozenset[int] = field(default_factory=frozenset)
    """Amounts that a subset of the deliveries may rightly give: what that subset says was paid."""
    links: frozenset[str] = field(default_factory=frozenset)
    """Kinds of deliveries of which one is needed to tell that invoice and intent are one payment; none: the rest tells it."""


def event(kind: str, obj: dict[str, Any], *, n: int, at: int = 0, account: str = "", **extra: Any) -> Event:
    body: Event = {
        "id": f"evt_{n:04d}{kind.replace('.', '')}{obj.get('id', '')}{at}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": BASE + at,
        "livemode": True,
        "type": kind,
        "data": {"object": obj},
        **extra,
    }
    if account:
        body["account"] = account
    return body


def session_id(n: int) -> str:
    return f"cs_live_a1{hashlib.sha256(str(n).encode()).hexdigest()[:56]}"


def invoice_id(n: int) -> str:
    return f"in_1{hashlib.sha256(str(n).encode()).hexdigest()[:23]}"


def session(n: int, amount: int, **over: Any) -> dict[str, Any]:
    return {
        "id": session_id(n),
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "status": "complete",
        "amount_total": amount,
        "amount_subtotal": amount,
        "currency": "eur",
        "created": BASE - 60,
        "payment_intent": f"pi_{n:024d}",
        "customer": "cus_same",
        "metadata": {"order_id": f"order-{n}", "tier": "pro"},
        "customer_details": {"email": "jane@example.org", "address": {"country": "DE"}},
        "total_details": {"amount_discount": 0, "amount_tax": 0, "amount_shipping": 0},
        **over,
    }


def intent(n: int, amount: int, **over: Any) -> dict[str, Any]:
    return {
        "id": f"pi_{n:024d}",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": amount,
        "amount_received": amount,
        "currency": "eur",
        "created": BASE - 2,
        "customer": "cus_same",
        "latest_charge": f"ch_{n:024d}",
        "metadata": {},
        **over,
    }


def charge(n: int, amount: int, **over: Any) -> dict[str, Any]:
    return {
        "id": f"ch_{n:024d}",
        "object": "charge",
        "status": "succeeded",
        "paid": True,
        "captured": True,
        "amount": amount,
        "amount_captured": amount,
        "currency": "eur",
        "created": BASE - 1,
        "customer": "cus_same",
        "payment_intent": f"pi_{n:024d}",
        "metadata": {},
        "billing_details": {"email": "jane@example.org", "address": {"country": "DE"}},
        "payment_method_details": {"type": "card", "card": {"country": "DE", "last4": "4242"}},
        **over,
    }


def invoice(n: int, amount: int, **over: Any) -> dict[str, Any]:
    return {
        "id": invoice_id(n),
        "object": "invoice",
        "status": "paid",
        "amount_paid": amount,
        "amount_due": amount,
        "total": amount,
        "subtotal": amount,
        "currency": "eur",
        "created": BASE - 2,
        "customer": "cus_same",
        "billing_reason": "subscription_cycle",
        "parent": {"subscription_details": {"subscription": f"sub_{n:016d}", "metadata": {"order_id": f"order-{n}"}}},
        "status_transitions": {"paid_at": BASE},
        **over,
    }


def invoice_payment(n: int, amount: int, *, pi: int | None = None, **over: Any) -> dict[str, Any]:
    return {
        "id": f"inpay_{n:020d}",
        "object": "invoice_payment",
        "status": "paid",
        "amount_paid": amount,
        "currency": "eur",
        "created": BASE,
        "invoice": invoice_id(n),
        "payment": {"type": "payment_intent", "payment_intent": f"pi_{(n if pi is None else pi):024d}"},
        **over,
    }


def checkout(n: int, amount: int = 4999, *, reference: str = "full", account: str = "", at: int = 0) -> Flow:
    """A card payment through Checkout."""
    cs = session(n, amount)
    ref = {"full": cs["id"], "cut": cs["id"][:25], "none": None}[reference]
    details = {} if ref is None else {"payment_details": {"order_reference": ref}}
    pi = intent(n, amount, **details)
    events = (
        event("checkout.session.completed", cs, n=n, at=at + 1, account=account),
        event("payment_intent.succeeded", pi, n=n, at=at, account=account),
        event("charge.succeeded", charge(n, amount), n=n, at=at, account=account),
        event("charge.updated", charge(n, amount), n=n, at=at + 3, account=account),
    )
    return Flow("checkout", events, amount, pi["id"])


def delayed(n: int, amount: int = 3000) -> Flow:
    """SEPA debit: Checkout completes unpaid, money comes days later."""
    unpaid = session(n, amount, payment_status="unpaid")
    pi = intent(n, amount, payment_details={"order_reference": unpaid["id"]})
    events = (
        event("checkout.session.completed", unpaid, n=n),
        event("charge.pending", charge(n, amount, status="pending", captured=True, amount_captured=0), n=n),
        event("checkout.session.async_payment_succeeded", session(n, amount), n=n, at=200_000),
        event("payment_intent.succeeded", pi, n=n, at=200_000),
        event("charge.succeeded", charge(n, amount), n=n, at=200_000),
    )
    return Flow("delayed", events, amount, pi["id"])


def manual_capture(n: int, authorised: int = 8000, captured: int = 5000) -> Flow:
    """Authorised at checkout, captured in part later: no checkout event at capture."""
    unpaid = session(n, authorised, payment_status="unpaid")
    pi = intent(n, authorised, amount_received=captured, payment_details={"order_reference": unpaid["id"]})
    taken = charge(n, authorised, amount_captured=captured)
    events = (
        event("checkout.session.completed", unpaid, n=n),
        event("charge.succeeded", charge(n, authorised, captured=False, amount_captured=0), n=n),
        event(
            "payment_intent.amount_capturable_updated",
            intent(n, authorised, status="requires_capture", amount_received=0),
            n=n,
        ),
        event("charge.captured", taken, n=n, at=4000),
        event("payment_intent.succeeded", pi, n=n, at=4000),
    )
    return Flow("manual capture", events, captured, pi["id"])


def multi_capture(n: int) -> Flow:
    """Three captures of one authorisation; the intent succeeds with the sum."""
    parts = [
        event("charge.captured", charge(n, 9000, amount_captured=sum_), n=n, at=i)
        for i, sum_ in enumerate((2000, 5000, 7000))
    ]
    pi = intent(n, 9000, amount_received=7000)
    return Flow(
        "multi capture",
        (*parts, event("payment_intent.succeeded", pi, n=n, at=5)),
        7000,
        pi["id"],
        partial_ok=frozenset({2000, 5000}),
    )


def bare_intent(n: int, amount: int = 1500) -> Flow:
    """Elements or Terminal: a PaymentIntent without Checkout, after a decline."""
    events = (
        event(
            "payment_intent.payment_failed", intent(n, amount, status="requires_payment_method", amount_received=0), n=n
        ),
        event(
            "charge.failed",
            charge(n, amount, id=f"ch_declined{n:015d}", status="failed", captured=False, amount_captured=0),
            n=n,
        ),
        event("payment_intent.succeeded", intent(n, amount), n=n, at=5),
        event("charge.succeeded", charge(n, amount), n=n, at=5),
    )
    return Flow("bare intent", events, amount, intent(n, amount)["id"])


def subscription_first(n: int, amount: int = 2900) -> Flow:
    """The first invoice of a subscription through Checkout: the PI exists before the invoice, nothing on it names the invoice."""
    cs = session(
        n, amount, mode="subscription", payment_intent=None, invoice=invoice_id(n), subscription=f"sub_{n:016d}"
    )
    billing = {"description": "Subscription creation"}
    pi = intent(n, amount, payment_details={"order_reference": cs["id"][:25]}, **billing)
    bill = invoice(n, amount, billing_reason="subscription_create")
    events = (
        event("checkout.session.completed", cs, n=n, at=2),
        event("payment_intent.succeeded", pi, n=n),
        event("charge.succeeded", charge(n, amount, **billing), n=n),
        event("invoice.paid", bill, n=n, at=1),
        event("invoice.payment_succeeded", bill, n=n, at=1),
        event("invoice_payment.paid", invoice_payment(n, amount), n=n, at=1),
    )
    return Flow("subscription first", events, amount, bill["id"])


def renewal(n: int, amount: int = 2900, *, old: bool = False) -> Flow:
    """A renewal; before 2025-03-31 invoice, intent and charge named one another."""
    pi, ch, bill = (
        intent(n, amount, description="Subscription update"),
        charge(n, amount, description="Subscription update"),
        invoice(n, amount),
    )
    if old:
        pi["invoice"] = ch["invoice"] = bill["id"]
        bill.update(payment_intent=pi["id"], charge=ch["id"], paid=True, subscription=f"sub_{n:016d}", parent=None)
    else:
        pi["payment_details"] = {"order_reference": bill["id"]}
    events = [
        event("payment_intent.succeeded", pi, n=n),
        event("charge.succeeded", ch, n=n),
        event("invoice.paid", bill, n=n, at=1),
        event("invoice.payment_succeeded", bill, n=n, at=1),
    ]
    if not old:
        events.append(event("invoice_payment.paid", invoice_payment(n, amount), n=n, at=1))
    return Flow("renewal old" if old else "renewal", tuple(events), amount, bill["id"])


def first_by_api(n: int, amount: int = 1900, *, cut: bool = False) -> Flow:
    """The first invoice of a subscription made through the API: the intent names its invoice, cut or in full."""
    bill = invoice(n, amount, billing_reason="subscription_create")
    reference = bill["id"][:25] if cut else bill["id"]
    pi = intent(n, amount, description="Subscription creation", payment_details={"order_reference": reference})
    events = (
        event("payment_intent.succeeded", pi, n=n),
        event("charge.succeeded", charge(n, amount, description="Subscription creation"), n=n),
        event("invoice.paid", bill, n=n, at=1),
        event("invoice_payment.paid", invoice_payment(n, amount), n=n, at=1),
    )
    return Flow("subscription by api", events, amount, bill["id"])


def with_invoice(n: int, amount: int = 4999) -> Flow:
    """A one-off Checkout with `invoice_creation`: the invoice is made after the payment, and nothing on the intent names it."""
    cs = session(n, amount, invoice=invoice_id(n))
    pi = intent(n, amount, payment_details={"order_reference": cs["id"]})
    bill = invoice(n, amount, billing_reason="manual", parent=None)
    events = (
        event("payment_intent.succeeded", pi, n=n),
        event("charge.succeeded", charge(n, amount), n=n),
        event("checkout.session.completed", cs, n=n, at=1),
        event("invoice.paid", bill, n=n, at=2),
        event("invoice_payment.paid", invoice_payment(n, amount), n=n, at=2),
    )
    links = frozenset({"checkout.session.completed", "invoice_payment.paid"})
    return Flow("checkout with invoice", events, amount, bill["id"], links=links)


def payment_link(n: int, amount: int = 2500) -> Flow:
    """A payment link: a Session that the app did not create."""
    cs = session(n, amount, payment_link=f"plink_{n:020d}", metadata={}, customer=None)
    pi = intent(n, amount, customer=None, payment_details={"order_reference": cs["id"]})
    events = (
        event("checkout.session.completed", cs, n=n, at=1),
        event("payment_intent.succeeded", pi, n=n),
        event("charge.succeeded", charge(n, amount, customer=None), n=n),
    )
    return Flow("payment link", events, amount, pi["id"])


def terminal(n: int, amount: int = 1250) -> Flow:
    """A card reader: authorised, then captured."""
    taken = charge(n, amount, payment_method_details={"type": "card_present", "card_present": {"country": "FR"}})
    events = (
        event("charge.succeeded", {**taken, "captured": False, "amount_captured": 0}, n=n),
        event("charge.captured", taken, n=n, at=9),
        event("payment_intent.succeeded", intent(n, amount), n=n, at=9),
    )
    return Flow("terminal", events, amount, intent(n, amount)["id"])


def two_endpoints(n: int, amount: int = 4999) -> Flow:
    """Two endpoints of one account, one of them on an old version: each change comes as two events with ids of their own."""
    flow = checkout(n, amount)
    again = tuple({**body, "id": f"{body['id']}b", "api_version": "2022-11-15"} for body in flow.events)
    return Flow("two endpoints", (*flow.events, *again), amount, flow.canonical)


def out_of_band(n: int, amount: int = 70_000) -> Flow:
    """An invoice paid outside of Stripe: no intent, no charge."""
    bill = invoice(n, amount, billing_reason="manual", parent=None)
    return Flow("out of band", (event("invoice.paid", bill, n=n),), amount, bill["id"])


def partial_payments(n: int) -> Flow:
    """Two intents pay one invoice; the invoice says the sum."""
    bill = invoice(n, 10_000, billing_reason="manual", parent=None)
    first, second = n * 10 + 1, n * 10 + 2
    ref = {"payment_details": {"order_reference": bill["id"]}, "description": "Payment for Invoice"}
    events = (
        event("payment_intent.succeeded", intent(first, 4000, **ref), n=first),
        event("payment_intent.succeeded", intent(second, 6000, **ref), n=second),
        event("invoice_payment.paid", invoice_payment(n, 4000, pi=first, id=f"inpay_1{n:019d}"), n=first),
        event("invoice_payment.paid", invoice_payment(n, 6000, pi=second, id=f"inpay_2{n:019d}"), n=second),
        event("invoice.paid", bill, n=n, at=2),
    )
    return Flow("partial payments", events, 10_000, bill["id"], partial_ok=frozenset({4000, 6000}))


def free_trial(n: int) -> Flow:
    """A trial: an invoice of zero, no money."""
    cs = session(
        n, 0, mode="subscription", payment_status="no_payment_required", payment_intent=None, invoice=invoice_id(n)
    )
    bill = invoice(n, 0, billing_reason="subscription_create")
    return Flow("trial", (event("checkout.session.completed", cs, n=n), event("invoice.paid", bill, n=n)), None)


def credit_balance(n: int) -> Flow:
    """An invoice settled by the customer's credit: paid, but nothing was taken now."""
    return Flow("credit balance", (event("invoice.paid", invoice(n, 0, total=5000, amount_due=0), n=n),), None)


def free_order(n: int) -> Flow:
    """100 % discount."""
    cs = session(n, 0, payment_status="no_payment_required", payment_intent=None)
    return Flow("100 % discount", (event("checkout.session.completed", cs, n=n),), None)


def authorised_only(n: int) -> Flow:
    """Authorised, never captured; and updates that say "paid" but are no evidence."""
    events = (
        event("charge.succeeded", charge(n, 500, captured=False, amount_captured=0), n=n),
        event(
            "payment_intent.amount_capturable_updated",
            intent(n, 500, status="requires_capture", amount_received=0),
            n=n,
        ),
        event("setup_intent.succeeded", {"id": f"seti_{n}", "object": "setup_intent", "status": "succeeded"}, n=n),
        event("charge.updated", charge(n, 500), n=n),
    )
    return Flow("authorised only", events, None)


def destination_charge(n: int, amount: int = 6000) -> Flow:
    """Connect: the platform's charge, and its mirror on the connected account, which is the same money again."""
    mirror = charge(n, amount, id=f"py_{n:024d}", payment_intent=None, source_transfer=f"tr_{n:020d}")
    events = (*checkout(n, amount).events, event("charge.succeeded", mirror, n=n, account="acct_connected1"))
    return Flow("destination charge", events, amount, intent(n, amount)["id"])


def legacy_charge(n: int, amount: int = 1200) -> Flow:
    """Charges API: neither intent nor session."""
    return Flow(
        "legacy charge",
        (event("charge.succeeded", charge(n, amount, payment_intent=None), n=n),),
        amount,
        f"ch_{n:024d}",
    )


ALL = (
    checkout,
    lambda n: checkout(n, reference="cut"),
    lambda n: checkout(n, reference="none"),
    lambda n: checkout(n, account="acct_direct01"),
    delayed,
    manual_capture,
    multi_capture,
    bare_intent,
    subscription_first,
    renewal,
    lambda n: renewal(n, old=True),
    first_by_api,
    lambda n: first_by_api(n, cut=True),
    with_invoice,
    payment_link,
    terminal,
    two_endpoints,
    out_of_band,
    partial_payments,
    free_trial,
    credit_balance,
    free_order,
    authorised_only,
    destination_charge,
    legacy_charge,
)

EVIDENCE = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "payment_intent.succeeded",
        "charge.succeeded",
        "charge.captured",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
    }
)


def speaks_of_money(body: Event) -> bool:
    """Whether this delivery alone says that money was taken (our own reading of facts, for choosing subsets)."""
    obj = body["data"]["object"]
    if body["type"] not in EVIDENCE or obj.get("source_transfer"):
        return False
    if obj["object"] == "checkout.session":
        return obj["payment_status"] == "paid" and obj["amount_total"] > 0
    if obj["object"] == "charge":
        return obj["captured"] is True and obj["amount_captured"] > 0
    return obj.get("amount_received", obj.get("amount_paid", 0)) > 0
