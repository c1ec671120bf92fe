"""The fixtures that most of these tests stand on; a file that needs another one of that name has its own."""

import pytest

from otel_revenue.testing import FakeStripe
from support.fake_stripe import Since
from support.instrumented import app
from support.parts import fake, receiver
from support.shared_ledger import open_store, url
from support.shop import Shop

__all__ = ["app", "fake", "open_store", "receiver", "url"]


@pytest.fixture
def shop(fake: FakeStripe) -> Shop:
    """Return a shop at the fake Stripe of the test's file."""
    return Shop(fake)


@pytest.fixture
def since(fake: FakeStripe) -> Since:
    """Return what the fake Stripe has sent since now."""
    return Since(fake)
