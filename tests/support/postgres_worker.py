"""
What another host does with a shared ledger: its threads take the facts of flows, each in an order of its own.

    STORE=postgresql://… python -m support.postgres_worker SEED COUNT THREADS ROUNDS
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from typing import Any

from otel_revenue.errors import StoreError
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.postgres import PostgresStore

from .ledger_worker import encode, some_flows
from .reading import NOW_NS, read_event
from .till import RULES


def take_all(
    store: PostgresStore, seed: int, count: int, threads: int = 1, rounds: int = 1, deadline_s: float = 90
) -> list[str]:
    """Take every delivery of the flows in each thread, each delivery until the store has it; returns what went wrong."""
    ledger = Ledger(store, RULES)
    ready = threading.Barrier(threads)
    problems: list[str] = []
    end = time.monotonic() + deadline_s

    def work(number: int) -> None:
        deliveries: list[Any] = [body for flow in some_flows(count) for body in flow.events] * rounds
        random.Random(seed * 1000 + number).shuffle(deliveries)
        ready.wait()
        for body in deliveries:
            for item in read_event(body).facts:
                _take(item)

    def _take(item: Any) -> None:
        while time.monotonic() < end:
            try:
                ledger.take(item, NOW_NS, encode)
                return
            except StoreError:  # busy, or away for a while: as the application's worker does, try again
                time.sleep(0.02)
            except Exception as error:
                problems.append(f"{type(error).__name__}: {error}")
                return
        problems.append("not taken in time")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return problems


if __name__ == "__main__":
    seed, count, threads, rounds = map(int, sys.argv[1:])
    shared = PostgresStore(os.environ["STORE"], location="the shared ledger", busy_s=1.0)
    found = take_all(shared, seed, count, threads, rounds)
    shared.close()
    sys.exit("\n".join(found) or 0)
