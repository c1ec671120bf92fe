"""What passes the base is whole, and what looks like personal data is masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_revenue.instrumentation.stripe import calls
from otel_revenue.schema.events import EVENTS, OrderPaid
from otel_revenue.schema.fields import attributes_of
from otel_revenue.signals import spans
from support.canaries import attributes, text
from support.everything import Everything
from support.personal import KEPT, MASKED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNSEEN = {
    "４２４２４２４２４２４２４２４２ full-width",
    "4222222222222",  # of 13 digits there are many orders and few cards
    "order_4242424242424242_eur",
    "ORD4242424242424242",
    "+٤٩ ١٧١ ١٢٣٤٥٦٧",
    "from nl91abna0417164300",
}
"""What the application masks and a pattern of RE2 does not find."""

OVERDONE = {"42424242-4242-4242-8242-424242424242"}
"""What a pattern takes for a card's number: a UUID without a letter."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with Everything(tmp_path_factory.mktemp("everything")) as running:
        yield running


@pytest.fixture
def everything(running: Everything) -> Everything:
    running.receiver.bodies.clear()
    return running


def texts(everything: Everything, key: str, values: list[str]) -> list[str | None]:
    """What becomes of *values* under *key* of a funnel event."""
    records = [LogRecord(event_name="checkout.start", attributes=attributes({key: text})) for text in values]
    assert 200 == everything.send_logs(records)
    return [
        next((pair.value.string_value for pair in record.attributes if pair.key == key), None)
        for record in everything.logs()
    ]


def test_every_declared_attribute_arrives_as_it_was_sent(everything: Everything) -> None:
    """Each event of the schema passes whole, type by type, with its times and ids; `event.name` is added."""
    sent = [
        LogRecord(
            event_name=event.event_name,
            time_unix_nano=1_790_000_000_000_000_001,
            observed_time_unix_nano=1_790_000_000_000_000_002,
            severity_number=9,
            trace_id=b"t" * 16,
            span_id=b"s" * 8,
            flags=1,
            attributes=attributes({wire: info.example for wire, info in attributes_of(event).items()}),
        )
        for event in EVENTS
    ]

    status = everything.send_logs(sent)
    for record in sent:
        record.attributes.append(KeyValue(key="event.name", value=text(record.event_name)))
        record.body.string_value = ""
    ordered = sorted(
        everything.logs(), key=lambda record: [event.event_name for event in EVENTS].index(record.event_name)
    )

    assert (200, sent) == (status, ordered)


def test_integers_of_money_are_exact(everything: Everything) -> None:
    """An amount above 2^53, which no double holds, arrives to the unit."""
    record = LogRecord(event_name="order.paid", attributes=attributes({"amount_minor": 9_007_199_254_740_993}))

    everything.send_logs([record])

    assert 9_007_199_254_740_993 == everything.logs()[0].attributes[0].value.int_value


def test_the_collector_masks_nearly_all_that_the_application_masks(everything: Everything) -> None:
    """Of the texts in which the application masks personal data, the second net finds all but those named here."""
    samples = sorted({around.replace("{}", personal) for _, personal, around in MASKED})
    short = [sample for sample in samples if len(sample) < 200]

    passed = {sample for sample, seen in zip(short, texts(everything, "tier", short), strict=True) if seen == sample}

    assert UNSEEN == passed


@pytest.mark.parametrize("key", ["tier", "order_id"])
def test_labels_and_ids_that_are_none_stay(everything: Everything, key: str) -> None:
    """Order numbers, SKUs, dates, versions and labels pass unchanged."""
    altered = {kept for kept, seen in zip(KEPT, texts(everything, key, KEPT), strict=True) if seen != kept}

    assert OVERDONE == altered


def test_an_id_is_whole_or_absent(everything: Everything) -> None:
    """An id that looks like personal data is left out: half-masked ones would fall together."""
    assert [None] == texts(everything, "order_id", ["order of jane@example.com"])


def test_of_a_key_that_is_sent_twice_no_copy_is_unseen(everything: Everything) -> None:
    """The second copy of a key, which conditions do not see, is removed."""
    canary = everything.canaries.one("second copy")
    twice = [*attributes({"tier": "pro"}), KeyValue(key="tier", value=AnyValue(bytes_value=canary.encode()))]

    status = everything.send_logs(
        [LogRecord(event_name=name, attributes=twice) for name in ("order.paid", "checkout.start", "")]
    )
    status_of_spans = everything.send_spans(
        [Span(attributes=twice, events=[Span.Event(name="order.paid", attributes=twice)])]
    )

    assert (200, 200, []) == (status, status_of_spans, everything.leaks())


def test_text_is_cut_below_255_bytes(everything: Everything) -> None:
    """What is longer than the application lets be is cut, between characters."""
    assert ["Ü" * 127] == texts(everything, "surface", ["Ü" * 200])


def test_an_ordinary_log_keeps_its_text_without_the_address(everything: Everything) -> None:
    """The body and the known attributes of other logs pass, masked; names of machines and unknown keys do not."""
    everything.send_logs(
        [
            LogRecord(
                body=text("login of jane@example.com failed"),
                attributes=attributes({"code.function.name": "login", "note": "x"}),
            )
        ]
    )

    log = everything.logs()[0]

    assert ("login of **** failed", ["code.function.name"]) == (
        log.body.string_value,
        [pair.key for pair in log.attributes],
    )


def test_what_cannot_be_cleaned_is_refused(tmp_path: Path) -> None:
    """A statement that fails lets nothing by: the sender hears that the request was not taken, and no backend has it."""
    broken = tmp_path / "broken.yaml"
    statement = 'set(log.attributes["tier"], ParseJSON("no json"))'
    broken.write_text(f"processors: {{transform/clip: {{log_statements: [{{statements: ['{statement}']}}]}}}}\n")
    with Everything(tmp_path / "run", (broken,)) as everything:
        statuses = [everything.send_logs([LogRecord(event_name=name)]) for name in ("order.paid", "checkout.start", "")]

    assert ([503, 503, 503], []) == (statuses, everything.receiver.bodies)


@pytest.mark.parametrize(("setting", "links"), [("", 0), ("keep", 1)])
def test_links_of_spans_go_unless_they_are_trusted(tmp_path: Path, setting: str, links: int) -> None:
    """No statement can clean a link, so all are removed; whoever cleans them in the SDK says `REVENUE_SPAN_LINKS=keep`."""
    with Everything(tmp_path, environ={"REVENUE_SPAN_LINKS": setting} if setting else {}) as everything:
        everything.send_spans([Span(name="GET /", links=[Span.Link(trace_id=b"t" * 16, span_id=b"s" * 8)])])
        span = everything.spans()[0]

    assert ("GET /", links) == (span.name, len(span.links))


def test_of_a_traces_state_the_sampling_stays(everything: Everything) -> None:
    """What OpenTelemetry's sampling notes in a trace's state passes, what a vendor or an application notes there does not."""
    states = ["ot=th:8", "ot=th:ef;rv:1234567890abcd", "vendor=jane", "ot=th:8,vendor=jane", ""]

    everything.send_spans([Span(name="GET /", trace_state=state) for state in states])

    assert [*states[:2], "", "", ""] == [span.trace_state for span in everything.spans()]


def test_our_own_spans_pass_whole(everything: Everything) -> None:
    """What the span of a call of Stripe's says passes, the order's context on a request's span too."""
    call = {
        "http.request.method": "POST",
        calls.URL_TEMPLATE: "/v1/checkout/sessions/{session}",
        "server.address": "api.stripe.com",
        "server.port": 443,
        "http.response.status_code": 402,
        "error.type": "card_error",
        calls.REQUEST_ID: "req_Ab12Cd34Ef56Gh",
        calls.ERROR_CODE: "card_declined",
        calls.DECLINE_CODE: "insufficient_funds",
        calls.API_VERSION: "2026-10-28.clover",
        calls.REPLAYED: True,
    }
    context = {key: info.example for key, info in attributes_of(OrderPaid).items() if key in spans.ORDER_CONTEXT}
    sent = [Span(name="POST /v1/checkout/sessions", attributes=attributes(said)) for said in (call, context)]

    everything.send_spans(sent)

    assert [(s.name, s.attributes) for s in sent] == [(s.name, s.attributes) for s in everything.spans()]


@pytest.mark.parametrize(
    ("name", "left"), [("shop.orders.v2", "shop.orders.v2"), ("user.491711234567.logins", "other")]
)
def test_a_name_with_a_telephone_number_in_it_does_not_leave(everything: Everything, name: str, left: str) -> None:
    """Names of loggers, metrics and other logs pass where they name code, and not where a person's number is in them."""
    scope = InstrumentationScope(name=name)
    logs = ScopeLogs(scope=scope, log_records=[LogRecord(event_name=name)])
    metrics = ScopeMetrics(
        scope=scope, metrics=[Metric(name=name, gauge=Gauge(data_points=[NumberDataPoint(as_int=1)]))]
    )

    everything.send(ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[logs])]), "/v1/logs")
    everything.send(
        ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(scope_metrics=[metrics])]), "/v1/metrics"
    )
    log_body, metric_body = everything.receiver.bodies
    log = ExportLogsServiceRequest.FromString(log_body).resource_logs[0].scope_logs[0]
    metric = ExportMetricsServiceRequest.FromString(metric_body).resource_metrics[0].scope_metrics[0]

    assert (left, left, left if left == name else "") == (
        log.scope.name,
        metric.scope.name,
        log.log_records[0].event_name,
    )
    assert left == metric.metrics[0].name
