# SPDX-License-Identifier: Apache-2.0
"""
`otel-revenue collector test --endpoint URL`: sends one marked test event through a running Collector, by the application's own
sender, and says what each stage answered. Prints no header's value.

The event is an `order.paid` of nothing, in the currency that ISO 4217 keeps for tests, in test mode, marked as synthetic: three
reasons for each report to leave it out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_revenue.cli import _probe
from otel_revenue.cli._findings import Level, fail, ok, skip
from otel_revenue.cli.doctor import as_json, lines, summary
from otel_revenue.delivery import destinations, otlp_settings
from otel_revenue.delivery.otlp_settings import GRPC, HTTP
from otel_revenue.delivery.outcome import Delivered, Held, Refused
from otel_revenue.errors import ConfigError
from otel_revenue.signals import record
from otel_revenue.signals.otlp import encode_resource, encode_scope
from otel_revenue.version import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from otel_revenue.cli._findings import Finding
    from otel_revenue.delivery.destination import Destination
    from otel_revenue.delivery.otlp_settings import OtlpSettings
    from otel_revenue.delivery.outcome import Outcome

MONEY: Final = "order.paid"
FUNNEL: Final = "checkout.start"
_AUTH: Final = frozenset({"http 401", "http 403", "grpc UNAUTHENTICATED", "grpc PERMISSION_DENIED"})
_NO_HANDSHAKE: Final = frozenset({"network: ConnectionError", "grpc UNAVAILABLE"})
"""What a handshake that the far end breaks off looks like, where the port takes connections."""

_AWAY: Final = frozenset({"http 502", "http 503", "http 504", "grpc UNAVAILABLE"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--endpoint", required=True, metavar="URL", help="of the Collector: http://collector:4318")
    parser.add_argument("--grpc", action="store_true", help="OTLP over gRPC: --endpoint http://collector:4317")
    parser.add_argument(
        "--token-file", metavar="FILE", help="of the bearer token; else OTEL_EXPORTER_OTLP_HEADERS is used"
    )
    parser.add_argument("--event", choices=(MONEY, FUNNEL), default=MONEY, help="default: order.paid, the money path")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.epilog = "Certificates: OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY."


def run(arguments: argparse.Namespace) -> int:
    """Try it, and print each stage's answer. Exit code 1: a stage said no."""
    otlp = settings(os.environ, arguments.endpoint, grpc=arguments.grpc, token_file=arguments.token_file)
    found = []
    for finding in stages(otlp, os.environ, arguments.event, uuid.uuid4(), time.time_ns()):
        found.append(finding)
        if not arguments.json:
            print("\n".join(lines("", [finding])[1:]), flush=True)
    print(json.dumps(as_json([("test", found)]), indent=2) if arguments.json else summary([("test", found)]))
    return int(any(finding.level is Level.FAIL for finding in found))


def settings(environ: Mapping[str, str], endpoint: str, *, grpc: bool, token_file: str | None) -> OtlpSettings:
    """
    Return how to send: the endpoint of the arguments, certificates and headers of the environment, the token of the file.

    Raises:
        ConfigError: the token's file cannot be read, or the endpoint is no URL.
    """
    kept = {
        name: value for name, value in environ.items() if not name.endswith(("_ENDPOINT", "_PROTOCOL", "_INSECURE"))
    }
    kept.pop("OTEL_LOGS_EXPORTER", None)
    protocol = GRPC if grpc else HTTP
    otlp = otlp_settings.read(
        {
            **kept,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.removesuffix("/v1/logs"),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
    )
    if otlp.problems:
        raise ConfigError(otlp.problems[0].replace("OTEL_EXPORTER_OTLP_ENDPOINT", "--endpoint"))
    if token_file is None:
        return otlp
    try:
        token = Path(token_file).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"--token-file {token_file}: cannot be read ({type(error).__name__})") from None
    if not token:
        raise ConfigError(f"--token-file {token_file}: is empty; the Collector refuses everybody then, too")
    return dataclasses.replace(otlp, headers={**otlp.headers, "authorization": f"Bearer {token}"})


def stages(
    otlp: OtlpSettings, environ: Mapping[str, str], event: str, number: uuid.UUID, now_ns: int
) -> Iterator[Finding]:
    """
    Try one stage after the other; the first that fails is the last.

    Args:
        otlp: see `settings`.
        environ: names a proxy, if there is one.
        event: `order.paid` or `checkout.start`.
        number: makes the test's ids.
        now_ns: the time.
    """
    where = None if _probe.proxied(otlp, environ) else _probe.target(otlp)
    trouble = _unreached(where) if where else None
    if trouble is not None:
        yield trouble
        return
    yield (
        ok(f"connection: {otlp.shown} answers") if where else skip(f"connection: {otlp.shown} is not reached directly")
    )
    resource = encode_resource({"service.name": "otel-revenue-collector-test"})
    sender = destinations.otlp(otlp, resource, encode_scope("otel_revenue", __version__), __version__)
    try:
        # Without records a request ends at the receiver: what it answers is its own word, and no backend's.
        received = receiver(sender.send([], b""), otlp, _probe.speaks(where) if where else "")
        yield received
        if received.level is Level.FAIL:
            return
        yield from _sent(sender, event, number, now_ns)
    finally:
        sender.close()


def receiver(outcome: Outcome, otlp: OtlpSettings, spoken: str) -> Finding:
    """
    Return what the receiver's answer to an empty request means.

    Args:
        outcome: of our own sender.
        otlp: where and how it sent.
        spoken: what the port speaks, see `_probe.speaks`.
    """
    tls = not otlp.insecure
    if isinstance(outcome, Delivered):
        return ok(f"receiver: takes {otlp.protocol}{' over TLS' if tls else ', without TLS'}, and {_credentials(otlp)}")
    reason = outcome.reason
    if spoken == _probe.TLS and not tls:
        return fail(f"TLS: the port wants it ({reason})", "--endpoint https://...")
    if spoken in (_probe.HTTP1, _probe.HTTP2) and tls:
        return fail(f"TLS: the port has none ({reason})", "--endpoint http://...")
    if spoken in (_probe.HTTP1, _probe.HTTP2) and (spoken == _probe.HTTP2) != (otlp.protocol == GRPC):
        option = (
            "without --grpc, or the port of gRPC, usually 4317"
            if otlp.protocol == GRPC
            else "--grpc, or the port of HTTP, usually 4318"
        )
        return fail(f"receiver: the port speaks another protocol ({reason})", option)
    if reason in _AUTH:
        remedy = "--token-file: the file that the Collector has; there, an empty or missing file refuses everybody"
        return fail(f"auth: the receiver refuses {_credentials(otlp)} ({reason})", remedy)
    if "SSL" in reason or (tls and reason in _NO_HANDSHAKE):
        remedy = (
            "OTEL_EXPORTER_OTLP_CERTIFICATE: the authority's file; is the host's name in the certificate? With mtls.yaml also "
            "_CLIENT_CERTIFICATE and _CLIENT_KEY"
        )
        return fail(f"TLS: no handshake ({reason})", remedy)
    if isinstance(outcome, Held):
        return fail(
            f"receiver: does not take logs there ({reason})",
            "an otlp receiver in a pipeline for logs; its address without /v1/logs",
        )
    return fail(f"receiver: {reason}", "look at the Collector's log: is it an otlp receiver, and is it ready?")


def answer(outcome: Outcome, event: str) -> Finding:
    """Return what the answer to the event itself means: on the money path it is the backend's own."""
    if isinstance(outcome, Delivered) and event == MONEY:
        return ok(
            "money path: taken. The backend of record has acknowledged it (with REVENUE_RECORD=nop/queued: the queue on disk has)"
        )
    if isinstance(outcome, Delivered):
        return ok(
            "funnel path: taken, by the queue on disk. What the backend says to it is in the Collector's log and metrics alone"
        )
    path, whose = ("money path", "the backend of record") if event == MONEY else ("funnel path", "a queue")
    reason = outcome.reason
    if reason in _AWAY:
        remedy = "is the backend there? Is the Collector's queue or memory full? docs/alerts.md"
        return fail(f"{path}: not now ({reason}); the application would keep the event and try again", remedy)
    if isinstance(outcome, Held):
        return fail(
            f"{path}: {whose} refuses the Collector ({reason})",
            "the key and the URL that the Collector has for its backend",
        )
    if isinstance(outcome, Refused):
        return fail(f"{path}: {whose} refuses the event ({reason})", "the backend's answer is in the Collector's log")
    return fail(f"{path}: {reason}; the application would keep the event and try again", "the Collector's log")


def _sent(sender: Destination, event: str, number: uuid.UUID, now_ns: int) -> Iterator[Finding]:
    order = f"otel-revenue-test-{number.hex[:12]}"
    values = {"order_id": order, "synthetic": True, "livemode": False, "currency": "XTS"}
    money = {"amount_minor": 0, "amount_status": "unknown_currency"} if event == MONEY else {}
    clean, _ = record.prepare(event, {**values, **money}, event_id=str(number))
    found = answer(sender.send([record.encode(event, clean, time_ns=now_ns, observed_ns=now_ns)], b""), event)
    yield found
    if found.level is Level.OK:
        yield ok(f"sent: {event}, order_id {order}: look for it in the backend. synthetic=true, livemode=false, 0 XTS")


def _unreached(where: _probe.Target) -> Finding | None:
    if not _probe.resolves(where):
        return fail(f"connection: the host {where.host} cannot be resolved", "correct --endpoint")
    trouble = _probe.connects(where)
    if not trouble:
        return None
    remedy = "is the Collector running, and does it listen there? In a container it must listen on 0.0.0.0: REVENUE_OTLP_HTTP, _GRPC"
    return fail(
        f"connection: {where.host}:{where.port} {'refuses' if trouble == 'refused' else f'does not answer ({trouble})'}",
        remedy,
    )


def _credentials(otlp: OtlpSettings) -> str:
    return "the token" if "authorization" in otlp.headers else "a request without a token"
