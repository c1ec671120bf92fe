# SPDX-License-Identifier: Apache-2.0
"""
Which payment does a fact belong to, and may it be recorded now?

Pure: no clock, no store. A group is a hard component of the alias graph: facts that share an id. A *twin* is a second
group that a soft join takes for the same payment (billing objects of one customer, amount and time, without a common
id); it is a guess that later facts can refute, which is why the two are never merged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from . import setbacks
from .model import Alias, Certainty, Evidence, Facts, Group, Labels, Payment, merge_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SECOND: Final = 10**9
DAY_NS: Final = 86_400 * _SECOND
_NOTHING: Final = Group()


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What the join has to know about the kinds of aliases, and the holds.

    Attributes:
        canonical: kinds in the order in which one of them names the payment.
        exclusive: kinds of which one payment has one: two groups with different ones are no twins.
        own: the kind that is never joined with another of its kind, whatever links them (an invoice is an order).
        hold_ns: how long an uncertain payment waits.
        enrich_ns: how long a certain but poor one waits.
        awaited: labels for which a poor one waits, even where its creation went through us.
        wanted: labels of which one is fetched for a certain payment that has none of them.
        wanted_of: the kind of the id by which they are fetched.
        wanted_ns: how long a certain payment waits for them; 0: nobody fetches them.
        known_by: labels by whose values a payment's order was known to earlier requests, each with the sources of which the
            first that has one counts.
    """

    canonical: tuple[str, ...]
    exclusive: tuple[str, ...]
    own: str
    hold_ns: int
    enrich_ns: int
    awaited: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    wanted_of: str = ""
    wanted_ns: int = 0
    known_by: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Verdict(enum.Enum):
    """What to do with a payment."""

    NOTHING = "nothing"
    HOLD = "hold"
    RECORD = "record"


def attach(known: Sequence[Group], facts: Facts, rules: Rules) -> tuple[Group, list[Group], list[Group]]:
    """
    Put *facts* into the groups that share an alias with it.

    Returns:
        the group that now holds the facts, the groups that went into it (all but itself), and groups that changed beside
        it because they share the taking of money with a different invoice.
    """
    # A cut id is weaker than a full one: it links nothing that has different ids of a kind of which there is one.
    if known:
        new = Group(aliases=frozenset(facts.aliases))
        known = [g for g in known if g.aliases & new.aliases or not conflict(g, new, rules)]
    # An invoice is an order of its own: whatever else two of them share, they are not joined.
    mine = _ids(facts.aliases, rules.own) or next(
        (ids for g in known if (ids := _ids(g.aliases, rules.own))), frozenset()
    )
    foreign = [g for g in known if (ids := _ids(g.aliases, rules.own)) and not ids & mine]
    joined = [g for g in known if g not in foreign]
    taken = frozenset(a for g in foreign for a in g.aliases | g.truncated)
    aliases = [a for a in facts.aliases if a not in taken]
    group = _merge(joined, facts, aliases, shared=bool(foreign))
    if foreign and not group.recorded_ns:
        # Recorded whole before it was known to be shared: what this invoice got of it is in there.
        whole = (g for g in foreign if g.recorded_as and g.recorded_as.kind != rules.own)
        first = min(whole, key=lambda g: g.recorded_ns, default=group)
        group = group.changed(recorded_ns=first.recorded_ns, recorded_as=first.recorded_as)
    beside = [g.changed(shared=True) for g in foreign if not g.shared]
    return group, [g for g in joined if g.id != group.id], beside


def _merge(groups: Sequence[Group], facts: Facts, aliases: Sequence[Alias], *, shared: bool) -> Group:
    # The oldest group survives, so that its number, and a twin's pointer to it, stay good.
    ordered = sorted(groups, key=lambda g: g.id)
    first = ordered[0] if ordered else _NOTHING
    labels: Labels = {}
    for source in (*(g.labels for g in ordered), facts.labels):
        merge_labels(labels, source)
    recorded = min((g for g in ordered if g.recorded_ns), key=lambda g: g.recorded_ns, default=_NOTHING)
    due = [g.due_ns for g in ordered if g.due_ns]
    new = () if facts.evidence is None else (facts.evidence,)
    return Group(
        id=first.id,
        aliases=frozenset(aliases).union(*(g.aliases for g in ordered)),
        truncated=frozenset(facts.truncated).union(*(g.truncated for g in ordered)),
        evidence=_evidence([e for g in ordered for e in g.evidence], new),
        created=facts.created or any(g.created for g in ordered),
        billing=facts.billing or any(g.billing for g in ordered),
        shared=shared or any(g.shared for g in ordered),
        settled=facts.settles or any(g.settled for g in ordered),
        soft=next((g.soft for g in ordered if g.soft), facts.soft),
        twin=next((g.twin for g in ordered if g.twin), 0),
        recorded_ns=recorded.recorded_ns,
        recorded_as=recorded.recorded_as,
        due_ns=min(due, default=0),
        labels=labels,
        traceparent=next((g.traceparent for g in ordered if g.traceparent), facts.traceparent),
        created_ns=_earliest(*(g.created_ns for g in ordered), facts.created_ns),
        seen=_first_seen([g.seen for g in ordered], facts),
        setbacks=setbacks.merged([s for g in ordered for s in g.setbacks], facts.setback),
    )


def _earliest(*times_ns: int) -> int:
    """Return the most exact of the times in the earliest second: far ends tell whole seconds, we know our own calls better."""
    known = [at for at in times_ns if at]
    first = min((at // _SECOND for at in known), default=0)
    return max((at for at in known if at // _SECOND == first), default=0)


def _first_seen(known: Sequence[tuple[int, int, int]], facts: Facts) -> tuple[int, int, int]:
    # The event hangs on the request that brought the first evidence: creations are another trace.
    if facts.evidence is None:
        return next((s for s in known if s[0]), (0, 0, 0))
    return next((s for s in known if s[0]), facts.seen)


def _evidence(known: Sequence[Evidence], new: Iterable[Evidence]) -> tuple[Evidence, ...]:
    # One object speaks several times (a repeated delivery, the next capture): amounts are cumulative, certainty only grows.
    best: dict[tuple[Alias, int], Evidence] = {}
    for item in (*known, *new):
        key = (item.alias, item.authority)
        old = best.get(key)
        best[key] = item if old is None else _stronger(old, item)
    return tuple(best[key] for key in sorted(best))


def _stronger(a: Evidence, b: Evidence) -> Evidence:
    # The later of two captures has the greater sum; of two words about one sum the first says when it was taken.
    top = max((a, b), key=lambda e: (e.amount_minor, -e.at_ns, e.currency))
    return replace(top, certainty=max(a.certainty, b.certainty))


def _ids(aliases: Iterable[Alias], kind: str) -> frozenset[Alias]:
    return frozenset(a for a in aliases if a.kind == kind)


def conflict(a: Group, b: Group, rules: Rules) -> bool:
    """Say whether two groups cannot be one payment: both have an id of an exclusive kind, and not the same."""
    for kind in rules.exclusive:
        ours, theirs = _ids(a.aliases, kind), _ids(b.aliases, kind)
        if ours and theirs and not ours & theirs:
            return True
    return False


def match(group: Group, candidates: Sequence[Group], rules: Rules) -> Group | None:
    """Return the group that a soft join takes for the same payment: the nearest in time of those that may be; None if there is none."""
    if group.soft is None or group.twin or not group.billing:
        return None
    at = group.soft.at_ns
    fitting = [
        c
        for c in candidates
        if c.id != group.id
        and c.soft
        and c.billing
        and not c.twin
        and not conflict(group, c, rules)
        # Of two twins one must bring the invoice; two bare intents of one amount are two payments.
        and bool(_ids(c.aliases, rules.own)) != bool(_ids(group.aliases, rules.own))
    ]
    return min(fitting, key=lambda c: (abs(c.soft.at_ns - at) if c.soft else 0, c.id), default=None)


def verdict(group: Group, twin: Group | None, rules: Rules, now_ns: int) -> tuple[Verdict, int]:
    """
    Say what to do with the payment of *group* (and its twin), and until when it is on hold (0 otherwise).

    A hold is never extended by news; it ends when certainty comes or its time is over.
    """
    both = (group,) if twin is None else (group, twin)
    if any(g.recorded_ns for g in both):
        return Verdict.NOTHING, 0
    evidence = [e for g in both for e in _counted(g, rules)]
    if not evidence:
        return Verdict.NOTHING, 0
    certainty = max(e.certainty for e in evidence)
    known = {name for g in both for name in g.labels}
    if certainty is Certainty.POOR and any(g.settled for g in both) and known.issuperset(rules.awaited):
        certainty = Certainty.CERTAIN
    wait = rules.enrich_ns if certainty is Certainty.POOR else rules.hold_ns
    if certainty is Certainty.CERTAIN:
        wait = rules.wanted_ns if rules.wanted_ns and lacks_wanted(both, rules) else 0
    if not wait and certainty is Certainty.CERTAIN:
        return Verdict.RECORD, 0
    due = min((g.due_ns for g in both if g.due_ns), default=now_ns + wait)
    due = min(due, now_ns + wait)
    return (Verdict.RECORD, 0) if due <= now_ns else (Verdict.HOLD, due)


def lacks_wanted(both: Sequence[Group], rules: Rules) -> bool:
    """Say whether a group (and its twin) has none of the labels that are fetched, and the id by which that can be done."""
    return not any(name in g.labels for g in both for name in rules.wanted) and any(
        _ids(g.aliases, rules.wanted_of) for g in both
    )


def _counted(group: Group, rules: Rules) -> tuple[Evidence, ...]:
    if not group.shared:
        return group.evidence
    own = tuple(e for e in group.evidence if e.alias.kind == rules.own)
    return own or group.evidence


def payment(group: Group, twin: Group | None, rules: Rules) -> Payment:
    """
    Return the joined view of a payment that is to be recorded.

    The amount is the sum over the objects of the highest authority, in the currency of the first of them; the time is
    the latest at which one of those says the money was taken.
    """
    both = (group,) if twin is None else (group, twin)
    evidence = [e for g in both for e in _counted(g, rules)]
    top = max(e.authority for e in evidence)
    decisive = sorted((e for e in evidence if e.authority == top), key=lambda e: e.alias)
    currency = decisive[0].currency
    labels: Labels = {}
    for g in both:
        merge_labels(labels, g.labels)
    aliases = frozenset(a for g in both for a in g.aliases)
    return Payment(
        canonical=canonical(aliases, rules),
        amount_minor=sum(e.amount_minor for e in decisive if e.currency == currency),
        currency=currency,
        at_ns=max(e.at_ns for e in decisive),
        aliases=aliases,
        labels=labels,
        traceparent=next((g.traceparent for g in both if g.traceparent), ""),
        created_ns=_earliest(*(g.created_ns for g in both)),
        seen=next((g.seen for g in both if g.seen[0]), (0, 0, 0)),
    )


def canonical(aliases: Iterable[Alias], rules: Rules) -> Alias:
    """Return the id that names the payment: of the first kind in the rules' order, the smallest where there are several."""
    ranked = sorted(aliases, key=lambda a: (rules.canonical.index(a.kind) if a.kind in rules.canonical else 99, a))
    return ranked[0]


def owner(group: Group, twin: Group | None, rules: Rules) -> Group:
    """Return which of two twins the recorded payment is named after: if the guess is refuted, the other is still to be recorded."""
    if twin is None:
        return group
    name = canonical(group.aliases | twin.aliases, rules)
    return group if name in group.aliases else twin
