# SPDX-License-Identifier: Apache-2.0
"""
What is held about orders, found again from their ids, so that it can be removed on request.

An order is named by its id; what names it names Stripe's objects and journeys, which name more of it. What another order's
id stands on is not of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from .codec import group_from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .model import Alias, Labels


class Searched(Protocol):
    """A store, searched by what is written in it; each row is what the statement of that name in the store's SQL returns."""

    def naming(self, statement: str, *words: str | bytes) -> Sequence[Sequence[Any]]:
        """Return the rows in which the words stand, as text."""


@dataclass
class About:
    """
    By what some orders are known.

    Attributes:
        orders: their ids, as the shop writes them and as events carry them.
        ids: of objects of the far end.
        journeys: that led to them.
    """

    orders: set[str]
    ids: set[str] = field(default_factory=set)
    journeys: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How much is known; it grows until all is found."""
        return len(self.ids) + len(self.journeys)

    def is_theirs(self, labels: Labels, ids: Iterable[str], *, journey: str = "") -> bool:
        """Whether something with these candidates and ids is of one of the orders: an order id that it carries decides."""
        orders = set(_values(labels, "order_id"))
        if orders:
            return not self.orders.isdisjoint(orders)
        journeys = {journey, *_values(labels, "journey_id")}
        return not self.ids.isdisjoint(ids) or not self.journeys.isdisjoint(journeys - {""})

    def learn(self, labels: Labels, aliases: Iterable[Alias]) -> None:
        """Take over by what else the orders are known."""
        self.journeys.update(_values(labels, "journey_id"))
        self.ids.update(part for alias in aliases for part in alias.id.split("/"))


@dataclass
class Held:
    """What a store holds of some orders, by its own numbers; `unrecorded`: payments whose event was not made yet."""

    payments: set[int] = field(default_factory=set)
    unrecorded: int = 0
    events: set[int] = field(default_factory=set)
    said: set[tuple[str, str]] = field(default_factory=set)
    notes: set[int] = field(default_factory=set)


def find(store: Searched, about: About, is_event_theirs: Callable[[bytes], bool]) -> Held:
    """
    Return what *store* holds; *about* knows more afterwards.

    Args:
        store: the ledger.
        about: by what the orders are known.
        is_event_theirs: says of an encoded event whether it is of them, by what *about* knows by then.
    """
    held = Held()
    known = -1
    while known != about.size:
        known = about.size
        for word in sorted(about.orders | about.ids | about.journeys):
            _payments(store, about, held, word)
        for word in sorted(about.orders | about.journeys):
            _said(store, about, held, word)
    for word in sorted(about.orders | about.ids | about.journeys):
        found = store.naming("events_naming", word.encode("utf-8", "surrogatepass"))
        held.events.update(seq for seq, record in found if is_event_theirs(bytes(record)))
        notes = store.naming("notes_naming", _quoted(word))
        held.notes.update(number for number, ids in notes if not about.ids.isdisjoint(json.loads(ids)))
    return held


def _payments(store: Searched, about: About, held: Held, word: str) -> None:
    for number, doc in store.naming("payments_naming", _quoted(word)):
        if number in held.payments:
            continue
        group = group_from_text(number, doc)
        ids = {alias.id for alias in group.aliases}
        labels = [group.labels, *(setback.labels for setback in group.setbacks)]
        if not any(about.is_theirs(each, ids) for each in labels):
            continue
        held.payments |= {number, group.twin} - {0}
        held.unrecorded += not group.recorded_ns and bool(group.due_ns)
        for each in labels:
            about.learn(each, group.aliases)


def _said(store: Searched, about: About, held: Held, word: str) -> None:
    for kind, key, doc in store.naming("said_naming", word, _quoted(word)):
        labels: Labels = json.loads(doc)
        named = key in about.orders if kind == ORDER else about.is_theirs(labels, (), journey=key)
        if named:
            held.said.add((kind, key))
            about.learn(labels, ())


ORDER: Final = "order_id"


def _values(labels: Labels, name: str) -> list[str]:
    return [value for _, value in labels.get(name, {}).values() if isinstance(value, str)]


def _quoted(word: str) -> str:
    """Return a word as it stands in JSON, with its quotes: `"o-1"` does not stand in `"o-12"`."""
    return json.dumps(word)
