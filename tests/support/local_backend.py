"""What `otel-revenue dev` runs, in this process: a real server on loopback over a real database file."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import requests

from otel_revenue.analytics.orders import Query
from otel_revenue.analytics.period import Period
from otel_revenue.analytics.server import LocalServer, note_file
from otel_revenue.analytics.source import ServerSource
from otel_revenue.analytics.store import PaidOrder, Store

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.analytics.figures import Report
    from otel_revenue.analytics.funnel_figures import FunnelReport

PROTOBUF = {"Content-Type": "application/x-protobuf"}
ALL_TIME = Query(Period(0, 2**62, "UTC"))


class Backend:
    def __init__(self, database: Path) -> None:
        self.database = database
        self.paid: list[PaidOrder] = []
        self.store = Store(database)
        self.server = LocalServer(self.store, port=0, on_paid=self.paid.extend)
        self.url = self.server.url
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not note_file(database).exists():
            time.sleep(0.01)

    def post(self, body: bytes, path: str = "/v1/logs", headers: dict[str, str] = PROTOBUF) -> requests.Response:
        return requests.post(self.url + path, data=body, headers=headers, timeout=30)

    def report(self) -> Report:
        return ServerSource(self.url).report(ALL_TIME)

    def funnel(self, query: Query = ALL_TIME) -> FunnelReport:
        return ServerSource(self.url).funnel(query)

    def close(self) -> None:
        self.server.stop()
        self.thread.join()
        self.store.close()
