"""`stages:` as people write it: what is taken, and what is told of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.instrumentation.stages.mapping import Source, parse
from otel_revenue.signals.record import recordable

GOOD: dict[str, Any] = {
    "route": "POST /designs/{id}/approve",
    "event": "design.approved",
    "attributes": {"design_id": "path.id", "tier": ["header.X-Plan", "query.tier"], "order_id": "answer.order.id"},
}


def test_an_entry_is_read() -> None:
    """Method, template, success by default, and for each attribute its sources in their order, those of the answer apart."""
    (stage,), problems = parse([GOOD], recordable())

    assert [] == problems
    assert ("POST", "/designs/{}/approve", "design.approved") == (stage.method, stage.template.shape, stage.event)
    assert (True, True, False) == tuple(status in stage.statuses for status in (200, 204, 302))
    assert {
        "design_id": (Source("path", "id"),),
        "tier": (Source("header", "x-plan"), Source("query", "tier")),
    } == stage.before
    assert {"order_id": (Source("answer", "order.id"),)} == stage.after


@pytest.mark.parametrize(
    ("said", "inside", "outside"),
    [(201, [201], [200]), ("2xx", [200, 299], [300]), (["2XX", 302], [204, 302], [301]), ("404", [404], [200])],
)
def test_statuses(said: object, inside: list[int], outside: list[int]) -> None:
    """A status is a number, a class, or a list of them."""
    (stage,), _ = parse([{**GOOD, "status": said}], recordable())

    assert (set(inside), set()) == (stage.statuses & set(inside), stage.statuses & set(outside))


WRONG = [
    ({"event": "design.aproved"}, "did you mean design.approved?"),
    ({"event": "order.paid"}, "no event"),
    ({"event": "checkout.session_created"}, "no event"),
    ({"event": None}, "no event"),
    ({"route": "/designs"}, "route must be a method"),
    ({"route": "HEAD /designs"}, "route must be a method"),
    ({"route": None}, "route must be a method"),
    ({"route": "GET designs"}, "no route template"),
    ({"route": "GET /{id}/{id}"}, "no route template"),
    ({"status": "ok"}, "status"),
    ({"status": 99}, "status"),
    ({"status": {"a": 1}}, "status"),
    ({"when": "always"}, 'no key "when"'),
    ({"attributes": ["design_id"]}, "attributes must be names"),
    ({"attributes": {"desing_id": "path.id"}}, "did you mean design_id?"),
    ({"attributes": {"event_id": "path.id"}}, "no attribute"),
    ({"attributes": {"telemetry.source": "value.x"}}, "no attribute"),
    ({"attributes": {"amount_minor": "query.x"}}, "no attribute"),
    ({"attributes": {"design_id": "path.idd"}}, "did you mean id?"),
    ({"attributes": {"design_id": "body.id"}}, "no source"),
    ({"attributes": {"design_id": "query."}}, "no source"),
    ({"attributes": {"design_id": 5}}, "no source"),
    ({"attributes": {"design_id": []}}, "no source"),
    ({"attributes": {"design_id": None}}, "no source"),
    ({"attributes": {"design_id": "header.Authorization"}}, "secret"),
    ({"attributes": {"order_id": "header.cookie"}}, "secret"),
    ({"attributes": {"order_id": "header.X-Api-Key"}}, "secret"),
    ({"attributes": {"subtotal": "query.total"}}, "needs its currency"),
    ({"attributes": {"design_id": "answer.a..b"}}, "no source"),
    ({"attributes": {"tier": ["query.a", "answer.b", "query.c"]}}, "first or last"),
    ({"attributes": {"country": "value.Germany"}}, "no value"),
    ({"status": []}, "status"),
    ({}, "counted twice"),
    ({"route": "post /designs/<int:number>/approve/", "status": [404, 204], "attributes": {}}, "counted twice"),
]


@pytest.mark.parametrize(("change", "told"), WRONG)
def test_what_is_wrong_is_told_and_left_out(change: dict[str, Any], told: str) -> None:
    """A wrong entry is left out with its number, what is wrong and the remedy; the entries around it stand."""
    stages, problems = parse([GOOD, {**GOOD, **change}, {**GOOD, "route": "POST /else/{id}"}], recordable())

    assert (2, 1) == (len(stages), len(problems))
    assert problems[0].startswith("stages, entry 2 (")
    assert told in problems[0]


def test_one_route_may_be_two_stages() -> None:
    """By another event, another answer or another route an entry is one of its own; constants may be written small."""
    others = [{"event": "design.started"}, {"status": 302}, {"route": "PUT /designs/{id}/approve"}]
    small = {"attributes": {"country": "value.de", "item_count": "value.1"}}
    _, problems = parse(
        [GOOD, *({**GOOD, **change} for change in others), {"route": "GET /c", "event": "checkout.start", **small}],
        recordable(),
    )

    assert [] == problems


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["route", "event", "status", "attributes", "x"]), ANY))
def test_whatever_is_written_nothing_raises(entry: dict[str, Any]) -> None:
    """Whatever an entry holds, it is read or told, in one line that is printable."""
    stages, problems = parse([entry], recordable())

    assert 1 == len(stages) + len(problems)
    assert all(problem.isprintable() for problem in problems)
