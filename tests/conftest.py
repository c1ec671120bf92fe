# SPDX-License-Identifier: Apache-2.0
"""What every test begins with: none of the developer's settings, folders of its own, and a guard that hides nothing."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from otel_revenue import _guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postgres import Postgres

# A busy machine is no failure.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# `make test &` has Ctrl-C ignored, and whatever the tests start inherits that: servers and a demo which they end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

OF_THE_SUITE = "OTEL_REVENUE_TEST_"
"""Prefix of the variables by which the Makefile speaks to the tests; everything else of OTEL_* and STRIPE_* is the developer's own."""


def forget_settings(patch: pytest.MonkeyPatch) -> None:
    """Remove the variables that otel-revenue, OpenTelemetry and stripe read."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "STRIPE_")) and not name.startswith(OF_THE_SUITE):
            patch.delenv(name)


def move_home(patch: pytest.MonkeyPatch, factory: pytest.TempPathFactory) -> None:
    """Put the user's folders below pytest's own."""
    home = factory.mktemp("home")
    patch.setenv("HOME", str(home))
    patch.setenv("XDG_STATE_HOME", str(home / "state"))


@pytest.fixture(scope="session", autouse=True)
def clean_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for fixtures that outlive a test: they are made before the fixtures of the test."""
    with pytest.MonkeyPatch.context() as patch:
        forget_settings(patch)
        move_home(patch, tmp_path_factory)
        yield


@pytest.fixture(autouse=True)
def clean_test(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Begin without settings, store, counts; let the guard re-raise, unless the test is about swallowing."""
    forget_settings(monkeypatch)
    move_home(monkeypatch, tmp_path_factory)
    monkeypatch.setattr(_guard, "reraise", request.node.get_closest_marker("swallow") is None)
    _guard.reset()
    yield
    _guard.reset()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server: the one that OTEL_REVENUE_TEST_POSTGRES names, else one of our own for this process."""
    from support.postgres import Postgres

    server = Postgres(os.environ.get(f"{OF_THE_SUITE}POSTGRES", ""))
    yield server
    server.stop()
