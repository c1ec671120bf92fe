# SPDX-License-Identifier: Apache-2.0
"""
What may be read out of one Stripe object: an allow-list, object by object.

Takes the plain JSON of a verified payload or of an API answer, in old and new API shapes, and picks ids, amounts,
country, times and configured metadata keys: never free text. What is not named here stays where it is.

Sources: Stripe API reference and changelog (2025-03-31.basil removed `invoice.payment_intent` and its siblings);
paid evidence per flow after "Checkout fulfilment", "Event types" and "Place a hold".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.ledger.model import TRUNCATED_AT, Alias, Certainty, merge_labels

from .items import from_lines
from .picked import (
    Picked,
    Reader,
    code,
    country,
    country_at,
    id_of,
    livemode,
    mapping,
    mappings,
    put_common,
    put_evidence,
    put_metadata,
    put_soft,
    put_split,
    seconds_ns,
    sum_of,
    traceparent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CHARGE",
    "INTENT",
    "INVOICE",
    "SESSION",
    "Picked",
    "Reader",
    "charge",
    "intent",
    "invoice",
    "invoice_payment",
    "session",
]

SESSION, INTENT, CHARGE, INVOICE = "cs", "pi", "ch", "in"

# Who is believed about the amount: what the invoice says was paid, else the intents, else the charge, else the session.
AUTHORITY: Final = {INVOICE: 5, INTENT: 4, CHARGE: 3, SESSION: 2, "invoice_payment": 1}

_BILLING_DESCRIPTIONS: Final = {
    "Subscription creation": "subscription_first",
    "Subscription update": "subscription_renewal",
    "Payment for Invoice": "invoice",
}
_BILLING_REASONS: Final = {
    "subscription_create": "subscription_first",
    "subscription_cycle": "subscription_renewal",
    "subscription_update": "subscription_renewal",
    "subscription_threshold": "subscription_renewal",
    "subscription": "subscription_renewal",
}
_SESSION_KINDS: Final = {"payment": "one_off", "subscription": "subscription_first"}


def session(obj: Mapping[str, Any], reader: Reader, *, paid: bool) -> Picked:
    """Read a Checkout Session; *paid*: it comes in an event or answer that may count as evidence."""
    own = reader.alias(SESSION, obj.get("id"))
    picked = Picked(
        aliases=own + reader.alias(INTENT, obj.get("payment_intent")) + reader.alias(INVOICE, obj.get("invoice")),
        settles=True,
        created_ns=seconds_ns(obj.get("created")),
    )
    mode, status = code(obj.get("mode")), code(obj.get("payment_status"))
    picked.billing = mode == "subscription"
    zero = reader.emit_zero and status == "no_payment_required" and obj.get("status") in (None, "complete")
    if paid and mode in _SESSION_KINDS and (status == "paid" or zero):
        put_evidence(
            picked,
            own,
            AUTHORITY[SESSION],
            obj.get("amount_total"),
            obj.get("currency"),
            reader,
            Certainty.CERTAIN,
        )
    elif paid and status is None and mode != "setup":
        picked.problem = "status_missing"
    elif paid and status == "paid" and mode != "setup":
        picked.problem = "mode_unknown"
    put_soft(picked, obj, reader)
    put_common(picked, obj, reader, rank=1)
    picked.label("order_id", "client_reference_id", 1, reader.reference(obj.get("client_reference_id")))
    put_ids(picked, rank=3)
    picked.label("link", "session", 1, id_of(obj.get("payment_link")))
    picked.label("subscription", "session", 1, id_of(obj.get("subscription")))
    picked.label("kind", "session", 1, _SESSION_KINDS.get(mode or ""))
    picked.label("country", "session.billing", 1, country_at(obj, "customer_details", "address"))
    collected = country_at(obj, "collected_information", "shipping_details", "address")
    picked.label("country", "session.shipping", 1, collected or country_at(obj, "shipping_details", "address"))
    totals = mapping(obj.get("total_details"))
    parts = {
        "total": obj.get("amount_total"),
        "subtotal": obj.get("amount_subtotal"),
        "discount": totals.get("amount_discount"),
        "tax": totals.get("amount_tax"),
        "shipping": totals.get("amount_shipping"),
    }
    put_split(picked, "session", 2, parts, obj.get("currency"))
    _method(picked, "session", 3, obj)
    merge_labels(picked.labels, from_lines(obj.get("line_items"), reader.sku_from, reader.tier_from, reader.clean))
    return picked


def intent(obj: Mapping[str, Any], reader: Reader, *, paid: bool) -> Picked:
    """Read a PaymentIntent."""
    own = reader.alias(INTENT, obj.get("id"))
    picked = Picked(
        aliases=own + reader.alias(CHARGE, obj.get("latest_charge")) + reader.alias(INVOICE, obj.get("invoice"))
    )
    checkout = _order_reference(picked, mapping(obj.get("payment_details")).get("order_reference"), reader)
    _billing(picked, obj)
    if paid and obj.get("status") == "succeeded":
        certainty = Certainty.POOR if checkout else Certainty.CERTAIN
        if picked.billing:
            certainty = Certainty.UNCERTAIN
        put_evidence(picked, own, AUTHORITY[INTENT], obj.get("amount_received"), obj.get("currency"), reader, certainty)
    elif paid and code(obj.get("status")) is None:
        picked.problem = "status_missing"
    put_soft(picked, obj, reader)
    put_common(picked, obj, reader, rank=4)
    picked.created_ns = 0 if picked.billing else seconds_ns(obj.get("created"))
    put_ids(picked, rank=1)
    picked.label("country", "payment_intent.shipping", 4, country_at(obj, "shipping", "address"))
    picked.label("kind", "payment_intent", 5, None if picked.billing else "one_off")
    _method(picked, "payment_intent", 2, obj)
    return picked


def charge(obj: Mapping[str, Any], reader: Reader, *, paid: bool, at_capture: bool = False) -> Picked:
    """
    Read a charge; *at_capture*: the event is `charge.captured`, after which more captures may follow.

    A charge that a platform's destination charge made on the connected account (`source_transfer`) is the same money
    again, and no evidence.
    """
    own = reader.alias(CHARGE, obj.get("id"))
    picked = Picked(
        aliases=own + reader.alias(INTENT, obj.get("payment_intent")) + reader.alias(INVOICE, obj.get("invoice"))
    )
    _billing(picked, obj)
    method = mapping(obj.get("payment_method_details"))
    mirrored = bool(obj.get("source_transfer")) or method.get("type") == "stripe_account"
    succeeded = obj.get("status") in (None, "succeeded")  # charges before 2014 have no status
    if paid and not mirrored and succeeded and obj.get("captured") is True:
        certainty = Certainty.POOR if len(picked.aliases) > 1 else Certainty.CERTAIN
        if picked.billing or at_capture:
            certainty = Certainty.UNCERTAIN
        put_evidence(picked, own, AUTHORITY[CHARGE], obj.get("amount_captured"), obj.get("currency"), reader, certainty)
    elif paid and not mirrored and succeeded and obj.get("captured") is not False:
        picked.problem = "captured_missing"
    elif paid and not mirrored and not succeeded and code(obj.get("status")) is None:
        picked.problem = "status_missing"
    put_soft(picked, obj, reader)
    put_common(picked, obj, reader, rank=5)
    put_ids(picked, rank=2)
    picked.label("country", "charge.billing", 5, country_at(obj, "billing_details", "address"))
    card = mapping(method.get("card") or method.get("card_present"))
    picked.label("country", "card_issuer", 5, country(card.get("country")))
    picked.label("method", "charge", 1, code(method.get("type")))
    picked.label("kind", "charge", 6, None if picked.billing else "one_off")
    return picked


def invoice(obj: Mapping[str, Any], reader: Reader, *, paid: bool) -> Picked:
    """Read an invoice."""
    own = reader.alias(INVOICE, obj.get("id"))
    picked = Picked(
        aliases=own + reader.alias(INTENT, obj.get("payment_intent")) + reader.alias(CHARGE, obj.get("charge")),
        billing=True,
        settles=paid,
    )
    for payment in mappings(mapping(obj.get("payments")).get("data")):
        how = mapping(payment.get("payment"))
        picked.aliases += reader.alias(INTENT, how.get("payment_intent")) + reader.alias(CHARGE, how.get("charge"))
    if paid and obj.get("status") == "paid":
        moment = seconds_ns(mapping(obj.get("status_transitions")).get("paid_at")) or reader.at_ns
        if obj.get("paid_out_of_band") is True and obj.get("amount_paid") == 0 and obj.get("amount_due"):
            # Before 2025-03-31 money taken outside of Stripe was on no field of the invoice.
            picked.problem = "out_of_band_amount_unknown"
        else:
            put_evidence(
                picked,
                own,
                AUTHORITY[INVOICE],
                obj.get("amount_paid"),
                obj.get("currency"),
                reader,
                Certainty.CERTAIN,
                moment,
            )
    elif paid and code(obj.get("status")) is None:
        picked.problem = "status_missing"
    put_soft(picked, obj, reader)
    put_common(picked, obj, reader, rank=2)
    parent = mapping(mapping(obj.get("parent")).get("subscription_details"))
    details = parent or mapping(obj.get("subscription_details"))
    put_metadata(picked, details.get("metadata"), reader, rank=3)
    reason = code(obj.get("billing_reason")) or ""
    if reason == "subscription_create":
        picked.traceparent = picked.traceparent or traceparent(details.get("metadata"))
    put_ids(picked, rank=4)
    picked.label("subscription", "invoice", 2, id_of(details.get("subscription") or obj.get("subscription")))
    picked.label("kind", "invoice", 2, _BILLING_REASONS.get(reason, "invoice"))
    picked.label("country", "invoice.billing", 2, country_at(obj, "customer_address"))
    picked.label("country", "invoice.shipping", 2, country_at(obj, "customer_shipping", "address"))
    merge_labels(picked.labels, from_lines(obj.get("lines"), reader.sku_from, reader.tier_from, reader.clean))
    taxes = sum_of(obj.get("total_taxes") if "total_taxes" in obj else obj.get("total_tax_amounts"))
    parts = {
        "total": obj.get("total"),
        "subtotal": obj.get("subtotal"),
        "discount": sum_of(obj.get("total_discount_amounts")),
        "tax": taxes,
        "shipping": mapping(obj.get("shipping_cost")).get("amount_total", 0),
    }
    put_split(picked, "invoice", 1, parts, obj.get("currency"))
    return picked


def invoice_payment(obj: Mapping[str, Any], reader: Reader, *, paid: bool) -> Picked:
    """Read an InvoicePayment: the link between an invoice and what paid it; weak evidence of its own."""
    how = mapping(obj.get("payment"))
    own = reader.alias("invoice_payment", obj.get("id"))
    linked = reader.alias(INVOICE, obj.get("invoice"))
    picked = Picked(
        aliases=linked + reader.alias(INTENT, how.get("payment_intent")) + reader.alias(CHARGE, how.get("charge")),
        billing=True,
    )
    if paid and obj.get("status") == "paid":
        put_evidence(
            picked,
            own,
            AUTHORITY["invoice_payment"],
            obj.get("amount_paid"),
            obj.get("currency"),
            reader,
            Certainty.UNCERTAIN,
        )
        if not linked and not picked.problem:
            picked.problem, picked.evidence = "invoice_missing", None
        if picked.evidence is not None:
            # It speaks of its invoice: a payment shared by several invoices counts there.
            name = Alias(INVOICE, reader.account, f"{linked[0].id}/{own[0].id}")
            picked.evidence = replace(picked.evidence, alias=name)
    elif paid and code(obj.get("status")) is None:
        picked.problem = "status_missing"
    picked.label("livemode", "object", 9, livemode(obj.get("livemode"), reader))
    put_ids(picked, rank=5)
    return picked


_IDS: Final = {
    SESSION: ("session", "session.id"),
    INTENT: ("intent", "payment_intent.id"),
    CHARGE: ("charge", ""),
    INVOICE: ("invoice", "invoice.id"),
}


def put_ids(picked: Picked, *, rank: float) -> None:
    """Note the ids that the object names, its own and others', for the event; of several of one kind the first."""
    for alias in reversed(picked.aliases):
        name, source = _IDS[alias.kind]
        picked.label(name, "id", rank, alias.id)
        if source:
            picked.label("order_id", source, rank, alias.id)


def _order_reference(picked: Picked, reference: object, reader: Reader) -> bool:
    """
    Add what Stripe notes on a PaymentIntent as its origin; says whether that is a Checkout Session.

    The field is the merchant's to overwrite: only ids of Stripe's own form are read.
    """
    found = id_of(reference) if isinstance(reference, str) else ""
    kind = {"in_": INVOICE, "cs_": SESSION}.get(found[:3])
    if kind is None:
        return False
    if len(found) == TRUNCATED_AT:
        picked.truncated = (Alias(kind, reader.account, found),)
    else:
        picked.aliases += reader.alias(kind, found)
    return kind == SESSION


def _billing(picked: Picked, obj: Mapping[str, Any]) -> None:
    description = obj.get("description")
    kind = _BILLING_DESCRIPTIONS.get(description) if isinstance(description, str) else None
    receipt = obj.get("receipt_url")
    picked.billing = (
        kind is not None
        or any(a.kind == INVOICE for a in (*picked.aliases, *picked.truncated))
        or (isinstance(receipt, str) and "/receipts/invoices/" in receipt[:300])
    )
    picked.label("kind", "description", 4, kind)


def _method(picked: Picked, source: str, rank: float, obj: Mapping[str, Any]) -> None:
    types = obj.get("payment_method_types")
    if isinstance(types, list) and len(types) == 1:
        picked.label("method", source, rank, code(types[0]))
