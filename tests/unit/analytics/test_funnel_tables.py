"""What `otel-revenue report --funnel` prints."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

from otel_revenue.cli._funnel_tables import print_funnel
from support.otlp_events import DAY, T0

from .test_funnel import declined, design, expired, session, start, told, whole

if TYPE_CHECKING:
    from otel_revenue.analytics.funnel_figures import FunnelReport


def printed(found: FunnelReport, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_funnel(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_figure_of_the_funnel_says_of_what() -> None:
    """The printed funnel names mode, period, zone, window, open and closed, rates with their n, and where they are defined."""
    records = [
        design("started", "a"), design("approved", "a"), *whole("a", surface="home"), declined("a"),
        start("b", surface="mail"), session("b"), declined("b", code="insufficient_funds"), expired("b"), start(None),
        declined("c", payment_kind="subscription_renewal"), *whole("robot", synthetic=True),
    ]  # fmt: skip

    text = printed(told(records))

    for expected in (
        "live payments",
        "UTC",
        "window 14 days",
        "design.approved *",
        "CVR (closed)",
        "surface mail",
        "50.0 % [9.5–90.5]",
        "insufficient_funds",
        "Decline rate: 2 of 3 attempts",
        "Recovered: 1 of 2 orders",
        "Renewals: 1 failed attempt,",
        "Expired: 1 order, 0 of them paid all the same.",
        "1 event checkout.start without order or journey",
        "3 events of bots",
        "docs/dashboard.md",
    ):
        assert expected in text


def test_a_young_cohort_is_marked() -> None:
    """What may still come is said to be provisional, and no drop-off is shown before its time."""
    text = printed(told([start("a"), start("b"), session("b")], now=T0 + DAY))

    assert "Provisional: 2 orders are younger than 14 days, 2 of them unpaid" in text
    assert "–" in text


def test_nothing_to_show_comes_with_the_remedy() -> None:
    """A funnel without orders says what to look at."""
    assert "--test-mode" in printed(told([]))
    assert "without --test-mode" in printed(told([], live=False))


def test_many_rows_become_others_that_add_up() -> None:
    """Beyond a dozen, surfaces are one row; control characters of a label mean nothing to the terminal."""
    records = [part for n in range(15) for part in whole(f"o{n}", surface=f"s{n}\x1b[31m")]

    text = printed(told(records))
    others = next(line.split() for line in text.splitlines() if line.startswith("surface: 3 others"))

    assert ["3", "3", "3"] == others[3:6]
    assert "\x1b" not in text


def test_the_funnel_fits_into_eighty_columns() -> None:
    """On a narrow terminal no line is longer, and each number is whole."""
    text = printed(told([*whole("a", surface="home"), start("b"), declined("b")]), width=80)

    assert [] == [line for line in text.splitlines() if len(line) > 80]
    assert "checkout.session_created" in text
