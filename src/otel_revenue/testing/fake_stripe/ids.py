# SPDX-License-Identifier: Apache-2.0
"""Ids with Stripe's prefixes and lengths, from a seeded generator, so that runs repeat."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

_ALPHABET: Final = string.ascii_letters + string.digits

# What stands in front, and how many random characters follow.
_FORMS: Final[dict[str, tuple[str, int]]] = {
    "balance_transaction": ("txn_3", 23),
    "charge": ("ch_3", 23),
    "checkout.session": ("cs_{mode}_a1", 56),
    "client_secret": ("secret_", 25),
    "coupon": ("", 8),
    "customer": ("cus_", 14),
    "discount": ("di_1", 23),
    "dispute": ("du_1", 23),
    "event": ("evt_1", 23),
    "invoice": ("in_1", 23),
    "invoice_payment": ("inpay_1", 23),
    "invoiceitem": ("ii_1", 23),
    "item": ("li_1", 23),
    "line_item": ("il_1", 23),
    "link_path": ("test_", 18),
    "mirror": ("py_1", 23),
    "payment_intent": ("pi_3", 23),
    "payment_link": ("plink_1", 23),
    "payment_method": ("pm_1", 23),
    "payment_record": ("pr_{mode}_", 24),
    "price": ("price_1", 23),
    "product": ("prod_", 14),
    "promotion_code": ("promo_1", 23),
    "receipt": ("", 40),
    "refund": ("re_3", 23),
    "request": ("req_", 14),
    "setup_intent": ("seti_1", 23),
    "subscription": ("sub_1", 23),
    "subscription_item": ("si_", 14),
    "tax_rate": ("txr_1", 23),
    "transfer": ("tr_3", 23),
}


class Ids:
    """Ids of one fake Stripe, in the order in which they are asked for."""

    def __init__(self, rng: random.Random, *, livemode: bool = False) -> None:
        self._rng = rng
        self._mode = "live" if livemode else "test"

    def new(self, kind: str) -> str:
        """Return a fresh id for an object of *kind* (Stripe's `object` name, or one of a few things beside them)."""
        prefix, length = _FORMS[kind]
        return prefix.format(mode=self._mode) + "".join(self._rng.choices(_ALPHABET, k=length))

    def digits(self, length: int) -> str:
        """Return random decimal digits."""
        return "".join(self._rng.choices(string.digits, k=length))
