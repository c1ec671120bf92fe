"""The local backend as a whole: real sockets, a real database file, and what the report then says."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from otel_revenue.analytics.period import Period
from otel_revenue.analytics.report import Query
from otel_revenue.analytics.server import LocalServer
from otel_revenue.analytics.source import open_source
from otel_revenue.analytics.store import PaidOrder, Store
from support.otlp_events import logs_request, paid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROTOBUF = {"Content-Type": "application/x-protobuf"}
ALL_TIME = Period(0, 2**62, "UTC")


class Backend:
    def __init__(self, database: Path) -> None:
        self.database = database
        self.paid: list[PaidOrder] = []
        self.store = Store(database)
        self.server = LocalServer(self.store, port=0, on_paid=self.paid.extend)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def post(self, body: bytes, path: str = "/v1/logs", **headers: str) -> requests.Response:
        return requests.post(self.server.url + path, data=body, headers={**PROTOBUF, **headers}, timeout=30)

    def close(self) -> None:
        self.server.stop()
        self.thread.join()
        self.store.close()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    running = Backend(tmp_path / "local.duckdb")
    yield running
    running.close()


def test_a_payment_that_is_sent_again_is_counted_once(backend: Backend) -> None:
    """
    What is delivered twice, in one request or in two, compressed or not, is one payment in the report.
    """
    first, second = paid(order_id="o-1", amount_minor=4999), paid(order_id="o-2", amount_minor=1)
    body = logs_request([first, second, first])

    answers = [backend.post(body), backend.post(gzip.compress(body), **{"Content-Encoding": "gzip"})]
    report = open_source(backend.database).report(Query(ALL_TIME))

    assert [200, 200] == [answer.status_code for answer in answers]
    assert [("EUR", 2, 5000)] == [(row.currency, row.payments, row.gross_minor) for row in report.currencies]
    assert {"o-1", "o-2"} == {order.order_id for order in backend.paid}
    assert 2 == len(backend.paid)


def test_the_report_is_the_same_from_the_server_and_from_the_file(backend: Backend) -> None:
    """
    While `dev` runs it is asked, afterwards the file is read: the same numbers.
    """
    backend.post(logs_request([paid(order_id=f"o-{n}", amount_minor=100 + n) for n in range(50)]))

    running = open_source(backend.database)
    while_it_runs = running.report(Query(ALL_TIME))
    backend.close()
    afterwards = open_source(backend.database).report(Query(ALL_TIME))

    assert "ServerSource" == type(running).__name__
    assert while_it_runs.currencies == afterwards.currencies
    assert while_it_runs.tiers == afterwards.tiers
    assert while_it_runs.quality == afterwards.quality
