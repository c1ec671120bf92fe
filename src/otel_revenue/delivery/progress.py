# SPDX-License-Identifier: Apache-2.0
"""How each way to a destination fares: when it is due again, how much goes into one request, and what people are told."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import logger

from .outcome import Held, Later, backoff_s

if TYPE_CHECKING:
    from collections.abc import Iterable

BATCH: Final = 512
SPOOL_BATCH: Final = 2048
"""Of events that are not money: a request costs as much as some hundred of them."""

SPOOLED: Final = " (events other than payments)"
"""Added to the name of a destination where people are told of its second way."""

_SECOND: Final = 10**9
_MOST_ALONE: Final = 1000
_QUIET_NS: Final = 3600 * _SECOND
_OUTAGE: Final = 3
"""Failures in a row after which an outage is said."""


@dataclass
class Width:
    """
    How many events go into one request.

    After a request that failed, perhaps for the sake of one event, fewer; after each success more. So the bad one is soon alone,
    and what is around it goes through.
    """

    size: int = BATCH
    most: int = BATCH

    def narrow(self, sent: int, by: int) -> None:
        """A request of *sent* events failed."""
        self.size = max(1, sent // by)

    def widen(self, sent: int) -> None:
        """A request of *sent* events was taken; of fewer than there could have been it says nothing."""
        if sent >= self.size:
            self.size = min(self.most, self.size * 2)


@dataclass
class Progress:
    """
    The state of one way to one destination: payments from the outbox, or everything else from the spool.

    Each has its own. A Collector asks a backend about payments, and refuses them while that one is away; everything else it takes
    for itself, and that must not wait meanwhile, nor be read as a sign that payments are taken again.

    Attributes:
        failures: in a row.
        not_before_ns: when it is tried again, by the clock; 0 when at once.
        wait_ns: how long that wait was when it was chosen.
        held: why it refuses us; empty when it does not.
        last_success_ns: when it last took something.
        last_error: the last reason, for people.
        width: how many go into one request.
        refused_ns: when it was last said that events are refused for good.
        alone: rows of the outbox that failed by themselves, perhaps for their content, and when each is tried again (ns).
    """

    failures: int = 0
    not_before_ns: int = 0
    wait_ns: int = 0
    held: str = ""
    last_success_ns: int = 0
    last_error: str = ""
    refused_ns: int = 0
    width: Width = field(default_factory=Width)
    alone: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """
        Return how many events go into the next request: one, as long as the last one failed.

        A Collector has given each attempt to its other backends, whatever the failing one said: a whole batch, tried again and
        again, would fill their queues with copies.
        """
        return 1 if self.failures else self.width.size

    def due(self, now_ns: int) -> bool:
        """Whether it may be tried. A wait longer than was ever chosen means that the clock was set back: it is over."""
        return not 0 < self.not_before_ns - now_ns <= self.wait_ns

    def next_ns(self, now_ns: int) -> int | None:
        """When the destination, or an event that waits by itself, is due next; None when neither waits."""
        return min((at for at in (self.not_before_ns, *self.alone.values()) if at > now_ns), default=None)

    def settled(self, rows: Iterable[int]) -> None:
        """These rows wait no more."""
        for seq in rows:
            self.alone.pop(seq, None)

    def waits_alone(self, row: int, until_ns: int) -> None:
        """This row waits by itself. Rows that another process has settled meanwhile are not heard of again: forgotten in time."""
        if len(self.alone) >= _MOST_ALONE and row not in self.alone:
            del self.alone[next(iter(self.alone))]
        self.alone[row] = until_ns

    def answered(self, name: str, now_ns: int) -> None:
        """It took something, or refused something for good: it is there."""
        if self.held:
            logger.warning("otel-revenue: destination %s accepts again", name)
        elif self.failures >= _OUTAGE:
            logger.warning("otel-revenue: delivery to %s works again", name)
        self.failures, self.not_before_ns, self.wait_ns, self.held = 0, 0, 0, ""
        self.last_success_ns = now_ns

    def refused(self, name: str, reason: str, now_ns: int) -> None:
        """It refused something for good, which was kept. Said once an hour: a broken mapping refuses thousands."""
        self.last_error = reason
        if abs(now_ns - self.refused_ns) < _QUIET_NS:
            return
        self.refused_ns = now_ns
        logger.error(
            "otel-revenue: %s refused an event for good (%s). It is kept, and so are others that follow: see "
            "`otel-revenue outbox list --state aside`, and the metric otel_revenue.outbox.set_aside.",
            name,
            reason,
        )

    def failed(self, name: str, outcome: Later | Held, now_ns: int) -> None:
        """It must be left alone for a while: longer each time, and as long as it asks."""
        self.failures += 1
        self.last_error = outcome.reason
        asked = outcome.retry_after_s if isinstance(outcome, Later) else None
        self.wait_ns = int(backoff_s(self.failures, random.random(), asked) * _SECOND)  # noqa: S311 - jitter
        self.not_before_ns = now_ns + self.wait_ns
        if isinstance(outcome, Held) and self.held != outcome.reason:
            self.held = outcome.reason
            logger.error(
                "otel-revenue: destination %s refuses us (%s): wrong key or URL? Nothing is lost: events wait in the store until it "
                "accepts. Check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS, then `otel-revenue doctor`.",
                name,
                outcome.reason,
            )
        elif self.failures == _OUTAGE and not self.held:
            logger.warning(
                "otel-revenue: delivery to %s fails (%s). Events wait in the store, and are sent when it works again.",
                name,
                outcome.reason,
            )


@dataclass
class Stats:
    """What the worker counted since the process started, and how each way fares, by the destination's name and that with `SPOOLED`."""

    delivered: int = 0
    later: int = 0
    set_aside: int = 0
    progress: dict[str, Progress] = field(default_factory=dict)
