"""Customers, subscriptions, invoices and connected accounts of FakeStripe, through the real library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stripe

from otel_revenue.testing import FakeStripe
from support.fake_stripe import BACK, Since, refused
from support.shop import CONNECTED, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[FakeStripe]:
    with FakeStripe() as fake:
        yield fake


@pytest.fixture
def fake(running: FakeStripe) -> FakeStripe:
    return running


# -- SetupIntents and customers ----------------------------------------------------------------------------------------


def test_a_setup_intent_keeps_a_card_for_its_customer(shop: Shop, since: Since) -> None:
    """
    Created, confirmed, attached; a declined card is 402; a finished one cannot be canceled.
    """
    customer = shop.api.customers.create({})
    setup = shop.api.setup_intents.create({"customer": customer.id})
    error = refused(
        lambda: shop.api.setup_intents.confirm(setup.id, {"payment_method": "pm_card_chargeDeclined"}), stripe.CardError
    )
    done = shop.api.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa"})

    assert (402, "succeeded") == (error.http_status, done.status)
    assert customer.id == shop.api.payment_methods.retrieve(done.payment_method).customer
    assert "setup_intent_unexpected_state" == refused(lambda: shop.api.setup_intents.cancel(setup.id)).code
    assert {"setup_intent.created", "setup_intent.setup_failed", "setup_intent.succeeded"} <= set(since.types)


def test_what_was_deleted_is_gone(shop: Shop) -> None:
    """
    A deleted customer is told, and then unknown.
    """
    customer = shop.api.customers.create({})

    assert shop.api.customers.delete(customer.id).deleted
    assert 404 == refused(lambda: shop.api.customers.retrieve(customer.id)).http_status


# -- billing -----------------------------------------------------------------------------------------------------------


def monthly(shop: Shop, amount: int = 1900) -> str:
    product = shop.api.products.create({"name": "Posters of the month"})
    price = {"product": product.id, "currency": "eur", "unit_amount": amount, "recurring": {"interval": "month"}}
    return str(shop.api.prices.create(price).id)


def test_a_subscription_by_api_waits_for_its_first_payment(fake: FakeStripe, shop: Shop) -> None:
    """
    `default_incomplete`: the buyer confirms the invoice's intent, found by expansion, and it becomes active.
    """
    made = shop.api.subscriptions.create(
        {
            "customer": shop.api.customers.create({}).id,
            "items": [{"price": monthly(shop)}],
            "payment_behavior": "default_incomplete",
            "expand": ["latest_invoice.confirmation_secret"],
        }
    )
    secret = made.latest_invoice.confirmation_secret.client_secret
    fake.pay_intent(secret.split("_secret_")[0])

    assert ("incomplete", "active") == (made.status, shop.api.subscriptions.retrieve(made.id).status)


def test_a_subscription_without_a_card_is_refused(shop: Shop) -> None:
    """
    Nothing to pay with: 400, and no subscription.
    """
    customer = shop.api.customers.create({})

    error = refused(
        lambda: shop.api.subscriptions.create({"customer": customer.id, "items": [{"price": monthly(shop)}]})
    )
    assert (400, 0) == (error.http_status, len(shop.api.subscriptions.list({"customer": customer.id}).data))


def test_a_failed_renewal_makes_it_past_due_and_a_payment_active_again(
    fake: FakeStripe, shop: Shop, since: Since
) -> None:
    """
    The declined invoice stays open, and is paid by a second try of the same PaymentIntent.
    """
    made = shop.api.subscriptions.create({"customer": shop.customer().id, "items": [{"price": monthly(shop)}]})
    invoice = fake.renew(made.id, decline="insufficient_funds")
    late = shop.api.subscriptions.retrieve(made.id).status
    shop.api.invoices.pay(invoice)

    assert ("past_due", "active") == (late, shop.api.subscriptions.retrieve(made.id).status)
    assert [1, 2] == [since.types.count(t) for t in ("invoice.payment_failed", "invoice.paid")]


def test_a_canceled_subscription_does_not_renew(fake: FakeStripe, shop: Shop) -> None:
    """
    ValueError, and no invoice.
    """
    made = shop.api.subscriptions.create({"customer": shop.customer().id, "items": [{"price": monthly(shop)}]})
    shop.api.subscriptions.cancel(made.id)

    with pytest.raises(ValueError, match="canceled: it does not renew"):
        fake.renew(made.id)


def test_a_subscriptions_metadata_is_a_snapshot_on_each_invoice(fake: FakeStripe, shop: Shop) -> None:
    """
    On `parent.subscription_details` and on the lines, as it was when the invoice was made; never on intent or charge.
    """
    made = shop.api.subscriptions.create(
        {"customer": shop.customer().id, "items": [{"price": monthly(shop)}], "metadata": {"order_id": "o-1"}}
    )
    shop.api.subscriptions.update(made.id, {"metadata": {"order_id": "o-2"}})
    invoices = [shop.api.invoices.retrieve(i) for i in (made.latest_invoice, fake.renew(made.id))]

    assert ["o-1", "o-2"] == [i.parent.subscription_details.metadata["order_id"] for i in invoices]
    assert ["o-1", "o-2"] == [i.lines.data[0].metadata["order_id"] for i in invoices]
    payment = shop.api.invoice_payments.list({"invoice": invoices[0].id}).data[0].payment
    assert {} == shop.api.payment_intents.retrieve(payment.payment_intent).metadata.to_dict()


def test_an_invoice_is_paid_once_and_not_after_it_was_voided(shop: Shop) -> None:
    """
    Paid twice, voided after payment, paid after voiding: 400 each.
    """
    customer = shop.customer()
    paid = shop.api.invoices.pay(shop.invoice(customer.id, 500).id)
    void = shop.api.invoices.void_invoice(shop.invoice(customer.id, 700).id)

    calls = [
        lambda: shop.api.invoices.pay(paid.id),
        lambda: shop.api.invoices.void_invoice(paid.id),
        lambda: shop.api.invoices.pay(void.id),
        lambda: shop.api.invoices.finalize_invoice(paid.id),
        lambda: shop.api.invoices.delete(paid.id),
    ]
    assert [400] * 5 == [refused(call).http_status for call in calls]


def test_a_declined_invoice_is_402_and_stays_open(shop: Shop) -> None:
    """
    CardError; `attempt_count` rises; another card pays it.
    """
    invoice = shop.invoice(shop.customer().id, 500)
    error = refused(
        lambda: shop.api.invoices.pay(invoice.id, {"payment_method": "pm_card_chargeDeclined"}), stripe.CardError
    )
    still = shop.api.invoices.retrieve(invoice.id)

    assert (402, "open", 1) == (error.http_status, still.status, still.attempt_count)
    assert ("paid", 2) == ((done := shop.api.invoices.pay(invoice.id)).status, done.attempt_count)


def test_a_link_of_a_subscription_opens_subscription_sessions(fake: FakeStripe, shop: Shop) -> None:
    """
    A Payment Link with a recurring price: each opening is a Session of its own, in subscription mode.
    """
    link = shop.api.payment_links.create({"line_items": [{"price": monthly(shop), "quantity": 2}]})
    first, second = fake.open_link(link.id), fake.open_link(link.id)
    fake.pay(first)

    done = shop.api.checkout.sessions.retrieve(first)
    assert ("subscription", link.id, 3800, True) == (done.mode, done.payment_link, done.amount_total, first != second)
    assert "active" == shop.api.subscriptions.retrieve(done.subscription).status


# -- Connect -----------------------------------------------------------------------------------------------------------


def test_a_direct_charge_belongs_to_the_account(fake: FakeStripe) -> None:
    """
    Objects, events and books name it; the buyer's page works the same.
    """
    theirs = Shop(fake, CONNECTED)
    session = theirs.session(700)
    fake.pay(session.id)

    assert {CONNECTED} == {e.get("account") for e in fake.events if e["data"]["object"]["id"] == session.id}
    assert [(700, CONNECTED)] == [(row.amount_minor, row.account) for row in fake.books() if row.session == session.id]


def test_a_destination_charge_is_booked_once(fake: FakeStripe, shop: Shop) -> None:
    """
    The connected account's mirrored payment is no second payment.
    """
    intent = shop.intent(
        800, transfer_data={"destination": CONNECTED}, payment_method="pm_card_visa", confirm=True, **BACK
    )
    mirrors = [c for c in Shop(fake, CONNECTED).api.charges.list().data if c.source_transfer]

    assert [("platform", 800)] == [("platform", r.amount_minor) for r in fake.books() if r.id == intent.id]
    assert set() == {c.id for c in mirrors} & {r.id for r in fake.books()}
    assert len(mirrors) == 1
