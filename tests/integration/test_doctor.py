# SPDX-License-Identifier: Apache-2.0
"""The doctor and the outbox beside a real shop, in front of real far ends: one that answers, refuses, is of another kind, is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)

from otel_revenue.testing import FakeStripe
from support.ports import free_port
from support.receiver import Receiver, wait_for
from support.running_shop import INSTRUMENT, RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = Path(sys.executable).with_name("otel-revenue")
CANARY = "c4n4ry-s3cr3t"


class Told:
    """What a run of the command line said."""

    def __init__(self, environ: dict[str, str], *words: str, instrumented: bool = False) -> None:
        done = subprocess.run(
            [*([str(INSTRUMENT)] if instrumented else []), str(COMMAND), *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def section(self, name: str, level: str = "") -> list[str]:
        return [
            f"{f['level']} {f['what']} -> {f['remedy']}"
            for f in self.json["findings"]
            if f["section"] == name and level in ("", f["level"])
        ]


def environment(folder: Path, endpoint: str, **more: str) -> dict[str, str]:
    """The variables of a shop that is not running."""
    shop = RunningShop(FakeStripe(), folder, endpoint)
    return {**shop._environment(), **more}


def test_the_doctor_beside_a_running_shop(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """
    Run as the application is run, with its environment, while it sells: no problem, the live parts, the store and the endpoint seen.

    And the shop notices nothing: the payments before and after arrive once.
    """
    with RunningShop(fake, tmp_path, receiver.url) as shop:
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        fake.pay(shop.order()["session_id"])
        fake.webhooks.drain(30)
        assert wait_for(
            lambda: len(receiver.named("order.paid")) == 1 == len(receiver.named("checkout.session_created"))
        )
        events = len(receiver.logs)
        told = Told(shop._environment(), "doctor", "--json", instrumented=True)
        after = len(receiver.logs)
        fake.pay(shop.order()["session_id"])
        assert wait_for(lambda: len(receiver.named("order.paid")) == 2)

    assert (0, [], events) == (told.code, [f for f in told.json["findings"] if f["level"] == "FAIL"], after), told.out
    assert "OK otel-revenue is awake in this process -> " in told.section("live")
    assert any("OTLPSpanExporter" in line for line in told.section("live", "OK"))
    assert any("the ledger knows 1 payment, has recorded 1" in line for line in told.section("store", "OK"))
    assert any("Checkout Sessions 1, PaymentIntents 1" in line for line in told.section("store", "OK"))
    assert any("takes what is sent" in line for line in told.section("endpoint", "OK"))


def test_a_refusing_far_end_then_retry(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """A payment that the far end refuses is set aside, told, shown, and delivered by a retry while the shop runs on."""
    receiver.status = 400
    with RunningShop(fake, tmp_path, receiver.url) as shop:
        environ = shop._environment()
        fake.add_endpoint(f"{shop.url}/webhooks/stripe")
        order = shop.order()
        fake.pay(order["session_id"])
        fake.webhooks.drain(30)
        assert wait_for(lambda: Told(environ, "outbox", "list", "--json").json["set_aside"] == 2)
        told = Told(environ, "doctor", "--json")
        listed = Told(environ, "outbox", "list", "--state", "aside", "--json").json
        (paid,) = [event for event in listed["events"] if event["event_name"] == "order.paid"]
        receiver.status = 200
        retried = Told(environ, "outbox", "retry", paid["event_id"])

        assert wait_for(lambda: len(receiver.named("order.paid")) == 1)
        assert wait_for(lambda: Told(environ, "outbox", "list", "--json").json["unconfirmed_minor_units"] == {})
    assert (1, True) == (told.code, any("set aside" in line for line in told.section("store", "FAIL")))
    assert (order["order_id"], "http 400") == (paid["attributes"]["order_id"], paid["reason"])
    assert (0, "1 event due again") == (retried.code, retried.out.split(".")[0])


def test_what_a_killed_shop_left(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """After kill -9 with the far end down, outbox and doctor say what waits, in money, and where; nothing of it is changed."""
    receiver.status = 503
    with RunningShop(fake, tmp_path, receiver.url) as shop:
        environ = shop._environment()
        endpoint = fake.collect()
        fake.pay(shop.order()["session_id"])
        for delivery in fake.deliveries:
            if delivery.endpoint == endpoint.url:
                shop.webhook(delivery.body, delivery.signature)
        shop.kill()
        listed = Told(environ, "outbox", "list", "--json").json
        told = Told(environ, "doctor", "--json")
        receiver.status = 200
        shop.start()

        assert wait_for(lambda: len(receiver.named("order.paid")) == 1)
        assert wait_for(lambda: len(receiver.named("checkout.session_created")) == 1)
    (booked,) = fake.books()
    assert {booked.currency.upper(): booked.amount_minor} == listed["unconfirmed_minor_units"]
    assert (1, 1) == (listed["waiting"], listed["spool"]["orphans"])
    assert any("1 event of the outbox wait" in line for line in told.section("store"))
    assert any("is busy (http 503)" in line for line in told.section("endpoint", "WARN"))


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "OTEL_EXPORTER_OTLP_HEADERS: authorization, 1 of another name is set"), (404, "/v1/logs appended")],
)
def test_a_far_end_that_refuses_us(receiver: Receiver, tmp_path: Path, status: int, said: str) -> None:
    """A wrong key and a wrong path each have their remedy, and neither key nor password is printed anywhere."""
    receiver.status = status
    headers = f"authorization=Bearer%20{CANARY},{CANARY}name=x"
    url = receiver.url.replace("http://", f"http://user:{CANARY}@")
    environ = environment(tmp_path, url, OTEL_EXPORTER_OTLP_HEADERS=headers)
    told = Told(environ, "doctor", "--json")
    plain = Told(environ, "doctor")

    assert (1, True) == (told.code, any(said in line for line in told.section("endpoint", "FAIL"))), told.out
    assert CANARY not in told.out + told.err + plain.out + plain.err
    assert "1 problem" in plain.out


def test_nobody_listens(tmp_path: Path) -> None:
    """A port where nothing listens is a failure that asks for the Collector."""
    port = free_port()
    told = Told(environment(tmp_path, f"http://127.0.0.1:{port}"), "doctor", "--json")

    assert 1 == told.code
    assert any(f"nothing listens at 127.0.0.1:{port}" in line for line in told.section("endpoint", "FAIL"))
    assert any("there is no ledger at" in line for line in told.section("store", "WARN"))


class _Logs(LogsServiceServicer):  # type: ignore[misc,unused-ignore]
    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Export(  # noqa: N802 - the service's name for it
        self, request: ExportLogsServiceRequest, context: Any
    ) -> ExportLogsServiceResponse:
        self.requests.append(request)
        return ExportLogsServiceResponse()


@pytest.fixture
def grpc_receiver() -> Iterator[tuple[int, _Logs]]:
    logs, server = _Logs(), grpc.server(ThreadPoolExecutor(2))
    add_LogsServiceServicer_to_server(logs, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port, logs
    server.stop(None).wait()


def test_grpc_takes_an_empty_request(grpc_receiver: tuple[int, _Logs], tmp_path: Path) -> None:
    """Over gRPC the far end is asked by our own sender, with a request that holds no event."""
    port, logs = grpc_receiver
    environ = environment(tmp_path, f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    told = Told(environ, "doctor", "--json")

    assert (0, True) == (told.code, any("takes what is sent" in line for line in told.section("endpoint", "OK"))), (
        told.out
    )
    assert [0] == [len(s.log_records) for r in logs.requests for of in r.resource_logs for s in of.scope_logs]


def test_the_protocols_mixed_up(grpc_receiver: tuple[int, _Logs], receiver: Receiver, tmp_path: Path) -> None:
    """HTTP sent to a gRPC port, gRPC sent to an HTTP port, and TLS to one without: each is recognised from what the port speaks."""
    port, _ = grpc_receiver
    said = []
    for url, protocol in (
        (f"http://127.0.0.1:{port}", "http/protobuf"),
        (receiver.url, "grpc"),
        (receiver.url.replace("http:", "https:"), "http/protobuf"),
    ):
        told = Told(environment(tmp_path, url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol), "doctor", "--json")
        said.append((told.code, told.section("endpoint", "FAIL")[0].rpartition(" -> ")[2][:24]))

    assert [(1, "the port speaks gRPC: se"), (1, "the port speaks HTTP: se"), (1, "the port has no TLS: set")] == said


def test_an_sdk_that_cannot_start(receiver: Receiver, tmp_path: Path) -> None:
    """With a configuration file whose package is missing, the run under opentelemetry-instrument says that no provider was set up."""
    file = tmp_path / "otel.yaml"
    file.write_text("tracer_provider: {processors: [{batch: {}}]}\n")
    environ = environment(tmp_path, receiver.url, OTEL_CONFIG_FILE=str(file))
    told = Told(environ, "doctor", "--json", instrumented=True)

    assert 1 == told.code
    assert any("opentelemetry-configuration is not installed" in line for line in told.section("settings", "FAIL"))
    assert any("no provider for traces was set up" in line for line in told.section("live", "FAIL"))
