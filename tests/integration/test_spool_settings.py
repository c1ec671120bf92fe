# SPDX-License-Identifier: Apache-2.0
"""The spool's settings reach it, and its losses are told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

import otel_revenue
from otel_revenue.delivery import segment
from support.receiver import wait_for

if TYPE_CHECKING:
    from support.instrumented import App


@pytest.mark.parametrize(("asked", "synced"), [("true", 5), ("false", 0)])
def test_each_event_is_synced_where_that_is_asked_for(
    app: App, monkeypatch: pytest.MonkeyPatch, asked: str, synced: int
) -> None:
    """
    With `OTEL_REVENUE_SPOOL_SYNC` the disk has each funnel event when `track` returns; without it no event waits for the disk.
    """
    calls: list[int] = []
    monkeypatch.setattr(segment, "_sync", calls.append)
    monkeypatch.setenv("OTEL_REVENUE_SPOOL_SYNC", asked)
    app.instrument()
    for number in range(5):
        otel_revenue.track("checkout.start", order_id=f"o-{number}")

    assert synced == len(calls)


def test_what_goes_at_the_limit_is_told(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """
    Events that are dropped because the spool is full are counted, and one line names the setting.
    """
    app.receiver.status = 503
    app.instrument(spool_max_bytes="1MiB")
    with caplog.at_level(logging.WARNING):
        for number in range(6000):
            otel_revenue.track("checkout.start", order_id=f"o-{number}")
        told = wait_for(lambda: "dropped unsent" in caplog.text)
    dropped = app.metric("otel_revenue.spool.dropped")

    assert (True, 1) == (told, caplog.text.count("OTEL_REVENUE_SPOOL_MAX_BYTES"))
    assert dropped[(("reason", "limit"),)] > 0
