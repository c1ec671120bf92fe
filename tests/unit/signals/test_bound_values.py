# SPDX-License-Identifier: Apache-2.0
"""What an application may say about an order, and in which form it is kept."""

from __future__ import annotations

from decimal import Decimal

import pytest

from otel_revenue.errors import SchemaError
from otel_revenue.signals import record
from otel_revenue.signals.bound import checked


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"order_id": 1042, "tier": "pro", "surface": None}, {"order_id": "1042", "tier": "pro"}),
        ({"country": "de"}, {"country": "DE"}),
        ({"subtotal": "49.00", "currency": "eur"}, {"subtotal_minor": 4900, "currency": "EUR"}),
        ({"subtotal": Decimal("4.9"), "currency": "KWD"}, {"subtotal_minor": 4900, "currency": "KWD"}),
        ({"subtotal": 4900, "currency": "JPY"}, {"subtotal_minor": 4900, "currency": "JPY"}),
        ({"subtotal_minor": 0, "currency": "EUR"}, {"subtotal_minor": 0, "currency": "EUR"}),
    ],
)
def test_what_is_said_is_kept_in_the_schema_s_form(said, kept):
    """
    Ids become text, codes upper case, amounts exact integers; and all of it passes the gate of what leaves.
    """
    result = checked(said)
    clean, refused = record.context(result)

    assert (kept, [], kept) == (result, refused, {name: clean[name] for name in kept})


@pytest.mark.parametrize(
    "said",
    [
        {"subtotal": 49.0, "currency": "EUR"},
        {"subtotal": "49.005", "currency": "EUR"},
        {"subtotal": "-1", "currency": "EUR"},
        {"subtotal": "NaN", "currency": "EUR"},
        {"subtotal": "1e400", "currency": "EUR"},
        {"subtotal": "49.00", "currency": "XTS"},
        {"subtotal": "49.00"},
        {"subtotal_minor": 4900},
        {"subtotal_minor": 4900.0, "currency": "EUR"},
        {"subtotal_minor": True, "currency": "EUR"},
        {"currency": "Euro"},
        {"order_id": ""},
        {"order_id": 10.5},
        {"order_id": True},
        {"tier": ["pro"]},
        {"customer": "ada"},
    ],
)
def test_what_cannot_be_exact_or_known_is_refused(said):
    """
    A float, too many decimals, a missing currency, an unknown name or type is an error of ours, which the guard counts.
    """
    with pytest.raises(SchemaError):
        checked(said)
