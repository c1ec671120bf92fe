"""Ids that read like prose: no detector knows a name, so they leave as a hash."""

from __future__ import annotations

from uuid import uuid4

import pytest

from otel_revenue.signals.record import clean_id, prepare


@pytest.mark.parametrize("value", ["Jane Doe", "order of Jane Doe, Elm Street 5", "für Müller Söhne"])
def test_prose_becomes_its_hash(value: str) -> None:
    """Two words of letters in an id are replaced by a hash that is the same each time."""
    cleaned = clean_id(value)

    assert cleaned is not None
    assert cleaned.startswith("sha256:")
    assert cleaned == clean_id(value)


@pytest.mark.parametrize("value", ["order-1", "Order 1234", "2024/11 #17", "A7 B9", "o_0b9f3c", "7"])
def test_numbers_stay_as_they_are(value: str) -> None:
    """What shops number orders with is left as it is."""
    assert value == clean_id(value)


def test_skus_may_have_names() -> None:
    """A SKU is of things: "Blue Shirt" stays, also after the same words were refused as an order's id, and before."""
    first = prepare("checkout.start", {"event_id": str(uuid4()), "skus": ["Blue Shirt"], "order_id": "Blue Shirt"})[0]
    again = prepare("checkout.start", {"event_id": str(uuid4()), "order_id": "Blue Shirt", "skus": ["Blue Shirt"]})[0]

    assert (["Blue Shirt"], ["Blue Shirt"]) == (first["skus"], again["skus"])
    assert first["order_id"] == again["order_id"] == clean_id("Blue Shirt") != "Blue Shirt"
