# SPDX-License-Identifier: Apache-2.0
"""Telemetry against Stripe's own books."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.cli._demo_check import Sum, compare, verdict

SUMS = st.builds(Sum, st.integers(1, 10**4), st.integers(1, 10**12))
BOOKS = st.dictionaries(st.sampled_from(["EUR", "USD", "JPY", "KWD"]), SUMS)


@given(books=BOOKS)
def test_the_same_sums_agree(books):
    """
    What is the same on both sides is the same on each line.
    """
    assert [True] * len(books) == [line.same for line in compare(books, dict(books))]


@given(books=BOOKS.filter(bool), data=st.data(), count=st.integers(-1, 1), minor=st.integers(-2, 2))
def test_one_minor_unit_or_one_payment_is_a_difference(books, data, count, minor):
    """
    A cent or a payment too many or too few, in one currency, on one side: they differ, and by that currency alone.
    """
    currency = data.draw(st.sampled_from(sorted(books)))
    was = books[currency]
    telemetry = {**books, currency: Sum(was.count + count, was.minor + minor)}

    differing = [line.currency for line in compare(books, telemetry) if not line.same]

    assert differing == ([currency] if count or minor else [])


@pytest.mark.parametrize(
    ("stripe", "telemetry", "text"),
    [
        (
            {"EUR": Sum(2, 4980), "KWD": Sum(1, 8500)},
            {"KWD": Sum(1, 8500), "EUR": Sum(2, 4980)},
            "Telemetry and Stripe's books agree to the cent: 3 payments, 49.80 EUR, 8.500 KWD.",
        ),
        (
            {"EUR": Sum(2, 4980), "JPY": Sum(1, 4200)},
            {"JPY": Sum(1, 4200), "EUR": Sum(1, 2490)},
            "Telemetry and Stripe's books differ. EUR: Stripe has 2 payments, 49.80 EUR, telemetry 1, 24.90 EUR.",
        ),
        (
            {},
            {"USD": Sum(1, 100)},
            "Telemetry and Stripe's books differ. USD: Stripe has 0 payments, 0.00 USD, telemetry 1, 1.00 USD.",
        ),
        ({}, {}, "Nobody paid: there is nothing to compare."),
    ],
    ids=["agree", "one is missing", "one too many", "nobody paid"],
)
def test_the_verdict_in_words(stripe, telemetry, text):
    """
    One line says that both agree, or where they differ and by how much.
    """
    assert text == verdict(compare(stripe, telemetry))
