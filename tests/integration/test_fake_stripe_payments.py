"""The state machines of FakeStripe through the real library: what may follow what, with which events and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stripe

from otel_revenue.testing import Buyer, FakeStripe
from support.fake_stripe import BACK, Since, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.shop import Shop


@pytest.fixture(scope="module")
def running() -> Iterator[FakeStripe]:
    with FakeStripe() as fake:
        yield fake


@pytest.fixture
def fake(running: FakeStripe) -> FakeStripe:
    return running


# -- PaymentIntents ----------------------------------------------------------------------------------------------------


def test_an_intent_is_confirmed_with_a_test_card(shop: Shop, since: Since) -> None:
    """
    Created, confirmed, succeeded: charge and intent name one another, metadata is copied to the charge once.
    """
    intent = shop.intent(metadata={"order_id": "order-9"})
    paid = shop.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa", **BACK})
    charge = shop.api.charges.retrieve(paid.latest_charge)
    shop.api.payment_intents.update(intent.id, {"metadata": {"order_id": "order-10"}})

    assert ("requires_payment_method", "succeeded", 4999) == (intent.status, paid.status, paid.amount_received)
    assert (intent.id, {"order_id": "order-9"}, True) == (
        charge.payment_intent,
        charge.metadata.to_dict(),
        charge.captured,
    )
    assert {"order_id": "order-9"} == shop.api.charges.retrieve(charge.id).metadata.to_dict()
    assert ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated"] == since.types


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_a_declined_card_is_402_with_its_code(
    shop: Shop, since: Since, card: str, code: str, decline_code: str
) -> None:
    """
    CardError with Stripe's codes; the error holds the intent, which waits for another card.
    """
    intent = shop.intent()
    error = refused(
        lambda: shop.api.payment_intents.confirm(intent.id, {"payment_method": card, **BACK}), stripe.CardError
    )

    body = error.json_body["error"]
    assert (402, code, decline_code, intent.id) == (
        error.http_status,
        error.code,
        body["decline_code"],
        body["payment_intent"]["id"],
    )
    assert "requires_payment_method" == shop.api.payment_intents.retrieve(intent.id).status
    assert ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"] == since.types


def test_authentication_is_asked_for_and_given_by_the_buyer(fake: FakeStripe, shop: Shop, since: Since) -> None:
    """
    A 3-D Secure card stops at `requires_action`; the buyer goes on.
    """
    intent = shop.intent(payment_method="pm_card_threeDSecure2Required", confirm=True, **BACK)
    stopped = intent.status
    done = fake.pay_intent(intent.id, "pm_card_threeDSecure2Required")

    assert ("requires_action", "succeeded") == (stopped, done)
    assert "payment_intent.requires_action" in since.types


def test_money_is_not_taken_twice_for_one_intent(fake: FakeStripe, shop: Shop) -> None:
    """
    A succeeded intent can be neither confirmed, nor canceled, nor captured, nor paid by a buyer.
    """
    intent = shop.intent(payment_method="pm_card_visa", confirm=True, **BACK)
    api = shop.api.payment_intents

    for call in (lambda: api.confirm(intent.id, BACK), lambda: api.cancel(intent.id), lambda: api.capture(intent.id)):
        assert (400, "payment_intent_unexpected_state") == ((error := refused(call)).http_status, error.code)
    with pytest.raises(ValueError, match="cannot be paid"):
        fake.pay_intent(intent.id)
    assert 1 == len(shop.api.charges.list({"payment_intent": intent.id}).data)


def test_an_intent_needs_a_payment_method_to_be_confirmed(shop: Shop) -> None:
    """
    400 payment_intent_unexpected_state without one.
    """
    intent = shop.intent()

    assert "payment_intent_unexpected_state" == refused(lambda: shop.api.payment_intents.confirm(intent.id)).code


def test_a_canceled_intent_is_over(shop: Shop, since: Since) -> None:
    """
    Canceled with its reason; nothing follows.
    """
    intent = shop.intent()
    over = shop.api.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})

    assert ("canceled", "abandoned") == (over.status, over.cancellation_reason)
    assert (
        400
        == refused(lambda: shop.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})).http_status
    )
    assert ["payment_intent.created", "payment_intent.canceled"] == since.types


@pytest.mark.parametrize("amount", [0, -1, 5000, 10**12])
def test_no_more_is_captured_than_was_authorised(shop: Shop, amount: int) -> None:
    """
    Nothing, less than nothing and more than there is: 400, and it stays capturable.
    """
    intent = shop.intent(capture_method="manual", payment_method="pm_card_visa", confirm=True, **BACK)

    assert (
        400 == refused(lambda: shop.api.payment_intents.capture(intent.id, {"amount_to_capture": amount})).http_status
    )
    assert 4999 == shop.api.payment_intents.retrieve(intent.id).amount_capturable


def test_multicapture_must_be_asked_for(shop: Shop) -> None:
    """
    `final_capture=false` on an intent that was not made for it: 400.
    """
    intent = shop.intent(capture_method="manual", payment_method="pm_card_visa", confirm=True, **BACK)

    error = refused(
        lambda: shop.api.payment_intents.capture(intent.id, {"amount_to_capture": 1, "final_capture": False})
    )
    assert "final_capture" == error.param


def test_a_last_capture_of_nothing_ends_a_multicapture(shop: Shop) -> None:
    """
    What was captured before is the payment.
    """
    intent = shop.intent(
        1000,
        capture_method="manual",
        payment_method="pm_card_visa",
        confirm=True,
        payment_method_options={"card": {"request_multicapture": "if_available"}},
        **BACK,
    )
    shop.api.payment_intents.capture(intent.id, {"amount_to_capture": 300, "final_capture": False})
    done = shop.api.payment_intents.capture(intent.id, {"amount_to_capture": 0, "final_capture": True})

    assert ("succeeded", 300, 0) == (done.status, done.amount_received, done.amount_capturable)


@pytest.mark.parametrize(
    ("iban", "status"),
    [("AT611904300234573201", "succeeded"), ("IT60X0542811101000000123456", "requires_payment_method")],
)
def test_test_accounts_settle_by_themselves(shop: Shop, iban: str, status: str) -> None:
    """
    Stripe's test IBANs succeed or fail without being told to.
    """
    method = shop.api.payment_methods.create(
        {"type": "sepa_debit", "sepa_debit": {"iban": iban}, "billing_details": {"name": "A", "email": "a@example.org"}}
    )
    intent = shop.intent(payment_method=method.id, confirm=True, **BACK)

    assert ("processing", status) == (intent.status, shop.api.payment_intents.retrieve(intent.id).status)


def test_a_terminal_payment_says_card_present(fake: FakeStripe, shop: Shop) -> None:
    """
    The charge of a reader has `card_present` details.
    """
    intent = shop.intent(allowed_payment_method_types=["card_present"], capture_method="manual")
    held = fake.pay_intent(intent.id, "card_present")
    charge = shop.api.charges.retrieve(shop.api.payment_intents.capture(intent.id).latest_charge)

    assert ("requires_capture", "card_present") == (held, charge.payment_method_details.type)


# -- Checkout ----------------------------------------------------------------------------------------------------------


def test_what_a_session_gives_its_intent(fake: FakeStripe, shop: Shop) -> None:
    """
    `payment_intent_data` goes to the intent, its metadata on to the charge; the Session's own metadata goes nowhere.
    """
    session = shop.session(
        client_reference_id="basket-7",
        payment_intent_data={
            "metadata": {"trace": "00-1"},
            "description": "Posters",
            "statement_descriptor_suffix": "ART",
        },
    )
    before = session.payment_intent
    fake.pay(session.id)
    done = shop.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})

    intent = done.payment_intent
    assert (None, "basket-7") == (before, done.client_reference_id)
    assert ({"trace": "00-1"}, "Posters") == (intent.metadata.to_dict(), intent.description)
    assert {"trace": "00-1"} == intent.latest_charge.metadata.to_dict()


@pytest.mark.parametrize("ui_mode", ["embedded_page", "elements"])
def test_an_embedded_session_has_a_secret_and_no_page(shop: Shop, ui_mode: str) -> None:
    """
    Without a hosted page: client_secret and return_url instead of url and success_url.
    """
    lines = [{"price_data": {"currency": "eur", "unit_amount": 1, "product_data": {"name": "A"}}, "quantity": 1}]
    session = shop.api.checkout.sessions.create({"mode": "payment", "ui_mode": ui_mode, "line_items": lines, **BACK})

    assert (None, True) == (session.url, session.client_secret.startswith(session.id))


def test_an_expired_session_cannot_be_paid_nor_a_paid_one_expire(fake: FakeStripe, shop: Shop, since: Since) -> None:
    """
    By API and by time: `checkout.session.expired` once, then it is over.
    """
    first, second = shop.session(), shop.session()
    shop.api.checkout.sessions.expire(first.id)
    fake.pay(second.id)

    with pytest.raises(ValueError, match="expired: it cannot be paid"):
        fake.pay(first.id)
    with pytest.raises(ValueError, match="complete: it cannot be paid"):
        fake.pay(second.id)
    with pytest.raises(ValueError, match="complete: it cannot expire"):
        fake.expire(second.id)
    assert 400 == refused(lambda: shop.api.checkout.sessions.expire(second.id)).http_status
    assert 1 == since.types.count("checkout.session.expired")


def test_a_method_that_the_shop_does_not_take_is_refused(fake: FakeStripe, shop: Shop) -> None:
    """
    Chosen types bind; without a choice any method works, bank debits in euros.
    """
    cards = shop.session(allowed_payment_method_types=["card"])
    dollars = shop.session(currency="usd")
    euros = shop.session()

    with pytest.raises(ValueError, match="takes card, not paypal"):
        fake.pay(cards.id, "paypal")
    assert (["card", "link"], ["card", "link", "sepa_debit"]) == (
        dollars.payment_method_types,
        euros.payment_method_types,
    )


def test_a_setup_session_keeps_a_card_and_takes_no_money(fake: FakeStripe, shop: Shop, since: Since) -> None:
    """
    `setup_intent` on the Session, no intent, no charge, nothing in the books.
    """
    customer = shop.api.customers.create({})
    session = shop.api.checkout.sessions.create(
        {"mode": "setup", "currency": "eur", "customer": customer.id, "success_url": "https://shop.example/ok"}
    )
    fake.pay(session.id)
    done = shop.api.checkout.sessions.retrieve(session.id)

    assert ("no_payment_required", None, True) == (
        done.payment_status,
        done.payment_intent,
        done.setup_intent.startswith("seti_"),
    )
    assert {"setup_intent.succeeded", "checkout.session.completed"} <= set(since.types)
    assert [] == [t for t in since.types if t.startswith(("charge.", "payment_intent."))]


def test_totals_add_up_with_discount_tax_and_shipping(fake: FakeStripe, shop: Shop) -> None:
    """
    total = subtotal - discount + exclusive tax + shipping, on the Session and in the books.
    """
    rate = shop.api.tax_rates.create({"display_name": "VAT", "inclusive": False, "percentage": "19"})
    coupon = shop.api.coupons.create({"percent_off": "12.5", "duration": "once"})
    price = {"currency": "eur", "unit_amount": 2490, "product_data": {"name": "A"}}
    session = shop.session(
        line_items=[{"price_data": price, "quantity": 3, "tax_rates": [rate.id]}],
        discounts=[{"coupon": coupon.id}],
        shipping_options=[
            {
                "shipping_rate_data": {
                    "display_name": "Post",
                    "type": "fixed_amount",
                    "fixed_amount": {"amount": 490, "currency": "eur"},
                }
            }
        ],
    )
    fake.pay(session.id)

    discount, tax = 934, 1242  # 7470 × 12.5 % and (7470 - 934) × 19 %, each rounded half up
    assert (7470, 7470 - discount + tax + 490) == (session.amount_subtotal, session.amount_total)
    assert {"amount_discount": discount, "amount_tax": tax, "amount_shipping": 490} == session.total_details.to_dict()
    assert [session.amount_total] == [row.amount_minor for row in fake.books() if row.session == session.id]


def test_the_buyers_address_is_where_stripe_puts_it(fake: FakeStripe, shop: Shop) -> None:
    """
    Billing in `customer_details`, shipping in `collected_information` and on the intent, card's country on the charge.
    """
    session = shop.session(shipping_address_collection={"allowed_countries": ["AT"]})
    fake.pay(session.id, buyer=Buyer(country="AT", name="Anna"))
    done = shop.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})

    charge = done.payment_intent.latest_charge
    assert {"AT"} == {
        done.customer_details.address.country,
        done.collected_information.shipping_details.address.country,
        done.payment_intent.shipping.address.country,
        charge.billing_details.address.country,
        charge.payment_method_details.card.country,
    }


# -- refunds and disputes ----------------------------------------------------------------------------------------------


def test_refunds_end_where_the_money_ends(fake: FakeStripe, shop: Shop, since: Since) -> None:
    """
    In parts, up to what was taken; more, and once more, are refused; the books keep them apart.
    """
    intent = shop.intent(1000, payment_method="pm_card_visa", confirm=True, **BACK)
    shop.api.refunds.create({"payment_intent": intent.id, "amount": 300, "reason": "requested_by_customer"})
    over = refused(lambda: shop.api.refunds.create({"payment_intent": intent.id, "amount": 701}))
    shop.api.refunds.create({"charge": intent.latest_charge})
    again = refused(lambda: shop.api.refunds.create({"payment_intent": intent.id}))

    (row,) = [row for row in fake.books() if row.id == intent.id]
    charge = shop.api.charges.retrieve(intent.latest_charge)
    assert ("amount", "charge_already_refunded") == (over.param, again.code)
    assert (1000, 1000, [300, 700]) == (row.amount_minor, row.refunded_minor, [amount for _, amount in row.refunds])
    assert (True, 1000, True) == (charge.refunded, charge.amount_refunded, charge.paid)
    assert ["charge.refunded", "refund.created"] * 2 == [t for t in since.types if "refund" in t]


def test_a_dispute_moves_money_when_it_is_withdrawn_and_reinstated(fake: FakeStripe, shop: Shop, since: Since) -> None:
    """
    Created and withdrawn; won: closed and reinstated; decided once.
    """
    intent = shop.intent(1000, payment_method="pm_card_visa", confirm=True, **BACK)
    dispute = fake.dispute(intent.id, amount=600, reason="product_not_received")
    fake.close_dispute(dispute, won=True)

    found = shop.api.disputes.retrieve(dispute)
    assert (600, "won", intent.id, "product_not_received") == (
        found.amount,
        found.status,
        found.payment_intent,
        found.reason,
    )
    assert ["created", "funds_withdrawn", "closed", "funds_reinstated"] == [
        t.removeprefix("charge.dispute.") for t in since.types if "dispute" in t
    ]
    for call in (
        lambda: fake.close_dispute(dispute, won=False),
        lambda: fake.dispute(intent.id),
        lambda: fake.dispute(intent.id, reason="x"),
    ):
        with pytest.raises(ValueError, match=r"won|disputed|no such reason"):
            call()


def test_an_inquiry_moves_no_money(fake: FakeStripe, shop: Shop, since: Since) -> None:
    """
    A bank that only asks: created and closed, nothing withdrawn or reinstated.
    """
    intent = shop.intent(1000, payment_method="pm_card_createDisputeInquiry", confirm=True, **BACK)
    (dispute,) = shop.api.disputes.list({"payment_intent": intent.id}).data
    fake.close_dispute(dispute.id, won=True)

    assert ("warning_needs_response", "warning_closed") == (
        dispute.status,
        shop.api.disputes.retrieve(dispute.id).status,
    )
    assert ["created", "closed"] == [t.removeprefix("charge.dispute.") for t in since.types if "dispute" in t]


@pytest.mark.parametrize(("evidence", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
def test_evidence_decides_as_in_test_mode(shop: Shop, evidence: str, status: str) -> None:
    """
    Stripe's test words win and lose.
    """
    intent = shop.intent(1000, payment_method="pm_card_createDispute", confirm=True, **BACK)
    (dispute,) = shop.api.disputes.list({"payment_intent": intent.id}).data
    shop.api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})

    assert status == shop.api.disputes.retrieve(dispute.id).status
