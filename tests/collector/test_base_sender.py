"""The application's own sender in front of a real Collector: what the backends do, and what becomes of the payments."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_revenue.delivery import destinations, otlp_settings
from otel_revenue.delivery.outcome import MAX_BACKOFF_S, Delivered, Held, Later, Refused
from otel_revenue.delivery.spool import Spool
from otel_revenue.delivery.worker import Worker
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, LATER
from otel_revenue.signals.otlp import encode_resource, encode_scope
from support.collector import Collector
from support.delivery import Clock, ids, put, record, waiting
from support.otlp_events import event
from support.receiver import Receiver, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.delivery.destination import Destination

COPY = Path(__file__).with_name("copy.yaml")
FILES = ("backends/otlp.yaml", COPY)
ORDERS = [f"o{n}" for n in range(40)]
LATE = [f"late{n}" for n in range(10)]
PROBES = 5

OUTCOMES = {
    200: (Delivered, Delivered),
    400: (Refused, Refused),
    401: (Held, Held),
    403: (Held, Held),
    404: (Held, Held),
    413: (Later, Later),
    429: (Later, Later),
    500: (Later, Later),
    502: (Later, Later),
    503: (Later, Later),
}
"""What the sender makes of a backend's status behind the Collector, over HTTP and over gRPC."""


def destination(collector: Collector, protocol: str, token: str = "") -> Destination:
    """The application's sender, set up by the standard variables."""
    endpoint = f"http://127.0.0.1:{collector.http if protocol == otlp_settings.HTTP else collector.grpc}"
    header = token or collector.headers["Authorization"]
    settings = otlp_settings.read(
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={header}",
        }
    )
    assert () == settings.problems
    resource = encode_resource({"service.name": "shop"})
    return destinations.otlp(settings, resource, encode_scope("otel_revenue", "0"), "0")


class Behind:
    """A Collector with a backend of record and one that gets copies."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.record, self.copy = Receiver().__enter__(), Receiver().__enter__()
        urls = {"REVENUE_OTLP_URL": self.record.url, "COPY_URL": self.copy.url}
        self.collector = Collector(folder, FILES, {"REVENUE_RECORD": "otlp_http/otlp_record", **urls, **environ})
        self.collector.start()

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, *_: object) -> None:
        self.collector.kill()
        self.record.__exit__()
        self.copy.__exit__()


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with Behind(tmp_path_factory.mktemp("behind")) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "ledger.sqlite3", busy_s=5)
    yield store
    store.close()


def arrived(receiver: Receiver) -> list[str]:
    """The orders that arrived, in the order in which they did."""
    return [str(log.attributes["order_id"]) for log in receiver.logs]


def passes(worker: Worker, clock: Clock, count: int) -> None:
    for _ in range(count):
        worker.run_once()
        clock.advance(MAX_BACKOFF_S + 2)


@pytest.mark.parametrize("protocol", [otlp_settings.HTTP, otlp_settings.GRPC])
@pytest.mark.parametrize("status", OUTCOMES)
def test_no_answer_of_a_backend_is_taken_for_another(behind: Behind, protocol: str, status: int) -> None:
    """A wrong key behind the Collector holds, a fault of the backend is tried later: neither sets a payment aside."""
    behind.record.status = status
    sender = destination(behind.collector, protocol)

    outcome = sender.send([record("o1")], b"")
    sender.close()

    assert OUTCOMES[status][protocol == otlp_settings.GRPC] is type(outcome)


@pytest.mark.parametrize("protocol", [otlp_settings.HTTP, otlp_settings.GRPC])
def test_a_wrong_token_holds(behind: Behind, protocol: str) -> None:
    """A token that the Collector does not know holds the destination, and sets nothing aside."""
    sender = destination(behind.collector, protocol, "Bearer another")

    outcome = sender.send([record("o1")], b"")
    sender.close()

    assert isinstance(outcome, Held)


def test_a_dead_backend_of_record_costs_the_other_one_copy_an_attempt(tmp_path: Path, store: SqliteStore) -> None:
    """While the record is down payments wait in the application, and each attempt makes one copy; then each arrives there once."""
    clock = Clock()
    with Behind(tmp_path) as behind:
        behind.record.status = 503
        worker = Worker(store, None, [destination(behind.collector, otlp_settings.HTTP)], clock_ns=clock)
        put(store, *ORDERS)
        passes(worker, clock, PROBES)
        held_back = (arrived(behind.record), set(waiting(store, LATER)))
        wait_for(lambda: len(behind.copy.logs) >= len(ORDERS) + PROBES - 1, 45)
        copies = len(behind.copy.logs)
        behind.record.status = 200
        passes(worker, clock, 2)
        wait_for(lambda: len(behind.copy.logs) >= copies + len(ORDERS), 45)
        in_the_end = (arrived(behind.record), set(arrived(behind.copy)), waiting(store, LATER), waiting(store, ASIDE))

    assert ([], ids(*ORDERS)) == held_back
    assert len(ORDERS) + PROBES - 1 == copies
    assert (ORDERS, set(ORDERS), {}, {}) == in_the_end


def test_a_dead_backend_of_record_keeps_nothing_but_money_waiting(tmp_path: Path, store: SqliteStore) -> None:
    """While the record is down other events go through the Collector to every backend that lives."""
    spool = Spool(tmp_path / "spool", token="a", head=encode_resource({"service.name": "shop"}))
    clock = Clock()
    with Behind(tmp_path / "behind") as behind:
        behind.record.status = 503
        worker = Worker(store, spool, [destination(behind.collector, otlp_settings.HTTP)], clock_ns=clock)
        put(store, *ORDERS)
        for order in LATE:
            spool.append(event("checkout.start", order_id=order))
            passes(worker, clock, 1)
        wait_for(lambda: len(behind.copy.named("checkout.start")) == len(LATE), 45)
        events = [log.attributes["order_id"] for log in behind.copy.named("checkout.start")]
    spool.close()

    assert (LATE, ids(*ORDERS)) == (sorted(events), set(waiting(store, LATER)))


def test_a_dead_backend_beside_the_record_delays_nothing(tmp_path: Path, store: SqliteStore) -> None:
    """While another backend is down payments are acknowledged at once; it gets them from its queue, after a kill -9 as well."""
    clock = Clock()
    with Behind(tmp_path) as behind:
        behind.copy.status = 503
        worker = Worker(store, None, [destination(behind.collector, otlp_settings.HTTP)], clock_ns=clock)
        put(store, *ORDERS)
        passes(worker, clock, 1)
        at_once = (arrived(behind.record), waiting(store, LATER), arrived(behind.copy))
        behind.collector.kill()
        behind.copy.status = 200
        behind.collector.start()
        wait_for(lambda: len(behind.copy.logs) >= len(ORDERS), 45)
        afterwards = sorted(set(arrived(behind.copy)))

    assert ((ORDERS, {}, []), sorted(ORDERS)) == (at_once, afterwards)


def test_a_collector_that_is_killed_before_the_answer_loses_nothing(tmp_path: Path, store: SqliteStore) -> None:
    """Payments on their way through a Collector that gets a kill -9 were not acknowledged, and are sent again to its successor."""
    clock = Clock()
    with Behind(tmp_path) as behind:
        behind.record.delay_s = (
            20  # longer than the Collector waits: it has no good answer to pass on, however slow the machine
        )
        worker = Worker(store, None, [destination(behind.collector, otlp_settings.HTTP)], clock_ns=clock)
        put(store, *ORDERS)
        sending = threading.Thread(target=worker.run_once)
        sending.start()
        reached = wait_for(lambda: bool(behind.record.logs), 45)
        behind.collector.kill()
        sending.join(60)
        held_back = set(waiting(store, LATER))
        behind.record.delay_s = 0
        behind.collector.start()
        clock.advance(MAX_BACKOFF_S + 2)
        passes(worker, clock, 2)
        in_the_end = (set(arrived(behind.record)), waiting(store, LATER), waiting(store, ASIDE))

    assert (True, ids(*ORDERS)) == (reached, held_back)
    assert (set(ORDERS), {}, {}) == in_the_end


def test_a_full_queue_beside_the_record_loses_nothing(tmp_path: Path, store: SqliteStore) -> None:
    """When a dead backend's queue is full payments wait in the application; when it lives again, each is where it belongs."""
    clock = Clock()
    with Behind(tmp_path, COPY_QUEUE=str(len(ORDERS))) as behind:
        behind.copy.status = 503
        worker = Worker(store, None, [destination(behind.collector, otlp_settings.HTTP)], clock_ns=clock)
        put(store, *ORDERS)
        passes(worker, clock, 1)
        put(store, *LATE)
        passes(worker, clock, PROBES)
        held_back = set(waiting(store, LATER))
        behind.copy.status = 200
        wait_for(lambda: len(behind.copy.logs) >= len(ORDERS), 45)
        passes(worker, clock, 2)
        wait_for(lambda: set(arrived(behind.copy)) == {*ORDERS, *LATE}, 45)
        places = (set(arrived(behind.record)), set(arrived(behind.copy)))
        rows = (waiting(store, LATER), waiting(store, ASIDE))

    assert ids(*LATE) == held_back
    assert (({*ORDERS, *LATE}, {*ORDERS, *LATE}), ({}, {})) == (places, rows)
