"""Who may send to a Collector, and how much."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import grpc
import pytest
import requests

from support import certificates
from support.collector import TOKEN
from support.everything import Everything
from support.far_end import METHOD
from support.otlp_events import event, logs_request
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FUNNEL = logs_request([event("checkout.start", tier="pro")])


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with Everything(tmp_path_factory.mktemp("doors")) as running:
        yield running


def call(port: int, token: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.StatusCode:
    """Send one event over gRPC and return the status."""
    address = f"127.0.0.1:{port}"
    channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    with channel:
        export = channel.unary_unary(METHOD, request_serializer=bytes, response_deserializer=bytes)
        try:
            export(FUNNEL, timeout=30, metadata=(("authorization", token),) if token else ())
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (f"Bearer {TOKEN}", 200, grpc.StatusCode.OK),
        ("", 401, grpc.StatusCode.UNAUTHENTICATED),
        ("Bearer another", 401, grpc.StatusCode.UNAUTHENTICATED),
        (TOKEN, 401, grpc.StatusCode.UNAUTHENTICATED),
    ],
    ids=["right", "none", "wrong", "without-scheme"],
)
@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces", "/v1/metrics"])
def test_only_who_shows_the_token_is_let_in(
    everything: Everything, path: str, token: str, status: int, code: grpc.StatusCode
) -> None:
    """Logs, traces and metrics are taken from who shows the token, over HTTP and gRPC, and from nobody else."""
    headers = {"Content-Type": "application/x-protobuf", **({"Authorization": token} if token else {})}
    answer = requests.post(everything.collector.url + path, data=b"", headers=headers, timeout=30)

    assert (status, code) == (answer.status_code, call(everything.collector.grpc, token))


def test_a_token_file_that_is_missing_lets_nobody_in(tmp_path: Path) -> None:
    """Without its token file the Collector runs and refuses everybody."""
    with Everything(tmp_path, environ={"REVENUE_INGEST_TOKEN_FILE": str(tmp_path / "nowhere")}) as everything:
        assert 401 == everything.collector.post(FUNNEL).status_code


def test_a_changed_token_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """A token is rotated while the Collector runs; a file that is emptied does not open the door."""
    with Everything(tmp_path) as everything:
        url, file = f"{everything.collector.url}/v1/logs", everything.collector.token_file
        shown = {"Content-Type": "application/x-protobuf"}
        before = everything.collector.post(FUNNEL).status_code
        file.write_text("another")
        gone = wait_for(lambda: everything.collector.post(FUNNEL).status_code == 401, 45)
        after = requests.post(url, FUNNEL, headers={**shown, "Authorization": "Bearer another"}, timeout=30).status_code
        file.write_text("")
        without = [
            requests.post(url, FUNNEL, headers={**shown, "Authorization": token}, timeout=30).status_code
            for token in ("", "Bearer", "Bearer ")
        ]

    assert (200, True, 200, [401, 401, 401]) == (before, gone, after, without)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_body_that_is_too_large_is_refused(everything: Everything, packed: bool) -> None:
    """More than 8 MiB, unpacked, is refused as the sender's fault and leaves the Collector as it was."""
    body = logs_request([b"\x2a\x04\x0a\x02ok" + b"\x32\x80\x80\x80\x05" + b"x" * 10 * 1024**2])
    headers = {**everything.collector.headers, "Content-Type": "application/x-protobuf"}
    if packed:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    answer = requests.post(f"{everything.collector.url}/v1/logs", data=body, headers=headers, timeout=60)

    assert (400, 200) == (answer.status_code, everything.collector.post(FUNNEL).status_code)


def test_senders_show_a_certificate_where_that_is_asked_for(tmp_path: Path) -> None:
    """With mtls.yaml a sender without a certificate of the right authority reaches neither port."""
    made = certificates.make(tmp_path)
    files = {"CERT": "server.pem", "KEY": "server.key", "CLIENT_CA": "ca.pem"}
    environ = {f"REVENUE_TLS_{name}_FILE": made.file(file) for name, file in files.items()}
    ca, key, own = ((tmp_path / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem"))
    with Everything(tmp_path, ("mtls.yaml",), environ) as everything:
        url = f"https://127.0.0.1:{everything.collector.http}/v1/logs"
        headers = {**everything.collector.headers, "Content-Type": "application/x-protobuf"}
        with_one = requests.post(
            url,
            data=FUNNEL,
            headers=headers,
            timeout=30,
            verify=made.ca,
            cert=(made.file("client.pem"), made.file("client.key")),
        )
        with pytest.raises(requests.ConnectionError):
            requests.post(url, data=FUNNEL, headers=headers, timeout=30, verify=made.ca)
        token = everything.collector.headers["Authorization"]
        codes = [
            call(everything.collector.grpc, token, grpc.ssl_channel_credentials(ca, *pair)) for pair in ((key, own), ())
        ]

    assert (200, [grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE]) == (with_one.status_code, codes)


def test_without_its_certificates_it_does_not_start(tmp_path: Path) -> None:
    """With mtls.yaml and a variable missing the Collector does not fall back to open ports."""
    with pytest.raises(AssertionError, match="REVENUE_TLS_CERT_FILE_is_not_set"), Everything(tmp_path, ("mtls.yaml",)):
        pass


def test_it_tells_how_it_is(everything: Everything) -> None:
    """The health check answers without a token, and so do the Collector's own metrics."""
    health = requests.get(f"http://127.0.0.1:{everything.collector.health}", timeout=30)

    assert (200, True) == (health.status_code, "otelcol_process_uptime" in everything.collector.own_metrics())
