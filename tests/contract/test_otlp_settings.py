# SPDX-License-Identifier: Apache-2.0
"""Our reading of `OTEL_EXPORTER_OTLP_*`, held against the SDK's own exporters, constructed from the same variables."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.util.re import parse_env_headers

from otel_revenue.delivery import otlp_settings

ALL = "OTEL_EXPORTER_OTLP_"
LOGS = "OTEL_EXPORTER_OTLP_LOGS_"


def _environment(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def _http_of_sdk() -> dict[str, Any]:
    exporter = HttpExporter(session=requests.Session())  # releases differ in what they take by themselves
    client = exporter._client
    session = client._transport._session
    own = {"content-type", "user-agent", "Content-Encoding"}
    read = {
        "endpoint": exporter._endpoint,
        "headers": {name: value for name, value in client._headers.items() if name not in own},
        "timeout_s": client._timeout,
        "compression": exporter._compression.value,
        "verify": session.verify,
        "cert": session.cert,
    }
    exporter.shutdown()
    return read


def _http_of_ours(environ: dict[str, str]) -> dict[str, Any]:
    ours = otlp_settings.read({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **environ})
    pair = (ours.client_certificate, ours.client_key)
    return {
        "endpoint": ours.endpoint,
        "headers": ours.headers,
        "timeout_s": ours.timeout_s,
        "compression": ours.compression or "none",
        "verify": ours.certificate or True,
        "cert": pair if all(pair) else ours.client_certificate,
    }


HTTP = {
    "nothing set": {},
    "endpoint": {f"{ALL}ENDPOINT": "http://collector:4318"},
    "trailing slash": {f"{ALL}ENDPOINT": "http://collector:4318/"},
    "two trailing slashes": {f"{ALL}ENDPOINT": "http://collector:4318//"},
    "with a path": {f"{ALL}ENDPOINT": "https://otlp.vendor.example/otlp"},
    "with the signal's path": {f"{ALL}ENDPOINT": "http://collector:4318/v1/logs"},
    "with a query": {f"{LOGS}ENDPOINT": "https://vendor.example/v1/logs?tenant=a"},
    "of the signal": {f"{LOGS}ENDPOINT": "http://logs:4318/v1/logs", f"{ALL}ENDPOINT": "http://collector:4318"},
    "of the signal, taken as it is": {f"{LOGS}ENDPOINT": "http://logs:4318"},
    "of the signal, empty": {f"{LOGS}ENDPOINT": "", f"{ALL}ENDPOINT": "http://collector:4318"},
    "without a scheme": {f"{ALL}ENDPOINT": "collector:4318"},
    "headers": {f"{ALL}HEADERS": "api-key=secret,X-Tenant=a"},
    "headers, encoded": {f"{ALL}HEADERS": "authorization=Basic%20YTpi, x-scope = a%2Cb "},
    "headers with spaces": {f"{ALL}HEADERS": "Authorization=Bearer abc def=="},
    "headers, malformed": {f"{ALL}HEADERS": "good=1,bad,also bad=2,=3,k=,x=a\\b,,last=4"},
    "headers of the signal": {f"{LOGS}HEADERS": "a=1", f"{ALL}HEADERS": "b=2"},
    "a content type of one's own": {f"{ALL}HEADERS": "x-content=application/x-protobuf"},
    "timeout": {f"{ALL}TIMEOUT": "3"},
    "timeout of the signal": {f"{LOGS}TIMEOUT": "2.5", f"{ALL}TIMEOUT": "3"},
    "timeout, malformed": {f"{ALL}TIMEOUT": "soon"},
    "compression gzip": {f"{ALL}COMPRESSION": "gzip"},
    "compression deflate": {f"{ALL}COMPRESSION": " Deflate "},
    "compression none": {f"{ALL}COMPRESSION": "none"},
    "compression of the signal": {f"{LOGS}COMPRESSION": "none", f"{ALL}COMPRESSION": "gzip"},
    "compression, unknown": {f"{ALL}COMPRESSION": "zstd"},
    "certificate": {f"{ALL}CERTIFICATE": "/ca.pem"},
    "certificate of the signal": {f"{LOGS}CERTIFICATE": "/logs.pem", f"{ALL}CERTIFICATE": "/ca.pem"},
    "client certificate": {f"{ALL}CLIENT_CERTIFICATE": "/c.pem", f"{ALL}CLIENT_KEY": "/k.pem"},
    "client certificate, key in the same file": {f"{ALL}CLIENT_CERTIFICATE": "/both.pem"},
    "client key alone": {f"{ALL}CLIENT_KEY": "/k.pem"},
}


@pytest.mark.parametrize("environ", HTTP.values(), ids=HTTP.keys())
def test_http_settings_are_read_as_the_sdk_reads_them(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the SDK's HTTP exporter would post, and with what, there and so do we.
    """
    _environment(monkeypatch, environ)

    assert _http_of_sdk() == _http_of_ours(environ)


DIFFERENT_HTTP = {
    # The SDK would post with a timeout of 0, below 0 or without end: the thread that delivers money must not stand still.
    "timeout of 0": ({f"{ALL}TIMEOUT": "0"}, "timeout_s", 0.0, 10.0),
    "timeout below 0": ({f"{ALL}TIMEOUT": "-1"}, "timeout_s", -1.0, 10.0),
    "timeout without end": ({f"{ALL}TIMEOUT": "inf"}, "timeout_s", float("inf"), 10.0),
}


@pytest.mark.parametrize(("environ", "key", "sdk", "ours"), DIFFERENT_HTTP.values(), ids=DIFFERENT_HTTP.keys())
def test_http_settings_that_are_meant_to_differ(
    environ: dict[str, str], key: str, sdk: object, ours: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where we leave the SDK's reading, it is on purpose, and said as a problem.
    """
    _environment(monkeypatch, environ)

    assert (sdk, ours, 1) == (
        _http_of_sdk()[key],
        _http_of_ours(environ)[key],
        len(otlp_settings.read(environ).problems),
    )


def _grpc_of_sdk(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    files: dict[str, str] = {}

    def credentials(ca: str | None, key: str | None, certificate: str | None) -> grpc.ChannelCredentials:
        files.update({"ca": ca or "", "key": key or "", "certificate": certificate or ""})
        return grpc.ssl_channel_credentials()

    monkeypatch.setattr("opentelemetry.exporter.otlp.proto.grpc.exporter._load_credentials", credentials)
    exporter = GrpcExporter()
    read = {
        "endpoint": exporter._endpoint,
        "insecure": bool(exporter._insecure),
        "headers": dict(exporter._headers),
        "timeout_s": float(exporter._timeout),
        "compression": {grpc.Compression.Gzip: "gzip"}.get(exporter._compression, ""),
        "files": files,
    }
    exporter.shutdown()
    return read


def _grpc_of_ours(environ: dict[str, str]) -> dict[str, Any]:
    ours = otlp_settings.read({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **environ})
    files = {
        "ca": ours.certificate or "",
        "key": ours.client_key or "",
        "certificate": ours.client_certificate or "",
    }
    return {
        "endpoint": ours.endpoint,
        "insecure": ours.insecure,
        "headers": ours.headers,
        "timeout_s": ours.timeout_s,
        "compression": ours.compression,
        "files": files if not ours.insecure and any(files.values()) else {},
    }


GRPC = {
    "nothing set": {},
    "http": {f"{ALL}ENDPOINT": "http://collector:4317"},
    "https": {f"{ALL}ENDPOINT": "https://collector:4317"},
    "with a path": {f"{ALL}ENDPOINT": "http://collector:4317/v1/logs"},
    "without a scheme": {f"{ALL}ENDPOINT": "collector:4317"},
    "without a scheme, insecure": {f"{ALL}ENDPOINT": "collector:4317", f"{ALL}INSECURE": "true"},
    "without a scheme, insecure for logs": {f"{ALL}ENDPOINT": "collector:4317", f"{LOGS}INSECURE": "TRUE"},
    "http, but not insecure": {f"{ALL}ENDPOINT": "http://collector:4317", f"{ALL}INSECURE": "false"},
    "https, whatever insecure says": {f"{ALL}ENDPOINT": "https://collector:4317", f"{ALL}INSECURE": "true"},
    "https, whatever insecure says for logs": {f"{ALL}ENDPOINT": "https://collector:4317", f"{LOGS}INSECURE": "true"},
    "insecure of the signal wins": {
        f"{ALL}ENDPOINT": "collector:4317",
        f"{LOGS}INSECURE": "false",
        f"{ALL}INSECURE": "true",
    },
    "insecure, empty": {f"{ALL}ENDPOINT": "http://collector:4317", f"{ALL}INSECURE": ""},
    "insecure of the signal, empty": {
        f"{ALL}ENDPOINT": "collector:4317",
        f"{LOGS}INSECURE": "",
        f"{ALL}INSECURE": "true",
    },
    "of the signal": {f"{LOGS}ENDPOINT": "https://logs:4317", f"{ALL}ENDPOINT": "http://collector:4317"},
    "a resolver": {f"{ALL}ENDPOINT": "dns:///collector:4317", f"{ALL}INSECURE": "true"},
    "a socket": {f"{ALL}ENDPOINT": "unix:///run/otel.sock", f"{ALL}INSECURE": "true"},
    "headers": {f"{ALL}HEADERS": "Api-Key=secret,x-tenant=a%20b"},
    "headers of the signal": {f"{LOGS}HEADERS": "a=1", f"{ALL}HEADERS": "b=2"},
    "timeout": {f"{ALL}TIMEOUT": "3"},
    "timeout of the signal": {f"{LOGS}TIMEOUT": "2", f"{ALL}TIMEOUT": "3"},
    "compression": {f"{ALL}COMPRESSION": "gzip"},
    "compression of the signal": {f"{LOGS}COMPRESSION": "gzip"},
    "certificate": {f"{ALL}ENDPOINT": "https://c:4317", f"{ALL}CERTIFICATE": "/ca.pem"},
    "client certificate": {
        f"{ALL}ENDPOINT": "https://c:4317",
        f"{ALL}CERTIFICATE": "/ca.pem",
        f"{ALL}CLIENT_CERTIFICATE": "/c.pem",
        f"{ALL}CLIENT_KEY": "/k.pem",
    },
    "client certificate of the signal": {
        f"{ALL}ENDPOINT": "https://c:4317",
        f"{LOGS}CERTIFICATE": "/ca.pem",
        f"{LOGS}CLIENT_CERTIFICATE": "/c.pem",
        f"{LOGS}CLIENT_KEY": "/k.pem",
    },
}


@pytest.mark.parametrize("environ", GRPC.values(), ids=GRPC.keys())
def test_grpc_settings_are_read_as_the_sdk_reads_them(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the SDK's gRPC exporter would call, and with what, there and so do we.
    """
    _environment(monkeypatch, environ)

    assert _grpc_of_sdk(monkeypatch) == _grpc_of_ours(environ)


DIFFERENT_GRPC = {
    # The specification gives "no certificate of the CA" a meaning: the system's. The SDK forgets the client's certificate then.
    "client certificate without a CA": (
        {f"{ALL}ENDPOINT": "https://c:4317", f"{ALL}CLIENT_CERTIFICATE": "/c.pem", f"{ALL}CLIENT_KEY": "/k.pem"},
        "files",
        {},
        {"ca": "", "key": "/k.pem", "certificate": "/c.pem"},
    ),
    # Each variable falls back by itself, says the specification. The SDK takes all three from where the CA is.
    "certificates of both kinds": (
        {
            f"{ALL}ENDPOINT": "https://c:4317",
            f"{LOGS}CERTIFICATE": "/ca.pem",
            f"{ALL}CLIENT_CERTIFICATE": "/c.pem",
            f"{ALL}CLIENT_KEY": "/k.pem",
        },
        "files",
        {"ca": "/ca.pem", "key": "", "certificate": ""},
        {"ca": "/ca.pem", "key": "/k.pem", "certificate": "/c.pem"},
    ),
    # An empty variable means unset, says the specification.
    "endpoint, empty": ({f"{ALL}ENDPOINT": ""}, "endpoint", "", "localhost:4317"),
}


@pytest.mark.parametrize(("environ", "key", "sdk", "ours"), DIFFERENT_GRPC.values(), ids=DIFFERENT_GRPC.keys())
def test_grpc_settings_that_are_meant_to_differ(
    environ: dict[str, str], key: str, sdk: object, ours: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where we leave the SDK's reading, it is on purpose.
    """
    _environment(monkeypatch, environ)

    assert (sdk, ours) == (_grpc_of_sdk(monkeypatch)[key], _grpc_of_ours(environ)[key])


FATAL_TO_THE_SDK = {
    "compression deflate": ({f"{ALL}COMPRESSION": "deflate"}, 0),
    "compression none": ({f"{ALL}COMPRESSION": "none"}, 0),
    "compression, unknown": ({f"{ALL}COMPRESSION": "zstd"}, 1),
    "timeout, malformed": ({f"{ALL}TIMEOUT": "soon"}, 1),
    "endpoint, malformed": ({f"{ALL}ENDPOINT": "http://[::1"}, 1),
}


@pytest.mark.parametrize(("environ", "problems"), FATAL_TO_THE_SDK.values(), ids=FATAL_TO_THE_SDK.keys())
def test_what_the_sdk_dies_of_is_read_by_us(
    environ: dict[str, str], problems: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A value at which the SDK's gRPC exporter raises is taken where it has a meaning, and a problem in words where it has none.
    """
    _environment(monkeypatch, environ)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of several types, theirs
        GrpcExporter()

    assert problems == len(otlp_settings.read(environ).problems)


PROTOCOLS = {
    "nothing": ({}, "grpc", 0),
    "grpc": ({f"{ALL}PROTOCOL": "grpc"}, "grpc", 0),
    "http": ({f"{ALL}PROTOCOL": " http/protobuf "}, "http/protobuf", 0),
    "of the signal": ({f"{LOGS}PROTOCOL": "http/protobuf", f"{ALL}PROTOCOL": "grpc"}, "http/protobuf", 0),
    "exporter http": ({"OTEL_LOGS_EXPORTER": "otlp_proto_http", f"{ALL}PROTOCOL": "grpc"}, "http/protobuf", 0),
    "exporter grpc": ({"OTEL_LOGS_EXPORTER": "console, otlp_proto_grpc"}, "grpc", 0),
    # The SDK raises for these: the application would not start.
    "json, which we do not speak": ({f"{ALL}PROTOCOL": "http/json"}, "http/protobuf", 1),
    "unknown": ({f"{ALL}PROTOCOL": "carrier pigeon"}, "grpc", 1),
}


@pytest.mark.parametrize(("environ", "protocol", "problems"), PROTOCOLS.values(), ids=PROTOCOLS.keys())
def test_the_protocol_is_chosen_as_the_sdk_chooses(environ: dict[str, str], protocol: str, problems: int) -> None:
    """
    The protocol is that of the exporter that the SDK would load.
    """
    read = otlp_settings.read(environ)

    assert (protocol, problems) == (read.protocol, len(read.problems))


@settings(deadline=None)
@given(st.text('aA1 \t,=%20%2C;"\\é-', max_size=60))
def test_headers_are_parsed_as_the_api_parses_them(text: str) -> None:
    """
    Any text gives the headers that `parse_env_headers` finds in it.
    """
    logging.getLogger("opentelemetry.util.re").disabled = True
    try:
        expected = dict(parse_env_headers(text, liberal=True))
    finally:
        logging.getLogger("opentelemetry.util.re").disabled = False

    assert expected == otlp_settings.read({f"{ALL}HEADERS": text}).headers


NAMES = ("ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "INSECURE", "CERTIFICATE")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([p + n for p in (ALL, LOGS) for n in NAMES]), st.text(max_size=30)))
def test_reading_never_raises(environ: dict[str, str]) -> None:
    """
    Whatever stands in the variables, there are settings that can be used or shown, and the application starts.
    """
    read = otlp_settings.read(environ)

    assert (True, True) == (isinstance(read.shown, str), 0 < read.timeout_s <= 3600)


def test_no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """
    Neither repr, nor problems, nor the log hold a header's value, well-formed or not, or an endpoint's credentials.
    """
    read = otlp_settings.read(
        {
            f"{ALL}PROTOCOL": "http/protobuf",
            f"{ALL}HEADERS": "authorization=hunter2,broken hunter2",
            f"{ALL}ENDPOINT": "https://me:hunter2@collector:4318/x?key=hunter2",
        }
    )
    shown = f"{read!r} {read.problems} {read.shown} {caplog.text}"

    assert (False, "https://collector:4318/x", 1) == ("hunter2" in shown, read.shown, len(read.problems))
