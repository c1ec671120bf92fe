"""
The real Stripe CLI against FakeStripe: `stripe trigger X` sends its own request scripts, written for the real Stripe.

`make test` fetches the CLI and names it in OTEL_REVENUE_TEST_STRIPE_CLI; without it these tests fail, they do not skip.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import stripe

from otel_revenue.testing import FakeStripe
from otel_revenue.testing.fake_stripe import WEBHOOK_SECRET

DOCS = Path(__file__).parents[2] / "docs" / "testing.md"

TRIGGERS = """
charge.captured charge.dispute.closed charge.dispute.created charge.dispute.updated charge.failed charge.refund.updated
charge.refunded charge.succeeded
checkout.session.async_payment_failed checkout.session.async_payment_succeeded checkout.session.completed
checkout.session.expired
coupon.created coupon.deleted coupon.updated
customer.created customer.deleted customer.subscription.created customer.subscription.deleted
customer.subscription.updated customer.updated
invoice.created invoice.deleted invoice.finalized invoice.marked_uncollectible invoice.paid invoice.payment_failed
invoice.payment_succeeded invoice.sent invoice.updated invoice.voided invoiceitem.created invoiceitem.deleted
payment_intent.amount_capturable_updated payment_intent.canceled payment_intent.created payment_intent.payment_failed
payment_intent.processing payment_intent.requires_action payment_intent.succeeded
payment_link.created payment_link.updated payment_method.attached payment_method.detached
price.created price.updated product.created product.deleted product.updated
promotion_code.created promotion_code.updated
setup_intent.canceled setup_intent.created setup_intent.requires_action setup_intent.setup_failed setup_intent.succeeded
tax_rate.created tax_rate.updated
""".split()
NOT_YET = "quote.created subscription_schedule.created credit_note.created payment_intent.partially_funded plan.created".split()
PAYING = {
    "charge.captured",
    "charge.refunded",
    "charge.succeeded",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "customer.subscription.created",
    "invoice.paid",
    "invoice.payment_succeeded",
    "payment_intent.succeeded",
}


@pytest.fixture
def cli() -> str:
    path = os.environ.get("OTEL_REVENUE_TEST_STRIPE_CLI", "")
    if not Path(path).is_file():
        pytest.fail(
            "needs the Stripe CLI: run `make test`, or `make stripe-cli` and name it in OTEL_REVENUE_TEST_STRIPE_CLI"
        )
    return path


def trigger(cli: str, fake: FakeStripe, name: str, home: Path) -> subprocess.CompletedProcess[str]:
    """With a configuration folder of its own, without telemetry; its look for newer versions ends at a dead proxy."""
    environment = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "PATH": os.defpath,
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    command = [cli, "trigger", name, "--api-base", fake.url, "--api-key", fake.api_key]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


@pytest.mark.parametrize("name", TRIGGERS)
def test_the_stripe_cli_triggers(cli: str, name: str, tmp_path: Path) -> None:
    """
    Stripe's own script runs through, and a signed event of that type comes out; those that pay are in the books.
    """
    with FakeStripe() as fake:
        fake.collect()
        ran = trigger(cli, fake, name, tmp_path)
        deliveries = fake.deliveries
        books = fake.books()

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    types = [stripe.Webhook.construct_event(d.body, d.signature, WEBHOOK_SECRET).type for d in deliveries]
    assert name in types
    assert name not in PAYING or len(books) >= 1


@pytest.mark.parametrize("name", NOT_YET)
def test_what_the_fake_lacks_is_said(cli: str, name: str, tmp_path: Path) -> None:
    """
    A trigger that needs an endpoint that is not there fails, and names the endpoint.
    """
    with FakeStripe() as fake:
        ran = trigger(cli, fake, name, tmp_path)

    assert (1, True) == (ran.returncode, "FakeStripe has no such endpoint" in ran.stdout + ran.stderr)


def test_the_docs_list_the_triggers() -> None:
    """
    `docs/testing.md` names exactly the triggers that are tested here.
    """
    text = DOCS.read_text(encoding="utf-8")
    block = text.split("<!-- triggers -->")[1]
    named = {word.strip("`") for word in block.replace("\n", " ").split(" ") if word.startswith("`")}

    assert set(TRIGGERS) == named
