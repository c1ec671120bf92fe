# SPDX-License-Identifier: Apache-2.0
"""
Outbox and spool through the real senders to real servers: each sender × each mood of the far end.

Each event ends delivered or set aside, under its own `event_id`, as the server's own protobuf reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from otel_revenue.delivery import destinations, otlp_settings
from otel_revenue.delivery.outcome import MAX_BACKOFF_S
from otel_revenue.delivery.spool import Spool
from otel_revenue.delivery.worker import Worker
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import ASIDE, LATER
from otel_revenue.signals.otlp import encode_resource, encode_scope
from support.delivery import Clock, event_id, put, record, waiting
from support.far_end import GrpcFarEnd, HttpFarEnd, answer, raw

if TYPE_CHECKING:
    import threading
    from pathlib import Path

MONEY = [f"money-{n}" for n in range(12)]
FUNNEL = [f"funnel-{n}" for n in range(12)]
BAD = {"money-4", "funnel-7", "funnel-8"}

Judge = Callable[[list[str]], "int | str | list[str]"]
"""Gets the orders of a request: an HTTP status, a word for another end, or the orders that it rejects of them."""

GRPC = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    413: grpc.StatusCode.UNKNOWN,
    500: grpc.StatusCode.UNKNOWN,
    503: grpc.StatusCode.UNAVAILABLE,
}


class Server:
    """Decides by `judge` and remembers what it has taken."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.taken: list[str] = []

    def judge(self, body: bytes) -> int | str | bytes:
        """Return a status, a word, or an `ExportLogsServiceResponse`."""
        request = ExportLogsServiceRequest.FromString(body)
        found = [
            {pair.key: pair.value.string_value for pair in log.attributes}
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for log in scope.log_records
        ]
        verdict = self._judge([event["order_id"] for event in found])
        if not isinstance(verdict, list):
            return verdict
        self.taken += [event["event_id"] for event in found if event["order_id"] not in verdict]
        response = ExportLogsServiceResponse()
        if verdict:
            response.partial_success.rejected_log_records = len(verdict)
        return response.SerializeToString()

    def http(self, connection: Any, request: Any, over: threading.Event) -> bool:
        verdict = self.judge(request.body)
        if isinstance(verdict, bytes):
            return answer(200, verdict)(connection, request, over)
        if verdict == "cut":
            return raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")(connection, request, over)
        if verdict == "hang":
            return over.wait(60)
        return answer(int(verdict))(connection, request, over)

    def grpc(self, body: bytes, context: grpc.ServicerContext, over: threading.Event) -> bytes:
        verdict = self.judge(body)
        if isinstance(verdict, bytes):
            return verdict
        if verdict == "hang":
            over.wait(60)
        context.abort(GRPC.get(verdict, grpc.StatusCode.INTERNAL), "no")  # type: ignore[call-overload]
        raise AssertionError


def _first(*verdicts: int | str) -> Judge:
    left = list(verdicts)
    return lambda orders: left.pop(0) if left else []


MOODS: dict[str, tuple[Callable[[], Judge], set[str], set[str]]] = {
    # name: judge, what is set aside, what waits by itself
    "accepts": (lambda: lambda orders: [], set(), set()),
    "busy, then accepts": (lambda: _first(503, 503, 503, 503), set(), set()),
    "a wrong key, then the right one": (lambda: _first(401, 401, 401), set(), set()),
    "a bug, then none": (lambda: _first(500, 500, 500, 500, 500, 500, 500), set(), set()),
    "hangs, then accepts": (lambda: _first("hang"), set(), set()),
    "cuts its answers, then does not": (lambda: _first("cut", "cut"), set(), set()),
    "refuses some": (lambda: lambda orders: 400 if BAD & set(orders) else [], BAD, set()),
    "takes the others of a request": (lambda: lambda orders: [o for o in orders if o in BAD], BAD, set()),
    "takes few at a time": (lambda: lambda orders: 413 if len(orders) > 3 else [], set(), set()),
    "has a bug with some": (lambda: lambda orders: 500 if BAD & set(orders) else [], set(), BAD),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[tuple[SqliteStore, Spool]]:
    store = SqliteStore(tmp_path / "ledger.sqlite3", busy_s=5)
    spool = Spool(tmp_path / "spool", token="a", head=encode_resource({"service.name": "shop"}))
    put(store, *MONEY)
    for order in FUNNEL:
        spool.append(record(order))
    yield store, spool
    spool.close()
    store.close()


@pytest.mark.parametrize("protocol", [otlp_settings.HTTP, otlp_settings.GRPC], ids=["http", "grpc"])
@pytest.mark.parametrize(("judge", "aside", "alone"), MOODS.values(), ids=MOODS.keys())
def test_every_event_ends_where_it_belongs(
    judge: Callable[[], Judge], aside: set[str], alone: set[str], protocol: str, folder: tuple[SqliteStore, Spool]
) -> None:
    """
    Whatever the server does, what it can take it has, what it refuses is set aside, what it fails on waits, and the rest goes on.
    """
    store, spool = folder
    server, clock = Server(judge()), Clock()
    far_end: Any = HttpFarEnd(server.http) if protocol == otlp_settings.HTTP else GrpcFarEnd(server.grpc)
    with far_end:
        settings = otlp_settings.read(
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{far_end.port}",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            }
        )
        sender = destinations.otlp(settings, encode_resource({}), encode_scope("otel_revenue", "1"), "1")
        worker = Worker(store, spool, [sender], clock_ns=clock)
        for _ in range(60):
            worker.run_once()
            clock.advance(MAX_BACKOFF_S + 2)
        sender.close()

    good = {event_id(order) for order in {*MONEY, *FUNNEL} - aside - alone}
    assert (good, {event_id(o) for o in aside}, {event_id(o) for o in alone}, 0) == (
        set(server.taken),
        set(waiting(store, ASIDE)),
        set(waiting(store, LATER)),
        spool.waiting("otlp"),
    )
