# SPDX-License-Identifier: Apache-2.0
"""A report as tables on a terminal. Every number says of what, of when and of how many."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from otel_revenue.errors import UnknownCurrency
from otel_revenue.schema.money import to_major

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from otel_revenue.analytics.figures import Ratio, Report, Revenue, Share
    from otel_revenue.analytics.funnel_figures import FunnelReport

DEFINITIONS = "What each number counts, and how it can mislead: docs/dashboard.md"
MOST_ROWS = 12
_DAY_S = 86_400


def print_report(report: Report, console: Console) -> None:
    """Print *report*, and what is missing or doubtful in it, to *console*."""
    console.print(Text(heading(report), style="bold"))
    console.print()
    if report.payments:
        for table in _money(report):
            console.print(table)
            console.print()
    for line in remarks_on_absence(report):
        console.print(Text(line, style="yellow"))
    if report.conversion.of or report.funnel.designs.of:
        for table in _funnel(report):
            console.print(table)
            console.print()
    for line in remarks(report):
        console.print(Text(line, style="dim"))
    console.print(Text(DEFINITIONS, style="dim"))


def heading(report: Report) -> str:
    """Return the line that says of what and of when the numbers are."""
    return f"Report · {scope(report)} · by time of payment"


def scope(found: Report | FunnelReport) -> str:
    """Return mode, period and time zone of an answer."""
    mode = "live payments" if found.live else "TEST MODE payments"
    first, last = moment(found.since_ns, found.timezone), moment(found.until_ns, found.timezone, closing=True)
    return f"{mode} · {first} to {last} · {found.timezone}"


def remarks_on_absence(report: Report) -> list[str]:
    """Return what to say when there is nothing to show: why, and the remedy."""
    if report.payments:
        return []
    other = report.quality.other_mode
    if other and report.live:
        return [f"No live payments in this period, but {other} of Stripe's test mode: see them with --test-mode."]
    if other:
        return [f"No test payments in this period, but {other} live ones: see them without --test-mode."]
    if report.quality.last_paid_ns is not None:
        return [
            f"No payments in this period. The last one was at {moment(report.quality.last_paid_ns, report.timezone)}: see --since, --days."
        ]
    if report.quality.last_event_ns is None:
        return [
            "Nothing has arrived yet. Does the application send to `otel-revenue dev`? `otel-revenue doctor` says why not."
        ]
    mode, elsewhere = (
        ("live", "Test payments: --test-mode") if report.live else ("test", "Live ones: without --test-mode")
    )
    return [f"No {mode} payments yet. `otel-revenue doctor` says whether webhooks reach the application. {elsewhere}."]


def remarks(report: Report) -> list[str]:
    """Return what the reader must know about the numbers: what is in none of them, what is provisional, how fresh they are."""
    quality = report.quality
    lines = ["Deduplicated by event name and event_id. Currencies are never added to each other."]
    for label, rows in (("country", report.countries), ("surface", report.surfaces)):
        if report.payments and _all_unknown(rows):
            lines.append(f"No payment of the period says a {label}: nothing is shown by {label}.")
    if report.conversion.of:
        lines += _on_conversion(report)
    said = (
        (
            quality.disagreed,
            "payments arrived in copies that disagree in the amount: the copy observed last is counted",
        ),
        (quality.unusable, "payments without a usable amount or currency: in no sum"),
        (quality.without_mode, "payments that say neither live nor test: in neither view"),
        (
            quality.other_mode if report.payments else 0,
            f"payments of {'test' if report.live else 'live'} mode are not in here",
        ),
        (quality.synthetic, "events of bots, probes and load tests are left out"),
    )
    lines += [f"{count} {text}." for count, text in said if count]
    if quality.last_event_ns is not None:
        delay = (quality.last_delay_ns or 0) / 1e9
        lines.append(
            f"Last event: {moment(quality.last_event_ns, report.timezone)}, arrived {max(delay, 0.0):.1f} s after it happened."
        )
    return lines


def _on_conversion(report: Report) -> list[str]:
    first = report.funnel.stages[0].name
    lines = [
        f"Conversion is closed: orders that reached {first} in the period, paid within {report.window_days} days of it; [95 % interval]."
    ]
    if report.pending:
        lines.append(
            f"Provisional: {report.pending} of them are unpaid and younger than {report.window_days} days; they may still pay."
        )
    if report.no_mode:
        lines.append(
            f"{report.no_mode} of them say neither live nor test (the buyer left before Stripe was asked): they are in both views."
        )
    return lines


def _money(report: Report) -> Iterator[Table]:
    table = new_table("Revenue", "currency", "payments", "gross", "paid orders", "AOV", "median")
    orders = {row.currency: row for row in report.orders}
    for row in report.currencies:
        of = orders.get(row.currency)
        table.add_row(
            row.currency,
            str(row.payments),
            money(row.gross_minor, row.currency),
            *(
                (str(of.orders), money(of.aov_minor, of.currency), money(of.median_minor, of.currency))
                if of
                else ("0", "", "")
            ),
        )
    yield table
    table = new_table("AOV by tier (renewals apart)", "tier", "currency", "orders", "gross", "AOV", "median")
    for tier in report.tiers:
        table.add_row(
            shown_name(tier.tier or ""), tier.currency, str(tier.orders), money(tier.gross_minor, tier.currency),
            money(tier.aov_minor, tier.currency), money(tier.median_minor, tier.currency),
        )  # fmt: skip
    yield table
    yield _revenue("Payment kinds", "kind", report.payment_kinds)
    for label, rows in (("country", report.countries), ("surface", report.surfaces)):
        if not _all_unknown(rows):
            yield _revenue(f"Revenue by {label}", label, rows)


def _funnel(report: Report) -> Iterator[Table]:
    table = new_table("Funnel (orders)", "stage", "orders", "from the one before", "lost", "median", "p95")
    if report.funnel.designs.of:
        designs = report.funnel.designs
        table.add_row("design.started (designs, optional)", str(designs.of), "", "", "", "")
        table.add_row(
            "design.approved (designs, optional)",
            str(designs.hits),
            share(designs),
            str(designs.of - designs.hits),
            "",
            "",
        )
    for stage in report.funnel.stages:
        step = stage.from_previous
        table.add_row(
            stage.name, str(stage.orders), share(step) if step else "", str(step.of - step.hits) if step else "",
            duration(stage.p50_s), duration(stage.p95_s),
        )  # fmt: skip
    yield table
    name = "CVR (closed)" if report.closed else "Sessions → paid"
    table = new_table(f"{name}, {report.window_days} days", "", "started", "paid", "conversion")
    table.add_row("all orders", str(report.conversion.of), str(report.conversion.hits), share(report.conversion))
    for label, rows in (("country", report.conversion_by_country), ("surface", report.conversion_by_surface)):
        if not _all_unknown(rows):
            _add_shares(table, label, rows)
    yield table


def _all_unknown(rows: Sequence[Revenue] | Sequence[Share]) -> bool:
    return {row.label for row in rows} <= {"unknown"}


def _add_shares(table: Table, label: str, rows: Sequence[Share]) -> None:
    for row in rows[:MOST_ROWS]:
        of = row.conversion
        table.add_row(Text.assemble(f"{label} ", shown_name(row.label)), str(of.of), str(of.hits), share(of))
    rest = [row.conversion for row in rows[MOST_ROWS:]]
    if rest:
        started, paid = sum(of.of for of in rest), sum(of.hits for of in rest)
        table.add_row(
            f"{label}: {len(rest)} others", str(started), str(paid), f"{paid / started:.1%}" if started else ""
        )


def _revenue(title: str, label: str, rows: Sequence[Revenue]) -> Table:
    table = new_table(title, label, "currency", "payments", "gross")
    by_currency: dict[str, list[Revenue]] = {}
    for row in rows:
        by_currency.setdefault(row.currency, []).append(row)
    for currency, of_one in by_currency.items():
        for row in of_one[:MOST_ROWS]:
            table.add_row(shown_name(row.label), currency, str(row.payments), money(row.gross_minor, currency))
        rest = of_one[MOST_ROWS:]
        if rest:  # rows must add up to the total
            payments, gross = sum(row.payments for row in rest), sum(row.gross_minor for row in rest)
            table.add_row(f"{len(rest)} others", currency, str(payments), money(gross, currency))
    return table


def money(minor: int, currency: str) -> str:
    """Return an amount for people, exact, with the decimals that its currency has."""
    try:
        return f"{to_major(minor, currency):,}"
    except UnknownCurrency:
        return f"{minor:,} (minor units)"


def share(ratio: Ratio) -> str:
    """Return a ratio with its 95 % interval: `61.3 % [50.1–71.4]`."""
    if ratio.value is None or ratio.interval is None:
        return ""
    low, high = ratio.interval
    return f"{100 * ratio.value:.1f} % [{100 * low:.1f}–{100 * high:.1f}]"


def duration(seconds: int | None) -> str:
    """Return seconds for people."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.1f} d"


def new_table(title: str, *columns: str) -> Table:
    """Return an empty table; columns of numbers stand to the right."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
        padding=(0, 2, 0, 0),  # the funnel, the widest table, fits into 80 columns
    )
    for number, column in enumerate(columns):
        text = number == 0 or column == "currency"
        table.add_column(column, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    return table


def shown_name(text: str) -> Text:
    """Text of the shop's: markup and control characters mean nothing to the terminal."""
    return Text("".join(sign if sign.isprintable() else "?" for sign in text))


def moment(ns: int, timezone: str, *, closing: bool = False) -> str:
    """Return a time (nanoseconds since the epoch) for people, as a day where it is midnight; *closing*: as the last day before it."""
    zone = zoneinfo.ZoneInfo(timezone)
    point = dt.datetime.fromtimestamp(ns // 10**9, zone)
    if closing and point.time() == dt.time():
        return f"{point.date() - dt.timedelta(days=1)}"  # half-open: the day before midnight is the last one
    return f"{point.date()}" if point.time() == dt.time() else f"{point:%Y-%m-%d %H:%M:%S}"
