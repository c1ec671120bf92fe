# SPDX-License-Identifier: Apache-2.0
"""From when to when: days are cut in the shop's own time zone. Pure."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass

from otel_revenue.errors import ConfigError

DEFAULT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open, nanoseconds since the epoch; *timezone* is the IANA name of the zone in which days were cut."""

    since_ns: int
    until_ns: int
    timezone: str


def period(
    *,
    now: dt.datetime,
    timezone: str = "UTC",
    days: int | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Period:
    """
    Return the period that is asked for: whole days, the last one included.

    Args:
        now: an aware time.
        timezone: IANA name.
        days: so many days up to today; `DEFAULT_DAYS` when nothing is said.
        since, until: first and last day, `2026-01-31`; or points in time, `2026-01-31T18:00`, then exactly those.

    Raises:
        ConfigError: names what is wrong, and the remedy.
    """
    zone = _zone(timezone)
    today = now.astimezone(zone).date()
    if days is not None and (since is not None or until is not None):
        raise ConfigError("give either --days, or --since and --until")
    if days is not None and not 1 <= days <= 36_500:
        raise ConfigError(f"--days {days}: expected a number from 1 to 36500")
    end = _point(until, "--until", zone, whole_day=True) if until else _midnight(today + dt.timedelta(days=1), zone)
    if since:
        begin = _point(since, "--since", zone, whole_day=False)
    else:
        last = (end - dt.timedelta(microseconds=1)).astimezone(zone).date()
        begin = _midnight(last - dt.timedelta(days=(days or DEFAULT_DAYS) - 1), zone)
    if begin >= end:
        raise ConfigError(f"--since {since} is not before --until {until or today}")
    return Period(max(_ns(begin), 0), _ns(end), timezone)


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f'--timezone "{name[:60]}": expected an IANA name, for example Europe/Berlin or UTC'
        ) from None


def _point(text: str, option: str, zone: zoneinfo.ZoneInfo, *, whole_day: bool) -> dt.datetime:
    try:
        if len(text) == 10:
            day = dt.date.fromisoformat(text)
            point = _midnight(day + dt.timedelta(days=1) if whole_day else day, zone)
        else:
            point = dt.datetime.fromisoformat(text)
            point = point if point.tzinfo else point.replace(tzinfo=zone)
        _check(point)
    except (ValueError, OverflowError):
        raise ConfigError(
            f'{option} "{text[:40]}": expected a day or a time since 1970, for example 2026-01-31 or 2026-01-31T18:00'
        ) from None
    return point


def _check(point: dt.datetime) -> None:
    if not 0 <= _ns(point) < 2**63:
        raise ValueError("not a time that OTLP can hold")


def _midnight(day: dt.date, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), zone)


def _ns(point: dt.datetime) -> int:
    delta = point.astimezone(dt.timezone.utc) - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    return (delta // dt.timedelta(microseconds=1)) * 1000
