"""What `otel-revenue report` prints."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from otel_revenue.analytics.figures import Ratio, Report
from otel_revenue.cli._report_tables import duration, print_report, share
from support.otlp_events import DAY, T0, event, paid

from .test_report import LATER, report


def printed(found: Report, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_figure_says_of_what() -> None:
    """
    The printed report names mode, period, zone, window and definitions, and shows amounts with their currency's decimals.
    """
    records = [
        event("checkout.start", order_id="a"), event("checkout.start", order_id="b"), paid("a", 4999, tier="pro", at=T0 + DAY),
        paid("c", 5000, currency="JPY"), paid("d", 12345, currency="KWD"),
    ]  # fmt: skip

    text = printed(report(records))

    for expected in (
        "live payments",
        "UTC",
        "49.99",
        "5,000",
        "12.345",
        "CVR (closed), 14 days",
        "50.0 % [9.5–90.5]",
        "docs/dashboard.md",
        "unknown",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("live", "recorded", "told"),
    [
        (
            True,
            [paid(livemode=False)],
            "No live payments in this period, but 1 of Stripe's test mode: see them with --test-mode.",
        ),
        (False, [paid()], "No test payments in this period, but 1 live ones: see them without --test-mode."),
        (True, [paid(at=T0 - 90 * DAY)], "No payments in this period. The last one was at"),
        (True, [], "Nothing has arrived yet."),
        (True, [event("checkout.start", order_id="a")], "No live payments yet."),
        (False, [event("checkout.start", order_id="a")], "No test payments yet."),
    ],
)
def test_no_payments_come_with_the_reason_and_the_remedy(live: bool, recorded: list[bytes], told: str) -> None:
    """
    A report without payments says in one line why, and what to do: people begin in test mode.
    """
    text = printed(report(recorded, live=live))

    assert told in text


def test_doubts_are_on_the_face_of_the_report() -> None:
    """
    Disagreeing copies, left-out payments and provisional cohorts are said below the numbers.
    """
    event_id = "6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53"
    records = [
        paid(event_id=event_id, amount_minor=1), paid(event_id=event_id, amount_minor=2, observed=T0 + 9),
        paid(livemode=None), paid(livemode=False), paid(synthetic=True), event("checkout.start", order_id="young"),
    ]  # fmt: skip

    text = printed(report(records, now=T0 + DAY))

    for expected in (
        "1 payments arrived in copies that disagree",
        "1 payments that say neither",
        "1 payments of test mode",
        "1 events of bots",
        "Provisional: 1",
    ):
        assert expected in text


def test_long_lists_are_cut_and_still_add_up() -> None:
    """
    Beyond twelve rows the rest is one row with its sum.
    """
    text = printed(report([paid(f"o{n}", 100, surface=f"s{n:02}") for n in range(20)], now=LATER))

    assert "8 others" in text
    assert "8.00" in text


def test_a_usual_report_fits_into_80_columns() -> None:
    """
    On a terminal of 80 columns no name of a stage is cut, and no table is broken.
    """
    records = [
        event("checkout.start", order_id="a"), event("checkout.session_created", order_id="a"), paid("a", 123_456_78, at=T0 + DAY),
        event("checkout.start", order_id="b"),
    ]  # fmt: skip
    lines = printed(report(records), width=80).splitlines()

    assert ["checkout.session_created"] == [line.split()[0] for line in lines if line.startswith("checkout.se")]
    assert not [line for line in lines if "…" in line]


def test_a_table_of_unknown_alone_is_one_line() -> None:
    """
    Where no payment says a surface, a sentence says so in place of a table that repeats the total.
    """
    without, with_one = printed(report([paid("a")])), printed(report([paid("a"), paid("b", surface="home")]))

    assert "No payment of the period says a surface" in without
    assert "Revenue by surface" not in without
    assert "Revenue by surface" in with_one


def test_labels_do_not_command_the_terminal() -> None:
    """
    Markup in a shop's labels is printed as it is.
    """
    text = printed(report([paid(tier="[bold]x[/bold]")]))

    assert "[bold]x[/bold]" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0, "0 s"), (119, "119 s"), (600, "10 min"), (7200, "2 h"), (3 * 86_400, "3.0 d")]
)
def test_durations_read_well(seconds: int | None, text: str) -> None:
    """
    Seconds, minutes, hours, days: whichever is short.
    """
    assert text == duration(seconds)


def test_a_ratio_of_nothing_is_blank() -> None:
    """
    No orders is no 0 %.
    """
    assert "" == share(Ratio(0, 0))
