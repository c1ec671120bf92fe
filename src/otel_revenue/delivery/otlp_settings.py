# SPDX-License-Identifier: Apache-2.0
"""The standard `OTEL_EXPORTER_OTLP_*` variables, read as the SDK's exporters read them; a contract test holds the two together."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
DEFAULT_TIMEOUT_S: Final = 10.0
_COMPRESSIONS: Final = ("gzip", "deflate", "none", "")

# Of the OTLP exporter specification: `name=value`, the value URL-encoded; a value with spaces is taken as it stands.
_NAME: Final = r"[ \t]*[\x21\x23-\x27\x2a\x2b\x2d\x2e\x30-\x39\x41-\x5a\x5e-\x7a\x7c\x7e]+[ \t]*"
_ENCODED: Final = re.compile(rf"{_NAME}=[ \t]*[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*[ \t]*")
_LIBERAL: Final = re.compile(rf"{_NAME}=[ \t]*[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*[ \t]*")


@dataclass(frozen=True)
class OtlpSettings:
    """
    Where and how logs go.

    `endpoint` is a full URL for HTTP, host:port for gRPC. `headers` are secrets: they are not in the repr, and neither is what
    an endpoint may carry of credentials. `problems` are texts for people, naming key, shape and remedy.
    """

    protocol: str
    endpoint: str = field(repr=False)
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
        parsed = _split(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}")
        if parsed is None:
            return "malformed"
        host = parsed.netloc.rsplit("@", 1)[-1]
        return f"{parsed.scheme}://{host}{parsed.path}" if parsed.scheme else host + parsed.path


def read(environ: Mapping[str, str]) -> OtlpSettings:
    """Read the settings for logs; never raises: a wrong value becomes a problem and the default is taken."""
    problems: list[str] = []
    protocol = _protocol(environ, problems)
    endpoint, insecure = _http_endpoint(environ) if protocol == HTTP else _grpc_endpoint(environ)
    if not _usable(endpoint, protocol):
        example = "http://collector:4318" if protocol == HTTP else "http://collector:4317"
        problems.append(f"OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL, for example {example}")
    return OtlpSettings(
        protocol=protocol,
        endpoint=endpoint,
        insecure=insecure,
        headers=_headers(_of(environ, "HEADERS", ""), problems),
        certificate=_of(environ, "CERTIFICATE", "") or None,
        client_key=_of(environ, "CLIENT_KEY", "") or None,
        client_certificate=_of(environ, "CLIENT_CERTIFICATE", "") or None,
        compression=_compression(environ, problems),
        timeout_s=_timeout(environ, problems),
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
    if value in (HTTP, GRPC):
        return value
    nearest = HTTP if value.lower().startswith("http") else GRPC
    problems.append(f"OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc or http/protobuf; going on with {nearest}")
    return nearest


def _compression(environ: Mapping[str, str], problems: list[str]) -> str:
    value = _of(environ, "COMPRESSION", "").strip().lower()
    if value not in _COMPRESSIONS:
        problems.append(
            "OTEL_EXPORTER_OTLP_COMPRESSION: expected gzip, deflate or none, for example gzip; going on without"
        )
    return value if value in ("gzip", "deflate") else ""


def _timeout(environ: Mapping[str, str], problems: list[str]) -> float:
    try:
        timeout = float(_of(environ, "TIMEOUT", str(DEFAULT_TIMEOUT_S)))
    except ValueError:
        timeout = 0.0
    if 0 < timeout <= 3600:
        return timeout
    problems.append("OTEL_EXPORTER_OTLP_TIMEOUT: expected seconds above 0, for example 10; going on with 10")
    return DEFAULT_TIMEOUT_S


def _headers(text: str, problems: list[str]) -> dict[str, str]:
    """Parse like `opentelemetry.util.re.parse_env_headers`, which writes what it cannot parse, secrets and all, into the log."""
    headers: dict[str, str] = {}
    for number, entry in enumerate(re.split(r"[ \t]*,[ \t]*", text), 1):
        stripped = entry.strip()
        name, _, value = stripped.partition("=")
        if _ENCODED.fullmatch(stripped):
            headers[unquote(name).strip().lower()] = unquote(value).strip()
        elif _LIBERAL.fullmatch(stripped):
            headers[name.strip().lower()] = value.strip()
        elif entry:
            problems.append(
                f"OTEL_EXPORTER_OTLP_HEADERS: entry {number} is left out: expected name=value, URL-encoded, separated by commas"
            )
    return headers


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # such as "http://[::1"
        return None


def _usable(endpoint: str, protocol: str) -> bool:
    if protocol == HTTP:
        parsed = _split(endpoint)
        return parsed is not None and parsed.scheme in ("http", "https") and bool(parsed.hostname)
    parsed = _split(endpoint if "://" in endpoint else f"//{endpoint}")
    return parsed is not None and (bool(parsed.hostname) or bool(parsed.path.strip("/")))


def _http_endpoint(environ: Mapping[str, str]) -> tuple[str, bool]:
    own = environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
    if own:
        return own, own.startswith("http://")
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    return f"{base.removesuffix('/')}/v1/logs", base.startswith("http://")


def _grpc_endpoint(environ: Mapping[str, str]) -> tuple[str, bool]:
    endpoint = (
        environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
        or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or "http://localhost:4317"
    )
    parsed = _split(endpoint)
    scheme = parsed.scheme if parsed is not None else ""
    # As in the SDK, the scheme https is stronger than the variable, and the variable stronger than http.
    stated = environ.get("OTEL_EXPORTER_OTLP_LOGS_INSECURE", environ.get("OTEL_EXPORTER_OTLP_INSECURE"))
    insecure = stated.lower() == "true" if stated is not None else scheme == "http"
    return (parsed.netloc if parsed is not None else "") or endpoint, insecure and scheme != "https"
