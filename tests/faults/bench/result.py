# SPDX-License-Identifier: Apache-2.0
"""What came out of one fault, counted at the receiver and in the store."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_revenue.delivery.survey import survey
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, LATER
from otel_revenue.signals.otlp_decode import decode_log_record

from .scene import amount

if TYPE_CHECKING:
    from .scene import Scene
    from .table import Fault


@dataclass(frozen=True)
class Result:
    """
    The figures of one fault; payments and funnel events together.

    Attributes:
        sent: answered payments, and as many funnel events.
        delivered: of those, taken by the receiver at least once.
        repeated: receipts beyond the first of each event: doubled before dedupe by `event_id`.
        doubled: events of one payment or order with another `event_id` than its first: doubled after dedupe.
        payments: how many were to be made.
        aside: set aside with a reason, and listed; not delivered.
        waiting: in outbox or spool when all has ended; not delivered.
        lost: sent, and nowhere.
        wrong: payments with another amount than was paid.
        p99_ms, worst_ms: what the application's webhooks waited for us, verification of the signature included.
        stuck: how often a process did not end when told to.
        happened: how often the fault was seen to take place.
        said: whether the log line that the table asks for was there.
        may_set_aside: whether the table expects events to be set aside.
        seconds: duration of the whole.
    """

    name: str
    payments: int
    sent: int
    delivered: int
    repeated: int
    doubled: int
    aside: int
    waiting: int
    lost: int
    wrong: int
    p99_ms: float
    worst_ms: float
    stuck: int
    happened: int
    said: bool
    may_set_aside: bool
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What breaks the promise; empty when it is kept."""
        found = [
            f"{n} {word}" for n, word in ((self.lost, "lost"), (self.doubled, "doubled"), (self.wrong, "wrong")) if n
        ]
        if self.stuck:
            found.append(f"{self.stuck} processes did not end")
        if self.waiting:
            found.append(f"{self.waiting} still waiting")
        if bool(self.aside) != self.may_set_aside:
            found.append(f"{self.aside} set aside")
        if not self.happened:
            found.append("the fault did not take place")
        if not self.said:
            found.append("the log says nothing of it")
        return found


def count(scene: Scene, fault: Fault, seconds: float) -> Result:
    """Count, when everything has ended."""
    expected = set(scene.expected())
    far_end = scene.far_end
    delivered = expected & far_end.ids.keys()
    aside, waiting = _left(scene)
    open_ = expected - delivered
    spooled = min(len(open_ - aside - waiting), survey(scene.store / "spool", "otlp").frames)
    ids = {key: len(far_end.ids[key]) for key in delivered}
    waits = sorted(scene.waits_us)
    return Result(
        name=fault.name,
        payments=scene.payments,
        sent=len(expected),
        delivered=len(delivered),
        repeated=sum(far_end.taken.values()) - len(far_end.taken),
        doubled=sum(max(0, n - _most(scene, key)) for key, n in ids.items()),
        aside=len(aside & open_),
        waiting=len(waiting & open_) + spooled,
        lost=len(open_ - aside - waiting) - spooled,
        wrong=sum(far_end.amounts.get(f"o-{n}", {amount(n)}) != {amount(n)} for n in scene.answered),
        p99_ms=round(statistics.quantiles(waits, n=100)[98] / 1000, 1),
        worst_ms=round(waits[-1] / 1000, 1),
        stuck=sum(app.stuck for app in scene.apps),
        happened=scene.happened,
        said=not fault.says or fault.says in scene.log,
        may_set_aside=fault.aside,
        seconds=round(seconds, 1),
    )


def _most(scene: Scene, key: tuple[str, str]) -> int:
    """How many ids may stand for one order: a payment has one, a funnel event one for each try."""
    return 1 if key[0] == "order.paid" else scene.attempts[int(key[1].removeprefix("o-"))]


def _left(scene: Scene) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return (event name, order) of what is set aside, and of what waits in the outbox."""
    if not scene.ledger.exists():
        return set(), set()
    store = SqliteStore(scene.ledger, busy_s=5)
    try:
        aside, waiting = (
            {
                (row.event_name, str(decode_log_record(row.record).attributes.get("order_id")))
                for row in store.rows("otlp", state=state, limit=10**6)
            }
            for state in (ASIDE, LATER)
        )
    finally:
        store.close()
    return aside, waiting
