"""Asking a fake Stripe, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
import stripe

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.testing import FakeStripe

BACK = {"return_url": "https://shop.example/back"}
POSTER = {"currency": "eur", "unit_amount": 4999, "product_data": {"name": "Poster"}}
PAYMENT = {
    "mode": "payment",
    "success_url": "https://shop.example/ok",
    "line_items": [{"price_data": POSTER, "quantity": 1}],
}


def refused(call: Callable[[], Any], kind: type[stripe.StripeError] = stripe.InvalidRequestError) -> Any:
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def raw(fake: FakeStripe, method: str, path: str, body: str | bytes = b"", **headers: str) -> requests.Response:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {fake.api_key}"}
    return requests.request(method, fake.url + path, data=body, headers={**form, **headers}, timeout=30)


class Since:
    """The events from here on."""

    def __init__(self, fake: FakeStripe) -> None:
        self._fake = fake
        self._before = len(fake.events)

    @property
    def types(self) -> list[str]:
        return [e["type"] for e in self._fake.events[self._before :]]
