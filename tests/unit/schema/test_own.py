# SPDX-License-Identifier: Apache-2.0
"""Events that an application declares itself: what is taken, and what is told of what is wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.errors import SchemaError
from otel_revenue.schema import own
from otel_revenue.schema.events import CommonEvent
from otel_revenue.schema.fields import Kind, Sensitivity, attribute, attributes_of

QUOTE: dict[str, Any] = {
    "name": "quote.requested",
    "meaning": "The buyer asked for a quote.",
    "attributes": {
        "quote_id": {"kind": "id", "meaning": "The shop's id of the quote.", "example": "q-7"},
        "size": {
            "kind": "code",
            "pattern": "a[0-4]",
            "meaning": "Size of the paper.",
            "example": "a3",
            "metric_label": True,
        },
    },
}


def test_an_event_is_read():
    """
    Its attributes stand beside those of every event.
    """
    events, problems = own.of_settings([QUOTE, {"name": "quote.seen", "meaning": "The buyer saw it."}])

    assert [] == problems
    assert {"quote_id", "size"} == set(events["quote.requested"]) - set(attributes_of(CommonEvent))
    assert set(attributes_of(CommonEvent)) == set(events["quote.seen"])
    assert (Kind.CODE, "a[0-4]", True) == (
        events["quote.requested"]["size"].kind,
        events["quote.requested"]["size"].pattern,
        events["quote.requested"]["size"].metric_label,
    )


WRONG = [
    ({"name": "quote"}, "two words or more"),
    ({"name": "Quote.Requested"}, "two words or more"),
    ({"name": None}, "two words or more"),
    ({"name": "order.shipped"}, "not yours"),
    ({"name": "design.approved"}, "not yours"),
    ({"name": "stripe.anything"}, "not yours"),
    ({"meaning": 5}, "what it means"),
    ({"colour": "red"}, "no key colour"),
    ({"attributes": ["quote_id"]}, "must be names"),
    ({"attributes": {"quote_id": "id"}}, "must be names"),
    ({"attributes": {"quote_id": {"kind": "text"}}}, "kind is one of"),
    ({"attributes": {"quote_id": {**QUOTE["attributes"]["quote_id"], "sensitivity": "secret"}}}, "sensitivity of"),
    ({"attributes": {"quote_id": {**QUOTE["attributes"]["quote_id"], "size": 5}}}, "no key size"),
    ({"attributes": {"size": {**QUOTE["attributes"]["size"], "pattern": "a["}}}, "no regular expression"),
    ({"attributes": {"size": {**QUOTE["attributes"]["size"], "pattern": ".*"}}}, "bounds"),
    ({"attributes": {"size": {**QUOTE["attributes"]["size"], "example": "b5"}}}, "example"),
    ({"attributes": {"customer_email": {"kind": "label", "meaning": "Where it was sent.", "example": "x"}}}, "about a person"),
    ({"attributes": {"comment": {"kind": "label", "meaning": "What the buyer wrote.", "example": "x"}}}, "about a person"),
    ({"attributes": {"pages": {"kind": "count", "meaning": "How many there are.", "example": 3}}}, "unit"),
    ({"attributes": {"tier": {"kind": "count", "unit": "{level}", "meaning": "Which level it is.", "example": 3}}}, "differently"),
    ({"attributes": {"price": {"kind": "major", "unit": "major units of currency", "meaning": "What it costs.", "example": 3.0}}}, "price_minor"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), WRONG)
def test_what_is_wrong_is_told_and_left_out(change, told):
    """
    The rules of our own schema hold: a wrong event is left out with what is wrong, the others stand.
    """
    events, problems = own.of_settings([{**QUOTE, **change}, {"name": "quote.seen", "meaning": "The buyer saw it."}])

    assert (["quote.seen"], 1) == (list(events), len(problems))
    assert problems[0].startswith("events, entry 1: ")
    assert told in problems[0]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "meaning", "attributes", "x"]),
        ANY | st.just("quote.requested") | st.just({"q_id": {}}),
    )
)
def test_whatever_is_written_nothing_raises(entry):
    """
    Whatever an entry holds, it is read or told.
    """
    events, problems = own.of_settings([entry])

    assert 1 == len(events) + len(problems)


def test_a_class_may_not_take_an_attribute_for_something_else():
    """
    One name means one thing in all events, an application's own among them.
    """

    class Tiers(CommonEvent):
        """Counts tiers."""

        event_name: ClassVar[str] = "tiers.counted"

        design_id: str | None = attribute("Something else.", Sensitivity.TECHNICAL, Kind.ID, example="x")

    with pytest.raises(SchemaError, match=r"design_id: tiers\.counted declares it differently"):
        own.of_class(Tiers)
