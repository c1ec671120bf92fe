"""Bodies that Stripe would not send, or not like that: nothing raises, nothing is guessed, nothing leaks."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_revenue.instrumentation.stripe.facts import CREATIONS
from support import stripe_events as flows
from support.reading import read_answer, read_event

DELIVERIES = [event for make in flows.ALL for event in make(1).events if event["type"] in flows.EVIDENCE]
PAID = list({event["type"]: event for event in DELIVERIES if flows.speaks_of_money(event)}.values())
"""One paid delivery of each kind."""

_ERROR = {"code": "card_declined", "decline_code": "expired_card", "charge": "ch_x", "payment_method": {"type": "card"}}
LOST = [
    flows.event(
        kind,
        {**obj, "outcome": {"type": "issuer_declined", "reason": "expired_card"}, "failure_code": "expired_card"},
        n=1,
    )
    for kind, obj in (
        ("charge.failed", flows.charge(1, 4999, status="failed", captured=False)),
        ("payment_intent.payment_failed", flows.intent(1, 4999, amount_received=0, last_payment_error=_ERROR)),
        ("payment_intent.canceled", flows.intent(1, 4999, amount_received=0, cancellation_reason="abandoned")),
        ("checkout.session.expired", flows.session(1, 4999, payment_status="unpaid", status="expired")),
        ("checkout.session.async_payment_failed", flows.session(1, 4999, payment_status="unpaid")),
        ("invoice.payment_failed", flows.invoice(1, 4999, status="open", amount_paid=0, attempt_count=1)),
    )
]
"""One delivery of each kind that tells of money that did not come."""

AMOUNTS = {
    "checkout.session": "amount_total",
    "payment_intent": "amount_received",
    "charge": "amount_captured",
    "invoice": "amount_paid",
    "invoice_payment": "amount_paid",
}

HUGE = 10**5000
HOSTILE = (
    None,
    True,
    0,
    -1,
    2**63,
    -(2**63),
    HUGE,
    1.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "4999",
    "\x00",
    "\ud800",
    "€€€",
    "ßßß",
    "ſſſ",
    "x" * 100_000,
    "pi_" + "x" * 300,
    [],
    [None],
    [[]],
    [1, "a", {}],
    {},
    {"": None},
    {"data": 5},
    {"data": "text"},
    {"data": [5, None, {"price": 5, "quantity": HUGE}, {"price": {"id": HUGE}}]},
    {"id": {}},
    {"object": "payment_intent", "id": HUGE},
)

hostile = st.integers(0, len(HOSTILE) - 1).map(lambda index: HOSTILE[index])  # one of them is too long to be shown

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), hostile),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)),
    max_leaves=6,
)


def name_of(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*path, index))
    return found


def with_value(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def expanded(body: dict[str, Any]) -> dict[str, Any]:
    """The same with everything in it that is read on one flow or another."""
    rich = copy.deepcopy(body)
    rich["data"]["object"].update(
        presentment_details={"presentment_amount": 100, "presentment_currency": "usd"},
        payments={"object": "list", "data": [{"payment": {"payment_intent": "pi_abc", "charge": "ch_abc"}}]},
        lines={"object": "list", "data": [{"quantity": 1, "price": {"id": "price_1", "product": "prod_1"}}]},
        line_items={"object": "list", "data": [{"quantity": 1, "pricing": {"price_details": {"price": "price_1"}}}]},
        total_discount_amounts=[{"amount": 1}],
        total_taxes=[{"amount": 1}],
        shipping_cost={"amount_total": 1},
        shipping={"address": {"country": "DE"}},
        customer_shipping={"address": {"country": "DE"}},
        collected_information={"shipping_details": {"address": {"country": "DE"}}},
        payment_method_types=["card"],
        client_reference_id="ref-1",
        receipt_url="https://pay.stripe.com/receipts/payment/x",
        paid_out_of_band=False,
    )
    return rich


def test_any_field_may_hold_anything() -> None:
    """Whatever stands in any one field of any kind of delivery, reading it does not raise, and what is read can be stored."""
    for body in {body["type"]: body for body in (*DELIVERIES, *LOST)}.values():
        rich = expanded(body)
        for path in paths(rich):
            for value in HOSTILE:
                for item in read_event(with_value(rich, path, value)).facts:
                    item.to_json().encode("utf-8")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_several_fields_may_hold_anything(data: st.DataObject) -> None:
    """Whatever stands in several fields at once, webhook or answer, reading it does not raise."""
    body = expanded(data.draw(st.sampled_from([*DELIVERIES, *LOST])))
    for _ in range(data.draw(st.integers(1, 4))):
        body = with_value(body, data.draw(st.sampled_from(paths(body))), data.draw(values))
    read_event(body)
    obj = body["data"]
    obj = obj.get("object") if isinstance(obj, dict) else obj
    for path in CREATIONS:
        read_answer("POST", path, obj)


@given(values)
def test_any_json_is_no_reason_to_raise(body: object) -> None:
    """Any JSON as a body, an event or an object is read without an error and gives no payment."""
    everything = [
        read_event(body),
        read_event({"type": "charge.succeeded", "data": body}),
        read_event({"type": "charge.succeeded", "data": {"object": body}}),
        read_answer("POST", "/v1/payment_intents", body),
    ]

    assert [] == [item for reading in everything for item in reading.facts if item.evidence]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "amount_missing"),
        (49.99, "amount_type"),
        (4999.0, "amount_type"),
        ("4999", "amount_type"),
        (True, "amount_type"),
        ([4999], "amount_type"),
        (-1, "amount_negative"),
        (2**63, "amount_too_large"),
        (HUGE, "amount_too_large"),
    ],
    ids=name_of,
)
@pytest.mark.parametrize("body", PAID, ids=lambda body: body["type"])
def test_an_amount_is_never_guessed(body: Any, value: object, reason: str) -> None:
    """A paid delivery whose amount is missing or malformed gives no evidence, and a constant that says why."""
    name = body["data"]["object"]["object"]
    reading = read_event(with_value(body, ("data", "object", AMOUNTS[name]), value))

    assert (reason, []) == (reading.problem, [item for item in reading.facts if item.evidence])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "currency_missing"),
        ("", "currency_missing"),
        (978, "currency_type"),
        (["eur"], "currency_type"),
        ("e", "currency_malformed"),
        ("euro", "currency_malformed"),
        ("e1r", "currency_malformed"),
        ("€€€", "currency_malformed"),
        ("ßßß", "currency_malformed"),
        ("eu ", "currency_malformed"),
        ("\ud800eu", "currency_malformed"),
    ],
)
@pytest.mark.parametrize("body", PAID, ids=lambda body: body["type"])
def test_a_currency_is_never_guessed(body: Any, value: object, reason: str) -> None:
    """A paid delivery whose currency is missing or malformed gives no evidence, and a constant that says why."""
    reading = read_event(with_value(body, ("data", "object", "currency"), value))

    assert (reason, []) == (reading.problem, [item for item in reading.facts if item.evidence])


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("data",), None, "object_missing"),
        (("data",), [], "object_missing"),
        (("data", "object"), None, "object_missing"),
        (("data", "object"), {}, "object_missing"),
        (("data", "object"), "pi_1", "object_missing"),
        (("data", "object", "object"), "refund", "object_missing"),
        (("data", "object", "id"), None, "id_missing"),
        (("data", "object", "id"), 5, "id_missing"),
        (("data", "object", "id"), "a b", "id_missing"),
        (("account",), 5, "account_malformed"),
        (("account",), "a@b.example", "account_malformed"),
    ],
)
@pytest.mark.parametrize("body", PAID, ids=lambda body: body["type"])
def test_money_without_a_name_is_reported(body: Any, path: tuple[str, ...], value: object, reason: str) -> None:
    """A paid delivery that does not say of what it speaks gives no evidence, and a constant that says why."""
    reading = read_event(with_value(body, path, value))

    assert (reason, []) == (reading.problem, [item for item in reading.facts if item.evidence])


@pytest.mark.parametrize(
    ("kind", "field", "value", "reason"),
    [
        ("checkout.session", "payment_status", None, "status_missing"),
        ("checkout.session", "payment_status", 1, "status_missing"),
        ("checkout.session", "mode", None, "mode_unknown"),
        ("checkout.session", "mode", ["payment"], "mode_unknown"),
        ("checkout.session", "mode", HUGE, "mode_unknown"),
        ("payment_intent", "status", None, "status_missing"),
        ("payment_intent", "status", {}, "status_missing"),
        ("charge", "captured", None, "captured_missing"),
        ("charge", "captured", "true", "captured_missing"),
        ("charge", "captured", 1, "captured_missing"),
        ("charge", "status", 5, "status_missing"),
        ("invoice", "status", None, "status_missing"),
        ("invoice_payment", "status", None, "status_missing"),
        ("invoice_payment", "invoice", None, "invoice_missing"),
    ],
    ids=name_of,
)
def test_a_status_is_never_guessed(kind: str, field: str, value: object, reason: str) -> None:
    """An event of the paid kind whose status cannot be read is reported, and is no evidence."""
    for body in (b for b in PAID if b["data"]["object"]["object"] == kind):
        reading = read_event(with_value(body, ("data", "object", field), value))

        assert (reason, []) == (reading.problem, [item for item in reading.facts if item.evidence])


def test_a_reason_never_holds_a_value() -> None:
    """What is reported is a constant of the code and well-formed ids, whatever the body holds."""
    canary = "canary jane@example.org 4242424242424242"
    for body in PAID:
        for path in paths(body):
            reading = read_event(with_value(body, path, canary))

            assert "canary" not in json.dumps([reading.problem, reading.kind, reading.ids])


def test_what_cannot_be_counted_still_links() -> None:
    """A Session whose amount is malformed gives its order and its link to the payment that another delivery counts."""
    body = flows.checkout(1).events[0]
    reading = read_event(with_value(body, ("data", "object", "amount_total"), "4999"))

    assert [("cs", "pi")] == [tuple(alias.kind for alias in item.aliases) for item in reading.facts]
    assert "order-1" == reading.facts[0].labels["order_id"]["metadata.order_id"][1]


def test_deep_nesting_is_not_walked() -> None:
    """A body that is nested deeper than Python recurses is read where it matters and not walked."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"metadata": deep}
    body = flows.checkout(1).events[0]
    body = {**body, "data": {"object": {**body["data"]["object"], "metadata": deep, "custom_fields": [deep]}}}
    evidence = [item.evidence for item in read_event(body).facts]
    while deep:  # taken apart by hand: the interpreter's own way down is recursive
        deep = deep.pop("metadata")

    assert [4999] == [item.amount_minor for item in evidence if item]
