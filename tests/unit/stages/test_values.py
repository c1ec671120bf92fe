"""From a request and its answer to attributes: what is read, in which form, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.instrumentation.stages import values
from otel_revenue.instrumentation.stages.mapping import parse
from otel_revenue.instrumentation.stages.values import MAX_ANSWER, Asked, is_small_json, with_exact_money
from otel_revenue.signals.record import recordable

if TYPE_CHECKING:
    from otel_revenue.instrumentation.stages.mapping import Stage


def stage(**attributes: object) -> Stage:
    found, problems = parse(
        [{"route": "POST /x/{id}", "event": "checkout.start", "attributes": attributes}], recordable()
    )
    assert [] == problems
    return found[0]


def asked(query: str = "", **headers: str) -> Asked:
    return Asked("POST", "/x/7", query, headers.get)


def test_the_first_source_with_a_value_counts() -> None:
    """Sources are tried in their order; an empty value is none."""
    mapped = stage(tier=["header.plan", "query.tier", "value.basic"], order_id="path.id", country="query.c")
    told = [
        values.before(mapped, request, {"id": "7"})[0]["tier"]
        for request in (asked("tier=pro", plan="gold"), asked("tier=pro"), asked("tier="), asked("tier=%20pro&tier=x"))
    ]

    assert ["gold", "pro", "basic", "pro"] == told
    assert {"order_id": "7", "country": "DE", "tier": "basic"} == values.before(mapped, asked("c=de"), {"id": "7"})[0]


@pytest.mark.parametrize("query", ["&" * 9000, "tier=" + "x" * 9000, "%FF%FE=1&tier=%FF", "=&=&=", "tier"])
def test_a_hostile_query_tells_nothing_or_text(query: str) -> None:
    """A query that is unreasonably long, or no query at all, raises nothing."""
    told, _ = values.before(stage(tier="query.tier"), asked(query), {"id": "7"})

    assert set(told) <= {"tier"}


@pytest.mark.parametrize(
    ("source", "raw", "value"),
    [
        ("item_count", "3", 3),
        ("item_count", "-3", None),
        ("item_count", "3.0", None),
        ("item_count", "٣", None),
        ("item_count", "9" * 40, None),
        ("livemode", "TRUE", True),
        ("livemode", "yes", None),
        ("order_id", "x" * 1001, None),
        ("order_id", "x" * 300, "x" * 300),
    ],
)
def test_text_becomes_what_the_attribute_is(source: str, raw: str, value: object) -> None:
    """Text from a path, a query or a header is converted by the attribute's kind, or refused by name."""
    told, refused = values.before(stage(**{source: "query.q"}), asked(f"q={raw}"), {"id": "7"})

    assert (value, [] if value is not None else [source]) == (told.get(source), refused)


@pytest.mark.parametrize(
    ("major", "currency", "minor"),
    [
        ("49.90", "EUR", 4990),
        ("49.9", "eur", 4990),
        ("1200", "JPY", 1200),
        ("12.345", "KWD", 12345),
        ("0.1", "USD", 10),
        ("49.999", "EUR", None),
        ("12.5", "JPY", None),
        ("1e3", "EUR", 100000),
        ("1e999999999", "EUR", None),
        ("-1", "EUR", None),
        ("NaN", "EUR", None),
        ("Infinity", "EUR", None),
        ("9" * 30, "EUR", None),
        ("49.90", "EURO", None),
        ("49.90", "XXZ", None),
        ("", "EUR", None),
        (True, "EUR", None),
        (49.9, "EUR", None),
        ([1], "EUR", None),
    ],
)
def test_money_is_exact_or_absent(major: Any, currency: str, minor: int | None) -> None:
    """A subtotal in major units is exact in its currency's decimals, or it is none; never a float."""
    told: dict[str, Any] = {"subtotal": major, "currency": currency}
    refused = with_exact_money(told)

    assert (minor, minor is None) == (told.get("subtotal_minor"), bool(refused))
    assert "subtotal" not in told


def test_a_number_of_the_answer_is_exact() -> None:
    """A subtotal that the answer writes as a JSON number is read as it is written, not as a float."""
    mapped = stage(subtotal="answer.total", currency="value.EUR", order_id="answer.order.id", skus="answer.skus")
    told, refused = values.after(mapped, b'{"total": 70.10, "order": {"id": 12}, "skus": ["a", "b"]}', {})
    told["currency"] = "EUR"

    assert ([], []) == (refused, with_exact_money(told))
    assert {"subtotal_minor": 7010, "currency": "EUR", "order_id": 12, "skus": ["a", "b"]} == told


@pytest.mark.parametrize(
    "body",
    [None, b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"a": 1}', b"[" * 9000, b'"x"', b'{"order": [1]}', b'{"order": "text"}',
     b'{"order": {"id": null}}', b'{"order": {"id": ""}}', b'{"order": {"id": {"x": 1}}}', b'{"order": {"id": ' + b"9" * 5000 + b"}}",
     json.dumps({"order": {"id": "o-1"}, "x": "x" * MAX_ANSWER}).encode()],
)  # fmt: skip
def test_an_answer_that_tells_nothing(body: bytes | None) -> None:
    """An answer of another shape, a large one or none at all leaves the attribute out."""
    assert "order_id" not in values.after(stage(order_id="answer.order.id"), body, {})[0]


@given(st.binary(max_size=200))
def test_any_answer_is_survived(body: bytes) -> None:
    """Whatever the bytes of an answer are, nothing raises."""
    told, _ = values.after(stage(order_id="answer.0", tier="answer.a.b"), body, {})

    assert set(told) <= {"order_id", "tier"}


def test_what_the_request_told_precedes_the_answer() -> None:
    """An attribute that a source before the answer gave is not looked for in it."""
    mapped = stage(order_id=["query.order", "answer.order"])

    assert {} == values.after(mapped, b'{"order": "o-2"}', {"order_id": "o-1"})[0]


def test_an_answer_that_is_listed_first_precedes_the_request() -> None:
    """What the application answers is looked for although a visitor has said it, too; where it is silent the visitor's word stands."""
    mapped = stage(order_id=["answer.order", "query.order"])
    told = [values.after(mapped, body, {"order_id": "o-1"})[0] for body in (b'{"order": "o-2"}', b"{}", None)]

    assert [{"order_id": "o-2"}, {}, {}] == told


@pytest.mark.parametrize(
    ("kind", "encoding", "length", "small"),
    [
        ("application/json", None, "200", True),
        ("application/json; charset=utf-8", "identity", None, True),
        ("Application/Problem+JSON", None, None, True),
        ("application/json", "gzip", "200", False),
        ("application/json", None, str(MAX_ANSWER + 1), False),
        ("text/html", None, "20", False),
        ("text/event-stream", None, None, False),
        ("application/x-ndjson", None, None, False),
        (None, None, None, False),
    ],
)
def test_which_answers_are_looked_into(kind: str | None, encoding: str | None, length: str | None, small: bool) -> None:
    """JSON that is neither compressed nor known to be large, and nothing else."""
    assert small is is_small_json(kind, encoding, length)
