# SPDX-License-Identifier: Apache-2.0
"""The ledger: takes facts, joins them into payments, lets each become rows of the outbox once, all in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import report
from otel_revenue.errors import StoreError

from . import join, setbacks
from .join import DAY_NS, Rules, Verdict
from .model import merge_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .model import Facts, Group, Labels, Missed, Outcome, Payment
    from .store import NewRow, Store, Transaction

    Encode = Callable[[Outcome], Sequence[NewRow]]

MAX_AMOUNT: Final = 2**63 - 1
"""The largest integer that the outbox and OTLP can hold: a sum over several objects could pass it."""


@dataclass(slots=True)
class Taken:
    """
    What became of facts.

    Attributes:
        group: all that is now known of the payment; None when the facts were none of ours.
        new: its creation was not known before.
        payments: payments recorded by this, in most cases none or one.
        missed: setbacks recorded by this.
        late_joins: payments that had been recorded as two before a fact joined them.
        disagrees: a payment recorded earlier turned out to have another amount.
        due_ns: when what is on hold is due; 0 when nothing is.
    """

    group: Group | None = None
    new: bool = False
    payments: list[Payment] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    late_joins: int = 0
    disagrees: bool = False
    due_ns: int = 0


class Ledger:
    """
    Joins facts into payments over a store.

    *encode* turns a payment or a setback into the rows to put into the outbox; it is called inside the transaction and must
    be quick.
    """

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    def take(self, facts: Facts, now_ns: int, encode: Encode) -> Taken:
        """
        Take facts; on disk when this returns.

        Raises:
            StoreError: nothing was taken; the same facts may be taken again.
        """
        taken = Taken()
        with self._store.transaction() as tx:
            known = tx.groups_of(facts.aliases, facts.truncated)
            if facts.conditional and not any(g.created for g in known):
                return taken
            self._take(tx, known, facts, now_ns, taken, encode)
        return taken

    def release(self, now_ns: int, encode: Encode, limit: int = 100) -> Taken:
        """
        Record payments and setbacks whose hold is over. `due_ns` of the result is always 0: ask `Store.next_due_ns`.

        A payment that *encode* fails on is set aside by its ids, and holds up no other.

        Raises:
            StoreError: nothing was released.
        """
        taken = Taken()
        with self._store.transaction() as tx:
            for group in tx.due_groups(now_ns, limit):
                self._release_one(tx, group, now_ns, taken, encode)
        taken.due_ns = 0
        return taken

    def _take(
        self, tx: Transaction, known: Sequence[Group], facts: Facts, now_ns: int, taken: Taken, encode: Encode
    ) -> None:
        taken.new = not any(g.created for g in known)
        if facts.setback is not None:
            facts = replace(facts, setback=replace(facts.setback, due_ns=now_ns + self._rules.enrich_ns))
        group, absorbed, beside = join.attach(known, facts, self._rules)
        taken.late_joins = max(0, sum(1 for g in (group, *absorbed) if _was_recorded(g.id, known)) - 1)
        taken.disagrees = self._disagrees(group, known)
        group = self._with_order(tx, group)
        before = next((g for g in known if g.id == group.id), None)
        for other in beside:
            tx.put(other)
        if group != before:
            tx.drop(g.id for g in absorbed)
            group = tx.put(group)
        orphans = self._untwin(tx, group, known)
        group = self._twin(tx, tx.group(group.id) or group)
        # Who lost a twin may belong to another group that had been left without one.
        orphans = [self._twin(tx, tx.group(orphan.id) or orphan) for orphan in orphans]
        for candidate in (group, *orphans):
            self._settle(tx, candidate, now_ns, taken, encode)
        taken.group = group

    def _with_order(self, tx: Transaction, group: Group) -> Group:
        """Add what earlier requests said of the order; what speaks of the payment itself precedes it."""
        if group.recorded_ns:
            return group
        labels: Labels = {}
        merge_labels(labels, group.labels)
        for name, sources in self._rules.known_by:
            candidates = labels.get(name, {})
            key = next((candidates[source][1] for source in sources if source in candidates), None)
            if key:
                merge_labels(labels, tx.recall(name, key))
        return group if labels == group.labels else group.changed(labels=labels)

    def _untwin(self, tx: Transaction, group: Group, known: Sequence[Group]) -> list[Group]:
        """Take apart twins that the new facts refute (or that are one too many); those are to be judged anew."""
        orphans = []
        for twin_id in sorted({g.twin for g in known if g.twin}):
            twin = tx.group(twin_id) if twin_id != group.id else None
            if twin is None:  # the twin itself went into this group: the guess was right
                if group.twin == twin_id:
                    group = tx.put(group.changed(twin=0))
                continue
            if twin_id == group.twin and not join.conflict(group, twin, self._rules):
                if twin.twin != group.id:
                    tx.put(twin.changed(twin=group.id))
                continue
            orphans.append(tx.put(twin.changed(twin=0)))
            if group.twin == twin_id:
                group = tx.put(group.changed(twin=0))
        return orphans

    def _twin(self, tx: Transaction, group: Group) -> Group:
        if group.soft is None or group.twin or not group.billing:
            return group
        near = tx.soft_candidates(group.soft.key, group.soft.at_ns - DAY_NS, group.soft.at_ns + DAY_NS)
        found = join.match(group, near, self._rules)
        if found is None:
            return group
        tx.put(found.changed(twin=group.id))
        return tx.put(group.changed(twin=found.id))

    def _settle(self, tx: Transaction, group: Group, now_ns: int, taken: Taken, encode: Encode) -> None:
        group = self._record_setbacks(tx, tx.group(group.id) or group, now_ns, taken, encode)
        twin = tx.group(group.twin) if group.twin else None
        decision, due_ns = join.verdict(group, twin, self._rules, now_ns)
        if decision is Verdict.HOLD:
            taken.due_ns = min(taken.due_ns or due_ns, due_ns)
            if group.due_ns != due_ns:
                tx.put(group.changed(due_ns=due_ns))
            return
        if decision is Verdict.RECORD:
            paid = join.payment(group, twin, self._rules)
            if paid.amount_minor > MAX_AMOUNT:
                self._put_aside(tx, group, now_ns, "amount_too_large")
                return
            rows = encode(paid)
            named = join.owner(group, twin, self._rules)
            tx.put(named.changed(recorded_ns=now_ns, recorded_as=paid.canonical, due_ns=0))
            tx.add_rows(rows)
            taken.payments.append(paid)
        for stale in (tx.group(group.id), tx.group(twin.id) if twin else None):
            if stale is not None and stale.due_ns:
                tx.put(stale.changed(due_ns=0))

    def _record_setbacks(self, tx: Transaction, group: Group, now_ns: int, taken: Taken, encode: Encode) -> Group:
        if not group.setbacks:  # as a rule
            return group
        due, kept = setbacks.due(group, now_ns)
        for missed in due:
            tx.add_rows(encode(missed))
        taken.missed += due
        if kept != group.setbacks:
            group = tx.put(group.changed(setbacks=kept))
        taken.due_ns = min((at for at in (taken.due_ns, *(s.due_ns for s in kept)) if at), default=0)
        return group

    def _release_one(self, tx: Transaction, group: Group, now_ns: int, taken: Taken, encode: Encode) -> None:
        try:
            known = self._with_order(tx, group)
            self._settle(tx, group if known is group else tx.put(known), now_ns, taken, encode)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the payments behind it are due too
            report("ledger.release", error)
            self._put_aside(tx, group, now_ns, f"failed_{type(error).__name__}")

    def _put_aside(self, tx: Transaction, group: Group, now_ns: int, reason: str) -> None:
        """Note by its ids a payment that cannot be recorded; later news of it may still do so."""
        tx.set_aside(now_ns, "ledger", "other", reason, tuple(sorted(alias.id for alias in group.aliases)))
        left = tx.group(group.id) or group
        tx.put(left.changed(due_ns=0, setbacks=setbacks.without_due(left.setbacks, now_ns)))

    def _disagrees(self, group: Group, known: Sequence[Group]) -> bool:
        recorded = [g for g in known if g.recorded_ns and g.evidence]
        if not recorded or not group.evidence:
            return False
        now = join.payment(group, None, self._rules)
        then = join.payment(recorded[0], None, self._rules)
        return (now.amount_minor, now.currency) != (then.amount_minor, then.currency)


def _was_recorded(group_id: int, known: Sequence[Group]) -> bool:
    return any(g.id == group_id and g.recorded_ns for g in known)
