# SPDX-License-Identifier: Apache-2.0
"""What a real Kafka broker makes the Collector do: away, without the topic, and with a limit on its messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from collector.backends.play import COLUMNS
from collector.backends.sinks import KafkaSink, broker, orders_in_json
from collector.backends.table import BY_NAME
from support.collector import OLDER, Collector
from support.otlp_events import event, logs_request
from support.receiver import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def test_a_broker_that_is_away_costs_nothing(tmp_path: Path) -> None:
    """
    What the Collector took while no broker answered, and before it was killed, is in the topic when there is one.
    """
    cell = COLUMNS["killed"](BY_NAME["kafka"], tmp_path, 10)

    assert [] == cell.problems


def test_a_topic_that_is_made_later_and_a_request_that_is_too_large(tmp_path: Path) -> None:
    """
    Without the topic everything waits, and a request above a broker's limit is split: neither is dropped.
    """
    sink = KafkaSink(tmp_path)
    broker().door.open()
    names = [f"o-{n}" for n in range(6000)]  # more than a megabyte, and as JSON three
    body = logs_request([event("checkout.start", order_id=name, skus=["poster-a2"] * 12) for name in names])
    environ = {"REVENUE_RECORD": "nop/queued", **sink.variables, "REVENUE_KAFKA_BROKERS": f"[{broker().address}]"}
    with Collector(tmp_path / "collector", ("backends/kafka.yaml",), environ, program=OLDER) as collector:
        answer = collector.post(body).status_code
        waits = wait_for(lambda: "UNKNOWN_TOPIC_OR_PARTITION" in collector.said(), 90)
        sink.up()
        came = wait_for(lambda: set(names) <= set(sink.orders()), 90)
        dropped = "otelcol_exporter_send_failed_log_records" in collector.own_metrics()
    messages = [orders_in_json(json.loads(message)) for message in broker().messages(sink.topic)]
    sink.end()

    assert (True, 200, True, True, False) == (len(body) > 1_000_000, answer, waits, came, dropped)
    assert len(messages) > 1
