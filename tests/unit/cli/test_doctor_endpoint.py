# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of the far end, on surroundings that are stated."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from otel_revenue.cli import (
    _checks_endpoint,
    _probe,
)
from otel_revenue.cli._findings import Level
from otel_revenue.delivery import otlp_settings
from otel_revenue.delivery.outcome import Delivered, Held, Later, Outcome, Refused
from support.doctor import around, one, trouble

if TYPE_CHECKING:
    from pathlib import Path


HTTP = otlp_settings.read({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
GRPC = otlp_settings.read({})
HTTPS = dataclasses.replace(HTTP, endpoint="https://otlp.example/v1/logs", insecure=False)


@pytest.mark.parametrize(
    ("outcome", "otlp", "spoken", "level", "said"),
    [
        (Delivered(), HTTP, "", Level.OK, "takes what is sent"),
        (Held("http 401"), HTTP, "HTTP/1", Level.FAIL, "OTEL_EXPORTER_OTLP_HEADERS: none is set"),
        (Held("grpc UNAUTHENTICATED"), GRPC, "HTTP/2", Level.FAIL, "OTEL_EXPORTER_OTLP_HEADERS"),
        (Held("http 404"), HTTP, "HTTP/1", Level.FAIL, "/v1/logs appended"),
        (Held("http 301"), HTTP, "HTTP/1", Level.FAIL, "it redirects"),
        (Held("answer is a web page"), HTTP, "HTTP/1", Level.FAIL, "is that path right?"),
        (Held("settings: InvalidHeader"), HTTP, "", Level.FAIL, "refuses its own settings"),
        (Held("grpc UNIMPLEMENTED"), GRPC, "HTTP/2", Level.FAIL, "a pipeline for logs"),
        (Refused("http 400"), HTTP, "HTTP/1", Level.WARN, "without events"),
        (Later("http 503"), HTTP, "HTTP/1", Level.WARN, "is busy"),
        (Later("timeout"), HTTP, "", Level.FAIL, "does not answer as an OTLP endpoint"),
        (Later("network: SSLError"), HTTPS, "", Level.FAIL, "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        (Later("network: ConnectionError"), HTTP, "HTTP/2", Level.FAIL, "the port speaks gRPC"),
        (Later("grpc UNAVAILABLE"), GRPC, "HTTP/1", Level.FAIL, "the port speaks HTTP"),
        (Later("network: ConnectionError"), HTTP, "TLS", Level.FAIL, "the port wants TLS"),
        (Later("network: SSLError"), HTTPS, "HTTP/1", Level.FAIL, "the port has no TLS"),
    ],
)
def test_what_an_answer_means(outcome: Outcome, otlp, spoken: str, level: Level, said: str) -> None:
    """Each answer of a far end leads to its own remedy."""
    finding = _checks_endpoint.judge(outcome, otlp, spoken)

    assert (level, True) == (finding.level, said in f"{finding.what} -> {finding.remedy}")


@pytest.mark.parametrize(
    ("greeting", "spoken"),
    [
        (b"HTTP/1.1 404 Not Found\r\n", "HTTP/1"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05", "HTTP/2"),
        (b"SSH-2.0-OpenSSH", ""),
        (b"", ""),
    ],
)
def test_protocols_by_their_first_bytes(greeting: bytes, spoken: str) -> None:
    """What a server says first tells HTTP, gRPC and TLS apart."""
    assert spoken == _probe.classify(greeting)


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:pw@collector:4318"}, ("collector", 4318)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example"}, ("otlp.example", 443)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"}, ("::1", 4318)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:port"}, None),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, ("collector", 4317)),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/otel.sock"}, None),
    ],
)
def test_where_an_endpoint_is(environ, target) -> None:
    """Host and port are found in every form that an endpoint may have; a form that has none gives none."""
    otlp = otlp_settings.read({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **environ})
    found = _probe.target(otlp)

    assert target == (None if found is None else (found.host, found.port))


@pytest.mark.parametrize(
    ("protocol", "port", "said"),
    [("grpc", 4318, "=http/protobuf"), ("http/protobuf", 4317, "=grpc"), ("grpc", 4317, "")],
)
def test_the_usual_ports_mixed_up(protocol: str, port: int, said: str) -> None:
    """The usual port of the other protocol is a warning with both ways out."""
    otlp = otlp_settings.read(
        {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://collector:{port}"}
    )

    assert [True] * bool(said) == [said in f.remedy for f in _checks_endpoint._ports(otlp)]


def test_a_host_without_an_address(monkeypatch) -> None:
    """A name that cannot be resolved is a failure of its own: nothing is sent."""
    monkeypatch.setattr(_checks_endpoint._probe, "resolves", lambda _: False)
    findings = _checks_endpoint.endpoint(around({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.nowhere:4318"}))

    assert "the host collector.nowhere" in one(findings)[1]


def test_what_is_wrong_with_the_variables_themselves(tmp_path: Path) -> None:
    """A certificate's file that is not there, and a variable of a wrong shape, are failures."""
    environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem"), "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}
    found = trouble(_checks_endpoint.settings(around(environ)))

    assert ["FAIL", "FAIL"] == [level for level, _ in found]
    assert "OTEL_EXPORTER_OTLP_TIMEOUT" in found[0][1]
    assert "ca.pem cannot be read" in found[1][1]


def test_the_applications_own_pipeline_is_not_asked() -> None:
    """Where events leave through the application's exporter, its endpoint is not ours to try."""
    findings = _checks_endpoint.endpoint(around({"OTEL_LOGS_EXPORTER": "console"}))

    assert [Level.SKIP] == [f.level for f in findings]


@pytest.mark.parametrize(("offset", "said"), [(400.4, "400 s ahead of"), (-90.0, "90 s behind"), (2.0, ""), (None, "")])
def test_clocks_that_differ(monkeypatch, offset: float | None, said: str) -> None:
    """A clock that is off by half a minute is said, with the direction; one that cannot be compared is not made up."""
    monkeypatch.setattr(_checks_endpoint._probe, "clock_offset_s", lambda _: offset)
    found = trouble(_checks_endpoint.clock(around()))

    assert [("WARN", True)] * bool(said) == [(level, said in text) for level, text in found]
