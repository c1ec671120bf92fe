"""What a visitor's browser may say to the Collector: the funnel, and nothing about money."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from otel_revenue.schema.events import EVENTS
from otel_revenue.schema.fields import attributes_of
from support.canaries import attributes
from support.everything import Everything
from support.otlp_events import event, logs_request, paid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHOP = "https://shop.example"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FORGED = "6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53"


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    environ = {"REVENUE_BROWSER_ORIGINS": json.dumps([SHOP])}
    with Everything(tmp_path_factory.mktemp("browser"), ("browser.yaml",), environ) as running:
        yield running


def say(everything: Everything, *records: LogRecord) -> tuple[int, dict[str, dict[str, Any]]]:
    """Send what a browser would; returns the status, and the attributes of what arrived for it by its name."""
    before = len(everything.receiver.logs)
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])
    answer = requests.post(
        f"{everything.collector.browser_url}/v1/logs",
        data=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf", "Origin": SHOP},
        timeout=30,
    )
    return answer.status_code, {log.name: log.attributes for log in everything.receiver.logs[before:]}


def id_for(everything: Everything, **said: Any) -> str:
    """Send an event with these attributes; returns the `event_id` that arrived, with nothing left of the browser's own."""
    arrived = say(everything, LogRecord(event_name="checkout.start", attributes=attributes(said)))[1]["checkout.start"]
    assert "log.record.uid" not in arrived
    event_id: str = arrived["event_id"]
    return event_id


def test_only_events_pass_that_a_browser_may_send(everything: Everything) -> None:
    """Of all events of the schema those pass that it allows a browser; a forged `order.paid` is dropped."""
    names = [*(event.event_name for event in EVENTS), "order.unheard_of", "", "made.up"]

    status, arrived = say(everything, *(LogRecord(event_name=name) for name in names))

    assert (200, {event.event_name for event in EVENTS if event.from_browser}) == (status, set(arrived))


JSON = json.dumps(
    {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "order.paid"}, {"eventName": "checkout.start"}]}]}]}
).encode()
PROTOBUF = logs_request([paid(), event("checkout.start")])
PACKED: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("kind", ["application/json", "application/x-protobuf"])
def test_a_forged_payment_passes_in_no_encoding(everything: Everything, kind: str, encoding: str) -> None:
    """Whichever way it is written and packed, `order.paid` from a browser is dropped, and what it may send arrives."""
    before = len(everything.receiver.logs)
    answer = requests.post(
        f"{everything.collector.browser_url}/v1/logs",
        data=PACKED[encoding](JSON if kind == "application/json" else PROTOBUF),
        headers={"Content-Type": kind, "Content-Encoding": encoding if encoding != "identity" else "", "Origin": SHOP},
        timeout=30,
    )

    assert (200, ["checkout.start"]) == (answer.status_code, [log.name for log in everything.receiver.logs[before:]])


def test_a_page_sends_little_that_becomes_much(everything: Everything) -> None:
    """The limit is on what is unpacked: 48 KiB that hold 50 MB are refused."""
    answer = requests.post(
        f"{everything.collector.browser_url}/v1/logs",
        data=gzip.compress(logs_request([b"\x2a" + b"x" * 50_000_000])),
        headers={"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
        timeout=60,
    )

    assert (400, True) == (answer.status_code, "too large" in answer.text)


def test_only_attributes_pass_that_a_browser_may_say(everything: Everything) -> None:
    """Nothing about money passes, no id of Stripe's, no name of another event; who said it is added."""
    every = {wire: info.example for event in EVENTS for wire, info in attributes_of(event).items()}
    allowed = {wire for event in EVENTS for wire, info in attributes_of(event).items() if info.browser}
    said = LogRecord(event_name="checkout.start", attributes=attributes({**every, "event.name": "order.paid"}))

    _, arrived = say(everything, said)
    passed = arrived["checkout.start"]

    assert {*allowed, "schema_version", "event_id", "telemetry.source", "event.name"} == set(passed)
    assert ("browser", "checkout.start") == (passed["telemetry.source"], passed["event.name"])
    assert not [key for key in passed if re.search("amount|subtotal|currency|stripe", key)]


def test_the_id_of_a_browsers_event_is_the_collectors(everything: Everything) -> None:
    """An `event_id` that a visitor has computed is replaced, so that it pushes out no real event."""
    ids = [id_for(everything, event_id=FORGED) for _ in range(2)]

    assert all(map(UUID.fullmatch, ids))
    assert 3 == len({FORGED, *ids})


def test_an_event_that_a_browser_sends_again_has_its_id_again(everything: Everything) -> None:
    """The module's random id becomes one `event_id` each time, of a version that no payment has, and does not travel itself."""
    first, again, other = (id_for(everything, **{"log.record.uid": uid * 32}) for uid in ("a", "a", "b"))
    hashed = hashlib.sha256(b"otel-revenue browser event " + b"a" * 32).hexdigest()

    assert f"{hashed[:8]}-{hashed[8:12]}-8{hashed[12:15]}-8{hashed[15:18]}-{hashed[18:30]}" == first == again
    assert UUID.fullmatch(other)
    assert first != other


@pytest.mark.parametrize("uid", [FORGED, "c" * 64, "C" * 32, "d" * 32 + "\n", 5, True, ["f" * 32]])
def test_only_the_modules_own_id_is_heard(everything: Everything, uid: Any) -> None:
    """What is no random id of the module's, a hash of its length included, chooses nothing: the event has an id of its own."""
    ids = [id_for(everything, **{"log.record.uid": uid}) for _ in range(2)]

    assert all(map(UUID.fullmatch, ids))
    assert 2 == len(set(ids))


@pytest.mark.parametrize("origin", [SHOP, "https://elsewhere.example"])
def test_other_sites_pages_are_not_let_in(everything: Everything, origin: str) -> None:
    """A page of an origin that was named may send, a page of another may not."""
    answer = requests.options(
        f"{everything.collector.browser_url}/v1/logs",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
        timeout=30,
    )

    assert (SHOP if origin == SHOP else None) == answer.headers.get("Access-Control-Allow-Origin")


def test_a_page_sends_little(everything: Everything) -> None:
    """More than 64 KiB is refused."""
    status, arrived = say(everything, LogRecord(event_name="checkout.start", body={"string_value": "x" * 70_000}))

    assert (400, {}) == (status, arrived)


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics"])
def test_a_page_sends_no_traces_and_no_metrics(everything: Everything, path: str) -> None:
    """The browsers' port takes logs alone."""
    answer = requests.post(
        everything.collector.browser_url + path,
        data=b"",
        headers={"Content-Type": "application/x-protobuf"},
        timeout=30,
    )

    assert 404 == answer.status_code


def test_no_site_is_let_in_where_none_is_named(tmp_path: Path) -> None:
    """Without `REVENUE_BROWSER_ORIGINS` no page may send."""
    with Everything(tmp_path, ("browser.yaml",)) as everything:
        answer = requests.options(
            f"{everything.collector.browser_url}/v1/logs",
            headers={"Origin": SHOP, "Access-Control-Request-Method": "POST"},
            timeout=30,
        )

    assert "Access-Control-Allow-Origin" not in answer.headers
