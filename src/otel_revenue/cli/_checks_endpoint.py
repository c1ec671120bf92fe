# SPDX-License-Identifier: Apache-2.0
"""The far end: whether it is there, and takes what our own sender sends. An empty request goes out, no event."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_revenue.delivery import destinations
from otel_revenue.delivery.otlp_settings import GRPC, HTTP
from otel_revenue.delivery.outcome import Delivered, Held, Later, Outcome, Refused
from otel_revenue.signals.otlp import encode_resource, encode_scope
from otel_revenue.version import __version__

from . import _probe
from ._findings import fail, ok, skip, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_revenue.delivery.otlp_settings import OtlpSettings

    from ._findings import Around, Check, Finding

_LONGEST_S: Final = 10.0
_USUAL_HEADERS: Final = frozenset(
    "authorization api-key x-api-key dd-api-key x-honeycomb-team x-honeycomb-dataset x-scope-orgid lightstep-access-token "
    "signoz-access-token uptrace-dsn x-otlp-api-key x-axiom-dataset stream-name".split()
)
"""Names that are no secrets. A header without a name is read as one whose name is the key: others are counted, not named."""

_US: Final = frozenset(
    {"http 401", "http 402", "http 403", "http 407", "grpc UNAUTHENTICATED", "grpc PERMISSION_DENIED"}
)
_BUSY: Final = frozenset({"http 429", "http 502", "http 503", "http 504", "grpc RESOURCE_EXHAUSTED"})


def settings(around: Around) -> list[Finding]:
    """What is wrong with the OTLP variables themselves."""
    if not around.own_sender:
        return []
    found = [fail(problem, "correct the variable") for problem in around.otlp.problems]
    for variable, path in (
        ("CERTIFICATE", around.otlp.certificate),
        ("CLIENT_KEY", around.otlp.client_key),
        ("CLIENT_CERTIFICATE", around.otlp.client_certificate),
    ):
        if path and not os.access(path, os.R_OK):
            found.append(
                fail(
                    f"OTEL_EXPORTER_OTLP_{variable}: the file {path} cannot be read",
                    "correct the path or its permissions",
                )
            )
    return found


def endpoint(around: Around) -> list[Finding]:
    """Resolve, connect, send."""
    if not around.own_sender:
        return [skip("the endpoint: events do not leave by our own sender; the application's exporter has its own")]
    otlp = around.otlp
    found = _ports(otlp)
    where = _probe.target(otlp)
    if where is not None and not _probe.proxied(otlp, around.environ):
        unreached = _unreached(where, otlp, around.environ)
        if unreached is not None:
            return [*found, unreached]
    outcome = _send(around)
    spoken = "" if isinstance(outcome, Delivered) or where is None else _probe.speaks(where)
    return [*found, judge(outcome, otlp, spoken)]


def clock(around: Around) -> list[Finding]:
    """Whether this machine and the far end agree on the time. Stripe's signatures are refused by a clock that is 5 minutes off."""
    if not around.own_sender or around.otlp.protocol != HTTP:
        return []
    offset = _probe.clock_offset_s(around.otlp)
    if offset is None:
        return []
    if abs(offset) < 30:
        return [ok("this machine and the far end agree on the time")]
    ahead = "ahead of" if offset > 0 else "behind"
    return [
        warn(
            f"this machine's clock is {abs(offset):.0f} s {ahead} the far end's",
            "set it by NTP; from 300 s on Stripe's webhook signatures are refused",
        )
    ]


def _ports(otlp: OtlpSettings) -> list[Finding]:
    where = _probe.target(otlp)
    mixed = {(GRPC, 4318): ("HTTP", "http/protobuf", 4317), (HTTP, 4317): ("gRPC", "grpc", 4318)}
    if where is None or (otlp.protocol, where.port) not in mixed:
        return []
    kind, protocol, port = mixed[otlp.protocol, where.port]
    return [
        warn(
            f"the protocol is {otlp.protocol}, and {where.port} is the usual port of {kind}",
            f"set OTEL_EXPORTER_OTLP_PROTOCOL={protocol}, or name port {port}",
        )
    ]


def _unreached(where: _probe.Target, otlp: OtlpSettings, environ: Mapping[str, str]) -> Finding | None:
    """Return why no connection comes about; None where one does."""
    if not _probe.resolves(where):
        return fail(
            f"the host {where.host} of {otlp.shown} cannot be resolved",
            "correct OTEL_EXPORTER_OTLP_ENDPOINT; in Kubernetes: service.namespace, in Compose: the service's name",
        )
    trouble = _probe.connects(where)
    if not trouble:
        return None
    local = where.host in ("localhost", "127.0.0.1", "::1")
    if trouble == "refused":
        inside = (
            " Inside a container localhost is the container itself: name the Collector's host."
            if local and _contained(environ)
            else ""
        )
        stated = environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        default = "" if stated else " OTEL_EXPORTER_OTLP_ENDPOINT is not set: this is the default."
        return fail(
            f"nothing listens at {where.host}:{where.port} ({otlp.protocol}): events wait on disk",
            f"is the Collector running, and does it listen on that port?{default}{inside}",
        )
    return fail(
        f"{where.host}:{where.port} does not answer ({trouble}): events wait on disk",
        "a firewall, a network policy or a security group may be in between",
    )


def _contained(environ: Mapping[str, str]) -> bool:
    return "KUBERNETES_SERVICE_HOST" in environ or any(Path(p).exists() for p in ("/.dockerenv", "/run/.containerenv"))


def _send(around: Around) -> Outcome:
    """Send a request without events by the application's own sender."""
    otlp = dataclasses.replace(around.otlp, timeout_s=min(around.otlp.timeout_s, _LONGEST_S))
    resource = encode_resource(around.plan.resource)
    sender = destinations.otlp(otlp, resource, encode_scope("otel_revenue", __version__), __version__)
    try:
        return sender.send([], b"")
    finally:
        sender.close()


def judge(outcome: Outcome, otlp: OtlpSettings, spoken: str) -> Finding:
    """
    Return what the far end's answer to an empty request means.

    Args:
        outcome: of our own sender.
        otlp: where and how it sent.
        spoken: what the port speaks, see `_probe.speaks`; "" where it was not asked.
    """
    if isinstance(outcome, Delivered):
        return ok(f"{otlp.shown} ({otlp.protocol}) takes what is sent")
    where, reason = f"{otlp.shown} ({otlp.protocol})", outcome.reason
    mixed = _mixed(otlp, spoken)
    if mixed:
        return fail(f"{where} is of another kind: {reason}", mixed)
    if isinstance(outcome, Refused):
        return warn(
            f"{where} refuses a request without events ({reason}); it may take events all the same",
            "see what waits and what was set aside: otel-revenue outbox list",
        )
    if reason in _US:
        return fail(
            f"{where} refuses us ({reason}): events wait on disk",
            f"OTEL_EXPORTER_OTLP_HEADERS: {_headers(otlp)}; is the key right, not expired, and of this endpoint's region?",
        )
    if isinstance(outcome, Held):
        return fail(f"{where} is not where logs are taken ({reason}): events wait on disk", _path(otlp, reason))
    return _later(outcome, where)


def _later(outcome: Later, where: str) -> Finding:
    if outcome.reason in _BUSY:
        return warn(
            f"{where} is busy ({outcome.reason}): events wait, and are tried again by themselves",
            "look at the Collector's own log",
        )
    if "SSL" in outcome.reason:
        return fail(
            f"the TLS of {where} fails ({outcome.reason})",
            "for a private certificate authority set OTEL_EXPORTER_OTLP_CERTIFICATE to its file; is the name in the certificate that host?",
        )
    return fail(
        f"{where} does not answer as an OTLP endpoint does ({outcome.reason}): events wait on disk",
        "is that a Collector's OTLP receiver? Look at its log",
    )


def _mixed(otlp: OtlpSettings, spoken: str) -> str:
    """Return the remedy where the port speaks another protocol than the settings do; "" where it does not."""
    encrypted = otlp.endpoint.startswith("https") if otlp.protocol == HTTP else not otlp.insecure
    if spoken == _probe.TLS and not encrypted:
        return "the port wants TLS: set OTEL_EXPORTER_OTLP_ENDPOINT to https://..."
    if spoken in (_probe.HTTP1, _probe.HTTP2) and encrypted:
        return "the port has no TLS: set OTEL_EXPORTER_OTLP_ENDPOINT to http://... (and for grpc OTEL_EXPORTER_OTLP_INSECURE=true)"
    if spoken == _probe.HTTP2 and otlp.protocol == HTTP:
        return "the port speaks gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or name the port of HTTP (4318)"
    if spoken == _probe.HTTP1 and otlp.protocol == GRPC:
        return "the port speaks HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or name the port of gRPC (4317)"
    return ""


def _path(otlp: OtlpSettings, reason: str) -> str:
    if reason.startswith("settings"):
        return "the sender refuses its own settings: see OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS and _CERTIFICATE"
    if reason.startswith("http 3"):
        return "it redirects, which is not followed: name the address that it redirects to; often https instead of http"
    if otlp.protocol == GRPC:
        return "does the Collector have a pipeline for logs, with the otlp receiver in it?"
    return (
        "OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/logs appended, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is taken as it is: is that path right? "
        "Does the Collector have a pipeline for logs?"
    )


def _headers(otlp: OtlpSettings) -> str:
    if not otlp.headers:
        return "none is set"
    usual = sorted(name for name in otlp.headers if name in _USUAL_HEADERS)
    other = len(otlp.headers) - len(usual)
    return ", ".join([*usual, *([f"{other} of another name"] if other else [])]) + " is set"


CHECKS: Final[tuple[Check, ...]] = (settings, endpoint, clock)
