# SPDX-License-Identifier: Apache-2.0
"""
Money as Stripe counts it: integers in the minor unit of a currency, with Stripe's exponents.

Source: Stripe documentation, "Supported currencies" (presentment currencies, zero-decimal, three-decimal, special
cases). They differ from ISO 4217: ISK and UGX are given with two decimals, MGA with none. HUF and TWD are two-decimal
for charges (zero-decimal for payouts only, which are no business of ours).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from otel_revenue.errors import BadMoney, UnknownCurrency

_ZERO: Final = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_THREE: Final = frozenset("BHD JOD KWD OMR TND".split())
_TWO: Final = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
    CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD KES KGS KHR
    KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP
    PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TMT TOP TRY TTD TWD TZS UAH UGX USD UYU
    UZS WST XCD XCG YER ZAR ZMW
    """.split()
)

EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(sorted(_ZERO), 0),
    **dict.fromkeys(sorted(_TWO), 2),
    **dict.fromkeys(sorted(_THREE), 3),
}
"""Decimal places of each currency that Stripe's table knows, by upper-case code."""

MAX_MINOR: Final = 2**63 - 1
"""The largest integer an OTLP attribute can hold."""

_UNITS: Final = {currency: 10**places for currency, places in EXPONENTS.items()}
_SCALES: Final = {exponent: Decimal(1).scaleb(-exponent) for exponent in (0, 2, 3)}


def exponent(currency: str) -> int:
    """
    Return the number of decimal places of *currency* (three letters, any case).

    Raises:
        UnknownCurrency: not in Stripe's table. Never guessed; the caller keeps the minor amount and marks the event.
    """
    try:
        return EXPONENTS[currency.upper()]
    except KeyError:
        raise UnknownCurrency("the currency is not in Stripe's table of exponents") from None


def to_major(minor: int, currency: str) -> Decimal:
    """
    Convert minor units to an exact decimal in major units.

    Args:
        minor: integer in Stripe's minor unit; negative for money that went back.
        currency: three letters, any case.

    Raises:
        UnknownCurrency: not in Stripe's table.
    """
    places = exponent(currency)
    return Decimal(minor).scaleb(-places).quantize(_SCALES[places]) if abs(minor) < 10**24 else Decimal(minor)


def to_number(minor: int, currency: str) -> float:
    """
    Return the amount in major units as the nearest double: for the edge of the wire only, never calculated with.

    Raises:
        UnknownCurrency: not in Stripe's table.
    """
    # A division of integers gives the double nearest to the exact quotient.
    unit: int = _UNITS.get(currency) or 10 ** exponent(currency)
    return minor / unit


def checked_minor(value: object) -> int:
    """
    Return *value* if it is an amount as Stripe sends it: an integer, not negative, at most 2^63 - 1.

    A string, a float and a bool are refused, though they could be converted: an amount is never guessed.

    Raises:
        BadMoney: with reason `amount_missing`, `amount_type`, `amount_negative` or `amount_too_large`.
    """
    if value is None:
        raise BadMoney("amount_missing")
    if type(value) is not int:
        raise BadMoney("amount_type")
    if value < 0:
        raise BadMoney("amount_negative")
    if value > MAX_MINOR:
        raise BadMoney("amount_too_large")
    return value


def checked_currency(value: object) -> str:
    """
    Return *value* as an upper-case code of three ASCII letters; whether Stripe's table knows it is another question.

    Raises:
        BadMoney: with reason `currency_missing`, `currency_type` or `currency_malformed`.
    """
    if value is None or value == "":
        raise BadMoney("currency_missing")
    if not isinstance(value, str):
        raise BadMoney("currency_type")
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise BadMoney("currency_malformed")
    return value.upper()
