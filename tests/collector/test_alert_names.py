# SPDX-License-Identifier: Apache-2.0
"""The alerts' metrics exist under exactly those names: a real Collector is driven into each fault, a real Prometheus is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from support.collector import CONFIG, Collector
from support.far_end import GrpcFarEnd, acknowledged
from support.otlp_events import event, logs_request, paid
from support.own_metrics import record_each
from support.prometheus import Prometheus, written
from support.receiver import Receiver, wait_for

if TYPE_CHECKING:
    from pathlib import Path

# A metric with its label matchers, and the labels that a rule groups by.
SELECTOR = re.compile(r"\b((?:otel_revenue|otelcol|revenue)_\w+)(\{[^}]*\})?")


def selectors(name: str, prefix: str) -> dict[str, set[str]]:
    """Return the metrics that a file of rules asks for, with the labels that it asks of them."""
    found: dict[str, set[str]] = {}
    for metric, matchers in SELECTOR.findall((CONFIG / "alerts" / f"{name}.yaml").read_text(encoding="utf-8")):
        if metric.startswith(prefix):
            found.setdefault(metric, set()).update(re.findall(r"(\w+)[=!]", matchers))
    return found


# -- the applications' ----------------------------------------------------------------------------------------------------------


def record_everything(collector: Collector) -> None:
    """Send each of our metrics once, as an application does."""
    exporter = OTLPMetricExporter(endpoint=f"{collector.url}/v1/metrics", headers=collector.headers)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    record_each(provider.get_meter("otel_revenue"))
    assert provider.force_flush(30_000)
    provider.shutdown()


@pytest.mark.swallow
def test_the_applications_metrics_have_the_names_that_the_rules_ask_for(tmp_path: Path) -> None:
    """Through SDK, Collector and remote write each of our metrics arrives under the rules' name, with the labels that they use."""
    with Receiver() as record, Prometheus(tmp_path / "prometheus") as prometheus:
        environ = written(record, prometheus.write_url)
        files = ("backends/otlp.yaml", "backends/prometheus-remote-write.yaml")
        with Collector(tmp_path / "collector", files, environ) as collector:
            record_everything(collector)
            wanted = selectors("application", "otel_revenue_")

            def missing() -> list[str]:
                series = [dict(labels) for labels in prometheus.query('{__name__=~"otel_revenue_.+"}')]
                return [
                    name
                    for name, labels in wanted.items()
                    if not any(one["__name__"] == name and labels | {"job"} <= set(one) for one in series)
                ]

            wait_for(lambda: not missing(), 45)

            assert [] == missing()


# -- the Collector's ------------------------------------------------------------------------------------------------------------


ASKED: dict[str, set[str]] = selectors("collector", "otelcol_")
LIMITED = "otelcol_processor_memory_limiter_refused_log_records"


@dataclass
class Told:
    """What a Collector in every trouble says about itself, by metric its labels; and the state of each alert about it."""

    labels: dict[str, set[str]]
    alerts: dict[str, str]


AT_ONCE = {"CollectorDropsEvents", "CollectorDropsSpansOrMetrics", "QueueRefuses"}
AFTER_A_WHILE = {"QueueFilling", "QueueAlmostFull", "BackendOfRecordRefusesMoney", "ReceiverRefuses"}
"""Alerts that are pending until their time has passed."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Drive one Collector into refusals and a full queue, and another out of memory."""
    with Receiver(status=400) as backend, GrpcFarEnd(acknowledged) as no_traces:
        environ = {
            **written(backend, f"{backend.url}/v1/logs"),
            "REVENUE_OTLP_QUEUE": "1",
            "REVENUE_TRACING_ENDPOINT": f"127.0.0.1:{no_traces.port}",  # which has no service for traces
            "REVENUE_TRACING_INSECURE": "true",
            "REVENUE_TRACING_WAIT": "1s",
            "REVENUE_TRACING_PERCENT": "100",
        }
        files = ("backends/otlp.yaml", "backends/tracing.yaml", "backends/prometheus-remote-write.yaml", "metrics.yaml")
        with (
            Collector(tmp_path_factory.mktemp("refused"), files, environ) as collector,
            Prometheus(tmp_path_factory.mktemp("prometheus"), watching(collector)) as prometheus,
        ):
            trouble(collector, backend)

            def all_told() -> bool:
                collector.post(logs_request([paid()]))
                return states(prometheus).keys() == AT_ONCE | AFTER_A_WHILE and ASKED.keys() - labels_of(
                    collector
                ).keys() <= {LIMITED}

            wait_for(all_told, 45)
            found = Told(labels_of(collector), states(prometheus))
        with Collector(tmp_path_factory.mktemp("small"), files, {**environ, **SMALL}) as collector:

            def refused() -> bool:
                # The limiter looks at the memory twice a second: the first requests may pass.
                collector.post(logs_request([paid()]))
                return LIMITED in labels_of(collector)

            wait_for(refused, 45)
            found.labels.update({name: labels for name, labels in labels_of(collector).items() if name == LIMITED})
    return found


def watching(collector: Collector) -> str:
    """Return a configuration of Prometheus that scrapes the Collector and has the rules about it."""
    every = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    target = {"job_name": "otelcol", "static_configs": [{"targets": [f"127.0.0.1:{collector.metrics}"]}]}
    return yaml.safe_dump(
        {"global": every, "scrape_configs": [target], "rule_files": [str(CONFIG / "alerts" / "collector.yaml")]}
    )


def states(prometheus: Prometheus) -> dict[str, str]:
    """Return the state of each alert that there is."""
    return {dict(labels)["alertname"]: dict(labels)["alertstate"] for labels in prometheus.query("ALERTS")}


SMALL = {"REVENUE_MEMORY_LIMIT_MIB": "1", "REVENUE_MEMORY_SPIKE_MIB": "0"}


def trouble(collector: Collector, backend: Receiver) -> None:
    """Let what is queued be refused, and the metrics made of it; send a trace that nobody takes; then fill the queue."""
    collector.post(logs_request([event("checkout.start")]))
    failed = {"otelcol_exporter_send_failed_log_records", "otelcol_exporter_send_failed_metric_points"}
    assert wait_for(lambda: failed <= labels_of(collector).keys(), 45)
    backend.status = 503
    for number in range(4):
        collector.post(logs_request([event("checkout.start", order_id=f"o-{number}")]))
    span = ExportTraceServiceRequest()
    one = span.resource_spans.add().scope_spans.add().spans.add(name="GET /", trace_id=b"t" * 16, span_id=b"s" * 8)
    one.start_time_unix_nano, one.end_time_unix_nano = 1, 2
    collector.post(span.SerializeToString(), "/v1/traces")


def labels_of(collector: Collector) -> dict[str, set[str]]:
    """Return the labels of each metric that the Collector has of itself."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(otelcol_\w+)(\{[^}]*\})? ", collector.own_metrics(), re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.mark.parametrize("name", ASKED)
def test_the_collectors_metrics_have_the_names_that_the_rules_ask_for(told: Told, name: str) -> None:
    """The Collector has the metric under exactly this name, with the label that the rules group it by."""
    grouped = {"exporter"} if "_exporter_" in name else {"receiver"} if "_receiver_" in name else set()

    assert (True, set()) == (name in told.labels, (ASKED[name] | grouped) - told.labels.get(name, set()))


def test_the_alerts_see_what_happens_to_a_real_collector(told: Told) -> None:
    """Refusals and a full queue are alerted on at once where they are loss, and after their time where they are none."""
    firing = {name for name, state in told.alerts.items() if state == "firing"}

    assert (AT_ONCE | AFTER_A_WHILE, set()) == (told.alerts.keys(), AT_ONCE - firing)


def test_the_exporter_of_record_is_known_by_its_name() -> None:
    """Each exporter of record that is shipped, and no other exporter, is what the rules take for one."""
    (pattern,) = set(re.findall(r'exporter[!=]~"([^"]+)"', (CONFIG / "alerts" / "collector.yaml").read_text()))
    exporters = [
        name
        for path in (CONFIG / "backends").glob("*.yaml")
        for name in re.findall(r"^  (\w+/\w+):", path.read_text(), re.MULTILINE)
    ]
    of_record = {
        name
        for path in (CONFIG / "backends").glob("*.yaml")
        for name in re.findall(r'== "(\w+/\w+)"', path.read_text())
    }

    assert of_record == {name for name in exporters if re.fullmatch(pattern, name)}
