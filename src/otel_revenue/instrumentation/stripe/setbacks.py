# SPDX-License-Identifier: Apache-2.0
"""
What may be read out of Stripe's objects when money did not come: declined attempts, and checkouts that ran out. Pure.

An attempt is named by its charge, which `charge.failed` and `payment_intent.payment_failed` both tell; where no charge was
made (the buyer did not authenticate) by its PaymentIntent and second. A Session (`checkout.session.async_payment_failed`)
and an invoice (`invoice.payment_failed`) know that an attempt failed and not which one: they speak where no better news of
it comes. A payment ends with its Session (`checkout.session.expired`), or with a PaymentIntent of the shop's own
(`payment_intent.canceled`).

Not read, as they say nothing of a buyer who wanted to pay: `setup_intent.setup_failed` (no money was asked for),
`charge.expired` (its PaymentIntent is cancelled, too), `invoice.voided`, `invoice.marked_uncollectible` (the shop's books).

Sources: Stripe API reference, "Types of events", "PaymentIntent.last_payment_error", "Charge.outcome"; documentation,
"Declines", "Understanding declines", "Expire sessions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_revenue.ledger.model import Alias, Setback

from . import objects
from .objects import CHARGE, INTENT, INVOICE, SESSION
from .picked import Picked, code, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .picked import Reader

FAILED: Final = "checkout.payment_failed"
EXPIRED: Final = "checkout.expired"

_SECOND: Final = 10**9
_MOST_ATTEMPTS: Final = 1_000_000
_NO_CHARGE: Final = "payment_intent_authentication_failure"
_NO_LOSS: Final = frozenset({"duplicate"})
_BUYS: Final = frozenset({"payment", "subscription"})

# How well an object knows which attempt, or which end, it tells of.
_BY_NAME, _BY_INTENT, _AT_SECOND_HAND = 0, 1, 2


def failed_charge(obj: Mapping[str, Any], reader: Reader) -> Picked:
    """Read a charge that failed: one attempt. Nothing of it becomes the payment's, which another charge will make."""
    picked = objects.charge(obj, reader, paid=False)
    own = reader.alias(CHARGE, obj.get("id"))
    mirrored = bool(obj.get("source_transfer"))
    if not own or mirrored or obj.get("status") not in (None, "failed"):
        return Picked()
    outcome = mapping(obj.get("outcome"))
    failed = Picked(labels=picked.labels)
    failed.label("decline_code", "outcome", 2, code(outcome.get("reason")))
    failed.label("decline_code", "failure_code", 4, code(obj.get("failure_code")))
    failed.label("failed_charge", "id", 1, own[0].id)
    picked.setback = Setback(FAILED, own[0], reader.at_ns, _BY_NAME, failed.labels)
    picked.labels = {}
    picked.aliases = tuple(a for a in picked.aliases if a.kind != CHARGE) or own
    return picked


def failed_intent(obj: Mapping[str, Any], reader: Reader) -> Picked:
    """Read a PaymentIntent of which an attempt failed."""
    picked = _intent(obj, reader)
    error = mapping(obj.get("last_payment_error"))
    if picked.aliases:
        reason = code(error.get("code"))
        charge = reader.alias(CHARGE, error.get("charge"))
        rank = _BY_NAME if charge or reason == _NO_CHARGE else _BY_INTENT
        own = Picked()
        own.label("decline_code", "decline_code", 1, code(error.get("decline_code")))
        own.label("decline_code", "code", 3, reason)
        own.label("failed_charge", "id", 1, charge[0].id if charge else None)
        own.label("method", "error", 1, code(mapping(error.get("payment_method")).get("type")))
        named = charge[0] if charge else _at(reader, INTENT, obj, reader.at_ns // _SECOND)
        picked.setback = Setback(FAILED, named, reader.at_ns, rank, own.labels)
    return picked


def failed_session(obj: Mapping[str, Any], reader: Reader) -> Picked:
    """Read a Checkout Session whose bank debit or the like did not go through."""
    return _session(obj, reader, FAILED, _AT_SECOND_HAND)


def failed_invoice(obj: Mapping[str, Any], reader: Reader) -> Picked:
    """Read an invoice of which an attempt failed: Stripe numbers the attempts of an invoice."""
    picked = objects.invoice(obj, reader, paid=False)
    count = obj.get("attempt_count")
    number = count if type(count) is int and 0 < count < _MOST_ATTEMPTS else reader.at_ns // _SECOND
    if any(a.kind == INVOICE for a in picked.aliases):
        picked.setback = Setback(FAILED, _at(reader, INVOICE, obj, number), reader.at_ns, _AT_SECOND_HAND)
    # The charge that an old API version names is the one that failed.
    picked.aliases = tuple(a for a in picked.aliases if a.kind != CHARGE)
    return picked


def expired_session(obj: Mapping[str, Any], reader: Reader) -> Picked:
    """Read a Checkout Session that ran out, or that the shop closed."""
    return _session(obj, reader, EXPIRED, _BY_NAME)


def canceled_intent(obj: Mapping[str, Any], reader: Reader) -> Picked:
    """Read a PaymentIntent that was cancelled: Checkout's own goes with its Session, an invoice's is no checkout."""
    picked = _intent(obj, reader)
    reason = code(obj.get("cancellation_reason"))
    if picked.aliases and not picked.billing and reason not in _NO_LOSS and not obj.get("amount_received"):
        own = Picked()
        own.label("cancellation_reason", "payment_intent", 1, reason)
        picked.setback = Setback(EXPIRED, reader.alias(INTENT, obj.get("id"))[0], reader.at_ns, _BY_INTENT, own.labels)
    return picked


EVENTS: Final[dict[str, tuple[str, Callable[[Mapping[str, Any], Reader], Picked]]]] = {
    "charge.failed": ("charge", failed_charge),
    "payment_intent.payment_failed": ("payment_intent", failed_intent),
    "checkout.session.async_payment_failed": ("checkout.session", failed_session),
    "invoice.payment_failed": ("invoice", failed_invoice),
    "checkout.session.expired": ("checkout.session", expired_session),
    "payment_intent.canceled": ("payment_intent", canceled_intent),
}
"""Events that are read, the object of each, and its reader."""


def _session(obj: Mapping[str, Any], reader: Reader, kind: str, rank: int) -> Picked:
    picked = objects.session(obj, reader, paid=False)
    own = reader.alias(SESSION, obj.get("id"))
    if own and code(obj.get("mode")) in _BUYS:
        picked.setback = Setback(kind, own[0], reader.at_ns, rank)
    return picked


def _intent(obj: Mapping[str, Any], reader: Reader) -> Picked:
    # The latest charge is the one that failed: it is not the payment's.
    picked = objects.intent({**obj, "latest_charge": None}, reader, paid=False)
    return picked if reader.alias(INTENT, obj.get("id")) else Picked()


def _at(reader: Reader, kind: str, obj: Mapping[str, Any], number: int) -> Alias:
    return Alias(kind, reader.account, f"{reader.alias(kind, obj.get('id'))[0].id}/{number}")
