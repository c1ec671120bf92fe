"""
Whole payment flows, played with the real stripe library on a FakeStripe, and what was really paid in each.

    truth, deliveries = play("card checkout")        # signed: .body and .signature, in Stripe's order
    for scenario in SCENARIOS.values(): truth = scenario(fake)   # on a fake of your own, `fake.deliveries` afterwards

What was paid is written down here, not asked of the fake. Ids, times and order repeat for the same seed.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING

from otel_revenue.testing import Delivery, FakeStripe

from . import scenarios_billing as billing
from . import scenarios_checkout as checkout
from .shop import CONNECTED, Payment, Shop, Truth

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CONNECTED", "SCENARIOS", "Payment", "Shop", "Truth", "play"]

BASE = 1_790_000_000
"""Seconds since the epoch at which every played scenario begins."""
OLD_VERSION = "2022-11-15"
"""A version from before 2025-03-31.basil, when invoices, PaymentIntents and charges named one another."""
PLATFORM, CONNECT = "platform", "connect"
"""Names of the endpoints that `play` adds: they stand in `Delivery.endpoint`."""


def _many(fake: FakeStripe) -> Truth:
    parts = [
        s(fake)
        for s in (
            checkout.card_checkout,
            billing.subscription,
            billing.manual_invoice,
            billing.out_of_band,
            checkout.bare_payment_intent,
        )
    ]
    return Truth(tuple(itertools.chain.from_iterable(p.payments for p in parts)))


def old_shape_endpoint(fake: FakeStripe) -> Truth:
    """A second endpoint still has the shapes from before 2025-03-31: both arrive in one process."""
    fake.collect("old", secret="whsec_of_the_old_endpoint", api_version=OLD_VERSION)
    return _many(fake)


def two_endpoints(fake: FakeStripe) -> Truth:
    """Two endpoints of one account get the same events under different secrets."""
    fake.collect("second", secret="whsec_of_the_second_endpoint")
    return _many(fake)


def cut_references(fake: FakeStripe) -> Truth:
    """`order_reference` cut to 25 characters, as Stripe sometimes does."""
    fake.cut_references = True
    try:
        return Truth((*checkout.card_checkout(fake).payments, *billing.subscription(fake).payments))
    finally:
        fake.cut_references = False


SCENARIOS: dict[str, Callable[[FakeStripe], Truth]] = {
    scenario.__name__.replace("_", " "): scenario
    for scenario in (
        checkout.card_checkout,
        checkout.three_articles_and_shipping,
        checkout.delayed_success,
        checkout.delayed_failure,
        checkout.decline_then_pay,
        checkout.declined_for_good,
        checkout.full_discount,
        checkout.set_up_only,
        checkout.payment_link,
        checkout.two_orders_same_second,
        checkout.adaptive_pricing,
        checkout.checkout_with_invoice,
        checkout.refunded,
        checkout.manual_capture,
        checkout.partial_capture,
        checkout.never_captured,
        checkout.multi_capture,
        checkout.bare_payment_intent,
        checkout.bare_payment_intent_declined_first,
        checkout.terminal,
        checkout.legacy_charge,
        billing.subscription,
        billing.subscription_by_api,
        billing.trial,
        billing.renewal_declined_then_paid,
        billing.manual_invoice,
        billing.out_of_band,
        billing.partial_invoice_payments,
        billing.credit_balance,
        billing.connect_direct,
        billing.destination_charge,
        old_shape_endpoint,
        two_endpoints,
        cut_references,
    )
}
"""Every flow, by its name."""


@cache
def play(name: str, seed: int = 1, *, livemode: bool = False) -> tuple[Truth, tuple[Delivery, ...]]:
    """
    Play one scenario on a fresh FakeStripe that collects what the platform's and the connected accounts' endpoints get.

    The time stands still at `BASE`; signatures carry the real one. Kept for the process: hypothesis may ask often.
    """
    with FakeStripe(seed=seed, clock=lambda: BASE, livemode=livemode) as fake:
        fake.collect(PLATFORM)
        fake.collect(CONNECT, connect=True)
        truth = SCENARIOS[name](fake)
        return truth, tuple(fake.deliveries)
