"""Days are cut in the shop's time zone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from otel_revenue.analytics.period import Period, period
from otel_revenue.errors import ConfigError

NOW = dt.datetime(2026, 3, 31, 22, 30, tzinfo=dt.timezone.utc)
HOUR = 3600 * 10**9


def utc(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp()) * 10**9


@pytest.mark.parametrize(
    ("asked", "since", "until"),
    [
        ({}, "2026-03-02T00:00", "2026-04-01T00:00"),
        ({"days": 1}, "2026-03-31T00:00", "2026-04-01T00:00"),
        ({"days": 1, "timezone": "Europe/Berlin"}, "2026-03-31T22:00", "2026-04-01T22:00"),
        ({"days": 1, "timezone": "America/New_York"}, "2026-03-31T04:00", "2026-04-01T04:00"),
        ({"since": "2026-01-01", "until": "2026-01-31"}, "2026-01-01T00:00", "2026-02-01T00:00"),
        (
            {"since": "2026-01-01", "until": "2026-01-01", "timezone": "Asia/Tokyo"},
            "2025-12-31T15:00",
            "2026-01-01T15:00",
        ),
        ({"until": "2026-01-31"}, "2026-01-02T00:00", "2026-02-01T00:00"),
        ({"since": "2026-03-31T18:00", "until": "2026-03-31T19:30"}, "2026-03-31T18:00", "2026-03-31T19:30"),
        ({"since": "2026-03-31T18:00+02:00"}, "2026-03-31T16:00", "2026-04-01T00:00"),
    ],
)
def test_the_period_is_what_was_asked(asked: dict[str, Any], since: str, until: str) -> None:
    """
    Whole days of the zone, the last one included; points in time are taken as they are.
    """
    found = period(now=NOW, **asked)

    assert Period(utc(since), utc(until), asked.get("timezone", "UTC")) == found


def test_a_long_time_ends_at_the_epoch() -> None:
    """
    More days than there were since 1970 are all days.
    """
    found = period(now=NOW, days=36_500)

    assert 0 == found.since_ns


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_has_as_many_hours_as_the_zone_gives_it(day: str, hours: int) -> None:
    """
    When clocks change, the day is shorter or longer, and no payment falls between two days.
    """
    found = period(now=NOW, since=day, until=day, timezone="Europe/Berlin")

    assert hours * HOUR == found.until_ns - found.since_ns


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"timezone": "Mars/Olympus"}, "--timezone"),
        ({"timezone": "../../etc/passwd"}, "--timezone"),
        ({"since": "yesterday"}, "--since"),
        ({"until": "2026-13-01"}, "--until"),
        ({"since": "1960-01-01T00:00"}, "--since"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "--since"),
        ({"days": 0}, "--days"),
        ({"days": 7, "since": "2026-01-01"}, "--days"),
        ({"until": "9999-12-31"}, "--until"),
        ({"since": "0001-01-01"}, "--since"),
    ],
)
def test_a_wrong_period_names_the_option(asked: dict[str, Any], told: str) -> None:
    """
    What cannot be a period is refused, naming the option that is wrong.
    """
    with pytest.raises(ConfigError, match=told):
        period(now=NOW, **asked)
