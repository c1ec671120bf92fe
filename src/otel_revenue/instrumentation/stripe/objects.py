# SPDX-License-Identifier: Apache-2.0
"""
What may be read out of one Stripe object: an allow-list, object by object.

Takes the plain JSON of a verified payload or of an API answer, in old and new API shapes, and picks ids, amounts,
country, times and configured metadata keys: never free text. What is not named here stays where it is.

Sources: Stripe API reference and changelog (2025-03-31.basil removed `invoice.payment_intent` and its siblings);
paid evidence per flow after "Checkout fulfilment", "Event types" and "Place a hold".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import BadMoney
from otel_revenue.ledger.model import Alias, Certainty, Evidence, Labels, Soft, merge_labels
from otel_revenue.schema.money import MAX_MINOR, checked_currency, checked_minor

from .items import from_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SESSION, INTENT, CHARGE, INVOICE = "cs", "pi", "ch", "in"

# Who is believed about the amount: what the invoice says was paid, else the intents, else the charge, else the session.
AUTHORITY: Final = {INVOICE: 5, INTENT: 4, CHARGE: 3, SESSION: 2, "invoice_payment": 1}

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,254}")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_CODE = re.compile(r"[a-z0-9_]{1,40}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
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
TRACE_KEY: Final = "otel_traceparent"


@dataclass(frozen=True, slots=True)
class Reader:
    """
    How to read objects of one event or answer.

    Attributes:
        account: the connected account the object belongs to, "" for the platform.
        at_ns: when the far end says that what is told happened.
        livemode: Stripe's flag, from the event where there is one.
        emit_zero: whether zero amounts are evidence.
        metadata_keys: metadata keys that are configured as a source, by attribute.
        sku_from, tier_from: where SKU and tier of a line come from.
        clean: returns text as it may be stored, or None where it must not be (looks like personal data).
    """

    account: str
    at_ns: int
    livemode: bool | None
    emit_zero: bool
    metadata_keys: Mapping[str, tuple[str, ...]]
    sku_from: Sequence[str]
    tier_from: Sequence[str]
    clean: Callable[[str], str | None]

    def alias(self, kind: str, value: object) -> tuple[Alias, ...]:
        """Return the alias of an id (or of an expanded object), nothing for anything else."""
        found = id_of(value)
        return (Alias(kind, self.account, found),) if found else ()


@dataclass(slots=True)
class Picked:
    """What one object gave. `problem` is set when it speaks of money and cannot be read; then there is no evidence."""

    aliases: tuple[Alias, ...] = ()
    truncated: tuple[Alias, ...] = ()
    evidence: Evidence | None = None
    billing: bool = False
    settles: bool = False
    soft: Soft | None = None
    labels: Labels = field(default_factory=dict)
    traceparent: str = ""
    created_ns: int = 0
    problem: str = ""

    def label(self, name: str, source: str, rank: int, value: Any) -> None:
        """Add a candidate; None and "" are no candidates."""
        if value is not None and value != "":
            self.labels.setdefault(name, {})[source] = [rank, value]


def id_of(value: object) -> str:
    """Return a Stripe id, from its text or from the expanded object; "" when it is none."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def mapping(value: object) -> dict[str, Any]:
    """Return *value* if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def session(obj: Mapping[str, Any], reader: Reader, *, paid: bool) -> Picked:
    """Read a Checkout Session; *paid*: it comes in an event or answer that may count as evidence."""
    own = reader.alias(SESSION, obj.get("id"))
    picked = Picked(
        aliases=own + reader.alias(INTENT, obj.get("payment_intent")) + reader.alias(INVOICE, obj.get("invoice")),
        settles=True,
        created_ns=seconds_ns(obj.get("created")),
    )
    mode = obj.get("mode")
    picked.billing = mode == "subscription"
    status = obj.get("payment_status")
    zero = reader.emit_zero and status == "no_payment_required" and obj.get("status") in (None, "complete")
    if paid and mode in ("payment", "subscription") and (status == "paid" or zero):
        _evidence(picked, own, SESSION, obj.get("amount_total"), obj.get("currency"), reader, Certainty.CERTAIN)
    elif paid and status == "paid" and mode != "setup":
        picked.problem = "mode_unknown"
    _soft(picked, obj, obj.get("amount_total"), reader)
    read_common(picked, obj, reader, rank=1)
    picked.label("order_id", "client_reference_id", 1, _text(obj.get("client_reference_id"), reader))
    picked.label("order_id", "session.id", 1, own[0].id if own else None)
    picked.label("session", "session", 1, own[0].id if own else None)
    picked.label("link", "session", 1, id_of(obj.get("payment_link")))
    picked.label("subscription", "session", 1, id_of(obj.get("subscription")))
    picked.label("kind", "session", 2, {"payment": "one_off", "subscription": "subscription_first"}.get(str(mode)))
    picked.label("country", "session.billing", 1, _country(obj, "customer_details"))
    shipping = mapping(obj.get("collected_information")).get("shipping_details") or obj.get("shipping_details")
    picked.label("country", "session.shipping", 1, _country({"s": shipping}, "s"))
    totals = mapping(obj.get("total_details"))
    _split(
        picked,
        "session",
        2,
        obj,
        totals.get("amount_discount"),
        totals.get("amount_tax"),
        totals.get("amount_shipping"),
    )
    _method(picked, "session", 3, obj)
    merge_labels(picked.labels, from_lines(obj.get("line_items"), reader.sku_from, reader.tier_from, reader.clean))
    return picked


def intent(obj: Mapping[str, Any], reader: Reader, *, paid: bool) -> Picked:
    """Read a PaymentIntent."""
    own = reader.alias(INTENT, obj.get("id"))
    picked = Picked(
        aliases=own + reader.alias(CHARGE, obj.get("latest_charge")) + reader.alias(INVOICE, obj.get("invoice"))
    )
    reference = mapping(obj.get("payment_details")).get("order_reference")
    certainty = Certainty.CERTAIN
    if isinstance(reference, str) and _ID.fullmatch(reference):
        if reference.startswith("in_"):
            picked.aliases += reader.alias(INVOICE, reference)
        elif reference.startswith("cs_"):
            certainty = Certainty.POOR
            if len(reference) == TRUNCATED_AT:
                picked.truncated = (Alias(SESSION, reader.account, reference),)
            else:
                picked.aliases += reader.alias(SESSION, reference)
    _billing(picked, obj)
    if picked.billing:
        certainty = Certainty.UNCERTAIN
    if paid and obj.get("status") == "succeeded":
        _evidence(picked, own, INTENT, obj.get("amount_received"), obj.get("currency"), reader, certainty)
    elif paid and not isinstance(obj.get("status"), str):
        picked.problem = "status_missing"
    _soft(picked, obj, obj.get("amount_received"), reader)
    read_common(picked, obj, reader, rank=4)
    picked.created_ns = 0 if picked.billing else seconds_ns(obj.get("created"))
    picked.label("order_id", "payment_intent.id", 4, own[0].id if own else None)
    picked.label("intent", "payment_intent", 1, own[0].id if own else None)
    picked.label("charge", "payment_intent", 2, id_of(obj.get("latest_charge")))
    picked.label("country", "payment_intent.shipping", 4, _country(obj, "shipping"))
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
    mirrored = obj.get("source_transfer") or method.get("type") == "stripe_account"
    taken = obj.get("captured") is True and obj.get("status") in (None, "succeeded")
    if paid and taken and not mirrored:
        certainty = Certainty.POOR if len(picked.aliases) > 1 else Certainty.CERTAIN
        if picked.billing or at_capture:
            certainty = Certainty.UNCERTAIN
        _evidence(picked, own, CHARGE, obj.get("amount_captured"), obj.get("currency"), reader, certainty)
    _soft(picked, obj, obj.get("amount_captured"), reader)
    read_common(picked, obj, reader, rank=5)
    picked.label("charge", "charge", 1, own[0].id if own else None)
    picked.label("intent", "charge", 2, id_of(obj.get("payment_intent")))
    picked.label("country", "charge.billing", 5, _country(obj, "billing_details"))
    card = mapping(method.get("card") or method.get("card_present"))
    picked.label("country", "card_issuer", 5, _country({"c": {"address": card}}, "c"))
    picked.label("method", "charge", 1, _code(method.get("type")))
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
    for payment in mapping(obj.get("payments")).get("data") or ():
        how = mapping(mapping(payment).get("payment"))
        picked.aliases += reader.alias(INTENT, how.get("payment_intent")) + reader.alias(CHARGE, how.get("charge"))
    if paid and obj.get("status") == "paid":
        moment = seconds_ns(mapping(obj.get("status_transitions")).get("paid_at")) or reader.at_ns
        if obj.get("paid_out_of_band") is True and obj.get("amount_paid") == 0 and obj.get("amount_due"):
            # Before 2025-03-31 money taken outside of Stripe was on no field of the invoice.
            picked.problem = "out_of_band_amount_unknown"
        else:
            _evidence(
                picked, own, INVOICE, obj.get("amount_paid"), obj.get("currency"), reader, Certainty.CERTAIN, moment
            )
    elif paid and not isinstance(obj.get("status"), str):
        picked.problem = "status_missing"
    _soft(picked, obj, obj.get("amount_paid"), reader)
    read_common(picked, obj, reader, rank=2)
    parent = mapping(mapping(obj.get("parent")).get("subscription_details"))
    details = parent or mapping(obj.get("subscription_details"))
    _metadata(picked, details.get("metadata"), reader, rank=3)
    picked.label("order_id", "invoice.id", 2, own[0].id if own else None)
    picked.label("invoice", "invoice", 1, own[0].id if own else None)
    picked.label("subscription", "invoice", 2, id_of(details.get("subscription") or obj.get("subscription")))
    reason = obj.get("billing_reason")
    picked.label("kind", "invoice", 1, _BILLING_REASONS.get(str(reason), "invoice"))
    if reason == "subscription_create":
        picked.traceparent = picked.traceparent or _traceparent(details.get("metadata"))
    picked.label("country", "invoice.billing", 2, _country({"c": {"address": obj.get("customer_address")}}, "c"))
    picked.label("country", "invoice.shipping", 2, _country(obj, "customer_shipping"))
    merge_labels(picked.labels, from_lines(obj.get("lines"), reader.sku_from, reader.tier_from, reader.clean))
    discounts = _sum(obj.get("total_discount_amounts"))
    taxes = _sum(obj.get("total_taxes") if "total_taxes" in obj else obj.get("total_tax_amounts"))
    shipping = mapping(obj.get("shipping_cost")).get("amount_total", 0)
    _split(
        picked,
        "invoice",
        1,
        {**obj, "amount_total": obj.get("total"), "amount_subtotal": obj.get("subtotal")},
        discounts,
        taxes,
        shipping,
    )
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
    if paid and obj.get("status") == "paid" and linked:
        _evidence(
            picked, own, "invoice_payment", obj.get("amount_paid"), obj.get("currency"), reader, Certainty.UNCERTAIN
        )
        if picked.evidence is not None:
            # It speaks of its invoice: a payment shared by several invoices counts there.
            picked.evidence = Evidence(
                Alias(INVOICE, reader.account, f"{linked[0].id}/{own[0].id}"),
                picked.evidence.authority,
                picked.evidence.amount_minor,
                picked.evidence.currency,
                picked.evidence.at_ns,
                picked.evidence.certainty,
            )
    picked.label("livemode", "object", 9, _flag(obj.get("livemode"), reader))
    picked.label("invoice", "invoice_payment", 2, linked[0].id if linked else None)
    picked.label("intent", "invoice_payment", 3, id_of(how.get("payment_intent")))
    return picked


TRUNCATED_AT: Final = 25
"""Length to which Stripe cuts a session id in `order_reference`."""


def _evidence(
    picked: Picked,
    own: tuple[Alias, ...],
    kind: str,
    amount: object,
    currency: object,
    reader: Reader,
    certainty: Certainty,
    at_ns: int = 0,
) -> None:
    try:
        minor = checked_minor(amount)
        code = checked_currency(currency)
    except BadMoney as error:
        picked.problem = error.reason
        return
    if not own:
        picked.problem = "id_missing"
        return
    if minor > 0 or reader.emit_zero:
        picked.evidence = Evidence(own[0], AUTHORITY[kind], minor, code, at_ns or reader.at_ns, certainty)


def _billing(picked: Picked, obj: Mapping[str, Any]) -> None:
    description = obj.get("description")
    kind = _BILLING_DESCRIPTIONS.get(description) if isinstance(description, str) else None
    receipt = obj.get("receipt_url")
    picked.billing = (
        kind is not None
        or any(a.kind == INVOICE for a in picked.aliases)
        or (isinstance(receipt, str) and "/receipts/invoices/" in receipt[:300])
    )
    picked.label("kind", "description", 4, kind)


def _soft(picked: Picked, obj: Mapping[str, Any], amount: object, reader: Reader) -> None:
    """Only billing objects are joined without a common id: two one-off payments of one buyer can be alike to the second."""
    customer, currency = id_of(obj.get("customer")), obj.get("currency")
    if not picked.billing or not customer or type(amount) is not int or amount <= 0 or not isinstance(currency, str):
        return
    moment = seconds_ns(obj.get("created")) or reader.at_ns
    text = "|".join((reader.account, str(reader.livemode), customer, str(amount), currency.lower()))
    # A digest: the customer's id stays with Stripe.
    picked.soft = Soft(hashlib.sha256(text.encode()).hexdigest()[:32], moment)


def read_common(picked: Picked, obj: Mapping[str, Any], reader: Reader, *, rank: int) -> None:
    """Read what every object may carry: configured metadata, the trace context, mode, presentment amounts."""
    _metadata(picked, obj.get("metadata"), reader, rank)
    picked.traceparent = _traceparent(obj.get("metadata"))
    picked.label("livemode", "object", rank, _flag(obj.get("livemode"), reader))
    shown = mapping(obj.get("presentment_details"))
    try:
        pair = [checked_minor(shown.get("presentment_amount")), checked_currency(shown.get("presentment_currency"))]
    except BadMoney:
        return
    picked.label("presentment", "object", rank, pair)


def _metadata(picked: Picked, metadata: object, reader: Reader, rank: int) -> None:
    values = mapping(metadata)
    for name, keys in reader.metadata_keys.items():
        for key in keys:
            value = _text(values.get(key), reader)
            if name == "country":
                value = value.upper() if value and _COUNTRY.fullmatch(value) else None
            picked.label(name, f"metadata.{key}", rank, value)


def _split(
    picked: Picked, source: str, rank: int, obj: Mapping[str, Any], discount: object, tax: object, shipping: object
) -> None:
    """Subtotal and its parts, from one object, so that they add up; parts that are missing or malformed are left out."""
    named = {
        "total": obj.get("amount_total"),
        "subtotal": obj.get("amount_subtotal"),
        "discount": discount,
        "tax": tax,
        "shipping": shipping,
    }
    parts: dict[str, Any] = {
        name: value for name, value in named.items() if type(value) is int and 0 <= value <= MAX_MINOR
    }
    currency = obj.get("currency")
    if parts and isinstance(currency, str) and len(currency) == 3:
        picked.label("split", source, rank, {**parts, "currency": currency.upper()})


def _method(picked: Picked, source: str, rank: int, obj: Mapping[str, Any]) -> None:
    types = obj.get("payment_method_types")
    if isinstance(types, list) and len(types) == 1:
        picked.label("method", source, rank, _code(types[0]))


def _country(obj: Mapping[str, Any], key: str) -> str | None:
    value = mapping(mapping(obj.get(key)).get("address")).get("country")
    return value.upper() if isinstance(value, str) and _COUNTRY.fullmatch(value) else None


def _flag(value: object, reader: Reader) -> bool | None:
    if reader.livemode is not None:
        return reader.livemode
    return value if isinstance(value, bool) else None


def _code(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _text(value: object, reader: Reader) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return reader.clean(str(value).strip()) if value != "" else None


def _traceparent(metadata: object) -> str:
    value = mapping(metadata).get(TRACE_KEY)
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else ""


def seconds_ns(value: object) -> int:
    """Return Stripe's time in whole seconds as nanoseconds; 0 when it is none."""
    return value * 10**9 if type(value) is int and 0 < value < 9_000_000_000 else 0


def _sum(parts: object) -> object:
    if parts is None:
        return 0
    if not isinstance(parts, list):
        return None
    amounts = [mapping(part).get("amount") for part in parts]
    return sum(amounts) if all(type(a) is int for a in amounts) else None  # type: ignore[arg-type]
