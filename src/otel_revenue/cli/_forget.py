# SPDX-License-Identifier: Apache-2.0
"""Finds and removes what is held about orders: in the ledger and its outbox, and in the files beside them."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.delivery import erasing
from otel_revenue.instrumentation.stripe.lookup import waiting as thin_events
from otel_revenue.instrumentation.stripe.thin_events import Thin
from otel_revenue.ledger import forget
from otel_revenue.ledger.forget import ORDER, About, Held
from otel_revenue.ledger.model import Facts
from otel_revenue.runtime import kept as kept_facts
from otel_revenue.signals.otlp_decode import decode_log_record
from otel_revenue.signals.rules import clean_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from ._store import Existing, Place

LEFT: Final = (
    "what was delivered is at the far ends: delete it there by order_id, event_id and Stripe's ids",
    "running processes: what they hold in memory goes when they end; if one was about to send an event, it did",
    "backups, replicas and logs of the database or volume; space that the database has not used again yet",
    "Stripe, which may send news of the payment again: it would be recorded anew, with the same event_id",
)


@dataclass(frozen=True)
class Found:
    """What is held: by the store, and how many frames of each folder beside it."""

    about: About
    held: Held
    beside: Mapping[str, int]

    def counts(self) -> dict[str, int]:
        """Return how much there is of what."""
        held = self.held
        return {
            "payments": len(held.payments),
            "events": len(held.events),
            "notes": len(held.notes),
            "sayings": len(held.said),
            **{f"{name}/": number for name, number in self.beside.items()},
        }


def find(store: Existing, place: Place, orders: Iterable[str]) -> Found:
    """
    Find what is held about *orders*, whose ids are the shop's.

    Raises:
        StoreError: the store cannot be read.
        OSError: a folder beside it cannot be read.
    """
    about = About({name for order in orders for name in (order, clean_id(order)) if name})
    held = Held()
    known = -1
    while (
        known != about.size
    ):  # facts that wait may name what the ledger is to be searched for, and the other way round
        known = about.size
        for frame in _frames(place, kept_facts.FOLDER):
            _learn(about, frame)
        held = forget.find(store, about, _event_of(about))
    beside: Counter[str] = Counter()
    for name, is_theirs in _readers(about).items():
        beside[name] = sum(map(is_theirs, _frames(place, name)))
    return Found(about, held, beside)


def remove(store: Existing, place: Place, found: Found) -> None:
    """
    Remove what was found; the files first, since what waits there is on its way into the ledger.

    Raises:
        StoreError: the store cannot be changed.
        OSError: a folder beside it cannot be changed.
    """
    if place.folder is not None:
        for name, is_theirs in _readers(found.about).items():
            erasing.erase(place.folder / name, is_theirs)
    store.forget(found.held)


def left_over(place: Place) -> list[Path]:
    """Return files that hold what no search reads: ledgers that were damaged and moved away."""
    return [] if place.folder is None else sorted(place.folder.glob("*.corrupt-*"))


def _frames(place: Place, name: str) -> Iterable[bytes]:
    return () if place.folder is None else erasing.frames(place.folder / name)


def _readers(about: About) -> dict[str, Callable[[bytes], bool]]:
    """Return, for each folder beside the ledger, what says of a frame whether it is of the orders; one that is unreadable is not."""
    readers: dict[str, Callable[[About, bytes], bool]] = {
        "spool": _is_event_theirs,
        "orders": _is_saying_theirs,
        kept_facts.FOLDER: _is_kept_theirs,
        thin_events.FOLDER: lambda about, frame: Thin.from_json(frame).object_id in about.ids,
    }

    def guarded(read: Callable[[About, bytes], bool]) -> Callable[[bytes], bool]:
        def is_theirs(frame: bytes) -> bool:
            try:
                return read(about, frame)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError):
                return False

        return is_theirs

    return {name: guarded(read) for name, read in readers.items()}


def _event_of(about: About) -> Callable[[bytes], bool]:
    return _readers(about)["spool"]


def _is_event_theirs(about: About, record: bytes) -> bool:
    values = decode_log_record(record).attributes
    ids = {value for key, value in values.items() if key.startswith("stripe.") and isinstance(value, str)}
    return about.is_theirs(_labels(values), ids)


def _labels(values: Mapping[str, Any]) -> dict[str, dict[str, list[Any]]]:
    return {name: {"": [0, values[name]]} for name in (ORDER, "journey_id") if name in values}


def _is_saying_theirs(about: About, frame: bytes) -> bool:
    kind, key, labels = json.loads(frame)
    return key in about.orders if kind == ORDER else about.is_theirs(labels, (), journey=key)


def _is_kept_theirs(about: About, frame: bytes) -> bool:
    raw = json.loads(frame)
    if "note" in raw:
        return not about.ids.isdisjoint(raw["note"][4])
    if "event" in raw:
        return _is_event_theirs(about, base64.b64decode(raw["event"][2]))
    facts = Facts.from_json(frame.decode())
    return about.is_theirs(facts.labels, {alias.id for alias in facts.aliases})


def _learn(about: About, frame: bytes) -> None:
    if _readers(about)[kept_facts.FOLDER](frame):
        raw = json.loads(frame)
        if "note" not in raw and "event" not in raw:
            facts = Facts.from_json(frame.decode())
            about.learn(facts.labels, facts.aliases)
