# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue collector test` through a real Collector, whose backend takes, refuses or is away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue import cli
from otel_revenue.cli import _probe
from otel_revenue.cli.collector.test import receiver, settings
from otel_revenue.delivery.outcome import Held, Later
from otel_revenue.errors import ConfigError
from support import certificates
from support.collector import TOKEN, Collector
from support.ports import free_port
from support.receiver import Receiver, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.cli._findings import Finding

FILES = ("backends/otlp.yaml",)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Collector and its backend of record, for all tests: each begins with `backend` as it was."""
    with Receiver() as receiver:
        environ = {"REVENUE_OTLP_URL": receiver.url, "REVENUE_OTLP_HEADERS": "{}"}
        record = {"REVENUE_RECORD": "otlp_http/otlp_record"}
        with Collector(tmp_path_factory.mktemp("collector"), FILES, environ | record) as collector:
            yield collector, receiver


@pytest.fixture
def backend(running: tuple[Collector, Receiver]) -> Receiver:
    """The backend of record, willing and empty."""
    running[1].status = 200
    running[1].logs.clear()
    return running[1]


@pytest.fixture
def collector(running: tuple[Collector, Receiver], backend: Receiver) -> Collector:
    """The Collector before it."""
    return running[0]


def told(
    capsys: pytest.CaptureFixture[str], collector: Collector, *words: str, token: str = ""
) -> tuple[int, list[str], str]:
    """Run the command; returns its exit code, its findings as `LEVEL stage`, and all that it printed."""
    file = collector.folder / "given-token"
    file.write_text((token or TOKEN) + "\n")
    code = cli.main(["collector", "test", "--json", "--token-file", str(file), *words])
    out = capsys.readouterr().out
    return code, [f"{f['level']} {f['what'].partition(':')[0]}" for f in json.loads(out)["findings"]], out


@pytest.mark.parametrize("grpc", [False, True], ids=["http", "grpc"])
def test_a_payment_of_nothing_arrives_marked(
    capsys: pytest.CaptureFixture[str], collector: Collector, backend: Receiver, grpc: bool
) -> None:
    """Each stage says yes, and the backend of record has one event that no report counts."""
    endpoint = [f"http://127.0.0.1:{collector.grpc}", "--grpc"] if grpc else [collector.url]
    code, stages, out = told(capsys, collector, "--endpoint", *endpoint)
    (log,) = backend.named("order.paid")
    marks = {key: log.attributes.get(key) for key in ("synthetic", "livemode", "amount_minor", "currency")}

    assert (0, ["OK connection", "OK receiver", "OK money path", "OK sent"], True, False) == (
        code, stages, log.attributes["order_id"] in out, TOKEN in out,
    )  # fmt: skip
    assert {"synthetic": True, "livemode": False, "amount_minor": 0, "currency": "XTS"} == marks


def test_the_funnels_event_goes_through_its_queue(
    capsys: pytest.CaptureFixture[str], collector: Collector, backend: Receiver
) -> None:
    """On the funnel's path the queue answers, and the event arrives behind it, marked."""
    backend.status = 503
    code, stages, _ = told(capsys, collector, "--endpoint", collector.url, "--event", "checkout.start")
    backend.status = 200

    assert (0, ["OK connection", "OK receiver", "OK funnel path", "OK sent"]) == (code, stages)
    assert wait_for(lambda: [True] == [log.attributes.get("synthetic") for log in backend.named("checkout.start")], 45)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "the backend of record refuses the Collector (http 401)"),
        (400, "the backend of record refuses the event (http 400)"),
        (503, "not now (http 503)"),
        (500, "http 500"),
    ],
)
def test_what_the_backend_says_is_told_as_its_word(
    capsys: pytest.CaptureFixture[str], collector: Collector, backend: Receiver, status: int, said: str
) -> None:
    """A backend that refuses is no fault of the receiver: the money path says what it answered."""
    backend.status = status
    code, stages, out = told(capsys, collector, "--endpoint", collector.url)

    assert (1, ["OK connection", "OK receiver", "FAIL money path"], True) == (
        code,
        stages,
        f"money path: {said}" in out,
    )


@pytest.mark.parametrize("grpc", [False, True], ids=["http", "grpc"])
def test_a_wrong_token_is_the_receivers_word(
    capsys: pytest.CaptureFixture[str], collector: Collector, grpc: bool
) -> None:
    """The receiver's refusal is told apart from a backend's, and neither token is printed."""
    endpoint = [f"http://127.0.0.1:{collector.grpc}", "--grpc"] if grpc else [collector.url]
    code, stages, out = told(capsys, collector, "--endpoint", *endpoint, token="c4n4ry-t0k3n")

    assert (1, ["OK connection", "FAIL auth"], False, False) == (code, stages, "c4n4ry" in out, TOKEN in out)


@pytest.mark.parametrize(
    ("words", "stage", "remedy"),
    [
        (["--endpoint", "https://127.0.0.1:{http}"], "FAIL TLS", "--endpoint http://"),
        (["--endpoint", "http://127.0.0.1:{grpc}"], "FAIL receiver", "--grpc"),
        (["--endpoint", "http://127.0.0.1:{http}", "--grpc"], "FAIL receiver", "without --grpc"),
        (["--endpoint", "https://127.0.0.1:{grpc}", "--grpc"], "FAIL TLS", "--endpoint http://"),
    ],
    ids=["TLS to a port without", "HTTP to the port of gRPC", "gRPC to the port of HTTP", "gRPC over TLS to a port without"],
)  # fmt: skip
def test_a_port_of_another_kind_is_told(
    capsys: pytest.CaptureFixture[str], collector: Collector, words: list[str], stage: str, remedy: str
) -> None:
    """Whoever takes one port for the other is told which option to change."""
    ports = [word.format(http=collector.http, grpc=collector.grpc) for word in words]
    code, stages, out = told(capsys, collector, *ports)

    assert (1, ["OK connection", stage], True) == (code, stages, remedy in out)


def test_nobody_at_the_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing listens, the first stage says so, for people, with a remedy."""
    port = free_port()
    code = cli.main(["collector", "test", "--endpoint", f"http://127.0.0.1:{port}"])
    out = capsys.readouterr().out

    assert (1, True, True) == (
        code,
        f"FAIL  connection: 127.0.0.1:{port} refuses" in out,
        "-> is the Collector running" in out,
    )


# -- what is given, and what an answer means ----------------------------------------------------------------------------------


def test_the_environment_gives_headers_and_certificates_and_no_address() -> None:
    """The endpoint is the argument's; a token of a file stands for one of the environment."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:1",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://elsewhere:2",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_LOGS_EXPORTER": "otlp_proto_grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-scope-orgid=shop",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem",
    }
    otlp = settings(environ, "https://collector:4318/v1/logs", grpc=False, token_file=None)

    assert ("https://collector:4318/v1/logs", "http/protobuf", {"x-scope-orgid": "shop"}, "/etc/ca.pem") == (
        otlp.endpoint, otlp.protocol, otlp.headers, otlp.certificate,
    )  # fmt: skip


@pytest.mark.parametrize("content", ["", " \n", "schlüssel"], ids=["empty", "blank", "not ASCII"])
def test_a_token_file_without_a_token_is_told(content: str, tmp_path: Path) -> None:
    """A file that holds no token is an error of its own, which does not quote it."""
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        settings({}, "http://collector:4318", grpc=False, token_file=str(file))

    assert (True, False) == (str(file) in str(raised.value), "schl" in str(raised.value))


def test_an_endpoint_that_is_no_url_is_told() -> None:
    """The text names the option, not a variable."""
    with pytest.raises(ConfigError, match="--endpoint: expected a URL"):
        settings({}, "collector", grpc=False, token_file=None)


def judged(reason: str, spoken: str = "", endpoint: str = "http://c:4318") -> Finding:
    """Return what an answer of the receiver means."""
    return receiver(
        Held(reason) if "404" in reason else Later(reason), settings({}, endpoint, grpc=False, token_file=None), spoken
    )


@pytest.mark.parametrize(
    ("finding", "begin"),
    [
        (judged("network: ConnectionError", _probe.TLS), "TLS: the port wants it"),
        (judged("network: SSLError", "", "https://c:4318"), "TLS: no handshake (network: SSLError)"),
        (judged("http 404"), "receiver: does not take logs there"),
        (judged("http 503"), "receiver: http 503"),
    ],
)
def test_what_the_receiver_says_is_told(finding: Finding, begin: str) -> None:
    """Each kind of answer has its own words, and a remedy."""
    assert (True, True) == (finding.what.startswith(begin), bool(finding.remedy))


def test_a_collector_behind_a_proxy_is_not_asked_directly(
    capsys: pytest.CaptureFixture[str], backend: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where requests go by a proxy, a host that cannot be reached from here is no fault."""
    monkeypatch.setenv("http_proxy", backend.url)
    code = cli.main(["collector", "test", "--endpoint", "http://collector.invalid:4318"])
    out = capsys.readouterr().out

    assert (0, True) == (code, "SKIP  connection: http://collector.invalid:4318/v1/logs is not reached directly" in out)


def test_certificates_are_told_of(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, backend: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With mtls.yaml the event arrives with a certificate; what is missing without one, or without TLS, is said."""
    made = certificates.make(tmp_path)
    files = {"CERT": "server.pem", "KEY": "server.key", "CLIENT_CA": "ca.pem"}
    environ = {
        **{f"REVENUE_TLS_{name}_FILE": made.file(file) for name, file in files.items()},
        "REVENUE_RECORD": "otlp_http/otlp_record",
        "REVENUE_OTLP_URL": backend.url,
        "REVENUE_OTLP_HEADERS": "{}",
    }
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", made.ca)
    with Collector(tmp_path / "collector", ("mtls.yaml", *FILES), environ) as collector:
        http, grpc = f"https://127.0.0.1:{collector.http}", f"https://127.0.0.1:{collector.grpc}"
        in_clear = told(capsys, collector, "--endpoint", collector.url)[1]
        without = [told(capsys, collector, "--endpoint", *where)[1][-1] for where in ((http,), (grpc, "--grpc"))]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", made.file("client.pem"))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", made.file("client.key"))
        with_one = [told(capsys, collector, "--endpoint", *where)[0] for where in ((http,), (grpc, "--grpc"))]

    assert (["OK connection", "FAIL TLS"], ["FAIL TLS"] * 2, [0, 0]) == (in_clear, without, with_one)
