# SPDX-License-Identifier: Apache-2.0
"""
The public testing kit: a small stateful Stripe on loopback.

    from otel_revenue.testing import Buyer, FakeStripe

    with FakeStripe() as fake:
        stripe.api_base, stripe.api_key = fake.url, fake.api_key

In pytest: `pytest_plugins = ["otel_revenue.testing.plugin"]`. `docs/testing.md` says more.

Needs `pip install "otel-revenue[testing]"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_revenue.errors import MissingExtra

if TYPE_CHECKING:
    from .fake_stripe import Behaviour, Booked, Buyer, Delivery, Endpoint, FakeStripe, Received, Sum, Traffic

__all__ = ["Behaviour", "Booked", "Buyer", "Delivery", "Endpoint", "FakeStripe", "Received", "Sum", "Traffic"]


def __getattr__(name: str) -> Any:
    """
    Import on first use.

    Raises:
        MissingExtra: starlette or uvicorn is not installed.
        AttributeError: there is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import fake_stripe
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("otel_revenue"):
            raise
        raise MissingExtra(
            f'otel_revenue.testing needs {error.name}, which is not installed: pip install "otel-revenue[testing]"'
        ) from error
    return getattr(fake_stripe, name)
