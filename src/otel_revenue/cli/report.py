# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue report`: orders, revenue, AOV, conversion, and the way to the payment out of the local database."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otel_revenue.errors import ConfigError

from .dev import need_extra

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from otel_revenue.analytics.orders import Query


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--days", type=int, metavar="N", help="the last N days, today included; default: 30")
    parser.add_argument("--since", metavar="DAY", help="first day (2026-01-31), or a point in time (2026-01-31T18:00)")
    parser.add_argument("--until", metavar="DAY", help="last day, or a point in time; default: today")
    parser.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="IANA name, in which days are cut; default: UTC"
    )
    parser.add_argument("--test-mode", action="store_true", help="payments of Stripe's test mode, instead of live ones")
    parser.add_argument("--window", type=int, default=14, metavar="DAYS", help="conversion window; default: 14")
    parser.add_argument(
        "--funnel",
        action="store_true",
        help="print the funnel instead: stages, drop-offs, time between them, conversion by surface, tier and country, declines",
    )
    parser.add_argument(
        "--order",
        metavar="ID",
        help="print one order's traces instead; 'last': of the order paid last whose traces have arrived",
    )
    parser.add_argument("--json", action="store_true", help="as JSON; amounts in minor units")
    parser.add_argument(
        "--database", type=Path, metavar="FILE", help="default: otel-revenue/local.duckdb in the user's state folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the report; 1 when an order is asked for that is not there."""
    need_extra()
    from otel_revenue.analytics.funnel_figures import FunnelReport
    from otel_revenue.analytics.source import open_source
    from otel_revenue.analytics.store import default_file

    from ._funnel_tables import print_funnel
    from ._report_tables import print_report

    query = _query(arguments)
    source = open_source((arguments.database or default_file()).expanduser().resolve())
    if arguments.order is not None:
        trace = source.trace(None if arguments.order == "last" else arguments.order)
        return _print_trace(trace, as_json=arguments.json, asked=arguments.order)
    found = source.funnel(query) if arguments.funnel else source.report(query)
    if arguments.json:
        print(json.dumps(found.to_json(), indent=2))
    elif isinstance(found, FunnelReport):
        print_funnel(found, _console())
    else:
        print_report(found, _console())
    return 0


def _query(arguments: argparse.Namespace) -> Query:
    from otel_revenue.analytics.orders import Query
    from otel_revenue.analytics.period import period

    if not 1 <= arguments.window <= 366:
        raise ConfigError(f"--window {arguments.window}: expected a number of days from 1 to 366")
    asked = period(
        now=dt.datetime.now(dt.timezone.utc),
        timezone=arguments.timezone,
        days=arguments.days,
        since=arguments.since,
        until=arguments.until,
    )
    return Query(asked, live=not arguments.test_mode, window_days=arguments.window)


def _print_trace(trace: object, *, as_json: bool, asked: str) -> int:
    from otel_revenue.analytics import jsonable
    from otel_revenue.analytics.trace import OrderTrace

    from ._trace_tree import tree

    if not isinstance(trace, OrderTrace):
        which = "paid order" if asked == "last" else f"order '{asked[:80]}'"
        print(f"otel-revenue report: there is no {which} in the database.", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(jsonable.to_json(trace), indent=2))
    else:
        _console().print(tree(trace))
    return 0


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 110
    return Console(width=width, highlight=False)
