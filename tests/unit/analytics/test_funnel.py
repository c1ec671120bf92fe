"""What the numbers of the funnel are: each definition of docs/dashboard.md as an example, and the rules as properties."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.analytics import funnel, jsonable
from otel_revenue.analytics.figures import Ratio
from otel_revenue.analytics.funnel_figures import FunnelReport, Step
from otel_revenue.analytics.logs import read_logs
from otel_revenue.analytics.orders import Query
from otel_revenue.analytics.period import Period
from otel_revenue.analytics.report import build as build_report
from otel_revenue.analytics.store import Batch, Store
from otel_revenue.analytics.values import Members
from support.otlp_events import DAY, SECOND, T0, event, logs_request, paid

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = 60 * SECOND
LATER = T0 + 365 * DAY
PERIOD = Period(T0, T0 + 30 * DAY, "UTC")

_memory = Store(None)


def told(
    records: Sequence[bytes], *, now: int = LATER, live: bool = True, window: int = 14, services: int = 1
) -> FunnelReport:
    """The funnel of a database that holds *records* alone, as so many services sent them."""
    _memory._db.execute("DELETE FROM event")
    for number in range(services):
        part = list(records[number::services])
        if part:
            request = logs_request(part, service=f"service-{number}")
            _memory.write(Batch(events=read_logs(request, Members()).lines), received_ns=T0)
    return funnel.build(_memory, Query(PERIOD, live, window), now_ns=now)


def design(name: str, order: str | None = None, at: int = T0, **attributes: Any) -> bytes:
    return event(f"design.{name}", at=at, order_id=order, **attributes)


def start(order: str | None, at: int = T0, **attributes: Any) -> bytes:
    return event("checkout.start", at=at, order_id=order, **attributes)


def session(order: str | None, at: int = T0 + MINUTE, **attributes: Any) -> bytes:
    return event("checkout.session_created", at=at, order_id=order, **{"livemode": True, **attributes})


def bought(order: str | None, at: int = T0 + 2 * MINUTE, **attributes: Any) -> bytes:
    return paid(order, 100, at=at, **attributes)


def declined(
    order: str | None, at: int = T0 + 90 * SECOND, code: str | None = "expired_card", **attributes: Any
) -> bytes:
    said = {"livemode": True, "payment_kind": "one_off", "decline_code": code, **attributes}
    return event("checkout.payment_failed", at=at, order_id=order, **said)


def expired(order: str, at: int = T0 + DAY, **attributes: Any) -> bytes:
    return event("checkout.expired", at=at, order_id=order, **{"livemode": True, **attributes})


def whole(order: str, **attributes: Any) -> list[bytes]:
    return [start(order, **attributes), session(order, **attributes), bought(order, **attributes)]


def stages(found: FunnelReport) -> dict[str, tuple[int, int]]:
    """Orders that reached each stage, and that came to it in order."""
    return {step.name: (step.reached, step.kept) for step in found.steps}


def step(found: FunnelReport, name: str) -> Step:
    return next(step for step in found.steps if step.name == name)


CS, PI = {"stripe.checkout.session.id": "cs_1"}, {"stripe.payment_intent.id": "pi_1"}

ONE_ORDER: dict[str, list[bytes]] = {
    "one order_id": whole("a"),
    "a journey until there is an order": [
        start(None, journey_id="j"),
        session("a", journey_id="j"),
        bought("a"),
    ],
    "a journey that meets its order at the end": [
        start(None, journey_id="j"),
        session(None, journey_id="j"),
        bought("a", journey_id="j"),
    ],
    "a journey alone": [
        start(None, journey_id="j"),
        session(None, journey_id="j"),
        bought(None, journey_id="j"),
    ],
    "the Session's id in place of an order_id": [
        start(None, journey_id="j"),
        session("cs_1", journey_id="j", **CS),
        bought("cs_1", **CS, **PI),
    ],
    "the Session ties what the shop's order_id does not": [
        start("a"),
        session("a", **CS),
        bought("cs_1", **CS, **PI),
    ],
    "journey, Session and PaymentIntent in a row": [
        start(None, journey_id="j"),
        session(None, journey_id="j", **CS),
        event("checkout.expired", at=T0 + DAY, livemode=True, **CS, **PI),
        bought(None, at=T0 + 2 * DAY, **PI),
    ],
}


@pytest.mark.parametrize("case", ONE_ORDER)
def test_events_of_one_order_are_one_order(case: str) -> None:
    """However the events of one order name it, in different traces and services, it is one order from start to payment."""
    found = told(ONE_ORDER[case], services=3)

    assert {"checkout.start": (1, 1), "checkout.session_created": (1, 1), "order.paid": (1, 1)} == stages(found)
    assert Ratio(1, 1) == found.total.conversion


def test_a_journey_that_meets_two_orders_belongs_to_the_first() -> None:
    """What only knows the journey counts for the order that the journey met first, in whatever order the events arrive."""
    records = [
        start(None, journey_id="j"),
        session("late", at=T0 + DAY, journey_id="j"),
        session("soon", journey_id="j"),
    ]
    records += [bought("soon")]

    found = [told(each) for each in (records, records[::-1])]

    assert [Ratio(1, 1)] * 2 == [each.total.conversion for each in found]


def test_open_and_closed_are_two_numbers() -> None:
    """Open counts who reached a stage in the period at all, closed who came to it in order from a start in the period."""
    records = [
        *whole("all"),
        start("early", at=T0 - DAY), session("early", at=T0 + DAY), bought("early", at=T0 + 2 * DAY),
        session("link"), bought("link"),
        start("skips"), bought("skips"),
        start("backwards", at=T0 + DAY), session("backwards", at=T0), bought("backwards", at=T0 + 2 * DAY),
        start("slow"), session("slow", at=T0 + 15 * DAY), bought("slow", at=T0 + 15 * DAY),
    ]  # fmt: skip

    found = told(records)

    assert {
        "checkout.start": (4, 4),
        "checkout.session_created": (5, 1),
        "order.paid": (6, 1),
    } == stages(found)
    assert (6, 4, 1.5) == (found.paid_orders, found.total.conversion.of, found.open_conversion)
    assert Ratio(3, 4) == found.total.conversion


def test_time_between_steps_is_of_those_who_made_the_step() -> None:
    """Median, p90 and p95 of the seconds from one stage to the next, over the orders that came to it."""
    records = []
    for n in range(1, 21):
        records += [
            start(f"o{n}"),
            session(f"o{n}", at=T0 + n * MINUTE),
            bought(f"o{n}", at=T0 + n * MINUTE + n * SECOND),
        ]
    records += [start("left"), start("lost"), session("lost")]

    found = told(records)

    to_session, to_paid = step(found, "checkout.session_created"), step(found, "order.paid")

    assert (600, 1080, 1140) == (to_session.p50_s, to_session.p90_s, to_session.p95_s)
    assert (10, 18, 19) == (to_paid.p50_s, to_paid.p90_s, to_paid.p95_s)


def test_drop_off_counts_those_alone_whose_window_is_over() -> None:
    """Who began a moment ago has not dropped off: counted as provisional, and in no drop-off."""
    records = [
        *(start(f"old{n}") for n in range(4)), session("old0"), session("old1"), bought("old0"),
        *(start(f"new{n}", at=T0 + 10 * DAY) for n in range(3)), session("new0", at=T0 + 10 * DAY),
    ]  # fmt: skip

    found = told(records, now=T0 + 20 * DAY)
    made, last = step(found, "checkout.session_created"), step(found, "order.paid")

    assert (Ratio(3, 7), Ratio(2, 4), Ratio(2, 4), 2) == (
        made.conversion,
        made.settled,
        made.drop_off,
        made.provisional,
    )
    assert (Ratio(1, 3), Ratio(1, 2), 1) == (last.conversion, last.drop_off, last.provisional)
    assert (Ratio(1, 7), Ratio(1, 4), 3) == (found.total.conversion, found.total.settled, found.total.provisional)


def test_optional_stages_are_no_condition_and_have_their_own_steps() -> None:
    """An order without a design converts as any other; of approved designs it is said how many came to the checkout."""
    records = [
        *whole("plain"),
        design("started", "drawn", at=T0 - MINUTE), design("approved", "drawn", at=T0 - SECOND), *whole("drawn"),
        design("started", "both"), design("approved", "both", at=T0 + MINUTE), start("both", at=T0 + 3 * MINUTE),
        design("started", "left"),
        design("approved", "odd"), design("started", "odd", at=T0 + DAY),
    ]  # fmt: skip

    found = told(records)

    assert (3, Ratio(1, 3), True) == (
        step(found, "design.started").reached,
        step(found, "design.approved").conversion,
        step(found, "design.approved").optional,
    )
    assert (Ratio(1, 2), 120) == (step(found, "checkout.start").conversion, step(found, "checkout.start").p50_s)
    assert Ratio(2, 3) == found.total.conversion


def test_without_starts_the_funnel_begins_with_the_session() -> None:
    """Where nobody records checkout.start the first required stage is the Session, and it is said so."""
    found = told([session("a"), bought("a"), session("b")])

    assert (False, ["checkout.session_created", "order.paid"]) == (found.from_start, [s.name for s in found.steps])
    assert (Ratio(1, 2), None) == (found.total.conversion, found.steps[0].conversion)


def test_surface_tier_and_country_each_add_up_with_unknown_as_a_row() -> None:
    """Each dimension says what was known before the payment; what is unknown is a row, and rows add up to all."""
    records = [
        *whole("a", surface="home", tier="pro"),
        start("b", surface="home"), session("b", tier="basic"),
        start("c"), bought("c", surface="late", tier="late", country="FR"),
        start("d"), declined("d", country="DE"),
    ]  # fmt: skip

    found = told(records)

    assert {"home": Ratio(1, 2), "unknown": Ratio(1, 2)} == {s.label: s.conversion for s in found.surfaces}
    assert {"pro": Ratio(1, 1), "basic": Ratio(0, 1), "unknown": Ratio(1, 2)} == {
        s.label: s.conversion for s in found.tiers
    }
    assert {"unknown": Ratio(2, 4)} == {s.label: s.conversion for s in found.countries}


def test_several_declines_of_one_order_are_one_order() -> None:
    """Attempts are counted by event, orders once; an order that is paid afterwards is recovered, and in the funnel once."""
    records = [
        *whole("back"), declined("back", at=T0 + 70 * SECOND), declined("back", at=T0 + 80 * SECOND, code="incorrect_cvc"),
        start("lost"), session("lost"), declined("lost"), declined("lost", at=T0 + DAY),
        *whole("fine"),
        *whole("first"), declined("first", at=T0 + DAY, code=None),
    ]  # fmt: skip

    found = told(records)

    assert (Ratio(5, 8), Ratio(1, 3)) == (found.declines.attempts, found.declines.recovered)
    assert [("expired_card", 3, Ratio(1, 2)), ("incorrect_cvc", 1, Ratio(1, 1)), ("unknown", 1, Ratio(0, 1))] == [
        (row.code, row.attempts, row.recovered) for row in found.declines.codes
    ]
    assert (4, 4) == stages(found)["checkout.session_created"]


def test_a_renewal_is_no_part_of_the_funnel() -> None:
    """A renewal carries the first order's id for years: neither its payment nor its failure says anything of that checkout."""
    renewal = {"payment_kind": "subscription_renewal"}
    records = [start("a"), bought("a", at=T0 + DAY, **renewal), declined("a", at=T0 + DAY, **renewal)]

    found = told(records)

    assert (Ratio(0, 1), Ratio(0, 0), Ratio(0, 0), 1) == (
        found.total.conversion,
        found.declines.attempts,
        found.declines.recovered,
        found.declines.renewals,
    )


def test_an_order_that_may_still_be_paid_is_no_loss_yet() -> None:
    """A declined order that is younger than the window is provisional until it is paid or the window is over."""
    records = [start("a"), declined("a"), *whole("b"), declined("b")]

    young, old = told(records, now=T0 + DAY), told(records)

    assert (1, 0) == (young.declines.provisional, old.declines.provisional)
    assert Ratio(1, 2) == young.declines.recovered == old.declines.recovered


def test_an_expired_order_that_was_paid_by_another_session_is_told_apart() -> None:
    """Of the orders of which a Session ran out, those that were paid all the same are counted."""
    records = [start("lost"), expired("lost"), expired("lost", at=T0 + 2 * DAY), *whole("paid"), expired("paid")]

    assert Ratio(1, 2) == told(records).expired


def test_events_without_a_key_are_counted_and_in_no_order() -> None:
    """What names neither order nor journey is shown as such, by event; a payment of that kind is an order by itself."""
    records = [start(None), start(None, at=T0 + 1), declined(None), bought(None), *whole("a")]

    found = told(records)

    assert {"checkout.start": 2, "checkout.payment_failed": 1, "order.paid": 1} == {
        left.name: left.without_key for left in found.left_out
    }
    assert (Ratio(1, 1), 2) == (found.total.conversion, found.paid_orders)


def test_live_orders_of_people_alone() -> None:
    """Test mode and synthetic traffic are in no number; an order of which nothing says the mode is in both views, counted."""
    records = [
        *whole("live"),
        start("test"), session("test", livemode=False), declined("test", livemode=False), bought("test", livemode=False),
        *whole("robot", synthetic=True), declined("robot", synthetic=True),
        start("left"),
        start("declined"), declined("declined", livemode=False),
    ]  # fmt: skip

    live, test = told(records), told(records, live=False)

    assert (Ratio(1, 2), Ratio(1, 3)) == (live.total.conversion, test.total.conversion)
    assert (1, 1) == (live.no_mode, test.no_mode)
    assert (Ratio(0, 1), Ratio(2, 3)) == (live.declines.attempts, test.declines.attempts)
    assert 4 == sum(left.synthetic for left in live.left_out)


def test_an_empty_database_has_a_funnel() -> None:
    """Nothing received is a funnel of nothing, not an error."""
    found = told([])

    assert (Ratio(0, 0), None, ()) == (found.total.conversion, found.open_conversion, found.surfaces)


attributes = st.fixed_dictionaries(
    {
        "at": st.integers(T0 - 2 * DAY, T0 + 32 * DAY),
        "livemode": st.sampled_from([True, True, True, False, None]),
        "surface": st.sampled_from([None, "home", "mail"]),
        "tier": st.sampled_from([None, "pro"]),
        "country": st.sampled_from([None, "DE"]),
        "journey_id": st.sampled_from([None, None, "j1", "j2"]),
        "stripe.checkout.session.id": st.sampled_from([None, None, "cs_1", "cs_2"]),
        "synthetic": st.sampled_from([None, None, None, True]),
    }
)
happenings = st.lists(
    st.tuples(
        st.sampled_from(["started", "approved", "start", "session", "paid", "paid", "declined", "expired"]),
        st.sampled_from([None, "o1", "o2", "o3", "o4"]),
        attributes,
    ),
    max_size=25,
)
_MAKERS = {
    "started": lambda order, **said: design("started", order, **said),
    "approved": lambda order, **said: design("approved", order, **said),
    "start": start,
    "session": session,
    "paid": bought,
    "declined": declined,
    "expired": expired,
}
_BEFORE_STRIPE = {"started", "approved", "start"}
_BEGUN = dict.fromkeys(("surface", "tier", "country", "journey_id", "stripe.checkout.session.id", "synthetic")) | {
    "at": T0,
    "livemode": True,
}
"""What a start says that is only there so that the funnel begins with one."""


def recorded(drawn: Sequence[tuple[str, str | None, dict[str, Any]]]) -> list[bytes]:
    records = []
    for number, (kind, order, said) in enumerate(drawn):
        values = {**said, "event_id": f"00000000-0000-5000-8000-{number:012d}"}
        if kind in _BEFORE_STRIPE:
            del values["stripe.checkout.session.id"]
        records.append(_MAKERS[kind](order, **values))
    return records


@settings(max_examples=35, deadline=None)
@given(drawn=happenings, data=st.data())
def test_disorder_repetition_and_services_change_no_number(drawn: list[Any], data: st.DataObject) -> None:
    """The same events in another order, some of them twice, from several services, give the same funnel."""
    records = recorded(drawn)
    once = told(records)
    doubled = records + (data.draw(st.lists(st.sampled_from(records), max_size=6)) if records else [])
    again = told(data.draw(st.permutations(doubled)), services=data.draw(st.integers(1, 3)))

    assert once == again


@settings(max_examples=35, deadline=None)
@given(drawn=happenings)
def test_numbers_agree_with_one_another(drawn: list[Any]) -> None:
    """Rows of each dimension add up, no part exceeds its whole, and the report says the same conversion."""
    found = told(recorded(drawn), now=T0 + 20 * DAY)
    report = build_report(_memory, Query(PERIOD, True, 14), now_ns=T0 + 20 * DAY)

    for rows in (found.surfaces, found.tiers, found.countries):
        for field in ("conversion", "settled"):
            ratios = [getattr(row, field) for row in rows]
            assert getattr(found.total, field) == Ratio(sum(r.hits for r in ratios), sum(r.of for r in ratios))
        assert found.total.provisional == sum(row.provisional for row in rows)
    assert (report.conversion, report.pending, report.paid_orders) == (
        found.total.conversion,
        found.total.provisional,
        found.paid_orders,
    )
    assert [s.orders for s in report.funnel.stages] == [s.kept for s in found.steps if not s.optional]
    for one in found.steps:
        if one.conversion is not None and one.settled is not None:
            assert one.conversion.of - one.settled.of == one.provisional + one.conversion.hits - one.settled.hits
    kept = [one.kept for one in found.steps if not one.optional]
    assert sorted(kept, reverse=True) == kept
    assert found.declines.attempts.hits == sum(code.attempts for code in found.declines.codes)
    assert found.declines.recovered.hits + found.declines.provisional <= found.declines.recovered.of


def _first(values: Any) -> Any:
    """What the earliest of (time, value) says, None where nobody says anything."""
    return min((pair for pair in values if pair[1] is not None), default=(0, None))[1]


def _keys(events: list[dict[str, Any]]) -> list[str | None]:
    """The order of each event, by the words of docs/dashboard.md."""

    def own(e: dict[str, Any]) -> Any:
        return e["order"] if e["order"] != e["session"] else None

    def name(e: dict[str, Any]) -> Any:
        tied = _first((x["at"], own(x)) for x in events if e["session"] and x["session"] == e["session"])
        return own(e) or tied or e["session"] or e["order"]

    def key(number: int, e: dict[str, Any]) -> Any:
        tied = _first((x["at"], name(x)) for x in events if e["journey"] and x["journey"] == e["journey"])
        alone = f"journey {e['journey']}" if e["journey"] else f"event {number}" if e["kind"] == "paid" else None
        return name(e) or tied or alone

    return [key(number, e) for number, e in enumerate(events)]


def _plainly(drawn: list[Any]) -> tuple[Any, ...]:
    """Open and closed counts, conversion and recovered orders, one order after the other: slow, and easy to read."""
    fields = ("livemode", "synthetic", "journey_id", "stripe.checkout.session.id")
    events = [
        {"kind": kind, "order": order, "at": said["at"], **{name.split("_")[0]: said[name] for name in fields[:3]},
         "session": None if kind in _BEFORE_STRIPE else said[fields[3]]}
        for kind, order, said in drawn if not said["synthetic"]
    ]  # fmt: skip
    orders: dict[str, list[dict[str, Any]]] = {}
    for key, e in zip(_keys(events), events, strict=True):
        if key is not None:
            orders.setdefault(key, []).append(e)
    reached, kept, converted, recovered = dict.fromkeys(("start", "session", "paid"), 0), [0, 0, 0], 0, [0, 0]
    for members in orders.values():
        if not any(e["livemode"] for e in members) and any(e["livemode"] is False for e in members):
            continue  # wholly of test mode, but for what says none
        here = [e for e in members if e["livemode"] is not False]
        times = {kind: [e["at"] // SECOND for e in here if e["kind"] == kind] for kind in _MAKERS}
        first = {kind: min(at) for kind, at in times.items() if at}
        for kind in reached:
            reached[kind] += PERIOD.since_ns <= first.get(kind, 0) * SECOND < PERIOD.until_ns
        window = range(14 * 86_400 + 1)
        if PERIOD.since_ns <= first.get("start", 0) * SECOND < PERIOD.until_ns:
            in_session = first.get("session", 0) - first["start"] in window
            kept = [kept[0] + 1, kept[1] + in_session,
                    kept[2] + (in_session and first.get("paid", 0) - first["session"] in window)]  # fmt: skip
            converted += first.get("paid", 0) - first["start"] in window
        declines = [e["at"] // SECOND for e in here if e["kind"] == "declined" and e["livemode"]
                    and PERIOD.since_ns <= e["at"] < PERIOD.until_ns]  # fmt: skip
        if declines:
            recovered = [recovered[0] + (max(times["paid"], default=0) >= min(declines)), recovered[1] + 1]
    return tuple(reached.values()), tuple(kept), converted, tuple(recovered)


@settings(max_examples=60, deadline=None)
@given(drawn=happenings)
def test_the_statements_say_what_the_page_says(drawn: list[Any]) -> None:
    """Keys, stages, open and closed counts, conversion and recovered orders are those of a plain reading of the definitions."""
    begun = [*drawn, ("start", "o-begun", _BEGUN)]
    found = told(recorded(begun))
    main = [one for one in found.steps if not one.optional]

    assert _plainly(begun) == (
        tuple(one.reached for one in main),
        tuple(one.kept for one in main),
        found.total.conversion.hits,
        (found.declines.recovered.hits, found.declines.recovered.of),
    )


@settings(max_examples=15, deadline=None)
@given(drawn=happenings)
def test_a_funnel_survives_json(drawn: list[Any]) -> None:
    """What the server answers is read back as the same funnel."""
    found = told(recorded(drawn))

    assert found == jsonable.from_json(FunnelReport, json.loads(json.dumps(found.to_json())))
