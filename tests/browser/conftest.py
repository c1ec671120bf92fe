"""A browser for all tests of a process, and a site for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.browser import Browser
from support.parts import fake, receiver
from support.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.browser import Visitor

__all__ = ["fake", "receiver"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    with browser.visitor() as visiting:
        yield visiting


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running
