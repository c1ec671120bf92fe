# SPDX-License-Identifier: Apache-2.0
"""
What the ledger knows: facts, aliases and bytes.

Nothing here knows Stripe or OpenTelemetry. A far end's ids arrive as `(kind, account, id)` aliases, with evidence and
amounts; the graph that joins them is general.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .keys import BROWSER, TOUCH

Labels = dict[str, dict[str, list[Any]]]
"""
Candidates: attribute to source to `[rank, JSON value]`, for example `{"order_id": {"metadata.order_id": [1, "o-1"]}}`.

Where several objects speak for one source, the lowest rank stays, and of one rank the smallest text, so that the order of
deliveries changes nothing.
"""

_AHEAD_NS: Final = 86_400 * 10**9


def merge_labels(into: Labels, more: Labels) -> None:
    """Add the candidates of *more* to *into*, keeping one per attribute and source."""
    for name, candidates in more.items():
        mine = into.setdefault(name, {})
        for source, candidate in candidates.items():
            if source not in mine or _precedes(candidate, mine[source]):
                mine[source] = candidate


def stands_at(labels: Labels, now_ns: int) -> int:
    """
    Return the time by which what was said of an order leaves before or after the rest.

    Anybody's browser can name any number of orders: what browsers alone have said leaves before what requests said within a day.
    """
    sources = {source for candidates in labels.values() for source in candidates}
    return now_ns - _AHEAD_NS if sources <= {BROWSER, TOUCH} else now_ns


def _precedes(a: list[Any], b: list[Any]) -> bool:
    if a[0] != b[0]:
        return bool(a[0] < b[0])
    return a[1] != b[1] and json.dumps(a[1], sort_keys=True) < json.dumps(b[1], sort_keys=True)


TRUNCATED_AT: Final = 25
"""
Length to which a far end cuts the ids that it puts into references (seen on Stripe's `order_reference`).

No full id of a kind that is referred to in this way has it.
"""


class Alias(NamedTuple):
    """One id by which a payment is known. `account` is "" for the platform's own account."""

    kind: str
    account: str
    id: str


class Certainty(enum.IntEnum):
    """How sure one piece of evidence is about *which* payment it speaks of."""

    UNCERTAIN = 0
    """The join is open: waits up to the hold for the fact that settles it."""
    POOR = 1
    """Certain, but a richer fact of the same payment must exist: waits up to the enrich hold."""
    CERTAIN = 2
    """May be recorded now."""


class Saying(NamedTuple):
    """What was said of an order before its payment: the kind of key and the key that it is known by, and candidates."""

    kind: str
    key: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    One far-end object's word that money was taken.

    `authority` ranks kinds of objects (the highest in a group gives the amount; amounts of one rank, from different
    objects, add up). `amount_minor` is an integer in Stripe's minor unit of `currency`, greater than zero unless zero
    amounts are asked for. `at_ns` is when the money was taken, in nanoseconds since the epoch.
    """

    alias: Alias
    authority: int
    amount_minor: int
    currency: str
    at_ns: int
    certainty: Certainty


class Soft(NamedTuple):
    """
    What two facts without a common id must share to be taken for one payment, for billing objects only.

    `key` is a digest of account, mode, customer, amount and currency, `at_ns` the time that has to be near.
    """

    key: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Setback:
    """
    One time that no money came: an attempt to pay that failed, or a payment that can no more be made.

    Attributes:
        kind: what happened, a constant of the caller's.
        alias: names it: what several objects say of one kind under one name is one setback.
        at_ns: when, by the far end's clock, in nanoseconds since the epoch.
        rank: how well the object that tells of it knows which one it is, 0 best. Where objects of different ranks tell of one
            kind on one payment, near in time, that is one setback, and the lowest rank speaks.
        labels: candidates that are true of this setback alone.
        seen: trace context of the request in which we learn this: (trace_id, span_id, flags); zeros outside a trace.
        due_ns: when it is recorded from what is known by then; 0 once it has been.
    """

    kind: str
    alias: Alias
    at_ns: int
    rank: int = 0
    labels: Labels = field(default_factory=dict)
    seen: tuple[int, int, int] = (0, 0, 0)
    due_ns: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What an allow-list took from one far-end object.

    Attributes:
        aliases: every id of the payment that the object names, in full.
        truncated: ids that are known to be cut; they match the one full id that they begin.
        evidence: the object's word that money was taken, if it says so.
        conditional: the evidence counts only if the payment's creation went through us (an API answer, not a webhook).
        created: this is the answer to a creation that went through us.
        billing: a billing object paid this; without a link to its invoice the join is uncertain.
        settles: the object is one that settles an uncertain join (a session or an invoice).
        soft: key of the soft join, for billing objects.
        labels: candidates for what the event will carry, by attribute and source.
        traceparent: W3C trace context of the request that created the object, if the object carries or is it.
        created_ns: when the far-end object was created; 0 when unknown.
        seen: trace context of the request in which we learn this: (trace_id, span_id, flags); zeros outside a trace.
        setback: what the object says of money that did not come.
    """

    aliases: tuple[Alias, ...]
    truncated: tuple[Alias, ...] = ()
    evidence: Evidence | None = None
    conditional: bool = False
    created: bool = False
    billing: bool = False
    settles: bool = False
    soft: Soft | None = None
    labels: Labels = field(default_factory=dict)
    traceparent: str = ""
    created_ns: int = 0
    seen: tuple[int, int, int] = (0, 0, 0)
    setback: Setback | None = None

    def to_json(self) -> str:
        """Return the facts as text, for the spool that stands in for a busy store."""
        return json.dumps(
            {
                "aliases": self.aliases,
                "truncated": self.truncated,
                "evidence": None if self.evidence is None else evidence_to_list(self.evidence),
                "conditional": self.conditional,
                "created": self.created,
                "billing": self.billing,
                "settles": self.settles,
                "soft": self.soft,
                "labels": self.labels,
                "traceparent": self.traceparent,
                "created_ns": self.created_ns,
                "seen": self.seen,
                "setback": None if self.setback is None else setback_to_list(self.setback),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """
        Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: the text is not of that shape.
        """
        raw = json.loads(text)
        return cls(
            aliases=tuple(Alias(*a) for a in raw["aliases"]),
            truncated=tuple(Alias(*a) for a in raw["truncated"]),
            evidence=None if raw["evidence"] is None else evidence_from_list(raw["evidence"]),
            conditional=raw["conditional"],
            created=raw["created"],
            billing=raw["billing"],
            settles=raw["settles"],
            soft=None if raw["soft"] is None else Soft(*raw["soft"]),
            labels=raw["labels"],
            traceparent=raw["traceparent"],
            created_ns=raw["created_ns"],
            seen=(raw["seen"][0], raw["seen"][1], raw["seen"][2]),
            setback=setback_from_list(raw["setback"]) if raw.get("setback") else None,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """
    All that is known of one payment: one hard component of the alias graph.

    `id` is the store's own number, 0 before it is stored. `twin` is the id of the group that a soft join takes for the
    same payment. `shared` is set when one taking of money paid several invoices: then only what speaks of this invoice
    counts. `recorded_ns` is 0 until the payment is recorded, `recorded_as` the id that it was named by then; `due_ns` is 0
    unless the payment is on hold.
    """

    id: int = 0
    aliases: frozenset[Alias] = frozenset()
    truncated: frozenset[Alias] = frozenset()
    evidence: tuple[Evidence, ...] = ()
    created: bool = False
    billing: bool = False
    shared: bool = False
    settled: bool = False
    soft: Soft | None = None
    twin: int = 0
    recorded_ns: int = 0
    recorded_as: Alias | None = None
    due_ns: int = 0
    labels: Labels = field(default_factory=dict)
    traceparent: str = ""
    created_ns: int = 0
    seen: tuple[int, int, int] = (0, 0, 0)
    setbacks: tuple[Setback, ...] = ()

    @property
    def next_due_ns(self) -> int:
        """When something of it is to be recorded next, the payment or a setback; 0: nothing waits."""
        return min((due for due in (self.due_ns, *(s.due_ns for s in self.setbacks)) if due), default=0)

    def changed(self, **fields: Any) -> Group:
        """Return a copy with *fields* replaced; several for each webhook, which is why it is not `dataclasses.replace`."""
        copy = Group(*[fields.pop(name, getattr(self, name)) for name in _GROUP_FIELDS])
        if fields:
            raise TypeError(f"a group has no {', '.join(fields)}")
        return copy


def stands_for_another(group: Group, alias: Alias, cut: str) -> bool:
    """Say whether the cut id *cut* of *group* has found a full id that it begins, and that one is not *alias*."""
    return any(a.kind == alias.kind and a.id != alias.id and a.id.startswith(cut) for a in group.aliases)


_GROUP_FIELDS: Final = tuple(Group.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Payment:
    """
    One payment that is to be recorded now: the joined view of a group (and its twin).

    `canonical` is the id that names it everywhere, `amount_minor` and `currency` come from the highest authority,
    `at_ns` is the far end's time of the money taken.
    """

    canonical: Alias
    amount_minor: int
    currency: str
    at_ns: int
    aliases: frozenset[Alias]
    labels: Labels
    traceparent: str
    created_ns: int
    seen: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Missed:
    """
    One setback that is to be recorded now.

    `attempt` numbers the setbacks of its kind on one payment by time, from 1; `aliases` and `labels` are those of the payment,
    with the setback's own.
    """

    setback: Setback
    attempt: int
    aliases: frozenset[Alias]
    labels: Labels

    @property
    def at_ns(self) -> int:
        """When it happened, nanoseconds since the epoch."""
        return self.setback.at_ns

    @property
    def seen(self) -> tuple[int, int, int]:
        """Trace context of the request that told of it."""
        return self.setback.seen


Outcome = Payment | Missed
"""What the ledger lets be recorded."""


def evidence_to_list(evidence: Evidence) -> list[Any]:
    """Return *evidence* as a JSON list."""
    return [
        list(evidence.alias),
        evidence.authority,
        evidence.amount_minor,
        evidence.currency,
        evidence.at_ns,
        int(evidence.certainty),
    ]


def evidence_from_list(raw: list[Any]) -> Evidence:
    """Read what `evidence_to_list` wrote."""
    return Evidence(Alias(*raw[0]), raw[1], raw[2], raw[3], raw[4], Certainty(raw[5]))


def setback_to_list(setback: Setback) -> list[Any]:
    """Return *setback* as a JSON list."""
    return [
        setback.kind,
        list(setback.alias),
        setback.at_ns,
        setback.rank,
        setback.labels,
        list(setback.seen),
        setback.due_ns,
    ]


def setback_from_list(raw: list[Any]) -> Setback:
    """Read what `setback_to_list` wrote."""
    kind, alias, at_ns, rank, labels, seen, due_ns = raw
    return Setback(kind, Alias(*alias), at_ns, rank, labels, (seen[0], seen[1], seen[2]), due_ns)
