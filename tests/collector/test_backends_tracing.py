# SPDX-License-Identifier: Apache-2.0
"""Which traces are kept: those with money or an error, the slow ones, and some of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.backends.sinks import OtlpSink, TracingSink
from support.collector import Collector
from support.otlp_events import SECOND, T0
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = ("backends/otlp.yaml", "backends/tracing.yaml")
Running = tuple[Collector, TracingSink]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A Collector that keeps none of the rest, and judges after a second."""
    money, sink = OtlpSink(tmp_path), TracingSink(tmp_path)
    sink.up()
    environ = {**money.variables, **sink.variables, "REVENUE_RECORD": "nop/queued"}
    with Collector(tmp_path / "collector", FILES, environ) as collector:
        yield collector, sink
    sink.end()


def span(
    trace: int, number: int, *, seconds: float = 0.1, error: bool = False, name: str = "GET /", **attributes: str
) -> Span:
    made = Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name=name,
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=T0,
        end_time_unix_nano=T0 + int(seconds * SECOND),
        attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()],
    )
    if error:
        made.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
    return made


def post(collector: Collector, *spans: Span) -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add(spans=spans)
    assert 200 == collector.post(request.SerializeToString(), "/v1/traces").status_code


def kept(sink: TracingSink) -> set[tuple[int, int]]:
    """Trace and span of all that arrived."""
    return {
        (int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big"))
        for body in list(sink.far_end.bodies)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def test_money_errors_and_slow_ones_are_kept_whole(running: Running) -> None:
    """
    A trace with an order, an event of money, a payment's span, an error or a slow request is kept with all its spans; others are not.
    """
    collector, sink = running
    told = span(2, 21)
    told.events.add(name="order.paid")
    for first in (
        span(1, 11, order_id="order-1"),
        told,
        span(3, 31, name="checkout.payment"),
        span(4, 41, error=True),
        span(5, 51, seconds=5),
        span(6, 61),
        span(7, 71, tier="pro"),
    ):
        trace, number = int.from_bytes(first.trace_id, "big"), int.from_bytes(first.span_id, "big")
        post(collector, span(trace, number + 1), first)
    expected = {(trace, trace * 10 + n) for trace in (1, 2, 3, 4, 5) for n in (1, 2)}
    wait_for(lambda: expected <= kept(sink), 45)
    post(collector, span(8, 81, order_id="order-8"))  # judged after the others: what was to come has come
    assert wait_for(lambda: (8, 81) in kept(sink), 45)

    assert expected | {(8, 81)} == kept(sink)


def test_an_order_that_comes_late_is_kept(running: Running) -> None:
    """
    A span with an order that ends after its trace was judged and dropped is kept by itself; one of a trace that was kept goes with it.
    """
    collector, sink = running
    rounds = [
        [span(1, 11), span(2, 21, order_id="order-2")],
        [span(3, 31), span(4, 41, order_id="order-4")],
        [span(5, 51, order_id="order-5")],
    ]
    for spans in rounds:  # each is judged before the next begins: then 1 is forgotten, since 3 came after it
        for made in spans:
            post(collector, made)
        last = int.from_bytes(spans[-1].trace_id, "big")
        assert wait_for(lambda last=last: (last, last * 10 + 1) in kept(sink), 45)
    post(collector, span(1, 12, order_id="order-1"), span(2, 22))
    wait_for(lambda: {(1, 12), (2, 22)} <= kept(sink), 45)

    assert {(2, 21), (4, 41), (5, 51), (2, 22), (1, 12)} == kept(sink)
