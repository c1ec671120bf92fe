"""Flows of billing (subscriptions, invoices) and of Connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shop import CONNECTED, Shop, Truth

if TYPE_CHECKING:
    from otel_revenue.testing import FakeStripe


def subscription(fake: FakeStripe) -> Truth:
    """The first invoice through Checkout, then two renewals."""
    shop = Shop(fake)
    session = shop.session(
        1200, mode="subscription", subscription_data={"metadata": {"order_id": "order-1", "tier": "pro"}}
    )
    fake.pay(session.id)
    done = shop.api.checkout.sessions.retrieve(session.id)
    first = shop.invoiced(done.invoice, 1200, session=session.id, order_id="order-1")
    renewals = [fake.renew(done.subscription) for _ in range(2)]
    return Truth((first, *(shop.invoiced(i, 1200, order_id="order-1") for i in renewals)))


def subscription_by_api(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    product = shop.api.products.create({"name": "Posters of the month"})
    price = shop.api.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 1900, "recurring": {"interval": "month"}}
    )
    made = shop.api.subscriptions.create({"customer": shop.customer().id, "items": [{"price": price.id}]})
    return Truth((shop.invoiced(made.latest_invoice, 1900, "usd"), shop.invoiced(fake.renew(made.id), 1900, "usd")))


def trial(fake: FakeStripe) -> Truth:
    """Nothing is due at first; the first renewal is the first money."""
    shop = Shop(fake)
    session = shop.session(1200, mode="subscription", subscription_data={"trial_period_days": 14})
    fake.pay(session.id)
    done = shop.api.checkout.sessions.retrieve(session.id)
    free = shop.invoiced(done.invoice, 0, session=session.id, order_id="order-1")
    return Truth((shop.invoiced(fake.renew(done.subscription), 1200),), free=(free,))


def renewal_declined_then_paid(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    session = shop.session(1200, mode="subscription")
    fake.pay(session.id)
    done = shop.api.checkout.sessions.retrieve(session.id)
    invoice = fake.renew(done.subscription, decline="insufficient_funds")
    shop.api.invoices.pay(invoice, {"payment_method": "pm_card_visa"})
    return Truth(
        (shop.invoiced(done.invoice, 1200, session=session.id, order_id="order-1"), shop.invoiced(invoice, 1200))
    )


def manual_invoice(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    invoice = shop.invoice(shop.customer().id, 3000, 1500)
    shop.api.invoices.pay(invoice.id)
    return Truth((shop.invoiced(invoice.id, 4500),))


def out_of_band(fake: FakeStripe) -> Truth:
    """Paid by cheque: since 2025-03-31 the invoice's `amount_paid` holds it."""
    shop = Shop(fake)
    invoice = shop.invoice(shop.customer().id, 3000)
    shop.api.invoices.pay(invoice.id, {"paid_out_of_band": True})
    return Truth((shop.invoiced(invoice.id, 3000),))


def partial_invoice_payments(fake: FakeStripe) -> Truth:
    """Two PaymentIntents pay one invoice: one order."""
    shop = Shop(fake)
    customer = shop.customer()
    invoice = shop.invoice(customer.id, 3000)
    intents = [shop.intent(amount, customer=customer.id) for amount in (1000, 2000)]
    for intent in intents:
        shop.api.invoices.attach_payment(invoice.id, {"payment_intent": intent.id})
        fake.pay_intent(intent.id)
    return Truth((shop.invoiced(invoice.id, 3000),))


def credit_balance(fake: FakeStripe) -> Truth:
    """A credit of ten pays the whole of the first invoice and a part of the second."""
    shop = Shop(fake)
    customer = shop.customer(balance=-1000)
    covered = shop.invoice(customer.id, 400)
    rest = shop.invoice(customer.id, 3000)
    shop.api.invoices.pay(rest.id)
    return Truth((shop.invoiced(rest.id, 2400),), free=(shop.invoiced(covered.id, 0),))


# -- Connect -----------------------------------------------------------------------------------------------------------


def connect_direct(fake: FakeStripe) -> Truth:
    """The platform creates on behalf of a connected account: events name the account."""
    shop = Shop(fake, CONNECTED)
    session = shop.session()
    fake.pay(session.id)
    return Truth((shop.paid(session.id, 4999),))


def destination_charge(fake: FakeStripe) -> Truth:
    """The platform is paid and passes on: the connected account's mirrored `py_` is no payment of its own."""
    shop = Shop(fake)
    intent = shop.intent(5000, transfer_data={"destination": CONNECTED}, application_fee_amount=500)
    fake.pay_intent(intent.id)
    return Truth((shop.payment("payment_intent", intent.id, 5000, "eur"),))
