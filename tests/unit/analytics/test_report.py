"""What the numbers of the report are: each definition of docs/dashboard.md as an example, and the rules as properties."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.analytics.figures import Ratio, Report
from otel_revenue.analytics.logs import read_logs
from otel_revenue.analytics.orders import Query
from otel_revenue.analytics.payments import totals
from otel_revenue.analytics.period import Period
from otel_revenue.analytics.report import build
from otel_revenue.analytics.store import Batch, Store
from otel_revenue.analytics.values import Members
from support.otlp_events import DAY, SECOND, T0, event, logs_request, paid

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = 60 * SECOND
LATER = T0 + 365 * DAY
PERIOD = Period(T0, T0 + 30 * DAY, "UTC")

_memory = Store(None)


def report(
    records: Sequence[bytes], *, now: int = LATER, period: Period = PERIOD, live: bool = True, window: int = 14
) -> Report:
    """The report of a database that holds *records* alone."""
    _memory._db.execute("DELETE FROM event")
    if records:
        _memory.write(Batch(events=read_logs(logs_request(records), Members()).lines), received_ns=T0)
    return build(_memory, Query(period, live, window), now_ns=now)


def money(found: Report) -> list[tuple[str, int, int]]:
    return [(row.currency, row.payments, row.gross_minor) for row in found.currencies]


def start(order: str | None, at: int = T0, **attributes: Any) -> bytes:
    return event("checkout.start", at=at, order_id=order, **attributes)


def session(order: str | None, at: int = T0 + MINUTE, **attributes: Any) -> bytes:
    return event("checkout.session_created", at=at, order_id=order, **{"livemode": True, **attributes})


def bought(order: str, at: int = T0 + 2 * MINUTE, amount: int = 100, **attributes: Any) -> bytes:
    return paid(order, amount, at=at, **attributes)


def test_currencies_are_never_added() -> None:
    """
    Each currency has its own count and sum, in its own minor units.
    """
    found = report(
        [bought("a", amount=5000), bought("b", amount=5000, currency="JPY"), bought("c", amount=7, currency="EUR")]
    )

    assert [("EUR", 2, 5007), ("JPY", 1, 5000)] == money(found)
    assert ["50.07", "5000"] == [row["gross"] for row in found.to_json()["currencies"]]


def test_only_live_payments_of_people_count() -> None:
    """
    Test mode and synthetic traffic are in no sum of the live view; what was left out is counted.
    """
    records = [bought("a"), bought("b", livemode=False), bought("c", synthetic=True), bought("d", livemode=None)]

    live, test = report(records), report(records, live=False)

    assert [("EUR", 1, 100)] == money(live)
    assert [("EUR", 1, 100)] == money(test)
    assert (1, 1, 1) == (live.quality.other_mode, live.quality.synthetic, live.quality.without_mode)


def test_renewals_are_payments_and_no_orders() -> None:
    """
    Renewals that carry the first order's id add to revenue and to their own kind, not to orders and AOV.
    """
    records = [
        bought("sub-1", amount=1000, payment_kind="subscription_first"),
        *(bought("sub-1", at=T0 + n * DAY, amount=900, payment_kind="subscription_renewal") for n in range(1, 4)),
    ]

    found = report(records)

    assert [("EUR", 4, 3700)] == money(found)
    assert 1 == found.paid_orders
    assert [("subscription_renewal", 3, 2700), ("subscription_first", 1, 1000)] == [
        (row.label, row.payments, row.gross_minor) for row in found.payment_kinds
    ]
    assert [(1, 1000)] == [(row.orders, row.aov_minor) for row in found.orders]


def test_payments_of_one_order_are_added_before_the_average() -> None:
    """
    An order paid in two parts is one order of the whole amount; a payment without order_id is an order by itself.
    """
    found = report([bought("a", amount=300), bought("a", at=T0 + DAY, amount=700), paid(None, 100, at=T0)])

    assert [("EUR", 2, 1100, 550, 550)] == [
        (row.currency, row.orders, row.gross_minor, row.aov_minor, row.median_minor) for row in found.orders
    ]
    assert 3 == found.payments


def test_the_median_stands_beside_the_average() -> None:
    """
    One large order moves the average, not the median; halves of a minor unit are rounded up.
    """
    found = report([bought(f"o{amount}", amount=amount) for amount in (100, 200, 301, 99_999)])

    assert [(4, 25150, 251)] == [(row.orders, row.aov_minor, row.median_minor) for row in found.orders]


def test_unknown_is_a_row_of_its_own() -> None:
    """
    Payments without tier, country, surface or kind are shown as unknown, so that rows add up.
    """
    found = report([bought("a", tier="pro", country="DE", surface="home"), bought("b", payment_kind=None)])

    assert ["pro", "unknown"] == [row.tier for row in found.tiers]
    for rows in (found.countries, found.surfaces, found.payment_kinds):
        assert "unknown" in {row.label for row in rows}
        assert 200 == sum(row.gross_minor for row in rows)


def test_a_payment_without_usable_money_is_in_no_sum() -> None:
    """
    A payment whose amount or currency cannot be read is counted apart, never as zero and never in another currency.
    """
    bad = json.dumps(
        {
            "n": "order.paid",
            "t": T0,
            "o": T0,
            "a": {"event_id": "x", "livemode": True, "amount_minor": "12", "currency": "EUR"},
        }
    )
    worse = json.dumps(
        {
            "n": "order.paid",
            "t": T0,
            "o": T0,
            "a": {"event_id": "y", "livemode": True, "amount_minor": 12, "currency": "euro"},
        }
    )
    report([])
    _memory.write(Batch(events=[bad, worse]), received_ns=T0)

    found = build(_memory, Query(PERIOD), now_ns=LATER)

    assert (0, 2) == (found.payments, found.quality.unusable)


def test_an_unknown_currency_keeps_its_minor_amount() -> None:
    """
    A well-formed currency that Stripe's table does not know is a row in minor units, without a guessed major amount.
    """
    found = report([bought("a", amount=500, currency="XTS")])

    assert [("XTS", 1, 500)] == money(found)
    assert [None] == [row["gross"] for row in found.to_json()["currencies"]]


def test_a_payment_belongs_to_the_day_of_stripes_clock() -> None:
    """
    The period is half-open and cut by the time of the payment, not of its arrival.
    """
    inside, before, at_end = bought("a", at=T0), bought("b", at=T0 - 1), bought("c", at=PERIOD.until_ns)

    found = report([inside, before, at_end])

    assert 1 == found.payments


CVR = {
    "paid within the window": ([start("a"), bought("a", at=T0 + 14 * DAY)], (1, 1)),
    "paid after the window": ([start("a"), bought("a", at=T0 + 14 * DAY + SECOND)], (0, 1)),
    "paid before it began": ([start("a", at=T0 + DAY), bought("a", at=T0)], (0, 1)),
    "never paid": ([start("a")], (0, 1)),
    "began before the period": ([start("a", at=T0 - SECOND), bought("a")], (0, 0)),
    "paid after the period": ([start("a", at=T0 + 29 * DAY), bought("a", at=T0 + 31 * DAY)], (1, 1)),
    "paid without a start": ([start("a"), bought("b")], (0, 1)),
    "started twice, paid twice": ([start("a"), start("a", at=T0 + DAY), bought("a"), bought("a", at=T0 + DAY)], (1, 1)),
    "in the same second, Stripe's clock being whole": ([start("a", at=T0 + SECOND // 2), bought("a", at=T0)], (1, 1)),
    "only a renewal": ([start("a"), bought("a", payment_kind="subscription_renewal")], (0, 1)),
    "in test mode": ([start("a"), bought("a", livemode=False), start("live", livemode=True)], (0, 1)),
    "tied by the journey": (
        [start(None, journey_id="j1"), session("a", journey_id="j1"), bought("a")],
        (1, 1),
    ),
}


@pytest.mark.parametrize("case", CVR)
def test_closed_conversion(case: str) -> None:
    """
    CVR: orders that began in the period and were paid within the window of their beginning, out of those that began.
    """
    records, (hits, of) = CVR[case]

    found = report(records)

    assert (True, Ratio(hits, of)) == (found.closed, found.conversion)


def test_without_starts_conversion_is_counted_from_sessions() -> None:
    """
    Where nobody records checkout.start, the ratio is sessions to paid, and is called so; Stripe's ids join without order_id.
    """
    ids = {"stripe.checkout.session.id": "cs_1"}
    records = [session(None, **ids), session("b"), paid(None, 5, at=T0 + 2 * MINUTE, **ids)]

    found = report(records)

    assert (False, Ratio(1, 2)) == (found.closed, found.conversion)
    assert ["checkout.session_created", "order.paid"] == [stage.name for stage in found.funnel.stages]


def test_young_cohorts_are_provisional() -> None:
    """
    Unpaid orders younger than the window are counted as pending: they may still pay.
    """
    records = [
        start("old"),
        start("young", at=T0 + 10 * DAY),
        start("paid", at=T0 + 10 * DAY),
        bought("paid", at=T0 + 11 * DAY),
    ]

    found = report(records, now=T0 + 15 * DAY)

    assert (1, Ratio(1, 3)) == (found.pending, found.conversion)


def test_the_country_of_the_payment_does_not_bias_conversion() -> None:
    """
    A country known only from the payment would convert at 100 %: conversion takes what was known before it.
    """
    records = [start("a"), start("b"), start("c", country="FR"), bought("a", country="DE"), bought("c", country="FR")]

    found = report(records)

    assert {"unknown": Ratio(1, 2), "FR": Ratio(1, 1)} == {
        row.label: row.conversion for row in found.conversion_by_country
    }
    assert {"DE": 1, "FR": 1} == {row.label: row.payments for row in found.countries}


def test_the_funnel_counts_orders_stage_by_stage() -> None:
    """
    An order is in a stage when it is in all required ones before it, in order; the rest is lost there.
    """
    records = [
        *(start(f"o{n}") for n in range(10)),
        *(session(f"o{n}", at=T0 + 30 * SECOND) for n in range(6)),
        session("early", at=T0 - MINUTE),
        *(bought(f"o{n}", at=T0 + (30 + 10 * (n + 1)) * SECOND) for n in range(3)),
        bought("o9"),
    ]

    stages = report(records).funnel.stages

    assert [("checkout.start", 10), ("checkout.session_created", 6), ("order.paid", 3)] == [
        (s.name, s.orders) for s in stages
    ]
    assert [None, Ratio(6, 10), Ratio(3, 6)] == [s.from_previous for s in stages]
    assert (20, 30) == (stages[2].p50_s, stages[2].p95_s)


def test_optional_stages_condition_nothing() -> None:
    """
    Designs are counted as designs, approved out of started, and an order without a design is in the funnel all the same.
    """
    records = [
        event("design.started", at=T0, design_id="d1"), event("design.started", at=T0 + 1, design_id="d1"),
        event("design.started", at=T0, design_id="d2"), event("design.approved", at=T0 + DAY, design_id="d1"),
        start("a"), session("a"), bought("a"),
    ]  # fmt: skip

    found = report(records)

    assert Ratio(1, 2) == found.funnel.designs
    assert Ratio(1, 1) == found.conversion


def test_a_start_that_says_no_mode_belongs_to_its_order() -> None:
    """
    Starts without livemode follow their order; an order of which nothing says the mode is in both views, and counted.
    """
    records = [start("live"), bought("live"), start("test"), bought("test", livemode=False), start("left")]

    live, test = report(records), report(records, live=False)

    assert (Ratio(1, 2), Ratio(1, 2)) == (live.conversion, test.conversion)
    assert (1, 1) == (live.no_mode, test.no_mode)


def test_an_empty_database_has_a_report() -> None:
    """
    Nothing received is a report of nothing, not an error.
    """
    found = report([])

    assert (0, Ratio(0, 0), None) == (found.payments, found.conversion, found.quality.last_event_ns)


attributes = st.fixed_dictionaries(
    {
        "amount": st.integers(0, 2**53),
        "currency": st.sampled_from(["EUR", "JPY", "KWD"]),
        "payment_kind": st.sampled_from([None, "one_off", "subscription_first", "subscription_renewal", "invoice"]),
        "tier": st.sampled_from([None, "pro", "basic"]),
        "country": st.sampled_from([None, "DE", "FR"]),
        "surface": st.sampled_from([None, "home"]),
        "livemode": st.sampled_from([True, True, False, None]),
        "at": st.integers(T0 - 2 * DAY, T0 + 32 * DAY),
    }
)
orders = st.lists(
    st.tuples(st.sampled_from([f"o{n}" for n in range(6)]), st.sampled_from(["start", "session", "paid"]), attributes),
    max_size=20,
)


def recorded(given_orders: Sequence[tuple[str, str, dict[str, Any]]]) -> list[bytes]:
    records = []
    for number, (order, kind, said) in enumerate(given_orders):
        values = {**said, "event_id": f"00000000-0000-5000-8000-{number:012d}"}
        amount, payment_kind = values.pop("amount"), values.pop("payment_kind")
        if kind == "paid":
            records.append(paid(order, amount, payment_kind=payment_kind, **values))
        else:
            records.append({"start": start, "session": session}[kind](order, **values))
    return records


@settings(max_examples=60, deadline=None)
@given(given_orders=orders)
def test_rows_add_up_to_the_total(given_orders: list[Any]) -> None:
    """
    Per currency, kinds, countries and surfaces each add up to payments and gross; tiers to the orders; nothing is lost.
    """
    found = report(recorded(given_orders))

    expected = {}
    for _, kind, values in given_orders:
        if kind == "paid" and values["livemode"] and PERIOD.since_ns <= values["at"] < PERIOD.until_ns:
            count, gross = expected.get(values["currency"], (0, 0))
            expected[values["currency"]] = (count + 1, gross + values["amount"])
    assert expected == {row.currency: (row.payments, row.gross_minor) for row in found.currencies}
    for rows in (found.payment_kinds, found.countries, found.surfaces):
        sums: dict[str, tuple[int, int]] = {}
        for row in rows:
            count, gross = sums.get(row.currency, (0, 0))
            sums[row.currency] = (count + row.payments, gross + row.gross_minor)
        assert expected == sums
    for whole in found.orders:
        parts = [row for row in found.tiers if row.currency == whole.currency]
        assert (whole.orders, whole.gross_minor) == (sum(p.orders for p in parts), sum(p.gross_minor for p in parts))
    for shares in (found.conversion_by_country, found.conversion_by_surface):
        assert found.conversion == Ratio(sum(s.conversion.hits for s in shares), sum(s.conversion.of for s in shares))
    assert found.conversion.hits <= found.conversion.of


@settings(max_examples=40, deadline=None)
@given(given_orders=orders, data=st.data())
def test_disorder_and_repetition_change_no_number(given_orders: list[Any], data: st.DataObject) -> None:
    """
    The same events in another order, some of them twice, give the same report.
    """
    records = recorded(given_orders)

    once = report(records)
    again = report(
        data.draw(
            st.permutations(records + data.draw(st.lists(st.sampled_from(records), max_size=5)) if records else records)
        )
    )

    assert once == again


@settings(max_examples=30, deadline=None)
@given(given_orders=orders)
def test_a_report_survives_json(given_orders: list[Any]) -> None:
    """
    What the server answers is read back as the same report, to the minor unit.
    """
    found = report(recorded(given_orders))

    assert found == Report.from_json(json.loads(json.dumps(found.to_json())))


@pytest.mark.parametrize("content", [None, [], {}, {"live": True}, 7])
def test_something_else_is_no_report(content: Any) -> None:
    """
    An answer of another program or version is refused, not half read.
    """
    with pytest.raises(ValueError, match="not a Report"):
        Report.from_json(content)


def test_totals_are_of_all_time_and_one_mode() -> None:
    """
    What a comparison with Stripe's books needs: every payment of one mode, per currency.
    """
    report(
        [bought("a", at=T0 - 400 * DAY), bought("b", amount=7, livemode=False), bought("c", amount=5, currency="JPY")]
    )

    assert [("EUR", 1, 100), ("JPY", 1, 5)] == [
        (row.currency, row.payments, row.gross_minor) for row in totals(_memory, live=True)
    ]
    assert [("EUR", 1, 7)] == [(row.currency, row.payments, row.gross_minor) for row in totals(_memory, live=False)]


@pytest.mark.parametrize(
    ("ratio", "low", "high"),
    [
        (Ratio(0, 10), 0.0, 0.2775),
        (Ratio(5, 10), 0.2366, 0.7634),
        (Ratio(10, 10), 0.7225, 1.0),
        (Ratio(81, 263), 0.2553, 0.3662),
    ],
)
def test_the_interval_is_wilsons(ratio: Ratio, low: float, high: float) -> None:
    """
    The interval beside a ratio is Wilson's score interval at 95 % (last row: Newcombe 1998, table I).
    """
    assert (low, high) == tuple(round(bound, 4) for bound in ratio.interval or ())
