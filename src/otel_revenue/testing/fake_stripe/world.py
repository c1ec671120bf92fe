# SPDX-License-Identifier: Apache-2.0
"""
What this Stripe knows: objects by account, what is behind them, and the events that their changes made.

One lock guards it all. Whoever changes something does so inside `operation()`; what follows later by nature
(`charge.updated` with the fee) runs at its end, and its events go to the webhooks when it is over.
"""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .failure import StripeFailure, no_such
from .ids import Ids

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

Obj = dict[str, Any]

API_VERSION: Final = "2026-10-28.endive"


@dataclass(frozen=True)
class Shapes:
    """
    One object at one moment, for endpoints of different versions.

    Attributes:
        new: as it is since 2025-03-31.basil.
        old: as it was before, None when that is the same.
        is_old: whether a version is from before.
    """

    new: Obj
    old: Obj | None
    is_old: Callable[[str], bool]

    def of(self, version: str) -> Obj:
        """Return a copy in the shape of *version*."""
        return copy.deepcopy(self.old if self.old is not None and self.is_old(version) else self.new)


class World:
    """
    The state of one fake Stripe.

    Args:
        rng: where ids come from.
        clock: seconds since the epoch.
        api_version: of the account; what events say unless an endpoint has its own.
        livemode: what every object and event says.
        shapes: gives an object as it is now, in every shape that an endpoint may want.
        dispatch: gets the events of each operation, in their order, when it is over.
    """

    def __init__(
        self,
        *,
        rng: random.Random,
        clock: Callable[[], float],
        api_version: str,
        livemode: bool,
        shapes: Callable[[Scope, Obj], Shapes],
        dispatch: Callable[[list[Obj]], None],
    ) -> None:
        self.lock = threading.RLock()
        self.ids = Ids(rng, livemode=livemode)
        self.livemode = livemode
        self.shapes = shapes
        self.api_version = api_version
        self.url = ""
        self.cut_references = False
        self.events: list[Obj] = []
        self.hidden: defaultdict[str, Obj] = defaultdict(dict)
        self.invoice_numbers = 0
        self._clock = clock
        self._dispatch = dispatch
        self._objects: dict[tuple[str, str], Obj] = {}
        self._kinds: defaultdict[str, list[tuple[str, Obj]]] = defaultdict(list)
        self._accounts: dict[str, str] = {}
        self._after: list[Callable[[], None]] = []
        self._fresh: list[Obj] = []
        self._made: list[tuple[str, Obj]] = []
        self._depth = 0

    def shown(self, obj: Obj) -> Obj:
        """Return a copy of *obj* that says the right `livemode` everywhere."""
        copied = copy.deepcopy(obj)
        if self.livemode:
            _live(copied)
        return copied

    def now(self) -> int:
        """Return the time in whole seconds, as Stripe's objects have it."""
        return int(self._clock())

    @contextmanager
    def operation(self) -> Iterator[None]:
        """One change as a whole; see the module."""
        with self.lock:
            self._depth += 1
            try:
                yield
            finally:
                while self._depth == 1 and self._after:
                    self._after.pop(0)()
                self._depth -= 1
                fresh: list[Obj] = []
                if self._depth == 0:
                    fresh, self._fresh = self._fresh, []
                    self._made.clear()
                # Inside the lock: the events of two operations keep their order.
                if fresh:
                    self._dispatch(fresh)

    @contextmanager
    def all_or_nothing(self, target: Obj | None) -> Iterator[None]:
        """
        Undo what a refused request (400, 404) did to *target*, what it made and what it told.

        A decline (402) is no refusal: its charge and its events stay.
        """
        kept = copy.deepcopy(target)
        made, told, fresh, after = len(self._made), len(self.events), len(self._fresh), len(self._after)
        try:
            yield
        except StripeFailure as failure:
            if failure.status in (400, 404):
                for account, obj in reversed(self._made[made:]):
                    self.remove(account, obj)
                del self._made[made:], self.events[told:], self._fresh[fresh:], self._after[after:]
                if target is not None and kept is not None:
                    target.clear()
                    target.update(kept)
            raise

    def afterwards(self, step: Callable[[], None]) -> None:
        """Run *step* at the end of the operation."""
        self._after.append(step)

    def all(self, kind: str) -> list[tuple[str, Obj]]:
        """Return (account, object) of every object of *kind*, oldest first."""
        return list(self._kinds[kind])

    def account_of(self, object_id: str) -> str | None:
        """Return the account that has the object, None when nobody has."""
        return self._accounts.get(object_id)

    def find(self, account: str, object_id: object) -> Obj | None:
        """Return the object, None when the account has none of that id."""
        return self._objects.get((account, object_id)) if isinstance(object_id, str) else None

    def put(self, account: str, obj: Obj) -> Obj:
        """Keep a new object."""
        self._objects[account, obj["id"]] = obj
        self._kinds[obj["object"]].append((account, obj))
        self._accounts[obj["id"]] = account
        self._made.append((account, obj))
        return obj

    def remove(self, account: str, obj: Obj) -> None:
        """Forget an object."""
        del self._objects[account, obj["id"]]
        kind = self._kinds[obj["object"]]
        kind[:] = [entry for entry in kind if entry[1] is not obj]

    def record(self, event: Obj) -> None:
        """Keep a new event; it goes out at the end of the operation."""
        self.events.append(event)
        self._fresh.append(event)


def _live(value: Any) -> None:
    if isinstance(value, dict):
        if "livemode" in value:
            value["livemode"] = True
        for item in value.values():
            _live(item)
    elif isinstance(value, list):
        for item in value:
            _live(item)


@dataclass(frozen=True)
class Scope:
    """
    One request's, or one buyer's, view of the world.

    Attributes:
        account: the connected account it is about, "" for the platform.
        request_id, idempotency_key: of the API request that causes what happens; None when nobody asked by API.
        version: API version of the answer.
    """

    world: World
    account: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None
    version: str = API_VERSION

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return self.world.now()

    def new_id(self, kind: str) -> str:
        """Return a fresh id."""
        return self.world.ids.new(kind)

    def hidden(self, obj: Obj) -> Obj:
        """Return what is known about *obj* beside what it shows."""
        return self.world.hidden[obj["id"]]

    def put(self, obj: Obj) -> Obj:
        """Keep a new object for this account."""
        return self.world.put(self.account, obj)

    def remove(self, obj: Obj) -> None:
        """Forget an object of this account."""
        self.world.remove(self.account, obj)

    def find(self, object_id: object, kind: str = "") -> Obj | None:
        """Return an object of this account; None when there is none (of that kind)."""
        obj = self.world.find(self.account, object_id)
        return obj if obj is not None and kind in ("", obj["object"]) else None

    def get(self, kind: str, object_id: object, param: str = "id") -> Obj:
        """
        Return an object of this account.

        Raises:
            StripeFailure: there is none of that id and kind.
        """
        obj = self.find(object_id, kind)
        if obj is None:
            raise no_such(kind, object_id, param)
        return obj

    def all(self, kind: str) -> list[Obj]:
        """Return this account's objects of *kind*, oldest first."""
        return [obj for account, obj in self.world.all(kind) if account == self.account]

    def emit(self, kind: str, obj: Obj, previous: Obj | None = None) -> Obj:
        """Record an event about *obj* as it is now; *previous* holds the old values of what changed."""
        shapes = self.world.shapes(self, obj)
        data: Obj = {"object": shapes.of(self.world.api_version)}
        if previous is not None:
            data["previous_attributes"] = copy.deepcopy(previous)
        event: Obj = {
            "id": self.new_id("event"),
            "object": "event",
            "api_version": self.world.api_version,
            "created": self.now,
            "data": data,
            "livemode": self.world.livemode,
            "pending_webhooks": 0,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": kind,
        }
        if self.account:
            event["account"] = self.account
        self.world.hidden[event["id"]]["shapes"] = shapes
        self.world.record(event)
        return event
