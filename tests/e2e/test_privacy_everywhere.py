"""
Nothing of a person leaves a careless application: with the instrumentations that people use, in what they export of it.

A customer object of Stripe's, with a string in each of its fields that occurs nowhere else, goes through success, a declined card, a
validation error, a database's refusal, an unhandled exception, and debug logging; none of the strings is in an exported byte.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.receiver import Receiver, wait_for
from support.running_shop import REPOSITORY, RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_revenue.testing import FakeStripe

LEAKY = REPOSITORY / "tests" / "support" / "apps" / "leaky"
PARTS = "OTEL_REVENUE_TEST_INSTRUMENTATIONS"
WAYS = {"success": 200, "decline": 200, "validation": 500, "database": 500, "boom": 500, "end": 200}
SERVER = 2
MARK = "Xanthippe"
CUSTOMER = {
    "id": "cus_NffrFeUfNV2Hib",
    "object": "customer",
    "name": f"{MARK}01 Quux",
    "email": f"{MARK}02@person.example",
    "phone": f"{MARK}03",
    "description": f"{MARK}04 likes blue",
    "address": {
        "line1": f"{MARK}05 Street 5",
        "line2": f"{MARK}06",
        "city": f"{MARK}07",
        "postal_code": f"{MARK}08",
        "country": "DE",
        "state": None,
    },
    "shipping": {"name": f"{MARK}09", "phone": f"{MARK}10", "address": {"line1": f"{MARK}11", "city": f"{MARK}12"}},
    "metadata": {"note": f"{MARK}13", "order_note": f"{MARK}14 \"quoted\" \\ and 'single'"},
    "invoice_settings": {"custom_fields": [{"name": "VAT", "value": f"{MARK}15"}], "footer": f"{MARK}16"},
    "preferred_locales": [f"{MARK}17", "de"],
    "invoice_prefix": f"{MARK}18",
    "livemode": False,
    "created": 1780000000,
}
DECLINED = {
    "error": {
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "message": f"The card of {MARK}19 was declined.",
        "type": "card_error",
        "payment_method": {
            "id": "pm_1Nds82s1t6Uzpa2c",
            "object": "payment_method",
            "billing_details": {"name": f"{MARK}20", "email": f"{MARK}21@person.example"},
        },
    }
}


class _Stripe(BaseHTTPRequestHandler):
    """Answers like Stripe's API, and like any other service."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = (402, DECLINED) if "payment_intents" in self.path else (200, CUSTOMER)
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Request-Id", "req_leaky")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = _answer

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def far_end() -> Iterator[str]:
    """Return the address of what the application takes for Stripe, and for everything else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stripe)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _run(framework: str, folder: Path, fake: FakeStripe, receiver: Receiver, far_end: str, **environ: str) -> str:
    """Send the application every way; returns its own log."""
    if PARTS not in os.environ:
        pytest.skip(
            f"needs OpenTelemetry's instrumentations: run `make test`, or `make instrumentations` and name the folder in {PARTS}"
        )
    server = {"flask": "flask --app with_flask run --port"}.get(framework, f"uvicorn with_{framework}:app --port")
    shop = RunningShop(
        fake,
        folder,
        receiver.url,
        cwd=LEAKY,
        environ={
            "PYTHONPATH": os.pathsep.join([os.environ[PARTS], str(LEAKY)]),
            "FAR_END": far_end,
            "DJANGO_SETTINGS_MODULE": "django_settings",
            "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
            "OTEL_PYTHON_LOG_CORRELATION": "true",
            **environ,
        },
    )
    shop.command = [sys.executable, "-m", *server.split(), str(shop.port)]
    with shop:
        statuses = {
            way: requests.get(
                f"{shop.url}/do/{way}",
                params={"email": f"{MARK}30@person.example", "name": f"{MARK}31"},
                headers={"Cookie": f"session={MARK}32", "X-Forwarded-For": "203.0.113.7"},
                timeout=60,
            ).status_code
            for way in WAYS
        }
        assert WAYS == statuses
        assert wait_for(lambda: any(b"/the-end-of-it" in body for body in receiver.bodies), 45)
        assert wait_for(lambda: len([s for s in receiver.spans if s.kind == SERVER]) > len(WAYS), 45)
        shop.stop()
    return shop.log


def _leaks(receiver: Receiver) -> list[str]:
    found = []
    for body in receiver.bodies:
        at = body.find(MARK.encode())
        while at >= 0:
            found.append(repr(body[max(0, at - 150) : at + 30]))
            at = body.find(MARK.encode(), at + 1)
    return found


@pytest.mark.parametrize("profile", ["revenue", "strict"])
@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_nothing_of_a_customer_leaves(
    framework: str, profile: str, tmp_path: Path, fake: FakeStripe, receiver: Receiver, far_end: str
) -> None:
    """Under either profile no string of the customer, of the card's owner or of the visitor is in an exported byte."""
    log = _run(framework, tmp_path, fake, receiver, far_end, OTEL_REVENUE_PRIVACY=profile)
    scopes = {scope for scope in ("shop", "stripe") if any(scope.encode() in body for body in receiver.bodies)}

    assert [] == _leaks(receiver)
    assert {"shop", "stripe"} == scopes
    assert MARK in log


def test_the_same_application_leaks_without_us(
    tmp_path: Path, fake: FakeStripe, receiver: Receiver, far_end: str
) -> None:
    """With `off` the same run exports what it knows: the test above would see it."""
    _run("fastapi", tmp_path, fake, receiver, far_end, OTEL_REVENUE_PRIVACY="off")
    numbers = {
        number for number in range(1, 33) if any(f"{MARK}{number:02d}".encode() in body for body in receiver.bodies)
    }

    assert {1, 2, 3, 4, 5, 13, 17, 19, 20, 21, 30, 31} <= numbers


def test_the_exporters_by_name(tmp_path: Path, fake: FakeStripe, receiver: Receiver, far_end: str) -> None:
    """`otlp_redacted` is the gate for all that is exported, even where nothing was put into the providers."""
    _run(
        "fastapi", tmp_path, fake, receiver, far_end, OTEL_TRACES_EXPORTER="otlp_redacted", OTEL_LOGS_EXPORTER="otlp_redacted",
        OTEL_METRICS_EXPORTER="otlp_redacted", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="otel_revenue",
    )  # fmt: skip

    assert [] == _leaks(receiver)
    assert receiver.logs
