# SPDX-License-Identifier: Apache-2.0
"""The demo's crowd."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.cli._demo_buyers import Fate, plan


@given(count=st.integers(min_value=len(Fate), max_value=200), seed=st.integers())
def test_every_fate_occurs_and_the_crowd_has_its_size(count, seed):
    """
    However large the crowd, each way through the shop is walked by somebody.
    """
    buyers = plan(count, seed)

    assert (count, set(Fate)) == (len(buyers), {buyer.fate for buyer in buyers})


@given(seed=st.integers())
def test_the_same_seed_gives_the_same_crowd(seed):
    """
    A demo can be repeated.
    """
    assert plan(60, seed) == plan(60, seed)


@given(seed=st.integers())
def test_bank_debits_are_in_euros(seed):
    """
    SEPA knows no other currency.
    """
    assert {"eur"} == {b.currency for b in plan(80, seed) if b.fate is Fate.PAYS_LATER}
