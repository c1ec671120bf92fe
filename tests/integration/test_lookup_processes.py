"""The look-up in processes of their own: killed and started again, and on other releases of the library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from otel_revenue.testing import FakeStripe
from support import elsewhere
from support.receiver import Receiver, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.testing.fake_stripe.deliveries import Delivery

TESTS = Path(__file__).parents[1]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with FakeStripe(api_key="sk_test_canary_of_the_key_4711") as running:
        monkeypatch.setattr(stripe, "api_key", running.api_key)
        monkeypatch.setattr(stripe, "api_base", running.url)
        running.collect("all")
        running.collect("thin", thin=True)
        running.collect("connect", thin=True, connect=True)
        yield running


APP = """
import json, sys, time
import stripe
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from otel_revenue import RevenueInstrumentor
stripe.enable_telemetry = False
stripe.api_key, stripe.api_base, store, folder = sys.argv[1:5]
RevenueInstrumentor().instrument(
    tracer_provider=TracerProvider(), store=store, stripe_lookup=True, stripe_lookup_rate=50, enrich_hold=60, stripe_lookup_hold=60
)
from pathlib import Path
for path in sorted(Path(folder).glob("*.body")):
    signature = path.with_suffix(".signature").read_text()
    stripe.WebhookSignature.verify_header(path.read_text(), signature, "whsec_fake_stripe_on_loopback")
print("delivered", stripe.VERSION, flush=True)
from otel_revenue.runtime import active
active.get().start()
time.sleep(float(sys.argv[5]))
"""


def _run(fake: FakeStripe, receiver: Receiver, tmp_path: Path, deliveries: list[Delivery], path: str = "") -> Any:
    """Start a process that takes deliveries and goes on; returns it when it has taken them."""
    folder = tmp_path / f"inbox-{len(deliveries)}"
    folder.mkdir(exist_ok=True)
    for number, delivery in enumerate(deliveries):
        (folder / f"{number:03}.body").write_bytes(delivery.body)
        (folder / f"{number:03}.signature").write_text(delivery.signature)
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "NO_PROXY": "127.0.0.1",
        **({"PYTHONPATH": path} if path else {}),
    }
    arguments = [str(fake.api_key), fake.url, str(tmp_path / "store"), str(folder), "150"]
    process = subprocess.Popen(
        [sys.executable, "-c", APP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("delivered")
    return process


def _end(process: Any) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()


def test_kill_and_restart(fake: FakeStripe, tmp_path: Path) -> None:
    """What was still to be asked when the process was killed, payments on hold and thin events alike, is asked by the next one."""
    for _ in range(3):
        fake.pay(elsewhere.session(fake))
    sessions = [d for d in fake.deliveries if d.type == "checkout.session.completed"]
    held = [d for d in sessions if d.endpoint == "all"][:1]
    held += [d for d in fake.deliveries if (d.endpoint, d.type) == ("all", "payment_intent.succeeded")][1:2]
    thin = [d for d in sessions if d.endpoint == "thin"][2:]
    fake.fail_next(1000, status=503)
    with Receiver() as receiver:
        _end(_run(fake, receiver, tmp_path, [*held, *thin]))
        before = len(receiver.named("order.paid"))
        fake.api.troubles.clear()
        process = _run(fake, receiver, tmp_path, [])
        came = wait_for(lambda: len(receiver.named("order.paid")) >= 3)
        _end(process)

    assert (0, True) == (before, came)
    assert [3, 3, 3] == [log.attributes["item_count"] for log in receiver.named("order.paid")]


def test_every_supported_release(fake: FakeStripe, tmp_path: Path) -> None:
    """The look-up asks through each supported release of the library as it does through the newest."""
    targets = [Path(t) for t in os.environ.get("OTEL_REVENUE_TEST_STRIPE_TARGETS", "").split(":") if t]
    if not targets:
        pytest.fail("needs other releases of stripe: run `make test`, or `make stripe-versions` and name their folders")
    for _ in range(2):
        fake.pay(elsewhere.session(fake))
    sessions = [d for d in fake.deliveries if d.type == "checkout.session.completed"]
    first, second = ([d for d in sessions if d.endpoint == name] for name in ("all", "thin"))
    for target in targets:
        folder = tmp_path / target.name
        folder.mkdir()
        with Receiver() as receiver:
            path = os.pathsep.join([str(target), str(TESTS)])
            process = _run(fake, receiver, folder, [first[0], second[1]], path)
            came = wait_for(lambda receiver=receiver: len(receiver.named("order.paid")) >= 2)  # type: ignore[misc]
            _end(process)

        assert (target.name, True) == (target.name, came)
        assert [3, 3] == [log.attributes["item_count"] for log in receiver.named("order.paid")], target.name
