# SPDX-License-Identifier: Apache-2.0
"""
Fixtures for pytest: in your `conftest.py`,

    pytest_plugins = ["otel_revenue.testing.plugin"]

`fake_stripe` is a FakeStripe that runs for one test, with the stripe library pointed at it; `strict_revenue` lets a wrong
name or value in `track`, `bind` and `stage` raise, instead of being counted as in production.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_revenue import _guard
from otel_revenue.testing import FakeStripe

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake_stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    """
    A running FakeStripe; `stripe.api_base` and `stripe.api_key` are its own until the test is over.

    Applications that make a `StripeClient` give it `base_addresses={"api": fake_stripe.url}` themselves. Behind a proxy,
    the library must not use it for 127.0.0.1: `NO_PROXY` says so.
    """
    import stripe

    with FakeStripe() as fake:
        monkeypatch.setattr(stripe, "api_base", fake.url)
        monkeypatch.setattr(stripe, "api_key", fake.api_key)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield fake


@pytest.fixture
def strict_revenue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every failure of otel-revenue raise until the test is over: a wrong event, attribute or value in the application's own calls."""
    monkeypatch.setattr(_guard, "reraise", True)
