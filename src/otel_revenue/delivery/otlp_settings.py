# SPDX-License-Identifier: Apache-2.0
"""The standard `OTEL_EXPORTER_OTLP_*` variables, read as the SDK's exporters read them; a contract test holds the two together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlparse

from opentelemetry.util.re import parse_env_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
_COMPRESSIONS: Final = ("gzip", "deflate", "none", "")


@dataclass(frozen=True)
class OtlpSettings:
    """
    Where and how logs go.

    `endpoint` is a full URL for HTTP, host:port for gRPC. `headers` are secrets: they are not in the repr. `problems`
    are texts for people, naming key, shape and remedy.
    """

    protocol: str
    endpoint: str
    insecure: bool
    headers: dict[str, str] = field(repr=False)
    certificate: str | None
    client_key: str | None
    client_certificate: str | None
    compression: str
    timeout_s: float
    problems: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The endpoint for people: without credentials and query."""
        parsed = urlparse(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}")
        host = (parsed.netloc or self.endpoint).rsplit("@", 1)[-1]
        return f"{parsed.scheme}://{host}{parsed.path}" if parsed.scheme else host


def read(environ: Mapping[str, str]) -> OtlpSettings:
    """Read the settings for logs; never raises: a wrong value becomes a problem and the default is taken."""
    problems: list[str] = []
    protocol = _protocol(environ, problems)
    endpoint, insecure = _http_endpoint(environ) if protocol == HTTP else _grpc_endpoint(environ)
    compression = _of(environ, "COMPRESSION", "").strip().lower()
    if compression not in _COMPRESSIONS:
        problems.append(
            "OTEL_EXPORTER_OTLP_COMPRESSION: expected gzip, deflate or none, for example gzip; going on without"
        )
        compression = ""
    timeout = 10.0
    try:
        timeout = float(_of(environ, "TIMEOUT", "10"))
        if not 0 < timeout <= 3600:
            raise ValueError
    except ValueError:
        problems.append("OTEL_EXPORTER_OTLP_TIMEOUT: expected seconds above 0, for example 10; going on with 10")
        timeout = 10.0
    if urlparse(endpoint if "://" in endpoint else f"//{endpoint}").hostname is None:
        problems.append("OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL, for example http://collector:4318")
    return OtlpSettings(
        protocol=protocol,
        endpoint=endpoint,
        insecure=insecure,
        headers=dict(parse_env_headers(_of(environ, "HEADERS", ""), liberal=True)),
        certificate=_of(environ, "CERTIFICATE", "") or None,
        client_key=_of(environ, "CLIENT_KEY", "") or None,
        client_certificate=_of(environ, "CLIENT_CERTIFICATE", "") or None,
        compression="" if compression == "none" else compression,
        timeout_s=timeout,
        problems=tuple(problems),
    )


def _of(environ: Mapping[str, str], name: str, default: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_LOGS_{name}") or environ.get(f"OTEL_EXPORTER_OTLP_{name}") or default


def _protocol(environ: Mapping[str, str], problems: list[str]) -> str:
    exporters = [name.strip() for name in environ.get("OTEL_LOGS_EXPORTER", "").split(",")]
    if "otlp_proto_http" in exporters:
        return HTTP
    if "otlp_proto_grpc" in exporters:
        return GRPC
    value = _of(environ, "PROTOCOL", GRPC).strip()
    if value not in (HTTP, GRPC):
        problems.append("OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc or http/protobuf; going on with grpc")
        return GRPC
    return value


def _http_endpoint(environ: Mapping[str, str]) -> tuple[str, bool]:
    own = environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
    if own:
        return own, own.startswith("http://")
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    return f"{base.rstrip('/')}/v1/logs", base.startswith("http://")


def _grpc_endpoint(environ: Mapping[str, str]) -> tuple[str, bool]:
    endpoint = (
        environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
        or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or "http://localhost:4317"
    )
    parsed = urlparse(endpoint)
    stated = environ.get("OTEL_EXPORTER_OTLP_LOGS_INSECURE")
    if stated is None and parsed.scheme != "https":
        stated = environ.get("OTEL_EXPORTER_OTLP_INSECURE")
    insecure = stated.lower() == "true" if stated is not None else parsed.scheme == "http"
    return parsed.netloc or endpoint, insecure
