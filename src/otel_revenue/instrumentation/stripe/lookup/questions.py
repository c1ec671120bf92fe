# SPDX-License-Identifier: Apache-2.0
"""Which question does a payment on hold raise, and how is it put to Stripe? Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.instrumentation.stripe.objects import INTENT, INVOICE, SESSION
from otel_revenue.ledger.model import Certainty

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_revenue.instrumentation.stripe.thin_events import Thin
    from otel_revenue.ledger.model import Alias, Group

THE_SESSION: Final = "session"
SESSION_OF_INTENT: Final = "session_of_intent"
THE_INVOICE: Final = "invoice"
INVOICE_OF_INTENT: Final = "invoice_of_intent"
THE_INTENT: Final = "intent"
ITEMS: Final = "line_items"
THIN: Final = "thin_event"

PAGE: Final = 100
"""Lines in one answer. A Session has no more (Stripe API reference, "Create a Session")."""
MAX_PAGES: Final = 2

_OF_PRODUCT: Final = "product."
_PATHS: Final = {
    "checkout.session": "/v1/checkout/sessions",
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "invoice": "/v1/invoices",
    "invoice_payment": "/v1/invoice_payments",
}


@dataclass(frozen=True, slots=True)
class Question:
    """
    One question, the same one as long as `topic`, `account` and `id` are.

    Attributes:
        topic: what is asked, a constant of this module.
        account: the connected account, "" for the platform's own.
        id: of the object that is asked about.
        livemode: Stripe's flag; None when unknown.
        at_ns: when the money was taken, as far as it is known.
        due_ns: when the payment is recorded without an answer; 0: no payment waits.
    """

    topic: str
    account: str
    id: str
    livemode: bool | None = field(default=None, compare=False)
    at_ns: int = field(default=0, compare=False)
    due_ns: int = field(default=0, compare=False)


def raised(group: Group, twin: Group | None) -> Question | None:
    """
    Return what would settle a payment on hold, None when Stripe's API cannot.

    An uncertain one wants its Session, else its invoice, else the invoice of its PaymentIntent; captures want the
    PaymentIntent, which says when no more follow. A poor one wants its Session, and one that is certain its line items.
    """
    both = (group,) if twin is None else (group, twin)
    evidence = [e for g in both for e in g.evidence]
    if not evidence or not any(g.due_ns for g in both):
        return None
    certainty = max(e.certainty for e in evidence)
    sessions, invoices, intents = (_of(both, kind) for kind in (SESSION, INVOICE, INTENT))
    topic, found = "", sessions
    if certainty is Certainty.CERTAIN:
        topic = ITEMS
    elif sessions:
        topic = THE_SESSION
    elif certainty is Certainty.POOR:
        topic, found = SESSION_OF_INTENT, intents
    elif invoices:
        topic, found = THE_INVOICE, invoices
    else:
        billing = any(g.billing for g in both)
        topic, found = (INVOICE_OF_INTENT if billing else THE_INTENT), intents
    if not found:
        return None
    at_ns = min(e.at_ns for e in evidence)
    return Question(topic, found[0].account, found[0].id, _livemode(both), at_ns, group.due_ns)


def of_thin(thin: Thin) -> Question:
    """Return what fetches the object of a thin event."""
    return Question(THIN, thin.account, thin.object_id, thin.livemode, thin.at_ns)


def put(
    question: Question, kind: str = "", sku_from: Sequence[str] = (), after: str = ""
) -> tuple[str, dict[str, Any]]:
    """
    Return path and parameters that put a question.

    The path is made of a word of ours and an id: a URL that stands in a body decides nowhere where a key is sent.

    Args:
        question: what is asked.
        kind: the object of a thin event.
        sku_from: sources of SKU and tier; the product is fetched along where one of them needs it.
        after: the last line of the page before.
    """
    product = any(source.startswith(_OF_PRODUCT) and source != "product.id" for source in sku_from)
    asked, within = question.id, {"expand": [f"line_items.data.price.{_OF_PRODUCT[:-1]}" if product else "line_items"]}
    session, invoice = _PATHS["checkout.session"], _PATHS["invoice"]
    if question.topic == THE_SESSION:
        return f"{session}/{asked}", within
    if question.topic == SESSION_OF_INTENT:
        return session, {"payment_intent": asked, "limit": 1}
    if question.topic == THE_INVOICE:
        return f"{invoice}/{asked}", {"expand": ["payments"]}
    if question.topic == INVOICE_OF_INTENT:
        payment = {"type": "payment_intent", "payment_intent": asked}
        return _PATHS["invoice_payment"], {"payment": payment, "limit": PAGE, "expand": ["data.invoice"]}
    if question.topic == THE_INTENT:
        return f"{_PATHS['payment_intent']}/{asked}", {}
    if question.topic == ITEMS:
        params: dict[str, Any] = {"limit": PAGE}
        if product:
            params["expand"] = ["data.price.product"]
        if after:
            params["starting_after"] = after
        return f"{session}/{asked}/line_items", params
    return f"{_PATHS[kind]}/{asked}", {}


def _of(both: Iterable[Group], kind: str) -> list[Alias]:
    return sorted(a for g in both for a in g.aliases if a.kind == kind)


def _livemode(both: Iterable[Group]) -> bool | None:
    found: list[Mapping[str, Any]] = [g.labels.get("livemode", {}) for g in both]
    values = [value for candidates in found for _, value in candidates.values() if isinstance(value, bool)]
    return values[0] if values else None
