"""Real parts: a fake Stripe, a real receiver, and the unmodified shop in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_revenue.testing import FakeStripe
from support.receiver import Receiver
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        yield running


@pytest.fixture
def shop(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> Iterator[RunningShop]:
    with RunningShop(fake, tmp_path, receiver.url) as running:
        yield running
