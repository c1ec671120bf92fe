# SPDX-License-Identifier: Apache-2.0
"""A field says what it means, or its class is not built; and the events say what the product promises."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from otel_revenue.schema import lint
from otel_revenue.schema.events import EVENTS, CommonEvent, OrderPaid
from otel_revenue.schema.fields import Kind, RevenueEvent, Sensitivity, attribute, attributes_of

B, P, T = Sensitivity.BUSINESS, Sensitivity.PSEUDONYMOUS, Sensitivity.TECHNICAL
ALL = [
    pytest.param(event, info, id=f"{event.event_name}:{wire}")
    for event in EVENTS
    for wire, info in attributes_of(event).items()
]


def declare(annotation, *arguments, name="thing", **options):
    """Build an event with one field."""
    body = {"__annotations__": {name: annotation}, "__module__": __name__, name: attribute(*arguments, **options)}
    return type("Declared", (RevenueEvent,), body)


def test_a_plain_field_is_refused():
    """
    A field without declaration stops its class, with its name and the remedy.
    """
    with pytest.raises(
        TypeError, match=r"Plain.tier is a plain field: declare it with attribute\(meaning, sensitivity, kind, example="
    ):

        class Plain(RevenueEvent):
            tier: str | None = None


@pytest.mark.parametrize("missing", ["meaning", "sensitivity", "kind", "example"])
def test_nothing_of_a_declaration_may_be_left_out(missing):
    """
    Meaning, sensitivity, kind and example have no default.
    """
    said = {"meaning": "A thing of the shop.", "sensitivity": B, "kind": Kind.LABEL, "example": "x"}
    del said[missing]

    with pytest.raises(TypeError, match=missing):
        attribute(**said)


GOOD = "A thing of the shop."
REFUSED = [
    # rule, annotation, kind, options, part of the remedy
    ("meaning", str | None, Kind.LABEL, {"meaning": ""}, "say in a sentence"),
    ("meaning", str | None, Kind.LABEL, {"meaning": "a thing of ours"}, "say in a sentence"),
    ("name", str | None, Kind.LABEL, {"wire": "Thing"}, "lower case"),
    ("name", str | None, Kind.LABEL, {"wire": "thing-two"}, "lower case"),
    ("name", str | None, Kind.LABEL, {"wire": "a..b"}, "lower case"),
    *(
        ("personal", str | None, Kind.LABEL, {"wire": wire}, "personal data cannot be declared")
        for wire in (
            "email", "customer_email", "buyer.name", "phone", "phone_number", "card", "card.last4", "e_mail", "billing_address",
            "iban", "ip", "full_name", "first_name", "note", "gift_message", "customer_id", "user.id", "postal_code", "city",
            "description", "fingerprint", "tel", "zip", "password", "firstname", "stripe.customer.id",
        )
    ),
    ("example", str | None, Kind.LABEL, {"example": 3}, "give an example"),
    ("example", str | None, Kind.LABEL, {"example": ""}, "give an example"),
    ("example", str | None, Kind.LABEL, {"example": "x" * 255}, "give an example"),
    ("example", str | None, Kind.CODE, {"example": "xx", "pattern": "[A-Z]{2}"}, "fits the pattern"),
    ("example", int | None, Kind.COUNT, {"example": -1, "unit": "{item}"}, "give an example"),
    ("example", int | None, Kind.COUNT, {"example": True, "unit": "{item}"}, "give an example"),
    ("example", list[str] | None, Kind.IDS, {"example": []}, "give an example"),
    ("example", bool | None, Kind.FLAG, {"example": "true"}, "give an example"),
    ("pattern", str | None, Kind.CODE, {}, "give a pattern to a code"),
    ("pattern", str | None, Kind.LABEL, {"pattern": "x"}, "give a pattern to a code"),
    ("pattern", str | None, Kind.CODE, {"pattern": r"\d+", "example": "1"}, "ASCII classes with bounds"),
    ("pattern", str | None, Kind.CODE, {"pattern": "[a-z]+"}, "ASCII classes with bounds"),
    ("pattern", str | None, Kind.CODE, {"pattern": "x.*"}, "ASCII classes with bounds"),
    ("unit", int | None, Kind.COUNT, {"example": 1}, "say the unit"),
    ("unit", str | None, Kind.LABEL, {"unit": "ms"}, "leave the unit"),
    ("suffix", int | None, Kind.COUNT, {"example": 1, "unit": "ms"}, "in _ms"),
    ("suffix", int | None, Kind.COUNT, {"example": 1, "unit": "s", "wire": "wait_ms"}, "in _ms"),
    ("suffix", int | None, Kind.COUNT, {"example": 1, "unit": "{cent}", "wire": "fee_minor"}, "in _minor"),
    ("suffix", int | None, Kind.MINOR, {"example": 1, "unit": "minor units of currency", "wire": "fee"}, "in _minor"),
    ("suffix", str | None, Kind.LABEL, {"wire": "item_count"}, "make it a count"),
    ("suffix", str | None, Kind.LABEL, {"wire": "design_id"}, "make it an id"),
    ("money", int | None, Kind.MINOR, {"example": 1, "unit": "cents", "wire": "fee_minor"}, "minor units of <attribute"),
    ("money", int | None, Kind.MINOR, {"example": 1, "unit": "minor units of currency", "wire": "fee_minor"}, "minor units of <attribute"),
    ("money", float | None, Kind.MAJOR, {"example": 1.0, "unit": "minor units of currency", "wire": "fee"}, "major units of <attribute"),
    ("label", str | None, Kind.ID, {"metric_label": True}, "may label a metric"),
    ("label", int | None, Kind.COUNT, {"example": 1, "unit": "{item}", "metric_label": True}, "may label a metric"),
    ("browser", int | None, Kind.MINOR,
     {"example": 1, "unit": "minor units of currency", "wire": "fee_minor", "browser": True}, "leave out browser=True"),
    ("browser", str | None, Kind.LABEL, {"wire": "own_currency", "browser": True}, "leave out browser=True"),
    ("browser", str | None, Kind.ID, {"wire": "stripe.charge.id", "browser": True}, "leave out browser=True"),
    ("type", str | None, Kind.COUNT, {"example": 1, "unit": "{item}"}, "annotate it as int | None"),
    ("type", str, Kind.LABEL, {}, "annotate it as str | None"),
    ("type", float | None, Kind.MINOR, {"example": 1, "unit": "minor units of currency", "wire": "fee_minor"}, "annotate it as int | None"),
    ("type", str | None, Kind.LABEL, {"required": True}, "annotate it as str"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "kind", "options", "remedy"),
    [r[1:] for r in REFUSED],
    ids=[f"{i}-{r[0]}" for i, r in enumerate(REFUSED)],
)
def test_a_declaration_without_sense_is_refused(annotation, kind, options, remedy):
    """
    Each rule of the lint stops a class that breaks it, and says how to mend it.
    """
    options = {"meaning": GOOD, "example": "x", **options}

    with pytest.raises(TypeError) as refusal:
        declare(annotation, options.pop("meaning"), B, kind, **options)

    assert remedy in str(refusal.value)


def test_all_problems_are_told_at_once():
    """
    One round of mending: everything that is wrong with a class is in one text.
    """
    with pytest.raises(TypeError) as refusal:

        class Wrong(RevenueEvent):
            email: str | None = attribute("An address", B, Kind.LABEL, example="")
            wait_ms: int | None = attribute("A time to wait.", T, Kind.COUNT, example=1)

    assert 5 == len(str(refusal.value).splitlines()) - 1


def test_an_amount_needs_its_integer_beside_it():
    """
    A double is declared beside the integer of the same currency, or not at all.
    """
    with pytest.raises(TypeError, match="declare fee_minor beside it"):

        class Fee(RevenueEvent):
            currency: str | None = attribute("Currency of the fee.", B, Kind.CODE, example="EUR", pattern="[A-Z]{3}")
            fee: float | None = attribute("A fee of ours.", B, Kind.MAJOR, example=1.0, unit="major units of currency")


def test_a_good_declaration_is_taken():
    """
    A field that says all of it becomes a field, under its name on the wire.
    """
    event = declare(str | None, GOOD, B, Kind.ID, name="thing_id", example="t-1", wire="shop.thing.id")

    assert ["shop.thing.id"] == list(attributes_of(event))


@pytest.mark.parametrize(("event", "info"), ALL)
def test_every_attribute_says_what_it_is(event, info):
    """
    Every attribute of every event has meaning, sensitivity, example, and a unit where it is a number.
    """
    numeric = info.kind in (Kind.COUNT, Kind.MINOR, Kind.MAJOR)

    assert (True, True, True, numeric) == (
        info.meaning.endswith("."), isinstance(info.sensitivity, Sensitivity), info.example not in (None, "", []), bool(info.unit),
    )  # fmt: skip


@pytest.mark.parametrize("rule", lint.RULES, ids=lambda rule: rule.__name__)
def test_every_rule_says_itself(rule):
    """
    The docstring of a rule is the rule, in a sentence.
    """
    assert (rule.__doc__ or "").strip().endswith((".", ")"))


def test_one_name_means_one_thing():
    """
    No two events declare the same attribute with another kind, form, unit or sensitivity.
    """
    assert [] == lint.disagreements({event.event_name: attributes_of(event) for event in EVENTS})


def test_a_disagreement_is_seen():
    """
    The check above knows a disagreement.
    """
    one = {"x_id": attributes_of(declare(str | None, GOOD, B, Kind.ID, name="x_id", example="t"))["x_id"]}
    other = {"x_id": attributes_of(declare(str | None, GOOD, P, Kind.ID, name="x_id", example="t"))["x_id"]}

    assert ["x_id: b declares it differently from a"] == lint.disagreements({"a": one, "b": other})


COMMON = """
    event_id schema_version order_id journey_id tier subtotal subtotal_minor currency country surface surface_source
    livemode elapsed_ms synthetic replayed
""".split()
PAID = """
    amount amount_minor amount_status item_count skus skus_cut discount discount_minor tax tax_minor shipping shipping_minor
    presentment_amount presentment_amount_minor presentment_currency payment_kind payment_method_type time_to_pay_ms
    stripe.checkout.session.id stripe.payment_intent.id stripe.charge.id stripe.invoice.id stripe.subscription.id stripe.account.id
""".split()


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("checkout.start", [*COMMON, "item_count", "skus"]),
        (
            "checkout.session_created",
            [*COMMON, "stripe.checkout.session.id", "stripe.payment_intent.id", "stripe.subscription.id"],
        ),
        ("design.started", [*COMMON, "design_id"]),
        ("design.approved", [*COMMON, "design_id", "duration_ms"]),
        ("order.paid", [*COMMON, *PAID]),
    ],
)
def test_the_promised_attributes_are_declared(name, attributes):
    """
    Each event carries the keys that dashboards and alerts are promised.
    """
    declared = {event.event_name: attributes_of(event) for event in EVENTS}[name]

    assert [] == [wire for wire in attributes if wire not in declared]


def test_a_browser_says_nothing_of_money():
    """
    What a browser may send is written here as well: three stages of the funnel, and neither amount, currency, id of Stripe's
    nor anything that is ours to say.
    """
    said = {
        event.event_name: {wire for wire, info in attributes_of(event).items() if info.browser}
        for event in EVENTS
        if event.from_browser
    }
    common = {"order_id", "journey_id", "tier", "surface", "synthetic"}

    assert {
        "checkout.start": {*common, "item_count", "skus"},
        "design.started": {*common, "design_id"},
        "design.approved": {*common, "design_id", "duration_ms"},
    } == said


def test_kinds_of_payment_are_those_of_the_definitions():
    """
    Metrics tell renewals from orders by these words.
    """
    assert "one_off|subscription_first|subscription_renewal|invoice" == attributes_of(OrderPaid)["payment_kind"].pattern


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.event_name)
def test_events_are_frozen_closed_and_documented(event):
    """
    An event takes no other attribute, cannot be changed, and says when it happens.
    """
    values = {wire: info.example for wire, info in attributes_of(event).items()}
    built = event.model_validate(values)

    with pytest.raises(ValidationError):
        event.model_validate({**values, "customer_email": "ada@example.com"})
    with pytest.raises(ValidationError):
        built.tier = "other"

    assert (values, True, True) == (
        built.model_dump(by_alias=True),
        issubclass(event, CommonEvent),
        bool(event.__doc__),
    )


def test_event_names_are_unique():
    """
    No two events share a name.
    """
    names = [event.event_name for event in EVENTS]

    assert len(names) == len(set(names))
