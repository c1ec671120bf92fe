# SPDX-License-Identifier: Apache-2.0
"""metrics.yaml on a real Collector that writes to a real Prometheus: exact names, labels and values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from otel_revenue.schema.events import EVENTS
from otel_revenue.schema.fields import attributes_of
from otel_revenue.signals import otlp
from support.collector import CONFIG, Collector
from support.otlp_events import T0, event, logs_request, paid
from support.ports import free_port
from support.prometheus import Prometheus, written
from support.receiver import Receiver, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = ("metrics.yaml", "backends/otlp.yaml", "backends/prometheus-remote-write.yaml")
SHOP = {"job": "shop", "service_name": "shop", "collector": "one"}


def raw(name: str, **attributes: Any) -> bytes:
    """One record of an event that the schema of today need not know."""
    framed = [
        b"\x32" + otlp.varint(len(pair)) + pair for pair in (otlp.encode_key_value(k, v) for k, v in attributes.items())
    ]
    return otlp.encode_log_record(time_ns=T0, observed_ns=T0, event_name=name, attributes=framed)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Where the Collector writes to."""
    with Prometheus(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.fixture(scope="module")
def sent(prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Everything that the tests look at, sent once; returns where it has arrived."""
    first = paid("o-1", 1999, tier="pro", country="DE", surface="pricing")
    refused = paid("o-10", 300, currency="SEK")
    events = [
        refused,  # once more: the backend of record was away
        first,
        first,  # once more, with the same event_id
        paid("o-2", 4999, tier="pro", country="DE", surface="pricing"),
        paid("o-3", 700, tier="pro", country="DE", surface="pricing", livemode=False),
        paid("o-4", 12000, currency="JPY", tier="pro", country="JP", surface="pricing"),
        paid("o-5", 100),  # knows neither tier, country nor surface
        paid("o-6", 0, currency="CHF"),
        paid("o-7", 9_007_199_254_740_993, currency="KWD"),  # a double has no such number
        paid("o-8", 555, synthetic=True),
        paid("o-9", 555, replayed=True),
        raw("order.paid", event_id="e", currency="EUR", livemode=True, payment_kind="one_off", amount_minor=1, colour="red"),
        raw("order.paid", event_id="f", currency="USD", livemode=True),  # without an amount
        raw("order.refunded", event_id="g", currency="EUR", livemode=True, amount_minor=500),
        raw("order.refunded", event_id="h", currency="EUR", livemode=True, amount_minor=0),
        event("checkout.session_created", livemode=True),
        event("checkout.start"),
        event("checkout.start", synthetic=True),
        event("checkout.session_created", livemode=True, order_id="o-2"),
    ]  # fmt: skip
    with Receiver() as record:
        environ = {**written(record, prometheus.write_url), "REVENUE_REMOTE_WRITE_COLLECTOR": "one"}
        with Collector(tmp_path_factory.mktemp("collector"), FILES, environ) as collector:
            record.status = 503
            assert 503 == collector.post(logs_request([refused])).status_code
            record.status = 200
            assert [200] == sorted({collector.post(logs_request([one])).status_code for one in events})
            assert wait_for(lambda: list(prometheus.query("sum(revenue_funnel_events_total)").values()) == [17.0], 45)
            yield prometheus


def labels(**more: str) -> tuple[tuple[str, str], ...]:
    """Return the labels of a series of the shop."""
    return tuple(sorted({**SHOP, **more}.items()))


FULL = {
    "currency": "EUR",
    "country": "DE",
    "tier": "pro",
    "surface": "pricing",
    "payment_kind": "one_off",
    "livemode": "true",
}
POOR = {"currency": "EUR", "payment_kind": "one_off", "livemode": "true"}


def of(sent: Prometheus, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the values of a metric by labels, without its name and scope."""
    return {
        tuple((key, value) for key, value in found if key != "__name__" and not key.startswith("otel_scope_")): value
        for found, value in sent.query(name).items()
    }


def test_orders_are_counted_by_their_labels(sent: Prometheus) -> None:
    """Each payment counts once for each time that it was sent, whatever it does not know; not the synthetic, not the replayed."""
    expected = {
        labels(**FULL): 3,  # one of two was sent twice: there is no dedupe in a metric
        labels(**{**FULL, "livemode": "false"}): 1,
        labels(**{**FULL, "currency": "JPY", "country": "JP"}): 1,
        labels(**POOR): 2,
        labels(**{**POOR, "currency": "CHF"}): 1,
        labels(**{**POOR, "currency": "SEK"}): 2,  # one order, whose first try was refused
        labels(**{**POOR, "currency": "KWD"}): 1,
        labels(currency="USD", livemode="true"): 1,
    }

    assert expected == of(sent, "revenue_orders_total")


def test_money_is_summed_by_currency_in_minor_units(sent: Prometheus) -> None:
    """Live money and test money, yen and euros are series of their own; an order without an amount adds none."""
    expected = {
        labels(**FULL): 2 * 1999 + 4999,
        labels(**{**FULL, "livemode": "false"}): 700,
        labels(**{**FULL, "currency": "JPY", "country": "JP"}): 12000,
        labels(**POOR): 101,
        labels(**{**POOR, "currency": "CHF"}): 0,
        labels(**{**POOR, "currency": "SEK"}): 600,
        labels(**{**POOR, "currency": "KWD"}): 9_007_199_254_740_992,  # Prometheus knows doubles alone
    }

    assert expected == of(sent, "revenue_amount_total")


def test_the_histogram_of_order_values_has_few_labels(sent: Prometheus) -> None:
    """Count, sum and buckets of what one order is worth, by currency and mode alone."""
    euro = labels(currency="EUR", livemode="true")
    buckets = {
        dict(found)["le"]: value
        for found, value in of(sent, 'revenue_order_value_bucket{currency="EUR",livemode="true"}').items()
    }

    assert (5, 9098.0, {"500.0": 2, "1000.0": 2, "2000.0": 4, "5000.0": 5, "+Inf": 5}) == (
        of(sent, "revenue_order_value_count")[euro],
        of(sent, "revenue_order_value_sum")[euro],
        {
            f"{float(le)}" if le != "+Inf" else le: n
            for le, n in buckets.items()
            if le in ("500", "1000", "2000", "5000", "+Inf")
        },
    )


def test_refunds_are_metrics_of_their_own(sent: Prometheus) -> None:
    """Money that went back never lowers a counter: it has its own."""
    euro = labels(currency="EUR", livemode="true")

    assert ({euro: 2}, {euro: 500}) == (of(sent, "revenue_refunds_total"), of(sent, "revenue_refunded_total"))


def test_the_funnel_is_counted_by_event(sent: Prometheus) -> None:
    """Each step counts by its name, with the mode where the event knows it."""
    expected = {
        labels(event_name="order.paid", livemode="true"): 11,
        labels(event_name="order.paid", livemode="false"): 1,
        labels(event_name="order.refunded", livemode="true"): 2,
        labels(event_name="checkout.session_created", livemode="true"): 2,
        labels(event_name="checkout.start"): 1,
    }

    assert expected == of(sent, "revenue_funnel_events_total")


def test_by_remote_write_a_counter_has_a_sample_for_each_change(sent: Prometheus) -> None:
    """Nothing repeats a counter that stands still: what `OrdersStopped` is built for, and why scraping is better for rates."""
    samples = of(sent, 'count_over_time(revenue_orders_total{currency="USD"}[1h])')

    assert {labels(currency="USD", livemode="true"): 1} == samples


def test_labels_are_those_that_have_few_values() -> None:
    """A label is one that the schema holds to have few values, or the mode, or the event's name; ids never are."""
    few = {key for one in EVENTS for key, info in attributes_of(one).items() if info.metric_label}
    metrics = yaml.safe_load((CONFIG / "metrics.yaml").read_text())["connectors"]["signal_to_metrics/revenue"]["logs"]

    assert set() == {label["key"] for metric in metrics for label in metric["attributes"]} - few - {
        "livemode",
        "event.name",
    }


def test_every_label_is_optional() -> None:
    """An attribute that an event does not have never keeps it from being counted."""
    metrics = yaml.safe_load((CONFIG / "metrics.yaml").read_text())["connectors"]["signal_to_metrics/revenue"]["logs"]

    assert {True} == {label.get("optional") for metric in metrics for label in metric["attributes"]}


def test_the_head_names_each_metric_and_says_what_they_are_not_for() -> None:
    """The table in the file's head is that of the file, and the warning stands in it."""
    text = (Path(CONFIG) / "metrics.yaml").read_text()
    metrics = yaml.safe_load(text)["connectors"]["signal_to_metrics/revenue"]["logs"]

    assert ([(m["name"], m["unit"]) for m in metrics], True) == (
        re.findall(r"^#   (revenue\.\S+)\s+(\{\w+\})", text, re.MULTILINE),
        "NOT FOR THE BOOKS" in text,
    )


def test_a_metrics_backend_that_is_away_holds_up_no_payment(tmp_path: Path) -> None:
    """Money is answered by its backend of record alone, also when the metrics that are made of it can go nowhere any more."""
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text("exporters: {prometheusremotewrite/metrics: {remote_write_queue: {queue_size: 1}}}\n")
    with Receiver() as record:
        environ = written(record, f"http://127.0.0.1:{free_port()}/api/v1/write")
        with Collector(tmp_path / "collector", (*FILES, tiny), environ) as collector:
            heard = [collector.post(logs_request([paid(f"o-{number}", 100)])).status_code for number in range(30)]

    assert ({200}, 30) == (set(heard), len(record.named("order.paid")))
