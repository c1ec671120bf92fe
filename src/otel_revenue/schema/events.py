# SPDX-License-Identifier: Apache-2.0
"""
The events: the source of truth for what may leave the application.

`docs/analytics-events.md`, `schema/*.json` and the table that the hot path uses (`_table.py`) are generated from here by
`tools/generate.py`. What is not declared here does not leave.
"""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from .fields import Kind, RevenueEvent, Sensitivity, attribute

SCHEMA_VERSION: Final = "1.0"
"""Rises in its second part when something is added, in its first when a meaning changes."""

_T, _B, _P = Sensitivity.TECHNICAL, Sensitivity.BUSINESS, Sensitivity.PSEUDONYMOUS


class CommonEvent(RevenueEvent):
    """The keys that every event may carry. A key is absent when its value is unknown: never empty, never null."""

    event_id: str = attribute(
        "Identifies the fact, not the delivery: dedupe by event name and this. For payments a UUIDv5 of the canonical "
        "Stripe id, so that two hosts without a shared store produce the same.",
        _T, Kind.CODE, example="6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53", pattern="[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        required=True, default=lambda: str(uuid.uuid4()))  # fmt: skip
    schema_version: str = attribute(
        "Version of this schema.",
        _T,
        Kind.CODE,
        example=SCHEMA_VERSION,
        pattern=r"[0-9]{1,3}\.[0-9]{1,3}",
        required=True,
        default=lambda: SCHEMA_VERSION,
    )
    order_id: str | None = attribute(
        "The shop's id of the order, from the first configured source that has one. A renewal may carry its subscription's "
        "first order.", _P, Kind.ID, example="order-1042", browser=True)  # fmt: skip
    journey_id: str | None = attribute(
        "One buying attempt before an order_id exists: opaque and random.",
        _P,
        Kind.ID,
        example="j-7c9f1b52",
        browser=True,
    )
    tier: str | None = attribute(
        "Price level of the order, as the shop names it.",
        _B,
        Kind.LABEL,
        example="pro",
        metric_label=True,
        browser=True,
    )
    subtotal: float | None = attribute(
        "Sum of the items before discount, shipping and exclusive tax, in major units. For people; `subtotal_minor` is the truth.",
        _B, Kind.MAJOR, example=49.0, unit="major units of currency")  # fmt: skip
    subtotal_minor: int | None = attribute(
        "Sum of the items before discount, shipping and exclusive tax.",
        _B,
        Kind.MINOR,
        example=4900,
        unit="minor units of currency",
    )
    currency: str | None = attribute(
        "Currency of all amounts of the event that name no other: ISO 4217 code, upper case.",
        _B, Kind.CODE, example="EUR", pattern="[A-Z]{3}", metric_label=True)  # fmt: skip
    country: str | None = attribute(
        "Country of the buyer, ISO 3166-1 alpha-2, upper case.",
        _B,
        Kind.CODE,
        example="DE",
        pattern="[A-Z]{2}",
        metric_label=True,
    )
    country_source: str | None = attribute(
        "Where `country` comes from: billing address, shipping address, the country of the card's issuer (which is not always "
        "the buyer's), the order's metadata, or the request.",
        _B, Kind.CODE, example="billing", pattern="billing|shipping|card_issuer|metadata|request")  # fmt: skip
    surface: str | None = attribute(
        "The place that led to the order: the first that is known, from the best source that `surface_source` names.",
        _B,
        Kind.LABEL,
        example="pricing-page",
        metric_label=True,
        browser=True,
    )
    surface_source: str | None = attribute(
        "Who says so, the best one first: the application (`explicit`), the browser's first touch, the request's UTM parameters, the "
        "host that it was referred from, or the route of the first stage.",
        _B, Kind.CODE, example="explicit", pattern="explicit|browser|utm|referrer|route")  # fmt: skip
    livemode: bool | None = attribute(
        "False for Stripe's test mode: keep it out of every sum.", _T, Kind.FLAG, example=True
    )
    elapsed_ms: int | None = attribute(
        "From the start of the request's SERVER span to the event.", _T, Kind.COUNT, example=184, unit="ms"
    )
    synthetic: bool | None = attribute(
        "True for bots, probes and load tests; absent otherwise.", _T, Kind.FLAG, example=True, browser=True
    )
    replayed: bool | None = attribute(
        "True when the event was recorded by a repair, later than it happened.", _T, Kind.FLAG, example=True
    )
    telemetry_source: str | None = attribute(
        "Who recorded the event: `server` or `browser`. A browser's word is forgeable and never speaks of money.",
        _T, Kind.CODE, example="server", pattern="server|browser", wire="telemetry.source")  # fmt: skip
    requested_attributes: list[str] | None = attribute(
        "Which attributes are known only from the request that asked for the payment, not confirmed by Stripe.",
        _T, Kind.IDS, example=["item_count", "skus"])  # fmt: skip


class ItemsEvent(CommonEvent):
    """Events that know what is bought."""

    item_count: int | None = attribute(
        "Number of units over all lines.", _B, Kind.COUNT, example=3, unit="{item}", browser=True
    )
    skus: list[str] | None = attribute(
        "Stock keeping units of the lines, from the configured sources; together below 255 characters.",
        _B, Kind.IDS, example=["poster-a2", "frame-oak"], browser=True)  # fmt: skip
    skus_cut: int | None = attribute(
        "How many SKUs are not in `skus`, since they did not fit or looked like personal data; absent when none.",
        _T,
        Kind.COUNT,
        example=4,
        unit="{item}",
    )


class CheckoutStart(ItemsEvent):
    """The buyer opens checkout."""

    event_name: ClassVar[str] = "checkout.start"
    stage: ClassVar[bool] = True
    from_browser: ClassVar[bool] = True


class CheckoutSessionCreated(ItemsEvent):
    """Stripe returned a Checkout Session, a PaymentIntent or a Subscription that the application asked for."""

    event_name: ClassVar[str] = "checkout.session_created"

    checkout_session_id: str | None = attribute(
        "Stripe's id of the Checkout Session.", _P, Kind.ID, example="cs_test_a1B2c3", wire="stripe.checkout.session.id"
    )
    payment_intent_id: str | None = attribute(
        "Stripe's id of the PaymentIntent, where no Checkout Session stands before it.", _P, Kind.ID,
        example="pi_3PqL2e", wire="stripe.payment_intent.id")  # fmt: skip
    subscription_id: str | None = attribute(
        "Stripe's id of the Subscription.", _P, Kind.ID, example="sub_1Pq", wire="stripe.subscription.id"
    )
    account_id: str | None = attribute(
        "Stripe's id of the connected account (Connect); absent on the platform's own.", _B, Kind.ID,
        example="acct_1032D82e", wire="stripe.account.id")  # fmt: skip


class DesignStarted(CommonEvent):
    """Generation of a design begins."""

    event_name: ClassVar[str] = "design.started"
    stage: ClassVar[bool] = True
    from_browser: ClassVar[bool] = True

    design_id: str | None = attribute("The shop's id of the design.", _B, Kind.ID, example="d-311", browser=True)


class DesignApproved(CommonEvent):
    """A design is approved."""

    event_name: ClassVar[str] = "design.approved"
    stage: ClassVar[bool] = True
    from_browser: ClassVar[bool] = True

    design_id: str | None = attribute("The shop's id of the design.", _B, Kind.ID, example="d-311", browser=True)
    duration_ms: int | None = attribute(
        "From the start of the design to its approval.", _B, Kind.COUNT, example=61000, unit="ms", browser=True
    )


class OrderPaid(ItemsEvent):
    """
    Money was taken, once per payment.

    Recorded on Stripe's confirmation, never on the request that asked for it. Not recorded for authorisations and
    trials; for amounts of zero only where the shop asks for it.
    """

    event_name: ClassVar[str] = "order.paid"

    amount: float | None = attribute(
        "What the buyer paid, tax and shipping included, in major units. For people and tools; `amount_minor` is the truth. "
        "Absent when Stripe's table gives no exponent for the currency.",
        _B, Kind.MAJOR, example=49.99, unit="major units of currency")  # fmt: skip
    amount_minor: int = attribute(
        "What the buyer paid, tax and shipping included.",
        _B,
        Kind.MINOR,
        example=4999,
        unit="minor units of currency",
        required=True,
    )
    amount_status: str | None = attribute(
        "`unknown_currency` when Stripe's table gives no exponent for the currency, so that there is no `amount`; absent otherwise.",
        _T, Kind.CODE, example="unknown_currency", pattern="unknown_currency")  # fmt: skip
    discount: float | None = attribute(
        "Sum of the discounts, in major units.", _B, Kind.MAJOR, example=5.0, unit="major units of currency"
    )
    discount_minor: int | None = attribute(
        "Sum of the discounts.", _B, Kind.MINOR, example=500, unit="minor units of currency"
    )
    tax: float | None = attribute(
        "Sum of the taxes, in major units.", _B, Kind.MAJOR, example=3.99, unit="major units of currency"
    )
    tax_minor: int | None = attribute("Sum of the taxes.", _B, Kind.MINOR, example=399, unit="minor units of currency")
    shipping: float | None = attribute(
        "Cost of shipping, in major units.", _B, Kind.MAJOR, example=2.0, unit="major units of currency"
    )
    shipping_minor: int | None = attribute(
        "Cost of shipping.", _B, Kind.MINOR, example=200, unit="minor units of currency"
    )
    presentment_amount: float | None = attribute(
        "What the buyer saw and paid in their own currency, in major units; for display.", _B, Kind.MAJOR, example=54.1,
        unit="major units of presentment_currency")  # fmt: skip
    presentment_amount_minor: int | None = attribute(
        "What the buyer saw and paid in their own currency.",
        _B,
        Kind.MINOR,
        example=5410,
        unit="minor units of presentment_currency",
    )
    presentment_currency: str | None = attribute(
        "The buyer's own currency, where Stripe converted.", _B, Kind.CODE, example="CHF", pattern="[A-Z]{3}"
    )
    payment_kind: str | None = attribute(
        "What kind of payment it is.", _B, Kind.CODE, example="one_off",
        pattern="one_off|subscription_first|subscription_renewal|invoice", metric_label=True)  # fmt: skip
    payment_method_type: str | None = attribute(
        "Stripe's type of the payment method: card, sepa_debit, ...",
        _B,
        Kind.CODE,
        example="card",
        pattern="[a-z0-9_]{1,40}",
    )
    time_to_pay_ms: int | None = attribute(
        "From the creation of the Checkout Session (or PaymentIntent) to the money taken: seconds for cards, days for bank debits. "
        "Stripe's clock, whole seconds.", _B, Kind.COUNT, example=42000, unit="ms")  # fmt: skip
    checkout_session_id: str | None = attribute(
        "Stripe's id of the Checkout Session.", _P, Kind.ID, example="cs_test_a1B2c3", wire="stripe.checkout.session.id"
    )
    payment_intent_id: str | None = attribute(
        "Stripe's id of the PaymentIntent.", _P, Kind.ID, example="pi_3PqL2e", wire="stripe.payment_intent.id"
    )
    charge_id: str | None = attribute(
        "Stripe's id of the charge.", _P, Kind.ID, example="ch_3PqL2e", wire="stripe.charge.id"
    )
    invoice_id: str | None = attribute(
        "Stripe's id of the invoice.", _P, Kind.ID, example="in_1PqL2e", wire="stripe.invoice.id"
    )
    subscription_id: str | None = attribute(
        "Stripe's id of the Subscription.", _P, Kind.ID, example="sub_1Pq", wire="stripe.subscription.id"
    )
    payment_link_id: str | None = attribute(
        "Stripe's id of the payment link.", _B, Kind.ID, example="plink_1Pq", wire="stripe.payment_link.id"
    )
    account_id: str | None = attribute(
        "Stripe's id of the connected account (Connect); absent on the platform's own.", _B, Kind.ID,
        example="acct_1032D82e", wire="stripe.account.id")  # fmt: skip
    surface_last: str | None = attribute(
        "The place that was touched last before the payment, whoever says so; never a mere route.",
        _B,
        Kind.LABEL,
        example="newsletter",
        metric_label=True,
    )


class Setback(ItemsEvent):
    """Money that did not come: what both events about it carry. The order is the one that was to be paid."""

    checkout_session_id: str | None = attribute(
        "Stripe's id of the Checkout Session.", _P, Kind.ID, example="cs_test_a1B2c3", wire="stripe.checkout.session.id"
    )
    payment_intent_id: str | None = attribute(
        "Stripe's id of the PaymentIntent.", _P, Kind.ID, example="pi_3PqL2e", wire="stripe.payment_intent.id"
    )
    subscription_id: str | None = attribute(
        "Stripe's id of the Subscription.", _P, Kind.ID, example="sub_1Pq", wire="stripe.subscription.id"
    )
    payment_link_id: str | None = attribute(
        "Stripe's id of the payment link.", _B, Kind.ID, example="plink_1Pq", wire="stripe.payment_link.id"
    )
    account_id: str | None = attribute(
        "Stripe's id of the connected account (Connect); absent on the platform's own.", _B, Kind.ID,
        example="acct_1032D82e", wire="stripe.account.id")  # fmt: skip


class CheckoutPaymentFailed(Setback):
    """
    An attempt to pay failed, once per attempt: the card was declined, the bank debit came back.

    The order may still be paid: `order.paid` comes all the same. At most 100 of one payment.
    """

    event_name: ClassVar[str] = "checkout.payment_failed"

    decline_code: str | None = attribute(
        "Stripe's decline code; where the bank gave none, Stripe's error code. Never the message.",
        _B, Kind.CODE, example="insufficient_funds", pattern="[a-z0-9_]{1,40}", metric_label=True)  # fmt: skip
    attempt: int | None = attribute(
        "Which failed attempt to make this payment it is, by Stripe's time, from 1; of those that were told within a few seconds.",
        _B, Kind.COUNT, example=1, unit="{attempt}")  # fmt: skip
    payment_kind: str | None = attribute(
        "What kind of payment it is. A renewal that fails says nothing of a checkout.", _B, Kind.CODE, example="one_off",
        pattern="one_off|subscription_first|subscription_renewal|invoice", metric_label=True)  # fmt: skip
    payment_method_type: str | None = attribute(
        "Stripe's type of the payment method: card, sepa_debit, ...",
        _B,
        Kind.CODE,
        example="card",
        pattern="[a-z0-9_]{1,40}",
    )
    charge_id: str | None = attribute(
        "Stripe's id of the charge that failed.", _P, Kind.ID, example="ch_3PqL2e", wire="stripe.charge.id"
    )
    invoice_id: str | None = attribute(
        "Stripe's id of the invoice.", _P, Kind.ID, example="in_1PqL2e", wire="stripe.invoice.id"
    )


class CheckoutExpired(Setback):
    """
    A payment can no more be made, once: its Checkout Session ran out or was closed, or the shop's PaymentIntent was cancelled.

    The order may still be paid by another one.
    """

    event_name: ClassVar[str] = "checkout.expired"

    cancellation_reason: str | None = attribute(
        "Why the PaymentIntent was cancelled, as Stripe names it; absent where a Checkout Session ran out.",
        _B, Kind.CODE, example="abandoned", pattern="[a-z0-9_]{1,40}")  # fmt: skip


EVENTS: Final[tuple[type[CommonEvent], ...]] = (
    CheckoutStart,
    CheckoutSessionCreated,
    DesignStarted,
    DesignApproved,
    OrderPaid,
    CheckoutPaymentFailed,
    CheckoutExpired,
)
