# SPDX-License-Identifier: Apache-2.0
"""
From a verified webhook event, or from an answer of Stripe's API, to facts for the ledger. Pure.

Which events are evidence that money was taken is a closed list: an event that is not in it never makes an order
(`charge.updated` and `charge.refunded` say "paid" and "succeeded" too). Those that tell of money that did not come are in
`setbacks`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.ledger.model import Facts, Labels, merge_labels

from . import objects, setbacks, thin_events
from .picked import Picked, Reader, id_of, mapping, put_common, seconds_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .thin_events import Thin

_PAID_EVENTS: Final[dict[str, tuple[str, Callable[..., Picked]]]] = {
    "checkout.session.completed": ("checkout.session", partial(objects.session, paid=True)),
    "checkout.session.async_payment_succeeded": ("checkout.session", partial(objects.session, paid=True)),
    "payment_intent.succeeded": ("payment_intent", partial(objects.intent, paid=True)),
    "charge.succeeded": ("charge", partial(objects.charge, paid=True)),
    "charge.captured": ("charge", partial(objects.charge, paid=True, at_capture=True)),
    "invoice.paid": ("invoice", partial(objects.invoice, paid=True)),
    "invoice.payment_succeeded": ("invoice", partial(objects.invoice, paid=True)),
    "invoice_payment.paid": ("invoice_payment", partial(objects.invoice_payment, paid=True)),
}

_EVENTS: Final = {**_PAID_EVENTS, **setbacks.EVENTS}

_READERS: Final[dict[str, Callable[..., Picked]]] = {
    "checkout.session": objects.session,
    "payment_intent": objects.intent,
    "charge": objects.charge,
    "invoice": objects.invoice,
}

_LOOKED_UP: Final = {**_READERS, "invoice_payment": objects.invoice_payment}

_SECOND: Final = 10**9

CREATIONS: Final = {
    "/v1/checkout/sessions": "checkout.session",
    "/v1/payment_intents": "payment_intent",
    "/v1/subscriptions": "subscription",
    "/v1/invoices": "invoice",
    "/v1/charges": "charge",
}
"""POSTs that begin a payment, and the object they answer with."""


_CHECKOUTS: Final = frozenset({"checkout.session", "payment_intent", "subscription"})

BEFORE_PAYMENT: Final = 0.5
"""Added to the ranks of what a creation answers: amounts and labels can change until the buyer pays."""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What was read.

    Attributes:
        facts: for the ledger; empty when the event says nothing about money taken, or that did not come.
        kind: the event's type or the object's name, from a fixed set ("other" for the rest): for counting.
        problem: a constant, set when it speaks of money and could not be read. There may be facts all the same: ids and
            labels, without evidence.
        ids: ids of the event and the object, as far as they are well-formed.
        traceparent: of the request that led to this payment, as the signed body says.
        thin: set for a thin event that speaks of money: its object has to be fetched.
    """

    facts: tuple[Facts, ...] = ()
    kind: str = "other"
    problem: str = ""
    ids: tuple[str, ...] = ()
    traceparent: str = ""
    thin: Thin | None = None


def from_event(
    event: object, make_reader: Callable[..., Reader], *, now_ns: int, seen: tuple[int, int, int]
) -> Reading:
    """
    Read one event as Stripe sends it (`object` is `event`).

    Args:
        event: the parsed body.
        make_reader: returns a `Reader` for account, time and mode.
        now_ns: stands in for an event without a time.
        seen: trace context of the request that brought the event.
    """
    body = mapping(event)
    if body.get("object") == thin_events.OBJECT:
        kinds = {kind: name for kind, (name, _) in _PAID_EVENTS.items()}
        named, problem, ids, thin = thin_events.read(body, kinds, now_ns=now_ns, seen=seen)
        return Reading(kind=named, problem=problem, ids=ids, thin=thin)
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in _EVENTS:
        return Reading()
    name, read = _EVENTS[kind]
    obj = mapping(mapping(body.get("data")).get("object"))
    ids = ids_of_event(body)
    account = id_of(body.get("account"))
    problem = ""
    if not obj or obj.get("object") not in (None, name):
        problem = "object_missing"
    elif body.get("account") and not account:
        # In another account's name the same payment would be another one.
        problem = "account_malformed"
    if problem:  # only what has money in it is noted
        return Reading(kind=kind, problem=problem if kind in _PAID_EVENTS else "", ids=ids)
    livemode = body.get("livemode")
    reader = make_reader(
        account=account,
        at_ns=seconds_ns(body.get("created")) or now_ns,
        livemode=livemode if isinstance(livemode, bool) else None,
    )
    picked = read(obj, reader)
    found = (_facts(picked, seen=seen),) if picked.aliases else ()
    return Reading(found, kind, problem=picked.problem, ids=ids, traceparent=picked.traceparent)


def object_of(kind: str) -> str:
    """Return the name of the object that an event of this type (one that speaks of money) is about."""
    return _PAID_EVENTS[kind][0]


def looked_up(obj: object, reader: Reader) -> Facts | None:
    """Return the facts of an object that was asked for, about a payment of which a verified webhook had told; None for no such object."""
    body = mapping(obj)
    name = body.get("object")
    read = _LOOKED_UP.get(name) if isinstance(name, str) else None
    if read is None:
        return None
    picked = read(body, reader, paid=True)
    return _facts(picked) if picked.aliases else None


def begins_checkout(answer: object) -> bool:
    """Tell whether a created object is one that a buyer pays: no invoice of a billing run, and no Session that only saves a card."""
    body = mapping(answer)
    name = body.get("object")
    return isinstance(name, str) and name in _CHECKOUTS and body.get("mode") != "setup"


def ids_of_event(event: object) -> tuple[str, ...]:
    """Return the well-formed ids of an event and of its object."""
    body = mapping(event)
    about = mapping(body.get("data")).get("object") or body.get("related_object")
    return tuple(i for i in (id_of(body), id_of(about)) if i)


def from_answer(
    method: str,
    path: str,
    answer: object,
    make_reader: Callable[..., Reader],
    *,
    account: str,
    now_ns: int,
    seen: tuple[int, int, int],
    requested: Labels | None = None,
    traceparent: str = "",
) -> Reading:
    """
    Read an answer of Stripe's API with status 200.

    A creation gives facts that later news find again. Anything else, and the objects that are expanded inside, is
    evidence only for payments whose creation went through us, which the ledger knows.

    Args:
        method: HTTP method, upper case.
        path: path of the request.
        answer: the parsed body.
        account: connected account the call was made for, "" for the platform's own.
        requested: candidates from the create parameters and from `bind`.
        traceparent: trace context of the request that creates.
    """
    body = mapping(answer)
    name = body.get("object")
    if not isinstance(name, str) or not body.get("id"):
        return Reading()
    reader = make_reader(account=account, at_ns=now_ns, livemode=None)
    created = method == "POST" and CREATIONS.get(path.rstrip("/")) == name
    facts: list[Facts] = []
    if created:
        facts.extend(_creation(name, body, reader, requested or {}, traceparent))
    problem = ""
    for obj in _told(name, body):
        picked = _READERS[obj["object"]](obj, reader, paid=True)
        problem = problem or picked.problem
        if picked.evidence is not None:
            # What we see created here needs no ledger that knows it: that may be busy at this moment.
            facts.append(_facts(picked, seen=seen, conditional=not created))
    kind = name if name in _READERS or name == "subscription" else "other"
    ids = tuple(i for i in (id_of(body),) if i)
    return Reading(tuple(facts), kind, problem=problem if created or facts else "", ids=ids)


def _creation(name: str, body: Mapping[str, Any], reader: Reader, requested: Labels, traceparent: str) -> list[Facts]:
    if name == "subscription":
        return _subscription(body, reader, requested, traceparent)
    picked = _READERS[name](body, reader, paid=False)
    picked.settles = True
    # Stripe tells the second of the creation; this answer came later than the creation itself, in the same second as a rule.
    if picked.created_ns:
        picked.created_ns = min(max(picked.created_ns, reader.at_ns), picked.created_ns + _SECOND - 1)
    return _begun(picked, requested, traceparent)


def _subscription(body: Mapping[str, Any], reader: Reader, requested: Labels, traceparent: str) -> list[Facts]:
    """A subscription has no payment of its own: its first invoice is what will be paid."""
    picked = Picked(aliases=reader.alias(objects.INVOICE, body.get("latest_invoice")), billing=True)
    put_common(picked, body, reader, rank=3)
    picked.label("subscription", "subscription", 3, id_of(body))
    return _begun(picked, requested, traceparent)


def _begun(picked: Picked, requested: Labels, traceparent: str) -> list[Facts]:
    if not picked.aliases:
        return []
    for candidates in picked.labels.values():
        for candidate in candidates.values():
            candidate[0] += BEFORE_PAYMENT
    merge_labels(picked.labels, requested)
    return [_facts(picked, created=True, traceparent=traceparent)]


def _told(name: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects in an answer that may say "paid": itself, and payment objects expanded in it."""
    told = [dict(body)] if name in _READERS else []
    for key in ("payment_intent", "latest_invoice", "invoice", "latest_charge", "charge"):
        inner = mapping(body.get(key))
        told += [obj for obj in (inner, mapping(inner.get("payment_intent"))) if _is_read(obj)]
    return told


def _is_read(obj: Mapping[str, Any]) -> bool:
    name = obj.get("object")
    return isinstance(name, str) and name in _READERS


def _facts(
    picked: Picked,
    *,
    seen: tuple[int, int, int] = (0, 0, 0),
    conditional: bool = False,
    created: bool = False,
    traceparent: str = "",
) -> Facts:
    return Facts(
        aliases=tuple(dict.fromkeys(picked.aliases)),
        truncated=picked.truncated,
        evidence=picked.evidence,
        conditional=conditional,
        created=created,
        billing=picked.billing,
        settles=picked.settles,
        soft=picked.soft,
        labels=picked.labels,
        traceparent=traceparent or picked.traceparent,
        created_ns=picked.created_ns,
        seen=seen,
        setback=None if picked.setback is None else replace(picked.setback, seen=seen),
    )
