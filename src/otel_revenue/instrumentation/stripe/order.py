# SPDX-License-Identifier: Apache-2.0
"""From candidates to attributes: which source wins, and what each event that the ledger lets be recorded says. Pure."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import UnknownCurrency
from otel_revenue.ledger.model import Payment
from otel_revenue.runtime.orders import SAID
from otel_revenue.schema.money import to_number

from . import setbacks
from .items import REQUESTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_revenue.config import Settings
    from otel_revenue.ledger.model import Alias, Labels, Missed, Outcome

NAMESPACE: Final = uuid.UUID("5c2a2f5e-6b5e-5d0c-9a55-3f6d2b7a1e04")
"""Namespace of event ids: never changes, so that every host and version gives one payment one id."""

_IDS: Final = {
    "session": "stripe.checkout.session.id",
    "intent": "stripe.payment_intent.id",
    "charge": "stripe.charge.id",
    "invoice": "stripe.invoice.id",
    "subscription": "stripe.subscription.id",
    "link": "stripe.payment_link.id",
}
_SECOND: Final = 10**9
_ALIASES: Final = {"session": "cs", "intent": "pi", "charge": "ch", "invoice": "in"}
_CARD: Final = "card_issuer"
_COUNTRY_KINDS: Final = {"bind": "request", SAID: "request", _CARD: _CARD}


def event_id(alias: Alias, kind: str = "") -> str:
    """Return the UUIDv5 of a canonical Stripe id, with its connected account where there is one, and of a setback's kind."""
    name = f"{alias.account}/{alias.id}" if alias.account else alias.id
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{name}" if kind else name))


def described(outcome: Outcome, settings: Settings) -> tuple[str, dict[str, Any]]:
    """Return name and attributes of the event that the ledger lets be recorded."""
    if isinstance(outcome, Payment):
        return "order.paid", paid_attributes(outcome, settings)
    return outcome.setback.kind, missed_attributes(outcome, settings)


def missed_attributes(missed: Missed, settings: Settings) -> dict[str, Any]:
    """Return the attributes of `checkout.payment_failed` or `checkout.expired`."""
    labels, setback = missed.labels, missed.setback
    attributes = context_attributes(labels, settings, currency="")
    attributes["event_id"] = event_id(setback.alias, setback.kind)
    for name in ("session", "intent", "subscription", "link"):
        attributes[_IDS[name]] = _lowest(labels, name) or _alias(missed.aliases, name)
    attributes["stripe.account.id"] = setback.alias.account
    if setback.kind == setbacks.EXPIRED:
        attributes["cancellation_reason"] = _lowest(labels, "cancellation_reason")
        return _known(attributes)
    attributes["decline_code"] = _lowest(labels, "decline_code")
    attributes["attempt"] = missed.attempt
    attributes["payment_kind"] = _lowest(labels, "kind")
    attributes["payment_method_type"] = _lowest(setback.labels, "method") or _lowest(labels, "method")
    attributes[_IDS["charge"]] = _lowest(setback.labels, "failed_charge")
    attributes[_IDS["invoice"]] = _lowest(labels, "invoice") or _alias(missed.aliases, "invoice")
    return _known(attributes)


def paid_attributes(payment: Payment, settings: Settings) -> dict[str, Any]:
    """Return the attributes of `order.paid`, without those that only the runtime knows."""
    attributes = context_attributes(payment.labels, settings, currency=payment.currency)
    attributes["event_id"] = event_id(payment.canonical)
    attributes["currency"] = payment.currency
    put_amount(attributes, "amount", payment.amount_minor, payment.currency)
    if "amount" not in attributes:
        attributes["amount_status"] = "unknown_currency"
    _put_split(attributes, payment)
    shown = _lowest(payment.labels, "presentment")
    if shown and shown[1] != payment.currency:
        attributes["presentment_currency"] = shown[1]
        put_amount(attributes, "presentment_amount", shown[0], shown[1])
    attributes["surface_last"] = _lowest(payment.labels, "surface_last")
    attributes["payment_kind"] = _lowest(payment.labels, "kind")
    attributes["payment_method_type"] = _lowest(payment.labels, "method")
    for name, wire in _IDS.items():
        attributes[wire] = _lowest(payment.labels, name) or _alias(payment.aliases, name)
    attributes["stripe.account.id"] = payment.canonical.account
    if payment.created_ns and payment.at_ns // _SECOND >= payment.created_ns // _SECOND:
        attributes["time_to_pay_ms"] = max(0, payment.at_ns - payment.created_ns) // 10**6
    return _known(attributes)


def created_attributes(alias: Alias, labels: Labels, settings: Settings) -> dict[str, Any]:
    """Return the attributes of `checkout.session_created`."""
    attributes = context_attributes(labels, settings, currency="")
    attributes["event_id"] = event_id(alias)
    for name in ("session", "intent", "subscription"):
        attributes[_IDS[name]] = _lowest(labels, name)
    attributes["stripe.account.id"] = alias.account
    return _known(attributes)


def context_attributes(labels: Labels, settings: Settings, *, currency: str) -> dict[str, Any]:
    """
    Return the order context, each attribute from the first configured source that has it.

    `requested_attributes` names those that are known only from the request. *currency* is the payment's, "" before it.
    """
    requested: list[str] = []
    attributes: dict[str, Any] = {}
    for name, sources in (
        ("order_id", settings.order_id_from),
        ("tier", settings.tier_from),
        ("country", settings.country_from),
    ):
        source, value = _resolve(labels, name, _with_said(sources))
        attributes[name] = value
        if value is not None and (source in ("bind", SAID) or _from_request(labels, name, source)):
            requested.append(name)
        if name == "country" and value is not None:
            attributes["country_source"] = _country_kind(source)
    for name in ("item_count", "skus"):
        source = _source(labels, name)
        attributes[name] = _lowest(labels, name)
        if source == REQUESTED:
            requested.append(name)
    for name in ("surface", "journey_id"):
        attributes[name] = _lowest(labels, name)
    attributes["surface_source"] = _source(labels, "surface")
    attributes["livemode"] = _lowest(labels, "livemode")
    split = _lowest(labels, "split") or {}
    bound = _lowest(labels, "subtotal_minor")
    if "subtotal" in split and currency in ("", split["currency"]):
        attributes["currency"] = split["currency"]
        put_amount(attributes, "subtotal", split["subtotal"], split["currency"])
    elif bound and currency in ("", bound[1]):
        attributes["currency"] = bound[1]
        put_amount(attributes, "subtotal", bound[0], bound[1])
        requested.append("subtotal_minor")
    if requested:
        attributes["requested_attributes"] = sorted(requested)
    return _known(attributes)


def put_amount(attributes: dict[str, Any], name: str, minor: int, currency: str) -> None:
    """Put the integer, and beside it the number in major units where Stripe's table gives an exponent."""
    attributes[f"{name}_minor"] = minor
    try:
        attributes[name] = to_number(minor, currency)
    except UnknownCurrency:
        attributes.pop(name, None)


def _put_split(attributes: dict[str, Any], payment: Payment) -> None:
    split = _lowest(payment.labels, "split") or {}
    # After a partial capture the session's parts belong to another total: a split that does not add up is none.
    if split.get("total") != payment.amount_minor or split.get("currency") != payment.currency:
        return
    for name in ("discount", "tax", "shipping"):
        if name in split:
            put_amount(attributes, name, split[name], payment.currency)


def _alias(aliases: Iterable[Alias], name: str) -> str | None:
    """Return an id that another object only referred to: a Session names its PaymentIntent before that is heard of."""
    kind = _ALIASES.get(name)
    return None if kind is None else min((a.id for a in aliases if a.kind == kind), default=None)


def _resolve(labels: Labels, name: str, sources: Sequence[str]) -> tuple[str, Any]:
    candidates = labels.get(name, {})
    return next(((source, candidates[source][1]) for source in sources if source in candidates), ("", None))


def _with_said(sources: Sequence[str]) -> list[str]:
    """Return the configured sources, and behind them what earlier requests said; only the card's issuer knows less."""
    weaker = [source for source in sources if source == _CARD]
    return [*(source for source in sources if source != _CARD), SAID, *weaker]


def _from_request(labels: Labels, name: str, source: str) -> bool:
    return bool(labels[name][source][0] >= 8)  # the rank of what only the create parameters said


def _lowest(labels: Labels, name: str) -> Any:
    candidates = labels.get(name)
    if not candidates:
        return None
    if len(candidates) == 1:  # as a rule
        return next(iter(candidates.values()))[1]
    return min(candidates.values(), key=lambda c: c[0])[1]


def _source(labels: Labels, name: str) -> str:
    candidates = labels.get(name)
    return min(candidates, key=lambda s: candidates[s][0]) if candidates else ""


def _country_kind(source: str) -> str:
    if source in _COUNTRY_KINDS:
        return _COUNTRY_KINDS[source]
    if source.startswith("metadata."):
        return "metadata"
    return "shipping" if source.endswith(".shipping") else "billing"


def _known(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None and value != ""}
