# SPDX-License-Identifier: Apache-2.0
"""
What requests have said of orders, on its way into the ledger, where an order's payment finds it hours later.

A request appends it to a file of its own, as it does an event; the worker writes many of them in one transaction. Whoever
says something of an order twice says it once.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import StoreError
from otel_revenue.ledger.keys import BROWSER, ORDER_KEYS, TOUCH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_revenue.delivery.spool import Spool
    from otel_revenue.ledger.model import Labels, Saying
    from otel_revenue.ledger.store import Store

READER: Final = "ledger"
EXPLICIT: Final = "explicit"
BIND: Final = "bind"
"""Source of what the request that creates a payment says of it."""
SAID: Final = "said"
"""Source of what earlier requests have said."""
_written: Final = json.JSONEncoder(separators=(",", ":")).encode
_AT_ONCE: Final = 200
_IN_MEMORY: Final = 10_000
_REMEMBERED: Final = 4096
_SECOND: Final = 10**9
_TOUCHES: Final = ("surface", "surface_last")
_MILLISECOND: Final = 10**6
_FAR_MS: Final = 10**14
"""Milliseconds: later than any time, so that ranks can grow with time or shrink with it. Two clicks lie in one second."""


def labels_of(values: Mapping[str, Any], precedence: Sequence[str], at_ns: int, *, told_by: str = SAID) -> Labels:
    """
    Return clean context values as candidates of the ledger.

    Of a surface the one of the best source stays, and of that source the first; of everything else the latest. The surface
    that was touched last stands beside it; a mere route is no touch. Which journey led to an order the server knows better
    than a browser, and of browsers the first.

    Args:
        values: by wire name.
        precedence: sources of a surface, the best one first.
        at_ns: when it was said.
        told_by: `SAID` by an earlier request, `BIND` by the one that creates the payment, or `BROWSER`.
    """
    at_ms = at_ns // _MILLISECOND
    latest = 0 if told_by == BIND else _FAR_MS - at_ms
    labels: Labels = {
        name: {told_by: [latest, values[name]]} for name in ("order_id", "tier", "country") if name in values
    }
    if "journey_id" in values:
        labels["journey_id"] = {told_by: [_FAR_MS + at_ms if told_by == BROWSER else latest, values["journey_id"]]}
    if "subtotal_minor" in values and "currency" in values:
        labels["subtotal_minor"] = {told_by: [latest, [values["subtotal_minor"], values["currency"]]]}
    if "surface" in values:
        source = values.get("surface_source", EXPLICIT)
        rank = precedence.index(source) if source in precedence else len(precedence)
        labels["surface"] = {source: [rank * _FAR_MS + at_ms, values["surface"]]}
        if source != "route":
            labels["surface_last"] = {TOUCH: [_FAR_MS - at_ms, values["surface"]]}
    return labels


class Orders:
    """
    Args:
        spool: where it waits; None where there is no folder: then in memory, bounded.
    """

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self._memory: deque[Saying] = deque(maxlen=_IN_MEMORY)
        self._said: dict[tuple[str, str], list[Any]] = {}
        self._passing = threading.Lock()
        self._adopted_ns = 0

    def keep(self, values: Mapping[str, Any], labels: Labels) -> bool:
        """Keep what was said of the order that *values* name; returns whether there was something new to keep."""
        from otel_revenue.ledger.model import Saying  # not before somebody says something

        kept = False
        for kind in ORDER_KEYS:
            identity: str = values.get(kind, "")
            own = _said_of(kind, labels) if identity else {}
            if not own:
                continue
            said = [(name, source, found[1]) for name, places in own.items() for source, found in places.items()]
            if self._said.get((kind, identity)) == said:
                continue
            if len(self._said) >= _REMEMBERED:
                self._said.clear()
            self._said[kind, identity] = said
            self._append(Saying(kind, identity, own))
            kept = True
        return kept

    def pass_on(self, store: Store, now_ns: int) -> bool:
        """Write what waits into the ledger; returns whether nothing is left."""
        with self._passing:
            try:
                if self._spool is not None:
                    if abs(now_ns - self._adopted_ns) >= _SECOND:
                        self._adopted_ns = now_ns
                        self._spool.adopt()
                    while (batch := self._spool.read(READER, _AT_ONCE)) is not None:
                        _write(store, [s for s in map(_read, batch.frames) if s is not None], now_ns)
                        self._spool.commit(READER, batch)
                while self._memory:
                    some = [self._memory[i] for i in range(min(_AT_ONCE, len(self._memory)))]
                    _write(store, some, now_ns)
                    for _ in some:
                        self._memory.popleft()
            except StoreError:
                return False
        return True

    def close(self) -> None:
        """Let go of the files; what is left is passed on by the next process."""
        if self._spool is not None:
            self._spool.close()

    def abandon(self) -> None:
        """In a forked child."""
        if self._spool is not None:
            self._spool.abandon()

    def _append(self, saying: Saying) -> None:
        if self._spool is not None:
            try:
                self._spool.append(_written(saying).encode())
                return
            except OSError:
                pass
        self._memory.append(saying)


def _said_of(kind: str, labels: Labels) -> Labels:
    """
    Return what *labels* say of the order, or of the journey.

    One journey may lead to several orders: whose it is, is told by the order alone, and what is said of an order itself
    precedes what was said of its journey.
    """
    own = {name: candidates for name, candidates in labels.items() if name not in (kind, "order_id")}
    if kind == "order_id":
        return own
    return {name: found if name in _TOUCHES else _behind(found) for name, found in own.items()}


def _behind(candidates: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {source: [rank + _FAR_MS, value] for source, (rank, value) in candidates.items()}


def _read(frame: bytes) -> Saying | None:
    from otel_revenue.ledger.model import Saying

    try:
        kind, key, labels = json.loads(frame)
        return Saying(str(kind), str(key), dict(labels))
    except (ValueError, TypeError):  # a foreign frame: one order knows less
        return None


def _write(store: Store, sayings: Sequence[Saying], now_ns: int) -> None:
    with store.transaction() as tx:
        tx.remember(sayings, now_ns)
