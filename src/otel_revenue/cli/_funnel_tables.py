# SPDX-License-Identifier: Apache-2.0
"""The funnel as tables on a terminal. Every number says of what, of when and of how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from otel_revenue.analytics.figures import Ratio
from otel_revenue.analytics.funnel_figures import Slice

from ._report_tables import DEFINITIONS, MOST_ROWS, duration, new_table, scope, share, shown_name
from ._words import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from otel_revenue.analytics.funnel_figures import FunnelReport


def print_funnel(found: FunnelReport, console: Console) -> None:
    """Print *found*, and what is missing or doubtful in it, to *console*."""
    console.print(Text(f"Funnel · {scope(found)} · by the order's beginning", style="bold"))
    console.print()
    if not any(step.reached for step in found.steps):
        console.print(Text(_on_nothing(found), style="yellow"))
    else:
        for table in _tables(found):
            console.print(table)
            console.print()
    for line in remarks(found):
        console.print(Text(line, style="dim"))
    console.print(Text(DEFINITIONS, style="dim"))


def _on_nothing(found: FunnelReport) -> str:
    other = "Test mode: --test-mode" if found.live else "Live payments: without --test-mode"
    return f"No order reached a stage in this period. {other}. Another period: --since, --days."


def _tables(found: FunnelReport) -> Iterator[Table]:
    yield _stages(found)
    yield _conversion(found)
    if found.declines.attempts.hits:
        yield _declines(found)


def _stages(found: FunnelReport) -> Table:
    title = f"Stages (orders), window {found.window_days} days"
    table = new_table(title, "stage", "open", "closed", "drop-off", "median", "p90")
    for step in found.steps:
        drop_off = step.drop_off
        table.add_row(
            step.name + (" *" if step.optional else ""),
            str(step.reached),
            str(step.kept),
            "" if drop_off is None else share(drop_off) or "–",
            duration(step.p50_s),
            duration(step.p90_s),
        )
    return table


def _conversion(found: FunnelReport) -> Table:
    name = "CVR (closed)" if found.from_start else "Sessions → paid"
    table = new_table(name, "", "began", "session", "paid", "conversion", "provisional")
    _add(table, Text("all orders"), found.total)
    for label, rows in (("surface", found.surfaces), ("tier", found.tiers), ("country", found.countries)):
        if {row.label for row in rows} <= {"unknown"}:
            continue
        for row in rows[:MOST_ROWS]:
            _add(table, Text.assemble(f"{label} ", shown_name(row.label)), row)
        if rows[MOST_ROWS:]:  # rows must add up to the total
            _add(table, Text(f"{label}: {len(rows) - MOST_ROWS} others"), _sum(rows[MOST_ROWS:]))
    return table


def _add(table: Table, name: Text, row: Slice) -> None:
    of = row.conversion
    table.add_row(name, str(of.of), str(row.sessions), str(of.hits), share(of), str(row.provisional or ""))


def _sum(rows: Sequence[Slice]) -> Slice:
    return Slice(
        "",
        sum(row.sessions for row in rows),
        _total(row.conversion for row in rows),
        _total(row.settled for row in rows),
        sum(row.provisional for row in rows),
    )


def _total(ratios: Iterable[Ratio]) -> Ratio:
    counts = [(ratio.hits, ratio.of) for ratio in ratios]
    return Ratio(sum(hits for hits, _ in counts), sum(of for _, of in counts))


def _declines(found: FunnelReport) -> Table:
    table = new_table("Declines", "decline code", "attempts", "orders", "recovered")
    for code in found.declines.codes[:MOST_ROWS]:
        table.add_row(shown_name(code.code), str(code.attempts), str(code.recovered.of), str(code.recovered.hits))
    rest = found.declines.codes[MOST_ROWS:]
    if rest:
        table.add_row(f"{len(rest)} other codes", str(sum(code.attempts for code in rest)), "", "")
    return table


def remarks(found: FunnelReport) -> list[str]:
    """Return what the reader must know about the numbers: rates, what is provisional, what is in none of them."""
    synthetic = sum(left.synthetic for left in found.left_out)
    return [
        *on_money(found),
        *_on_doubt(found),
        *(
            f"{count(left.without_key, 'event')} {left.name} without order or journey: in no order of the funnel."
            for left in found.left_out
            if left.without_key
        ),
        *([f"{synthetic} events of bots, probes and load tests are left out."] if synthetic else []),
    ]


def on_money(found: FunnelReport) -> Iterator[str]:
    """Yield what became of attempts and orders: open conversion, declines and what was recovered, pages that ran out."""
    begun, per_start = found.total.conversion.of, found.open_conversion
    if per_start is not None:
        yield f"Open conversion: {found.paid_orders} paid orders of the period per {begun} that began in it: {per_start:.1%}."
    declines = found.declines
    if declines.attempts.hits:
        yield (
            f"Decline rate: {declines.attempts.hits} of {declines.attempts.of} attempts, {share(declines.attempts)}. "
            f"Recovered: {declines.recovered.hits} of {declines.recovered.of} orders with a decline were paid afterwards"
            + (f"; {declines.provisional} still may be." if declines.provisional else ".")
        )
    if declines.renewals:
        yield f"Renewals: {count(declines.renewals, 'failed attempt')}, in none of this."
    if found.expired.of:
        yield f"Expired: {count(found.expired.of, 'order')}, {found.expired.hits} of them paid all the same."


def _on_doubt(found: FunnelReport) -> Iterator[str]:
    yield (
        "Open: reached in the period, whatever came before. Closed: began in the period, and every stage within the window of the "
        "one before; * is no condition for the next one. Drop-off, median and p90: from the stage before. [95 % interval]"
    )
    young = found.total.conversion.of - found.total.settled.of
    if young:
        yield (
            f"Provisional: {young} orders are younger than {found.window_days} days, {found.total.provisional} of them unpaid; "
            "drop-off counts the older ones alone."
        )
    if found.no_mode:
        yield (
            f"{found.no_mode} orders say neither live nor test (the buyer left before Stripe was asked): they are in both views."
        )
