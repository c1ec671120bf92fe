"""
FakeStripe against the other releases of stripe that we support, each in an interpreter of its own.

`make test` names their folders in OTEL_REVENUE_TEST_STRIPE_TARGETS; without it this test fails, it does not skip.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PLAY = """
import json, stripe
from support.scenarios import SCENARIOS
from otel_revenue.testing import FakeStripe

def play(name):
    with FakeStripe() as fake:
        fake.collect("inbox")
        try:
            truth = SCENARIOS[name](fake)
        except AttributeError as error:
            return "lacks " + str(error).rpartition(" ")[2]
        books = sorted((b.id, b.amount_minor, b.currency) for b in fake.books())
        for delivery in fake.deliveries:
            if delivery.endpoint == "inbox":
                stripe.Webhook.construct_event(delivery.body, delivery.signature, "whsec_fake_stripe_on_loopback")
        return books == sorted((p.id, p.amount_minor, p.currency) for p in truth.payments)

print(json.dumps({"version": stripe.VERSION, "flows": {name: play(name) for name in SCENARIOS}}))
"""


def test_every_flow_can_be_played_with_every_supported_release() -> None:
    """
    Sessions, billing and Connect give the same books and verifiable webhooks, where the release has the calls at all.
    """
    targets = [Path(t) for t in os.environ.get("OTEL_REVENUE_TEST_STRIPE_TARGETS", "").split(":") if t]
    if not targets:
        pytest.fail("needs other releases of stripe: run `make test`, or `make stripe-versions` and name their folders")

    for target in targets:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), str(TESTS)]), "NO_PROXY": "127.0.0.1"}
        ran = subprocess.run(
            [sys.executable, "-c", PLAY], capture_output=True, text=True, timeout=110, env=environment, check=False
        )
        assert 0 == ran.returncode, ran.stderr
        said = json.loads(ran.stdout)
        wrong = {name: outcome for name, outcome in said["flows"].items() if outcome is not True}
        old = said["version"].startswith("11.")
        assert ({"partial invoice payments": "lacks 'attach_payment'"} if old else {}) == wrong, said["version"]
