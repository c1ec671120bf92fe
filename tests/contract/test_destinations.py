# SPDX-License-Identifier: Apache-2.0
"""One suite over every sender and every mood of the far end: what the answer is taken for, within which bound."""

from __future__ import annotations

import gzip
import logging
import os
import socket
import time
import zlib
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from urllib3.connection import HTTPConnection

from otel_revenue.delivery import otlp_settings
from otel_revenue.delivery.otlp_grpc import OtlpGrpc
from otel_revenue.delivery.otlp_http import MAX_ANSWER, OtlpHttp
from otel_revenue.delivery.outcome import Delivered, Held, Later, Refused
from otel_revenue.signals.otlp import encode_log_record, encode_resource, encode_scope, encoder
from support import certificates
from support.far_end import (
    PARTIAL_ONE,
    GrpcFarEnd,
    HttpFarEnd,
    aborting,
    acknowledged,
    answer,
    answering,
    dripping,
    hanging,
    raw,
    stalling,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT_ID = encoder("event_id", "code")
RECORDS = [
    encode_log_record(time_ns=1, observed_ns=2, event_name="order.paid", attributes=[EVENT_ID(f"e{n}")])
    for n in range(3)
]
RESOURCE = encode_resource({"service.name": "shop"})
SCOPE = encode_scope("otel_revenue", "1")
SECRET = "hunter2"


def _sender(protocol: str, port: int, *, timeout: float = 5.0, tls: bool = False, **environ: str) -> Any:
    scheme = "https" if tls else "http"
    read = otlp_settings.read(
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout),
            **{f"OTEL_EXPORTER_OTLP_{name}": value for name, value in environ.items()},
        }
    )
    return (OtlpHttp if protocol == otlp_settings.HTTP else OtlpGrpc)(read, RESOURCE, SCOPE, "0")


def _far_end(protocol: str, mood: Any, **more: Any) -> Any:
    return HttpFarEnd(mood, **more) if protocol == otlp_settings.HTTP else GrpcFarEnd(mood, **more)


def _retry_info(seconds: float) -> tuple[tuple[str, bytes], ...]:
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(int(seconds * 1000))
    status = Status(code=8)
    status.details.add().Pack(info)
    return (("grpc-status-details-bin", status.SerializeToString()),)


H, G = otlp_settings.HTTP, otlp_settings.GRPC
HUGE = b"\x12\xff\xff\x7f" + b"x" * (2 * 1024 * 1024 - 1)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"

MOODS = [
    # acknowledged
    ("accepts", H, answer(200), Delivered()),
    ("accepts", G, acknowledged, Delivered()),
    ("accepts, 202", H, answer(202), Delivered()),
    ("accepts, 204 like Loki", H, raw(b"HTTP/1.1 204 No Content\r\n\r\n"), Delivered()),
    ("accepts in JSON", H, answer(200, b"{}", "application/json"), Delivered()),
    ("accepts in JSON without saying so", H, answer(200, b'{"partialSuccess":{}}', "text/plain"), Delivered()),
    ("accepts with a warning", H, answer(200, b"\x0a\x03\x12\x01w"), Delivered()),
    ("accepts with a warning", G, answering(b"\x0a\x03\x12\x01w"), Delivered()),
    # partial success
    ("takes some", H, answer(200, PARTIAL_ONE), Refused("partial success: 1 of 3 rejected")),
    ("takes some", G, answering(PARTIAL_ONE), Refused("partial success: 1 of 3 rejected")),
    (
        "takes some, in JSON",
        H,
        answer(200, b'{"partialSuccess":{"rejectedLogRecords":"2"}}', "application/json"),
        Refused("partial success: 2 of 3 rejected"),
    ),
    ("takes none", H, answer(200, b"\x0a\x02\x08\x03"), Refused("partial success: rejected", each=True)),
    ("takes none", G, answering(b"\x0a\x02\x08\x03"), Refused("partial success: rejected", each=True)),
    # the content is refused
    ("refuses", H, answer(400, b"bad"), Refused("http 400")),
    ("refuses", G, aborting("INVALID_ARGUMENT"), Refused("grpc INVALID_ARGUMENT")),
    ("refuses at length", H, answer(400, b"x" * (MAX_ANSWER + 1)), Refused("http 400")),
    ("too large", H, answer(413), Refused("http 413")),
    ("unprocessable", H, answer(422), Refused("http 422")),
    ("precondition", G, aborting("FAILED_PRECONDITION"), Refused("grpc FAILED_PRECONDITION")),
    # we are refused
    *[(f"refuses us, {status}", H, answer(status), Held(f"http {status}")) for status in (401, 402, 403, 404, 405, 410)],
    *[
        (f"refuses us, {code}", G, aborting(code), Held(f"grpc {code}"))
        for code in ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND")
    ],
    ("moved", H, answer(301, location="http://127.0.0.1:1/"), Held("http 301")),
    ("a login page", H, answer(200, b"\n<!doctype html>", "text/html; charset=utf-8"), Held("answer is a web page")),
    ("a login page that says it is OTLP", H, answer(200, b"<html>"), Held("answer is a web page")),
    # busy
    ("busy", H, answer(429, retry_after="7"), Later("http 429", 7.0)),
    ("busy", G, aborting("RESOURCE_EXHAUSTED", _retry_info(2.5)), Later("grpc RESOURCE_EXHAUSTED", 2.5)),
    ("busy without a time", H, answer(429), Later("http 429")),
    ("down", H, answer(503, b"down", "text/plain"), Later("http 503")),
    ("down", G, aborting("UNAVAILABLE"), Later("grpc UNAVAILABLE")),
    ("down for an hour and more", H, answer(503, retry_after="86400"), Later("http 503", 3600.0)),
    # something is wrong, perhaps with the content
    ("fails", H, answer(500), Later("http 500", suspect=True)),
    ("fails", G, aborting("INTERNAL"), Later("grpc INTERNAL", suspect=True)),
    ("a Collector's word for 413 and 500", G, aborting("UNKNOWN"), Later("grpc UNKNOWN", suspect=True)),
    ("exhausted", G, aborting("RESOURCE_EXHAUSTED"), Later("grpc RESOURCE_EXHAUSTED", suspect=True)),
    (
        "details that are malformed",
        G,
        aborting("RESOURCE_EXHAUSTED", (("grpc-status-details-bin", b"\xff"),)),
        Later("grpc RESOURCE_EXHAUSTED", suspect=True),
    ),
    ("garbage for an answer", H, answer(200, b"\xff\xff"), Later("answer is not OTLP", suspect=True)),
    ("garbage for an answer", G, answering(b"\xff\xff"), Later("answer is not OTLP", suspect=True)),
    ("JSON without sense", H, answer(200, b'{"partialSuccess":[1]}'), Later("answer is not OTLP", suspect=True)),
    ("JSON without end", H, answer(200, b'{"a":' + b"[" * 60_000), Later("answer is not OTLP", suspect=True)),
    ("a huge answer", H, answer(200, HUGE), Later("answer too long", suspect=True)),
    ("a huge answer", G, answering(HUGE * 3), Later("grpc RESOURCE_EXHAUSTED", suspect=True)),
    ("cut in the middle", H, raw(OK + b"Content-Length: 9\r\n\r\n\x0a"), Later("network: ", suspect=True)),
    ("cut after its status", H, raw(b"HTTP/1.1 200 OK"), Later("network: ", suspect=True)),
    ("cut in its headers", H, raw(OK[:-4]), Later("network: ", suspect=True)),
    ("cut after its headers", H, raw(OK), Later("network: ", suspect=True)),
    ("cut in a chunk", H, raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n\x0a"), Later("network: ", suspect=True)),
    ("garbage for HTTP", H, raw(b"\x00\x01SSH-2.0-x\r\n\r\n"), Later("network: ", suspect=True)),
    ("closes at once", H, raw(b""), Later("network: ", suspect=True)),
]  # fmt: skip

WITHOUT_END = [
    ("hangs", H, hanging, Later("timeout", suspect=True)),
    ("hangs", G, stalling, Later("grpc DEADLINE_EXCEEDED", suspect=True)),
    ("drips its status line", H, dripping(b"HTTP/1.1 200", b" "), Later("timeout", suspect=True)),
    ("drips its headers", H, dripping(b"HTTP/1.1 200 OK\r\n", b"x"), Later("timeout", suspect=True)),
    ("drips its body", H, dripping(OK + b"Content-Length: 9999\r\n\r\n", b"x"), Later("timeout", suspect=True)),
    ("drips chunks", H, dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), Later("timeout", suspect=True)),
    ("drips a refusal", H, dripping(b"HTTP/1.1 400 No\r\nContent-Length: 9999\r\n\r\n", b"x"), Refused("http 400")),
]  # fmt: skip


def _ids(moods: list[Any]) -> list[str]:
    return [f"{protocol}: {name}" for name, protocol, *_ in moods]


def _matches(expected: Any, outcome: Any) -> Any:
    """The name of a library's error is no promise: it is cut off where *expected* leaves it open."""
    if isinstance(expected, Later) and expected.reason.endswith(" ") and isinstance(outcome, Later):
        return replace(outcome, reason=outcome.reason[: len(expected.reason)])
    return outcome


@pytest.mark.parametrize(("name", "protocol", "mood", "expected"), MOODS, ids=_ids(MOODS))
def test_each_mood_has_its_outcome(name: str, protocol: str, mood: Any, expected: Any) -> None:
    """
    Whatever the far end answers, the sender says in one word of four what that means, and never raises.
    """
    with _far_end(protocol, mood) as far_end:
        sender = _sender(protocol, far_end.port)
        outcome = sender.send(RECORDS)
        sender.close()

    assert expected == _matches(expected, outcome)


@pytest.mark.parametrize(("name", "protocol", "mood", "expected"), WITHOUT_END, ids=_ids(WITHOUT_END))
def test_an_answer_without_end_is_bounded(name: str, protocol: str, mood: Any, expected: Any) -> None:
    """
    The timeout bounds the whole exchange, not each read: a far end that never ends does not keep the thread.
    """
    with _far_end(protocol, mood) as far_end:
        sender = _sender(protocol, far_end.port, timeout=0.4)
        outcome = sender.send(RECORDS)
        sender.close()

    assert expected == outcome


BOTH = pytest.mark.parametrize("protocol", [H, G], ids=["http", "grpc"])


@BOTH
def test_nobody_there_is_no_fault_of_the_content(protocol: str) -> None:
    """
    A closed port is the network's: later, and no event is suspected for it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = _sender(protocol, port).send(RECORDS)

    assert (Later, False) == (type(outcome), outcome.suspect)


@BOTH
def test_it_sends_again_after_the_far_end_came_back(protocol: str) -> None:
    """
    A sender that met a dead far end needs no restart when it lives again.
    """
    ok = answer(200) if protocol == H else acknowledged
    with _far_end(protocol, ok) as far_end:
        sender = _sender(protocol, far_end.port)
        first = sender.send(RECORDS)
    dead = sender.send(RECORDS)
    with _far_end(protocol, ok) as far_end:
        sender._settings = replace(
            sender._settings, endpoint=sender._settings.endpoint.replace(str(sender_port(sender)), str(far_end.port))
        )
        sender.close()
        last = sender.send(RECORDS)

    assert (Delivered(), Later, Delivered()) == (first, type(dead), last)


def sender_port(sender: Any) -> str:
    return sender._settings.endpoint.split("/v1")[0].rpartition(":")[2]


@BOTH
@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_the_request_is_what_was_given(protocol: str, compression: str) -> None:
    """
    The far end reads exactly our records under our resource and scope, with the configured headers, compressed or not.
    """
    ok = answer(200) if protocol == H else acknowledged
    with _far_end(protocol, ok) as far_end:
        sender = _sender(protocol, far_end.port, COMPRESSION=compression)
        sender.send(RECORDS)
        sender.close()
    if protocol == H:
        (request,) = far_end.requests
        unpack = {"none": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[compression]
        body, key = unpack(request.body), request.headers["api-key"]
    else:
        body, key = far_end.bodies[0], far_end.metadata[0]["api-key"]
    (resource_logs,) = ExportLogsServiceRequest.FromString(body).resource_logs
    (scope_logs,) = resource_logs.scope_logs

    assert (SECRET, "shop", "otel_revenue", ["e0", "e1", "e2"]) == (
        key,
        resource_logs.resource.attributes[0].value.string_value,
        scope_logs.scope.name,
        [record.attributes[0].value.string_value for record in scope_logs.log_records],
    )


@BOTH
def test_a_resource_of_another_process_is_kept(protocol: str) -> None:
    """
    Records that a dead process left are sent under that process's resource.
    """
    ok = answer(200) if protocol == H else acknowledged
    with _far_end(protocol, ok) as far_end:
        sender = _sender(protocol, far_end.port)
        sender.send(RECORDS, encode_resource({"service.name": "before"}))
        sender.close()
    body = far_end.requests[0].body if protocol == H else far_end.bodies[0]
    (resource_logs,) = ExportLogsServiceRequest.FromString(body).resource_logs

    assert "before" == resource_logs.resource.attributes[0].value.string_value


def test_one_connection_serves_many_posts() -> None:
    """
    The connection is kept from post to post, after a refusal too.
    """
    moods = [answer(200), answer(400, b"bad"), answer(429), answer(200)]
    with HttpFarEnd(lambda connection, request, over: moods.pop(0)(connection, request, over)) as far_end:
        sender = _sender(H, far_end.port)
        outcomes = [type(sender.send(RECORDS)) for _ in range(4)]
        sender.close()

    assert ([Delivered, Refused, Later, Delivered], 1) == (outcomes, far_end.connections)


def test_a_date_to_come_back_is_read() -> None:
    """
    A Retry-After that is a date becomes seconds from now, at most an hour.
    """
    with HttpFarEnd(answer(503, retry_after=formatdate(time.time() + 90_000, usegmt=True))) as far_end:
        outcome = _sender(H, far_end.port).send(RECORDS)

    assert Later("http 503", 3600.0) == outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[certificates.Certificates]:
    return certificates.make(tmp_path_factory.mktemp("tls"))


def _tls(protocol: str, made: certificates.Certificates, *, client: bool) -> Any:
    if protocol == H:
        return HttpFarEnd(answer(200), tls=made.for_http(client=client))
    return GrpcFarEnd(acknowledged, credentials=made.for_grpc(client=client))


@BOTH
def test_a_server_is_known_by_the_configured_ca(protocol: str, made: certificates.Certificates) -> None:
    """
    With OTEL_EXPORTER_OTLP_CERTIFICATE a server of that authority is trusted; without it, it is not.
    """
    with _tls(protocol, made, client=False) as far_end:
        trusted = _sender(protocol, far_end.port, tls=True, CERTIFICATE=made.ca).send(RECORDS)
        unknown = _sender(protocol, far_end.port, tls=True, timeout=2).send(RECORDS)

    assert (Delivered(), Later) == (trusted, type(unknown))


@BOTH
def test_a_client_shows_its_certificate(protocol: str, made: certificates.Certificates) -> None:
    """
    A server that asks for a client's certificate gets ours; without one nothing is delivered.
    """
    own = {"CLIENT_CERTIFICATE": made.file("client.pem"), "CLIENT_KEY": made.file("client.key")}
    with _tls(protocol, made, client=True) as far_end:
        known = _sender(protocol, far_end.port, tls=True, CERTIFICATE=made.ca, **own).send(RECORDS)
        stranger = _sender(protocol, far_end.port, tls=True, timeout=2, CERTIFICATE=made.ca).send(RECORDS)

    assert (Delivered(), Later) == (known, type(stranger))


@BOTH
def test_a_certificate_that_is_not_there_holds_the_destination(protocol: str, tmp_path: Any) -> None:
    """
    A wrong path is a wrong setting: loud at once, nothing sent in the clear or under other roots.
    """
    outcome = _sender(protocol, 1, tls=True, CERTIFICATE=str(tmp_path / "none.pem")).send(RECORDS)

    assert isinstance(outcome, Held)


def test_the_configured_ca_wins_over_the_environment(
    made: certificates.Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """
    REQUESTS_CA_BUNDLE, set for the application's own calls, does not take the place of the configured authority.
    """
    import certifi

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    with _tls(H, made, client=False) as far_end:
        outcome = _sender(H, far_end.port, tls=True, CERTIFICATE=made.ca).send(RECORDS)

    assert Delivered() == outcome


def test_a_drip_over_tls_is_bounded(made: certificates.Certificates) -> None:
    """
    The bound holds under TLS as well.
    """
    with HttpFarEnd(dripping(b"HTTP/1.1 200 OK\r\n", b"x"), tls=made.for_http(client=False)) as far_end:
        outcome = _sender(H, far_end.port, tls=True, timeout=0.4, CERTIFICATE=made.ca).send(RECORDS)

    assert Later("timeout", suspect=True) == outcome


@BOTH
@pytest.mark.parametrize("endpoint", ["collector:4318", "://", "", "ftp://x"])
def test_a_wrong_endpoint_never_raises(protocol: str, endpoint: str) -> None:
    """
    With an endpoint that is none, events wait.
    """
    sender = _sender(protocol, 1, timeout=0.5)
    sender._settings = replace(sender._settings, endpoint=endpoint)
    outcome = sender.send(RECORDS)
    sender.close()

    assert isinstance(outcome, (Held, Later))


@BOTH
def test_a_header_that_cannot_be_sent_never_raises(protocol: str) -> None:
    """
    With a header that no protocol can carry, events wait, and its value is not in the reason.
    """
    sender = _sender(protocol, 1, timeout=0.5, HEADERS=f"api-key={SECRET}%0Ax,b=%E2%82%AC")
    outcome = sender.send(RECORDS)

    assert (True, False) == (isinstance(outcome, (Held, Later)), SECRET in repr(outcome))


@BOTH
def test_our_own_post_makes_no_span(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While we send, instrumentation is suppressed: a delivery is no part of the application's traces.
    """
    seen: list[bool] = []
    sender = _sender(protocol, 1, timeout=0.5)
    if protocol == H:
        connect = HTTPConnection.connect
        monkeypatch.setattr(
            HTTPConnection, "connect", lambda self: seen.append(is_instrumentation_enabled()) or connect(self)
        )
    else:
        monkeypatch.setattr(
            sender, "_method", lambda: lambda *_, **__: seen.append(is_instrumentation_enabled()) or b""
        )
    sender.send(RECORDS)

    assert ([False], True) == (seen, is_instrumentation_enabled())


@BOTH
def test_no_secret_is_logged(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """
    Neither outcome, nor repr, nor any log line holds a header's value or the far end's words.
    """
    caplog.set_level(logging.DEBUG)
    mood = answer(401, b"secret-token-in-details") if protocol == H else aborting("UNAUTHENTICATED")
    with _far_end(protocol, mood) as far_end:
        sender = _sender(protocol, far_end.port)
        outcome = sender.send(RECORDS)
        sender.close()
    said = f"{outcome!r} {sender!r} {sender._settings!r} {caplog.text}"

    assert (False, False) == (SECRET in said, "secret-token" in said)


@pytest.mark.parametrize("protocol", [H])
def test_a_forked_child_opens_its_own_connection(protocol: str) -> None:
    """
    After a fork the child does not write into the parent's connection.
    """
    with HttpFarEnd(answer(200)) as far_end:
        sender = _sender(H, far_end.port)
        sender.send(RECORDS)
        child = os.fork()
        if child == 0:
            ok = False
            try:
                ok = isinstance(sender.send(RECORDS), Delivered)
            finally:
                os._exit(0 if ok else 1)
        _, status = os.waitpid(child, 0)
        last = sender.send(RECORDS)
        sender.close()

    assert (0, Delivered(), 2) == (status, last, far_end.connections)
