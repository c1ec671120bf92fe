"""Random ids of events, and the count of events that metrics show: both are shared by threads, and neither by a forked child."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor

from opentelemetry.metrics import CallbackOptions

from otel_revenue.runtime import event_ids
from otel_revenue.signals.metrics import Tally


def test_ids_are_random_uuids_and_never_the_same() -> None:
    """Ids taken by several threads are version-4 UUIDs in canonical form, each of them once."""
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: event_ids.new(), range(2000)))

    assert len(set(ids)) == 2000
    assert {(str(uuid.UUID(i)) == i, uuid.UUID(i).version, uuid.UUID(i).variant) for i in ids} == {
        (True, 4, uuid.RFC_4122)
    }


def test_a_forked_child_has_ids_of_its_own() -> None:
    """Parent and child never give the same id to two events."""
    event_ids.new()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(event_ids.new() for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 50 * 36).decode()
    for end in (reading, writing):
        os.close(end)
    ours = {event_ids.new() for _ in range(50)}

    assert {theirs[start : start + 36] for start in range(0, 50 * 36, 36)} & ours == set()


def test_a_tally_loses_no_count_and_begins_anew_after_a_fork() -> None:
    """Counts of several threads add up, by event; a child's begin with nothing."""
    tally = Tally()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: tally.add("design.approved" if n % 2 else "order.paid"), range(2000)))
    seen = {o.attributes["event"]: o.value for o in tally.observe(CallbackOptions()) if o.attributes}
    tally.begin_anew()

    assert seen == {"design.approved": 1000, "order.paid": 1000}
    assert list(tally.observe(CallbackOptions())) == []
