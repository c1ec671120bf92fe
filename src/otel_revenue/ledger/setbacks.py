# SPDX-License-Identifier: Apache-2.0
"""
Which setbacks of a payment are recorded, and as which attempt? Pure: no clock, no store.

Each waits a little: of one attempt several objects tell, and only one of them may know the order; and attempts are numbered
by the far end's time, whatever the order in which they are told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .model import Alias, Group, Labels, Missed, Setback, merge_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NEAR_NS: Final = 60 * 10**9
"""Within this, what objects of different ranks tell is one setback: far ends tell of one within seconds, people try again later."""

MOST: Final = 100
"""Of one payment: more are somebody who tries out stolen cards, and would fill the store."""


def merged(known: Iterable[Setback], new: Setback | None) -> tuple[Setback, ...]:
    """Return all of them, one for each kind and name, by time."""
    found: dict[tuple[str, Alias], Setback] = {}
    for setback in (*known, *(() if new is None else (new,))):
        key = (setback.kind, setback.alias)
        before = found.get(key)
        if before is not None:
            found[key] = _one(before, setback)
        elif len(found) < MOST:
            found[key] = setback
    return tuple(sorted(found.values(), key=_by_time))


def _one(before: Setback, more: Setback) -> Setback:
    if not before.due_ns or not more.due_ns:  # recorded: it stays as it was
        return more if before.due_ns else before
    labels: Labels = {}
    merge_labels(labels, before.labels)
    merge_labels(labels, more.labels)
    return replace(
        before,
        at_ns=min(before.at_ns, more.at_ns),
        rank=min(before.rank, more.rank),
        labels=labels,
        seen=before.seen if before.seen[0] else more.seen,
        due_ns=min(before.due_ns, more.due_ns),
    )


def due(group: Group, now_ns: int) -> tuple[list[Missed], tuple[Setback, ...]]:
    """Return what is to be recorded now, and all setbacks of the payment as they are afterwards."""
    own = [s for s in group.setbacks if not _told_better(s, group.setbacks)]
    missed = [_missed(group, s, own) for s in own if 0 < s.due_ns <= now_ns]
    return missed, without_due(own, now_ns)


def without_due(setbacks: Sequence[Setback], now_ns: int) -> tuple[Setback, ...]:
    """Return them with those that are due as if they had been recorded."""
    return tuple(replace(s, due_ns=0) if 0 < s.due_ns <= now_ns else s for s in setbacks)


def _told_better(setback: Setback, all_of_them: Sequence[Setback]) -> bool:
    """Say whether one that is not recorded is told by another one: of a lower rank, or recorded before this came."""
    return bool(setback.due_ns) and any(
        other.kind == setback.kind
        and other.rank != setback.rank
        and abs(other.at_ns - setback.at_ns) <= NEAR_NS
        and (other.rank < setback.rank or not other.due_ns)
        for other in all_of_them
    )


def _missed(group: Group, setback: Setback, own: Sequence[Setback]) -> Missed:
    labels: Labels = {}
    merge_labels(labels, group.labels)
    merge_labels(labels, setback.labels)
    same = [s for s in own if s.kind == setback.kind]
    return Missed(setback, 1 + same.index(setback), group.aliases, labels)


def _by_time(setback: Setback) -> tuple[int, str, Alias]:
    return setback.at_ns, setback.kind, setback.alias
