# SPDX-License-Identifier: Apache-2.0
"""What is not delivered, for people and for programs."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from otel_revenue.delivery.survey import Waiting, survey
from otel_revenue.instrumentation.stripe.lookup import waiting as thin_events
from otel_revenue.ledger.store import ASIDE
from otel_revenue.runtime import kept as kept_facts
from otel_revenue.signals.otlp_decode import decode_log_record

from ._words import age, amounts, count, money, shown, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_revenue.ledger.store import OutboxRow, Pending, SetAside

    from ._store import Existing, Place


@dataclass(frozen=True)
class Seen:
    """
    What was found. Times in nanoseconds since the epoch.

    Attributes:
        location, destination: of the store; the far end whose view this is.
        pending: counts, oldest, unconfirmed money.
        rows, unread: the first ones; `more` says that there are further rows.
        held, due_ns: payments on hold, and when the first of them is due (0: none is).
        spool, kept, thin: what waits in the folders beside the ledger; None where they may not be read.
        elsewhere: further destinations that have notes in this store.
        now_ns: when.
    """

    location: str
    destination: str
    pending: Pending
    rows: Sequence[OutboxRow]
    more: bool
    unread: Sequence[SetAside]
    held: int
    due_ns: int
    spool: Waiting | None
    kept: Waiting | None
    thin: Waiting | None
    elsewhere: Sequence[str]
    now_ns: int


def look(store: Existing, place: Place, destination: str, *, state: str | None, limit: int, now_ns: int) -> Seen:
    """
    Read it all.

    Args:
        store: the application's.
        place: where it is.
        destination: the far end.
        state: only rows of this state; None: all, and what could not be read.
        limit: how many of each.
        now_ns: the time.
    """
    rows = store.rows(destination, state=state, limit=limit + 1)
    return Seen(
        location=store.location,
        destination=destination,
        pending=store.pending(destination),
        rows=rows[:limit],
        more=len(rows) > limit,
        unread=store.set_asides(limit) if state is None else [],
        held=int(store.stats()["payments_on_hold"]),
        due_ns=store.next_due_ns(),
        spool=beside(place, "spool", destination),
        kept=beside(place, kept_facts.FOLDER, kept_facts.READER),
        thin=beside(place, thin_events.FOLDER, thin_events.READER),
        elsewhere=[name for name in store.destinations() if name != destination],
        now_ns=now_ns,
    )


def beside(place: Place, name: str, reader: str) -> Waiting | None:
    """Return what waits in a folder beside the ledger; None where it may not be read."""
    if place.folder is None:
        return Waiting()
    with contextlib.suppress(OSError):
        return survey(place.folder / name, reader)
    return None


def lines(seen: Seen) -> list[str]:
    """Return what was found as lines for people."""
    pending = seen.pending
    oldest = f", the oldest since {age(seen.now_ns - pending.oldest_ns)}" if pending.oldest_ns else ""
    found = [f"{seen.location} -> {seen.destination}: {pending.waiting} waiting{oldest}, {pending.aside} set aside"]
    if worth := amounts(pending.unconfirmed):
        found.append(f"not yet acknowledged: {worth}")
    if seen.held:
        found.append(
            f"{count(seen.held, 'payment')} on hold for the fact that settles them, the first "
            + (f"due in {age(seen.due_ns - seen.now_ns)}" if seen.due_ns > seen.now_ns else "due now")
        )
    beside_it = (_spool_line(seen.spool), _kept_line(seen.kept, seen.now_ns), _thin_line(seen.thin, seen.now_ns))
    found += [line for line in beside_it if line]
    if seen.elsewhere:
        found.append(f"this store also serves {', '.join(seen.elsewhere)}: see --destination")
    found += [row_line(row, seen.now_ns) for row in seen.rows]
    if seen.more:
        found.append(f"  ... and more: --limit shows more than {len(seen.rows)}")
    if seen.unread:
        found.append(f"\nhad money in it, and could not be read ({len(seen.unread)}); nothing was counted for these:")
        found += [_unread_line(item, seen.now_ns) for item in seen.unread]
    if pending.aside:
        found.append(
            "\n'otel-revenue outbox show N' says what an event holds, 'outbox retry N' sends it again once the far end takes it."
        )
    return found


def _spool_line(spool: Waiting | None) -> str:
    if spool is None:
        return "the spool may not be read by this user"
    if not spool.frames:
        return ""
    dead = f", {spool.orphans} of dead processes (adopted by the next one that runs)" if spool.orphans else ""
    return (
        f"spool: {count(spool.frames, 'event')} without money waiting, {size(spool.bytes)} in "
        f"{count(spool.segments, 'file')}{dead}"
    )


def _kept_line(kept: Waiting | None, now_ns: int) -> str:
    if kept is None:
        return "facts that were kept aside may not be read by this user"
    if not kept.frames:
        return ""
    return (
        f"kept aside while the store was busy or broken: {count(kept.frames, 'fact')}, {size(kept.bytes)}, untouched since "
        f"{age(now_ns - kept.oldest_ns)}; joined as soon as the application's worker reaches the store"
    )


def _thin_line(thin: Waiting | None, now_ns: int) -> str:
    if thin is None:
        return "thin events that wait may not be read by this user"
    if not thin.frames:
        return ""
    return (
        f"to be fetched from Stripe: the objects of {count(thin.frames, 'thin event')}, {size(thin.bytes)}, untouched since "
        f"{age(now_ns - thin.oldest_ns)}"
    )


def row_line(row: OutboxRow, now_ns: int) -> str:
    """Return one event as a line."""
    parts = [
        "set aside" if row.state == ASIDE else "waiting",
        count(row.attempts, "try", "tries"),
        f"{age(now_ns - row.recorded_ns)} old",
    ]
    if row.state != ASIDE and row.not_before_ns > now_ns:
        parts.append(f"again in {age(row.not_before_ns - now_ns)}")
    amount = f"  {money(row.amount_minor, row.currency)}" if row.currency else ""
    reason = f"  {row.reason}" if row.reason else ""
    return f"  {row.seq:>6}  {row.event_name:<24} {row.event_id}  {', '.join(parts)}{amount}{reason}"


def attribute_lines(record: bytes) -> list[str]:
    """Return the attributes of an encoded event, one a line."""
    attributes = attributes_of(record)
    if attributes is None:
        return [f"          {len(record)} bytes that are no log record"]
    width = max(map(len, attributes), default=0)
    return [f"          {name:<{width}}  {shown(value)}" for name, value in attributes.items()]


def attributes_of(record: bytes) -> dict[str, Any] | None:
    """Return the attributes of an encoded event; None where it cannot be decoded."""
    try:
        return dict(decode_log_record(record).attributes)
    except ValueError:
        return None


def _unread_line(item: SetAside, now_ns: int) -> str:
    ids = " ".join(item.ids) or "no id"
    return f"  {age(now_ns - item.at_ns):>5} ago  {item.source} {item.kind}: {item.reason}  {ids}"


def as_json(seen: Seen) -> dict[str, Any]:
    """Return what was found, for programs."""
    return {
        "store": seen.location,
        "destination": seen.destination,
        "waiting": seen.pending.waiting,
        "set_aside": seen.pending.aside,
        "oldest_ns": seen.pending.oldest_ns,
        "unconfirmed_minor_units": seen.pending.unconfirmed,
        "payments_on_hold": seen.held,
        "next_hold_due_ns": seen.due_ns,
        "spool": None if seen.spool is None else asdict(seen.spool),
        "kept_facts": None if seen.kept is None else asdict(seen.kept),
        "thin_events": None if seen.thin is None else asdict(seen.thin),
        "events": [row_json(row) for row in seen.rows],
        "more_events": seen.more,
        "unread": [
            {
                "at_ns": item.at_ns,
                "source": item.source,
                "kind": item.kind,
                "reason": item.reason,
                "ids": list(item.ids),
            }
            for item in seen.unread
        ],
    }


def row_json(row: OutboxRow) -> dict[str, Any]:
    """Return one event with its state and attributes, for programs."""
    return {
        "seq": row.seq,
        "event_id": row.event_id,
        "event_name": row.event_name,
        "state": "aside" if row.state == ASIDE else "waiting",
        "attempts": row.attempts,
        "recorded_ns": row.recorded_ns,
        "not_before_ns": row.not_before_ns,
        "amount_minor": row.amount_minor if row.currency else None,
        "currency": row.currency or None,
        "reason": row.reason,
        "attributes": attributes_of(row.record),
    }
