# SPDX-License-Identifier: Apache-2.0
"""Hooks in the real stripe library, a listener that writes down what it hears, and a server that answers."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import stripe
import stripe._api_requestor
import stripe._webhook
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_revenue.instrumentation.stripe.hooks import ApiAnswer, ApiCall, Hooks, install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VERSION = tuple(int(n) for n in re.findall(r"\d+", stripe.VERSION)[:2])
SECRET = "whsec_of_a_test"
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
SESSION = {"id": "cs_test_1", "object": "checkout.session", "amount_total": 4999, "currency": "usd"}
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "checkout.session.completed",
    "api_version": "2025-03-31.basil",
    "created": 1,
    "livemode": False,
    "pending_webhooks": 1,
    "request": {"id": "req_1", "idempotency_key": None},
    "data": {"object": {"id": "cs_test_1", "object": "checkout.session", "payment_status": "paid"}},
}
THIN = {
    "id": "evt_thin_1",
    "object": "v2.core.event",
    "type": "v1.billing.meter.no_meter_found",
    "created": "2026-01-01T00:00:00.000Z",
    "livemode": False,
    "context": None,
    "related_object": None,
}
DECLINED = {"error": {"code": "card_declined", "decline_code": "insufficient_funds", "type": "card_error"}}
ANSWERS: dict[str, tuple[int, object]] = {
    "/v1/checkout/sessions": (200, SESSION),
    "/v1/checkout/sessions/cs_test_1": (200, SESSION),
    "/v1/checkout/sessions/cs_test_1/line_items": (200, {"object": "list", "data": [], "has_more": False, "url": "/x"}),
    "/v1/payment_intents": (200, {"id": "pi_1", "object": "payment_intent"}),
    "/v1/payment_intents/pi_declined/confirm": (402, DECLINED),
    "/v1/customers/cus_bad": (400, {"error": {"code": "parameter_unknown", "type": "invalid_request_error"}}),
    "/v1/customers/cus_key": (401, {"error": {"message": "Invalid API Key: jo@example.com", "type": "auth_error"}}),
    "/v1/customers/cus_broken": (500, "<html>jo@example.com</html>"),
}


class Recorder:
    """A listener that writes down what it hears, and replaces parameters when asked to."""

    def __init__(self) -> None:
        self.calls: list[tuple[ApiCall, ApiAnswer]] = []
        self.deliveries: list[tuple[object, bool]] = []
        self.replace: Callable[[ApiCall], object | None] = lambda call: None
        self.inside: list[bool] = []

    def before_call(self, call: ApiCall) -> object | None:
        return self.replace(call)

    def after_call(self, call: ApiCall, answer: ApiAnswer) -> None:
        self.inside.append(trace.get_current_span().is_recording())
        self.calls.append((call, answer))

    def webhook(self, payload: str | bytes | dict[str, Any], *, verified: bool) -> None:
        parsed = payload if isinstance(payload, dict) else json.loads(payload)
        self.deliveries.append((parsed["id"], verified))


class Server:
    """Answers from `ANSWERS` and keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Mapping[str, str], str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                path = self.path.split("?")[0]
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                status, answer = ANSWERS[path]
                raw = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Request-Id", "req_of_test")
                self.send_header("Stripe-Version", "2025-03-31.basil")
                self.send_header("Stripe-Should-Retry", "false")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *args: object) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class Bench:
    """Hooks that are set, what they were told, and the spans they made."""

    def __init__(
        self, listener: Recorder, hooks: Hooks, exporter: InMemorySpanExporter, provider: TracerProvider
    ) -> None:
        self.listener = listener
        self.hooks = hooks
        self.exporter = exporter
        self.tracer = provider.get_tracer("app")

    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())


@contextmanager
def hooked() -> Iterator[Bench]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    listener = Recorder()
    hooks = install(listener, provider.get_tracer("test"))
    try:
        yield Bench(listener, hooks, exporter, provider)
    finally:
        hooks.remove()


def signed(body: str, secret: str = SECRET) -> str:
    now = int(time.time())
    digest = hmac.new(secret.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


def client(server: Server) -> Any:
    return stripe.StripeClient("sk_test_of_a_test", base_addresses={"api": server.url})


def sessions(server: Server) -> Any:
    it = client(server)
    return (it.v1 if VERSION >= (12, 5) else it).checkout.sessions
