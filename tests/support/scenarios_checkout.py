"""Flows through Checkout, and PaymentIntents and charges without it."""

from __future__ import annotations

from contextlib import suppress

from stripe import CardError

from otel_revenue.testing import Buyer, FakeStripe

from .shop import Shop, Truth, price_data


def card_checkout(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    session = shop.session()
    fake.pay(session.id)
    return Truth((shop.paid(session.id, 4999),))


def three_articles_and_shipping(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    items = [{"quantity": n, "price_data": price_data(a, "usd", "payment")} for n, a in ((2, 2490), (1, 995), (3, 150))]
    ways = [{"shipping_rate_data": {"display_name": "Post", "fixed_amount": {"amount": 500, "currency": "usd"}}}]
    session = shop.session(line_items=items, shipping_options=[{**ways[0]}])
    fake.pay(session.id, buyer=Buyer(country="US"))
    return Truth((shop.paid(session.id, 2 * 2490 + 995 + 3 * 150 + 500, "usd"),))


def delayed_success(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    session = shop.session()
    fake.pay(session.id, "sepa_debit", Buyer(country="DE"))
    fake.settle(session.id)
    return Truth((shop.paid(session.id, 4999),))


def delayed_failure(fake: FakeStripe) -> Truth:
    session = Shop(fake).session()
    fake.pay(session.id, "sepa_debit", Buyer(country="DE"))
    fake.settle(session.id, succeed=False)
    return Truth()


def decline_then_pay(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    session = shop.session()
    fake.pay(session.id, "declined_card")
    fake.pay(session.id, decline="insufficient_funds")
    fake.pay(session.id)
    return Truth((shop.paid(session.id, 4999),))


def declined_for_good(fake: FakeStripe) -> Truth:
    session = Shop(fake).session()
    fake.pay(session.id, "declined_card")
    fake.expire(session.id)
    return Truth()


def full_discount(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    coupon = shop.api.coupons.create({"percent_off": 100, "duration": "once"})
    session = shop.session(discounts=[{"coupon": coupon.id}])
    fake.pay(session.id)
    return Truth(free=(shop.payment("checkout.session", session.id, 0, "eur", session=session.id, order_id="order-1"),))


def set_up_only(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    session = shop.api.checkout.sessions.create(
        {"mode": "setup", "currency": "eur", "success_url": "https://shop.example/thanks"}
    )
    fake.pay(session.id)
    return Truth()


def payment_link(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    product = shop.api.products.create({"name": "Poster A1", "metadata": {"sku": "poster-a1"}})
    price = shop.api.prices.create({"product": product.id, "currency": "eur", "unit_amount": 5990})
    link = shop.api.payment_links.create(
        {"line_items": [{"price": price.id, "quantity": 2}], "metadata": {"order_id": "order-of-a-link"}}
    )
    session = fake.open_link(link.id)
    fake.pay(session)
    return Truth((shop.paid(session, 11_980, order_id="order-of-a-link"),))


def two_orders_same_second(fake: FakeStripe) -> Truth:
    """Same customer, same amount, same second: two orders."""
    shop = Shop(fake)
    customer = shop.customer()
    sessions = [shop.session(order_id=order, customer=customer.id) for order in ("order-1", "order-2")]
    for session in sessions:
        fake.pay(session.id)
    return Truth(
        tuple(shop.paid(s.id, 4999, order_id=o) for s, o in zip(sessions, ("order-1", "order-2"), strict=True))
    )


def adaptive_pricing(fake: FakeStripe) -> Truth:
    """The buyer pays in yen; the Session and its payment stay in euros."""
    shop = Shop(fake)
    session = shop.session(adaptive_pricing={"enabled": True})
    fake.pay(session.id, buyer=Buyer(country="JP", currency="jpy"))
    return Truth((shop.paid(session.id, 4999),))


def checkout_with_invoice(fake: FakeStripe) -> Truth:
    """`invoice_creation`: one payment, told by a Session, an intent, a charge and an invoice."""
    shop = Shop(fake)
    session = shop.session(invoice_creation={"enabled": True})
    fake.pay(session.id)
    invoice = shop.api.checkout.sessions.retrieve(session.id).invoice
    return Truth((shop.invoiced(invoice, 4999, session=session.id, order_id="order-1"),))


def refunded(fake: FakeStripe) -> Truth:
    """What goes back later does not change what was paid."""
    shop = Shop(fake)
    session = shop.session()
    fake.pay(session.id)
    payment = shop.paid(session.id, 4999)
    shop.api.refunds.create({"payment_intent": payment.id, "amount": 1000})
    shop.api.refunds.create({"payment_intent": payment.id})
    return Truth((payment,))


# -- authorise first, capture later ------------------------------------------------------------------------------------


def _held(fake: FakeStripe) -> tuple[Shop, str, str]:
    shop = Shop(fake)
    session = shop.session(payment_intent_data={"capture_method": "manual"})
    fake.pay(session.id)
    return shop, session.id, shop.api.checkout.sessions.retrieve(session.id).payment_intent


def manual_capture(fake: FakeStripe) -> Truth:
    shop, session, intent = _held(fake)
    shop.api.payment_intents.capture(intent)
    return Truth((shop.paid(session, 4999),))


def partial_capture(fake: FakeStripe) -> Truth:
    shop, session, intent = _held(fake)
    shop.api.payment_intents.capture(intent, {"amount_to_capture": 1999})
    return Truth((shop.paid(session, 1999),))


def never_captured(fake: FakeStripe) -> Truth:
    shop, _session, intent = _held(fake)
    shop.api.payment_intents.cancel(intent)
    return Truth()


def multi_capture(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    intent = shop.intent(
        9000,
        capture_method="manual",
        payment_method="pm_card_visa",
        confirm=True,
        return_url="https://shop.example/back",
        payment_method_options={"card": {"request_multicapture": "if_available"}},
    )
    shop.api.payment_intents.capture(intent.id, {"amount_to_capture": 3000, "final_capture": False})
    shop.api.payment_intents.capture(intent.id, {"amount_to_capture": 2500, "final_capture": False})
    shop.api.payment_intents.capture(intent.id, {"amount_to_capture": 1500})
    return Truth((shop.payment("payment_intent", intent.id, 7000, "eur"),))


# -- without Checkout --------------------------------------------------------------------------------------------------


def bare_payment_intent(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    intent = shop.intent(2100, "usd", metadata={"order_id": "order-7"})
    fake.pay_intent(intent.id)
    return Truth((shop.payment("payment_intent", intent.id, 2100, "usd", order_id="order-7"),))


def bare_payment_intent_declined_first(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    intent = shop.intent(2100, "jpy")
    with suppress(CardError):
        shop.api.payment_intents.confirm(
            intent.id, {"payment_method": "pm_card_chargeDeclined", "return_url": "https://shop.example/back"}
        )
    fake.pay_intent(intent.id)
    return Truth((shop.payment("payment_intent", intent.id, 2100, "jpy"),))


def terminal(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    intent = shop.intent(1250, "usd", allowed_payment_method_types=["card_present"], capture_method="manual")
    fake.pay_intent(intent.id, "card_present")
    shop.api.payment_intents.capture(intent.id)
    return Truth((shop.payment("payment_intent", intent.id, 1250, "usd"),))


def legacy_charge(fake: FakeStripe) -> Truth:
    shop = Shop(fake)
    charge = shop.api.charges.create({"amount": 700, "currency": "gbp", "source": "tok_visa"})
    return Truth((shop.payment("charge", charge.id, 700, "gbp"),))
