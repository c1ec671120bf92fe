"""Payments that another program made: by plain HTTP, unseen by the hooks of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from otel_revenue.testing import FakeStripe


def post(fake: FakeStripe, path: str, account: str = "", **form: str) -> dict[str, Any]:
    """Make an object; the form's names are written as Stripe's are, in brackets."""
    headers = {"Authorization": f"Bearer {fake.api_key}", **({"Stripe-Account": account} if account else {})}
    answer = requests.post(f"{fake.url}{path}", data=form, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def session(fake: FakeStripe, lines: int = 1, account: str = "", **form: str) -> str:
    """Make a Session of *lines* lines, three mugs each; return its id."""
    items: dict[str, str] = {}
    for n in range(lines):
        items |= {
            f"line_items[{n}][quantity]": "3",
            f"line_items[{n}][price_data][currency]": "eur",
            f"line_items[{n}][price_data][unit_amount]": "500",
            f"line_items[{n}][price_data][product_data][name]": "Mug for Jo Doe",
            f"line_items[{n}][price_data][product_data][metadata][sku]": f"mug-{n}",
        }
    made = post(
        fake, "/v1/checkout/sessions", account, **{"mode": "payment", "success_url": "https://x.test", **items, **form}
    )
    return str(made["id"])


def subscription(fake: FakeStripe, **form: str) -> str:
    """Make a Session for a subscription; return its id."""
    return session(fake, **{"mode": "subscription", "line_items[0][price_data][recurring][interval]": "month", **form})
