# SPDX-License-Identifier: Apache-2.0
"""Bounded looks at a far end: whether its name resolves, its port answers, what it speaks, what its clock says."""

from __future__ import annotations

import email.utils
import socket
import time
from dataclasses import dataclass
from datetime import timezone
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_revenue.delivery.otlp_settings import GRPC, HTTP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest

    from otel_revenue.delivery.otlp_settings import OtlpSettings

TIMEOUT_S: Final = 3.0
_GREETING_S: Final = 0.5
HTTP1: Final = "HTTP/1"
HTTP2: Final = "HTTP/2"
TLS: Final = "TLS"


@dataclass(frozen=True)
class Target:
    """Where a connection goes."""

    host: str
    port: int


def target(otlp: OtlpSettings) -> Target | None:
    """Return host and port of an endpoint; None where it is of another kind (a socket's path, a resolver's scheme)."""
    endpoint = otlp.endpoint if "://" in otlp.endpoint else f"//{otlp.endpoint}"
    try:
        parsed = urlsplit(endpoint)
        host, port = parsed.hostname, parsed.port
    except ValueError:
        return None
    if not host or (otlp.protocol != HTTP and parsed.scheme not in ("", "http", "https")):
        return None
    return Target(host, port or (80 if otlp.protocol == HTTP and otlp.insecure else 443))


def proxied(otlp: OtlpSettings, environ: Mapping[str, str]) -> bool:
    """Whether requests go by a proxy: then the far end need not be reached from here."""
    if otlp.protocol == GRPC:
        return any(environ.get(name) for name in ("grpc_proxy", "https_proxy", "http_proxy"))
    from requests.utils import get_environ_proxies, select_proxy

    return bool(select_proxy(otlp.endpoint, get_environ_proxies(otlp.endpoint)))


def resolves(where: Target) -> bool:
    """Whether the host's name can be resolved."""
    try:
        return bool(socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return False


def connects(where: Target) -> str:
    """Return "" where the port takes a connection, else "refused", "timeout", or the error's own words."""
    try:
        socket.create_connection((where.host, where.port), TIMEOUT_S).close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def speaks(where: Target) -> str:
    """
    Return what the port speaks: `HTTP/1`, `HTTP/2` (gRPC), `TLS` around it, or "" where it is neither.

    A gRPC server greets with a SETTINGS frame before it is spoken to; the others wait for a request.
    """
    try:
        with socket.create_connection((where.host, where.port), TIMEOUT_S) as connection:
            greeting = _read(connection, _GREETING_S)
            if not greeting:
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {where.host}\r\nConnection: close\r\n\r\n".encode("ascii"))
                greeting = _read(connection, TIMEOUT_S)
    except (OSError, UnicodeError):
        return ""
    return classify(greeting)


def classify(greeting: bytes) -> str:
    """Tell a protocol by the first bytes that a server sends to a plain HTTP/1 client."""
    if greeting.startswith(b"HTTP/1."):
        # Servers with TLS that were spoken to in clear say so in a 400.
        return TLS if greeting[9:12] == b"400" and b"https" in greeting.lower() else HTTP1
    if len(greeting) >= 9 and greeting[3] == 4 and greeting[5:9] == b"\0\0\0\0":
        return HTTP2
    return TLS if greeting[:2] == b"\x15\x03" else ""


def clock_offset_s(otlp: OtlpSettings) -> float | None:
    """Return by how many seconds this machine's clock is ahead of the far end's; None where it does not say. Sends no credentials."""
    import requests

    try:
        with suppress_instrumentation():
            before = time.time()
            answer = requests.head(
                otlp.endpoint, timeout=TIMEOUT_S, verify=otlp.certificate or True, allow_redirects=False, auth=_no_auth
            )
            now = (before + time.time()) / 2
        stated = email.utils.parsedate_to_datetime(answer.headers["Date"])
        if stated.tzinfo is None:
            stated = stated.replace(tzinfo=timezone.utc)
        return now - stated.timestamp()
    except (requests.RequestException, OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _no_auth(request: PreparedRequest) -> PreparedRequest:
    """Keep `requests` from looking for credentials in ~/.netrc."""
    return request


def _read(connection: socket.socket, seconds: float) -> bytes:
    connection.settimeout(seconds)
    try:
        return connection.recv(1024)
    except TimeoutError:
        return b""
