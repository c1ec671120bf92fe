# SPDX-License-Identifier: Apache-2.0
"""What is in ClickHouse in the end: each event once, typed, whenever and however often it came."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from collector.backends.sinks import ClickHouseSink
from otel_revenue.schema.events import EVENTS
from otel_revenue.schema.fields import attributes_of
from support.collector import CONFIG, Collector
from support.otlp_events import event, logs_request, paid
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = ("backends/clickhouse.yaml",)
RECORD = {"REVENUE_RECORD": "clickhouse/clickhouse_record"}
QUERIES = dict(
    re.findall(
        r"-- name: (\w+)\n(.*?);\n(?=\n|$)",
        (CONFIG / "clickhouse/queries.sql").read_text(encoding="utf-8") + "\n",
        re.DOTALL,
    )
)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[ClickHouseSink]:
    (tmp_path / "clickhouse").mkdir()
    sink = ClickHouseSink(tmp_path / "clickhouse")
    yield sink
    sink.end()


def test_the_numbers_are_those_of_the_events(tmp_path: Path, sink: ClickHouseSink) -> None:
    """
    Copies count once in every query, types and exact amounts are kept, and test mode is in no sum.
    """
    now = time.time_ns()
    sold = [
        paid(f"o-{n}", 9_007_199_254_740_993 if n == 0 else 5_000, at=now, tier="pro", surface="home") for n in range(3)
    ]
    sold += [paid("o-test", 10**6, at=now, livemode=False), paid("o-yen", 3_000, at=now, currency="JPY", tier="basic")]
    begun = [event("checkout.start", at=now - 3 * 10**9, order_id=f"o-{n}", skus=["a", "b"]) for n in range(4)]
    begun += [
        event("checkout.session_created", at=now - 10**9, order_id=f"o-{n}", elapsed_ms=700, livemode=True)
        for n in range(3)
    ]
    sink.up()
    with Collector(tmp_path / "collector", FILES, {**sink.variables, **RECORD}) as collector:
        for body in [*sold, *begun, *sold]:
            assert 200 == collector.post(logs_request([body])).status_code
        assert wait_for(lambda: len(sink.server.query("SELECT 1 FROM revenue.events")) >= 12, 45)
    answers: dict[str, list[dict[str, Any]]] = {name: sink.server.query(sql) for name, sql in QUERIES.items()}
    skus = sink.server.query("SELECT DISTINCT skus FROM revenue.events WHERE event_name = 'checkout.start'")

    eur = {"currency": "EUR", "payments": 3, "amount_minor": 9_007_199_254_740_993 + 10_000}
    yen = {"currency": "JPY", "payments": 1, "amount_minor": 3_000}
    assert [eur, yen] == answers["books"]
    assert [eur, yen] == [{k: row[k] for k in eur} for row in answers["revenue_by_day"]]
    assert [{"started": 4, "session_created": 3, "paid": 3}] == answers["funnel"]
    assert ("EUR", "pro", 3, 5_000) == tuple(
        answers["average_order_value_by_tier"][0][k] for k in ("currency", "tier", "orders", "median_minor")
    )
    assert {"home": 3, "unknown": 1} == {row["place"]: row["payments"] for row in answers["revenue_by_surface"]}
    assert [{"slowness": "< 1 s", "started": 3, "bought": 3, "conversion": 1}] == answers["conversion_by_slowness"]
    assert {"order.paid": 5, "checkout.start": 4, "checkout.session_created": 3} == {
        row["event_name"]: row["events"] for row in answers["copies"]
    }
    assert [{"skus": ["a", "b"]}] == skus


def test_an_event_has_its_name_when_clickhouse_was_away_at_the_start(tmp_path: Path, sink: ClickHouseSink) -> None:
    """
    The exporter looks for the column of the name once, at its start; when nobody answered then, the attribute fills it.
    """
    with Collector(tmp_path / "collector", FILES, {**sink.variables, "REVENUE_RECORD": "nop/queued"}) as collector:
        answer = collector.post(logs_request([paid("o-1")])).status_code
        sink.up()
        came = wait_for(lambda: sink.orders() == ["o-1"], 90)
    rows = sink.server.query("SELECT event_name, amount_minor, livemode FROM revenue.events")

    assert (200, True, [{"event_name": "order.paid", "amount_minor": 4999, "livemode": True}]) == (answer, came, rows)


def test_a_wrong_password_and_a_missing_table_lose_nothing(tmp_path: Path, sink: ClickHouseSink) -> None:
    """
    Every error of ClickHouse is taken for one that passes: what waits arrives when password and table are there.
    """
    sink.server.start()
    environ = {**sink.variables, "REVENUE_CLICKHOUSE_PASSWORD": "another", "REVENUE_RECORD": "nop/queued"}
    with Collector(tmp_path / "collector", FILES, environ) as collector:
        answers = [collector.post(logs_request([paid(f"o-{n}")])).status_code for n in range(3)]
        refused = wait_for(lambda: "AUTHENTICATION_FAILED" in collector.said(), 45)
        collector.environ = {**environ, **sink.variables}
        collector.stop()
        collector.start()
        missing = wait_for(lambda: "UNKNOWN_TABLE" in collector.said() or "UNKNOWN_DATABASE" in collector.said(), 45)
        sink.server.kill()
        sink.up()
        came = wait_for(lambda: {"o-0", "o-1", "o-2"} == set(sink.orders()), 90)
        dropped = "otelcol_exporter_send_failed_log_records" in collector.own_metrics()

    assert ([200] * 3, True, True, True, False) == (answers, refused, missing, came, dropped)


def test_the_schema_has_a_column_for_every_attribute(sink: ClickHouseSink) -> None:
    """
    Each attribute of each event is a column of the view, and running the schema again changes nothing.
    """
    sink.up()
    sink.server.run((CONFIG / "clickhouse/schema.sql").read_text(encoding="utf-8"))
    columns = {row["name"] for row in sink.server.query("DESCRIBE TABLE revenue.events")}

    assert set() == {wire.replace(".", "_") for event in EVENTS for wire in attributes_of(event)} - columns
