# SPDX-License-Identifier: Apache-2.0
"""The books and the record of deliveries in a few numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .books import Booked
    from .deliveries import Delivery


@dataclass(frozen=True)
class Sum:
    """
    The payments of one currency.

    Attributes:
        count: how many.
        minor: what was taken, in Stripe's minor unit; refunds are not taken off.
        refunds: how many refunds there were since.
        refunded_minor: what went back by them.
    """

    count: int = 0
    minor: int = 0
    refunds: int = 0
    refunded_minor: int = 0


@dataclass(frozen=True)
class Traffic:
    """
    How deliveries went.

    Attributes:
        events: different events that were acknowledged, per endpoint.
        deliveries: acknowledged deliveries, the doubled ones among them.
        doubled: events that were acknowledged more than once.
        late: events that came after a younger one to the same endpoint.
        failed: attempts that were not acknowledged.
        gave_up: deliveries that were never acknowledged.
    """

    events: int
    deliveries: int
    doubled: int
    late: int
    failed: int
    gave_up: int


def sums(rows: Iterable[Booked]) -> dict[str, Sum]:
    """Return the sums per currency (three letters, lower case, as Stripe writes them)."""
    found: dict[str, Sum] = {}
    for row in rows:
        before = found.get(row.currency, Sum())
        found[row.currency] = replace(
            before,
            count=before.count + 1,
            minor=before.minor + row.amount_minor,
            refunds=before.refunds + len(row.refunds),
            refunded_minor=before.refunded_minor + row.refunded_minor,
        )
    return dict(sorted(found.items()))


def traffic(deliveries: Sequence[Delivery], event_ids: Sequence[str]) -> Traffic:
    """
    Count *deliveries*.

    Args:
        deliveries: attempts, in the order in which they ended.
        event_ids: of all events, oldest first.
    """
    ages = {event_id: age for age, event_id in enumerate(event_ids)}
    came: dict[tuple[str, str], int] = {}
    youngest: dict[str, int] = {}
    late = 0
    for delivery in deliveries:
        if not delivery.acknowledged:
            continue
        key = delivery.endpoint, delivery.event_id
        came[key] = came.get(key, 0) + 1
        age = ages.get(delivery.event_id, -1)
        if came[key] == 1:
            late += age < youngest.get(delivery.endpoint, -1)
        youngest[delivery.endpoint] = max(age, youngest.get(delivery.endpoint, -1))
    return Traffic(
        events=len(came),
        deliveries=sum(came.values()),
        doubled=sum(times > 1 for times in came.values()),
        late=late,
        failed=sum(not d.acknowledged for d in deliveries),
        gave_up=sum(d.gave_up for d in deliveries),
    )
