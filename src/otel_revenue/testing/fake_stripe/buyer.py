# SPDX-License-Identifier: Apache-2.0
"""Who pays, and with what."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from .failure import DECLINE_CODES

Obj = dict[str, Any]


@dataclass(frozen=True)
class Buyer:
    """
    A buyer, full of personal data, which Stripe's objects and events then carry as real ones do.

    Attributes:
        email, name, phone: of the person.
        country: two letters; of the billing and of the shipping address.
        line1, line2, city, postal_code, state: of both addresses.
        business_name, tax_id: of a company.
        currency: what the buyer would rather pay in (adaptive pricing); None for the shop's own.
        last4: the card's or account's last digits; None for those of the test method.
        note: what the buyer writes into the Session's custom fields.
    """

    email: str = "jenny.rosen@example.com"
    name: str = "Jenny Rosen"
    phone: str = "+14155550132"
    country: str = "US"
    line1: str = "510 Townsend St"
    line2: str | None = None
    city: str = "San Francisco"
    postal_code: str = "94103"
    state: str | None = "CA"
    business_name: str | None = None
    tax_id: str | None = None
    currency: str | None = None
    last4: str | None = None
    note: str = "Please ring twice"

    @property
    def address(self) -> Obj:
        """The address as Stripe writes it."""
        return {
            "city": self.city,
            "country": self.country,
            "line1": self.line1,
            "line2": self.line2,
            "postal_code": self.postal_code,
            "state": self.state,
        }

    @property
    def billing_details(self) -> Obj:
        """As it stands on charges and PaymentMethods."""
        return {
            "address": self.address,
            "email": self.email,
            "name": self.name,
            "phone": self.phone,
            "tax_id": self.tax_id,
        }

    @classmethod
    def read(cls, values: Obj) -> Buyer:
        """
        Return the buyer that *values* (from JSON) describe.

        Raises:
            ValueError: a field is not known or no text.
        """
        known = {field.name for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"a buyer has no {name!r}; known: {', '.join(sorted(known))}")
            if value is not None and not isinstance(value, str):
                raise ValueError(f"buyer.{name} must be text")
            if value is not None and not value.isprintable():
                raise ValueError(f"buyer.{name} has characters that nobody can type")
        return cls(**values)


@dataclass(frozen=True)
class Instrument:
    """
    What a buyer pays with, and how it behaves.

    Attributes:
        type: Stripe's payment method type.
        delayed: the money comes (or fails) later.
        decline: Stripe's decline code when it is declined, else "".
        action: the buyer must authenticate first.
        disputed: it is paid, and at once there is a "dispute" or an "inquiry" of the bank; "" for neither.
        settles: how a delayed method ends by itself: "succeed", "fail", or "" for when it is told to.
        brand, funding, country, last4: of a card (issuer's country), or what fits of another method.
    """

    type: str = "card"
    delayed: bool = False
    decline: str = ""
    action: bool = False
    disputed: str = ""
    settles: str = ""
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    last4: str = "4242"


DELAYED: Final = frozenset(
    """
    acss_debit au_becs_debit bacs_debit boleto customer_balance konbini multibanco nz_bank_account oxxo payto sepa_debit
    sofort us_bank_account
    """.split()
)
AT_ONCE: Final = frozenset(
    """
    affirm alipay amazon_pay bancontact blik card card_present cashapp eps giropay ideal kakao_pay klarna link mobilepay p24 paypal pix
    revolut_pay swish twint wechat_pay
    """.split()
)

# Names of test cards, PaymentMethods and tokens, without the prefixes pm_card_, pm_card_visa_ and tok_.
_CARDS: Final[dict[str, Instrument]] = {
    "visa": Instrument(),
    "visa_debit": Instrument(funding="debit", last4="5556"),
    "mastercard": Instrument(brand="mastercard", last4="4444"),
    "amex": Instrument(brand="amex", last4="8431"),
    "discover": Instrument(brand="discover", last4="9424"),
    "de": Instrument(country="DE", last4="0016"),
    "gb": Instrument(country="GB", last4="0008"),
    "jp": Instrument(country="JP", last4="0003"),
    "chargeDeclined": Instrument(decline="generic_decline", last4="0002"),
    "chargeCustomerFail": Instrument(decline="generic_decline", last4="0341"),
    "chargeDeclinedInsufficientFunds": Instrument(decline="insufficient_funds", last4="9995"),
    "chargeDeclinedLostCard": Instrument(decline="lost_card", last4="9987"),
    "chargeDeclinedStolenCard": Instrument(decline="stolen_card", last4="9979"),
    "chargeDeclinedFraudulent": Instrument(decline="fraudulent", last4="0019"),
    "chargeDeclinedExpiredCard": Instrument(decline="expired_card", last4="0069"),
    "chargeDeclinedIncorrectCvc": Instrument(decline="incorrect_cvc", last4="0127"),
    "chargeDeclinedProcessingError": Instrument(decline="processing_error", last4="0119"),
    "createDispute": Instrument(disputed="dispute", last4="0259"),
    "createDisputeInquiry": Instrument(disputed="inquiry", last4="1976"),
    "authenticationRequired": Instrument(action=True, last4="3184"),
    "threeDSecure2Required": Instrument(action=True, last4="3220"),
}
_NUMBERS: Final = {
    "4242424242424242": "visa",
    "5555555555554444": "mastercard",
    "378282246310005": "amex",
    "4000000000000002": "chargeDeclined",
    "4000000000009995": "chargeDeclinedInsufficientFunds",
    "4000000000000069": "chargeDeclinedExpiredCard",
    "4000000000000341": "chargeCustomerFail",
    "4000000000000259": "createDispute",
    "4000000000001976": "createDisputeInquiry",
    "4000002500003155": "authenticationRequired",
}
# Test accounts whose debits settle by themselves, as in Stripe's test mode.
_IBANS: Final = {"AT611904300234573201": "succeed", "IT60X0542811101000000123456": "fail"}
_SHORT: Final = {
    "declined_card": "generic_decline",
    "insufficient_funds_card": "insufficient_funds",
    "expired_card": "expired_card",
}


def instrument(method: str, decline: str = "") -> Instrument:
    """
    Return what *method* stands for.

    Args:
        method: a payment method type (`card`, `sepa_debit`), `declined_card`, a test PaymentMethod or token
            (`pm_card_visa`, `tok_chargeDeclined`), or a test card number.
        decline: a decline code, to have any method declined.

    Raises:
        ValueError: not known.
    """
    if decline and decline not in DECLINE_CODES:
        raise ValueError(f"no such decline code: {decline!r}; known: {', '.join(sorted(DECLINE_CODES))}")
    found = by_test_name(method)
    if found is None and method in _SHORT:
        found = Instrument(decline=_SHORT[method], last4="0002")
    if found is None and (method in DELAYED or method in AT_ONCE):
        found = Instrument(type=method, delayed=method in DELAYED)
    if found is None:
        known = ", ".join(sorted(AT_ONCE | DELAYED | set(_SHORT)))
        raise ValueError(f"no such method: {method!r}; known: {known}, and Stripe's test cards (pm_card_visa, ...)")
    return Instrument(**{**found.__dict__, "decline": decline}) if decline else found


def bank_account(kind: str, iban: str) -> Instrument:
    """Return a bank debit or the like; some test IBANs settle by themselves."""
    return Instrument(type=kind, delayed=kind in DELAYED, settles=_IBANS.get(iban, ""), last4=iban[-4:])


def by_test_name(name: str) -> Instrument | None:
    """Return what a test PaymentMethod, token or card number stands for; None when it is none."""
    number = name.replace(" ", "")
    if number in _NUMBERS:
        return _CARDS[_NUMBERS[number]]
    for prefix in ("pm_card_visa_", "pm_card_", "tok_visa_", "tok_"):
        found = _CARDS.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if found is not None:
            return found
    if name in {"pm_usBankAccount", "pm_usBankAccount_success"}:
        return Instrument(type="us_bank_account", delayed=True, last4="6789")
    if name in {"pm_sepaDebit", "pm_sepaDebit_success"}:
        return Instrument(type="sepa_debit", delayed=True, country="DE", last4="3000")
    return None
