"""Money as Stripe counts it: exponents from its table, integers inside, nothing guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.errors import BadMoney, UnknownCurrency
from otel_revenue.schema import money

# Stripe documentation, "Supported currencies", written down a second time, by hand: zero-decimal, three-decimal, special.
ZERO = ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
THREE = ["BHD", "JOD", "KWD", "OMR", "TND"]
SPECIAL = [
    ("ISK", 500, "5.00"),  # ISO 4217 says none
    ("UGX", 500, "5.00"),  # ISO 4217 says none
    ("HUF", 45_145, "451.45"),  # without decimals for payouts only
    ("TWD", 80_045, "800.45"),  # the same
    ("MGA", 500, "500"),  # ISO 4217 says two
    ("IDR", 1_000_000, "10000.00"),
    ("COP", 500, "5.00"),
    ("JPY", 500, "500"),
    ("KWD", 5120, "5.120"),
    ("USD", 4999, "49.99"),
    ("EUR", 1, "0.01"),
    ("EUR", 0, "0.00"),
    ("EUR", -4999, "-49.99"),
    ("BHD", 1, "0.001"),
    ("EUR", 999_999_999_999, "9999999999.99"),
]
LETTERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
KNOWN = st.sampled_from(sorted(money.EXPONENTS))


def test_every_exponent_is_stripe_s() -> None:
    """Zero and three decimals for the currencies of Stripe's lists, two for every other one in its table."""
    by_places = {places: sorted(c for c, e in money.EXPONENTS.items() if e == places) for places in (0, 2, 3)}

    assert (ZERO, THREE) == (by_places[0], by_places[3])
    assert set(money.EXPONENTS) == {c for found in by_places.values() for c in found}
    assert 120 < len(by_places[2])
    assert all(len(c) == 3 and c.isascii() and c.isupper() for c in money.EXPONENTS)


@pytest.mark.parametrize("currency", sorted(money.EXPONENTS))
def test_one_hundred_minor_units_of_every_currency(currency: str) -> None:
    """Of every currency in the table 1000 minor units are exactly what its number of decimals says, in any case."""
    expected = {0: "1000", 2: "10.00", 3: "1.000"}[money.EXPONENTS[currency]]

    assert expected == str(money.to_major(1000, currency)) == str(money.to_major(1000, currency.lower()))


@pytest.mark.parametrize(("currency", "minor", "major"), SPECIAL)
def test_special_cases(currency: str, minor: int, major: str) -> None:
    """The currencies that Stripe counts otherwise than ISO 4217, and the edges."""
    assert major == str(money.to_major(minor, currency))


@given(st.integers(-money.MAX_MINOR, money.MAX_MINOR), KNOWN)
def test_to_major_is_exact(minor: int, currency: str) -> None:
    """Whatever the amount, the decimal in major units is exact: it leads back to the very same integer."""
    major = money.to_major(minor, currency)

    assert (minor, Decimal) == (int(major.scaleb(money.exponent(currency))), type(major))
    assert -money.exponent(currency) == major.as_tuple().exponent


@given(st.integers(0, 10**12), KNOWN)
def test_the_number_on_the_wire_reads_as_the_amount(minor: int, currency: str) -> None:
    """Up to Stripe's twelve digits, the double that is sent reads back as the exact amount."""
    number = money.to_number(minor, currency)

    assert money.to_major(minor, currency) == Decimal(repr(number)).quantize(
        Decimal(1).scaleb(-money.exponent(currency))
    )


@given(LETTERS.filter(lambda code: code not in money.EXPONENTS))
def test_an_unknown_currency_is_never_guessed(currency: str) -> None:
    """A well-formed currency that is not in the table is accepted as such and has no exponent."""
    with pytest.raises(UnknownCurrency):
        money.to_major(100, currency)

    assert currency == money.checked_currency(currency.lower())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "amount_missing"),
        (True, "amount_type"),
        (False, "amount_type"),
        (1.0, "amount_type"),
        (0.1, "amount_type"),
        (float("nan"), "amount_type"),
        ("100", "amount_type"),
        (b"100", "amount_type"),
        (Decimal(100), "amount_type"),
        ([], "amount_type"),
        ({}, "amount_type"),
        (-1, "amount_negative"),
        (2**63, "amount_too_large"),
    ],
    ids=repr,
)
def test_what_is_no_amount(value: object, reason: str) -> None:
    """Everything but an integer from 0 to 2^63 - 1 is refused with a constant reason."""
    with pytest.raises(BadMoney) as caught:
        money.checked_minor(value)

    assert (reason, reason) == (caught.value.reason, str(caught.value))


@given(st.integers(0, money.MAX_MINOR))
def test_what_is_an_amount(value: int) -> None:
    """An integer from 0 to 2^63 - 1 is an amount, unchanged."""
    assert value == money.checked_minor(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "currency_missing"),
        ("", "currency_missing"),
        (978, "currency_type"),
        (b"eur", "currency_type"),
        (["eur"], "currency_type"),
        ("e", "currency_malformed"),
        ("eu", "currency_malformed"),
        ("euro", "currency_malformed"),
        (" eu", "currency_malformed"),
        ("e1r", "currency_malformed"),
        ("e\x00r", "currency_malformed"),
        ("éur", "currency_malformed"),
        ("ßßß", "currency_malformed"),
        ("ｅｕｒ", "currency_malformed"),
        ("\ud800\ud800\ud800", "currency_malformed"),
    ],
    ids=ascii,
)
def test_what_is_no_currency(value: object, reason: str) -> None:
    """Everything but three ASCII letters is refused with a constant reason."""
    with pytest.raises(BadMoney) as caught:
        money.checked_currency(value)

    assert reason == caught.value.reason
