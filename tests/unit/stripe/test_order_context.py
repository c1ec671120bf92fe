"""What an order is about: which source wins, what is only requested, and what the parts of its amount are."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.config import Settings
from otel_revenue.instrumentation.stripe import items, order
from otel_revenue.instrumentation.stripe.params import normalise
from otel_revenue.schema.money import EXPONENTS
from otel_revenue.signals.record import clean_id
from support import stripe_events as flows
from support.till import Till

SESSIONS = "/v1/checkout/sessions"
SKUS = Settings().sku_from
TIERS = Settings().tier_from


def paid(*bodies: Any, settings: Settings | None = None) -> dict[str, Any]:
    """The attributes of the one payment that the deliveries tell of."""
    settings = settings or Settings()
    till = Till(settings)
    for body in bodies:
        till.deliver(body)
    till.close_day()
    (payment,) = till.recorded
    return order.paid_attributes(payment, settings)


def completed(**over: Any) -> Any:
    return flows.event("checkout.session.completed", flows.session(1, 4999, **over), n=1)


def succeeded(**over: Any) -> Any:
    return flows.event("payment_intent.succeeded", flows.intent(1, 4999, **over), n=1)


def charged(**over: Any) -> Any:
    return flows.event("charge.succeeded", flows.charge(1, 4999, **over), n=1)


# -- amounts -----------------------------------------------------------------------------------------------------------


def test_the_parts_of_an_amount_add_up() -> None:
    """Subtotal, discount, tax and shipping come from one object, in minor and major units, and add up to the amount."""
    attributes = paid(
        completed(
            amount_total=5449,
            amount_subtotal=5000,
            total_details={"amount_discount": 500, "amount_tax": 450, "amount_shipping": 499},
        ),
    )
    parts = {name: attributes[f"{name}_minor"] for name in ("subtotal", "discount", "tax", "shipping")}

    assert {"subtotal": 5000, "discount": 500, "tax": 450, "shipping": 499} == parts
    assert attributes["amount_minor"] == parts["subtotal"] - parts["discount"] + parts["tax"] + parts["shipping"]
    assert (54.49, 50.0, 5.0, 4.5, 4.99) == tuple(
        attributes[name] for name in ("amount", "subtotal", "discount", "tax", "shipping")
    )


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from(sorted(EXPONENTS)),
)
def test_parts_are_copied_whatever_the_currency(sub: int, tax: int, shipping: int, discount: int, code: str) -> None:
    """Whatever the parts and the currency, the integers are copied and the identity of Stripe's total holds."""
    discount = min(discount, sub)
    total = sub - discount + shipping + tax
    details = {"amount_discount": discount, "amount_tax": tax, "amount_shipping": shipping}
    if total == 0:
        return
    attributes = paid(
        completed(amount_total=total, amount_subtotal=sub, total_details=details, currency=code.lower()),
    )
    wanted = {"amount": total, "subtotal": sub, "discount": discount, "tax": tax, "shipping": shipping}

    assert wanted == {name: attributes[f"{name}_minor"] for name in wanted}
    assert code == attributes["currency"]
    assert all(Decimal(str(attributes[n])).scaleb(EXPONENTS[code]) == minor for n, minor in wanted.items())


def test_parts_of_another_total_are_left_out() -> None:
    """After a partial capture the Session's discount, tax and shipping belong to another total, and are not told."""
    attributes = paid(*flows.manual_capture(1).events)

    assert (5000, None, None) == (attributes["amount_minor"], attributes.get("tax"), attributes.get("shipping_minor"))


def test_the_amounts_of_the_creation_give_way_to_those_of_the_payment() -> None:
    """A discount that the buyer entered on Stripe's page is in the subtotal's parts, though the creation knew none."""
    till, settings = Till(), Settings()
    till.answer("POST", SESSIONS, flows.session(1, 4999, payment_status="unpaid", status="open", payment_intent=None))
    till.deliver(
        completed(amount_total=4499, amount_subtotal=4999, total_details={"amount_discount": 500, "amount_tax": 0})
    )
    attributes = order.paid_attributes(till.recorded[0], settings)

    assert (4499, 4999, 500) == tuple(attributes[f"{name}_minor"] for name in ("amount", "subtotal", "discount"))


def test_an_unknown_currency_keeps_its_minor_units() -> None:
    """A well-formed currency that Stripe's table does not know keeps its integers, has no number, and is marked."""
    attributes = paid(completed(currency="xts"))

    assert ("XTS", 4999, "unknown_currency") == tuple(
        attributes[name] for name in ("currency", "amount_minor", "amount_status")
    )
    assert not {"amount", "subtotal", "tax"} & attributes.keys()
    assert "amount_status" not in paid(completed())


def test_presentment_stands_beside_settlement() -> None:
    """What the buyer saw, in their own currency and its exponent, stands beside the amount; the same currency is not told twice."""
    shown = {"presentment_amount": 8123, "presentment_currency": "jpy"}
    attributes = paid(completed(presentment_details=shown))
    same = paid(completed(presentment_details={"presentment_amount": 4999, "presentment_currency": "eur"}))

    assert (4999, 49.99, 8123, 8123.0, "JPY") == tuple(
        attributes[name]
        for name in ("amount_minor", "amount", "presentment_amount_minor", "presentment_amount", "presentment_currency")
    )
    assert "presentment_currency" not in same


@pytest.mark.parametrize(
    "shown",
    [
        None,
        [],
        {"presentment_amount": 1.5, "presentment_currency": "jpy"},
        {"presentment_amount": 5},
        {"presentment_amount": -5, "presentment_currency": "jpy"},
        {"presentment_amount": 5, "presentment_currency": "yen!"},
    ],
)
def test_malformed_presentment_is_left_out(shown: object) -> None:
    """Presentment amounts that cannot be read are left out; the payment is recorded."""
    attributes = paid(completed(presentment_details=shown))

    assert (4999, None) == (attributes["amount_minor"], attributes.get("presentment_amount_minor"))


def test_the_invoice_says_what_it_is_made_of() -> None:
    """An invoice's parts, units and SKUs come from the invoice itself, in the current shape and the one before 2025-03-31."""
    lines = [
        {"quantity": 2, "pricing": {"price_details": {"price": "price_1", "product": "prod_1"}}},
        {"quantity": 1, "price": {"id": "price_2", "lookup_key": "frame-oak", "product": "prod_2"}},
    ]
    bill = flows.invoice(
        1,
        3300,
        subtotal=3000,
        total_taxes=[{"amount": 300}, {"amount": 200}],
        total_discount_amounts=[{"amount": 200}],
        lines={"data": lines, "has_more": False},
    )
    attributes = paid(flows.event("invoice.paid", bill, n=1))

    assert (3300, 3000, 500, 200, 0) == tuple(
        attributes[f"{name}_minor"] for name in ("amount", "subtotal", "tax", "discount", "shipping")
    )
    assert (3, ["price_1", "frame-oak"]) == (attributes["item_count"], attributes["skus"])
    assert "requested_attributes" not in attributes


def test_lines_that_are_not_all_there_are_not_counted() -> None:
    """An invoice of more than ten lines shows the first ten: no count is better than a wrong one."""
    bill = flows.invoice(1, 3300, lines={"data": [{"quantity": 2, "price": {"id": "price_1"}}], "has_more": True})

    assert not {"item_count", "skus"} & paid(flows.event("invoice.paid", bill, n=1)).keys()


# -- sources -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("metadata.order_id", "client_reference_id", "session.id"), "order-1"),
        (("client_reference_id", "metadata.order_id"), "ref-7"),
        (("session.id", "client_reference_id"), flows.session_id(1)),
        (("payment_intent.id",), flows.intent(1, 1)["id"]),
        (("metadata.shop_order", "metadata.order_id"), "so-9"),
        (("metadata.absent", "metadata.shop_order"), "so-9"),
        (("metadata.absent",), None),
        (("invoice.id", "session.id"), flows.session_id(1)),
    ],
)
def test_order_id_comes_from_the_first_source_that_has_one(sources: tuple[str, ...], expected: str | None) -> None:
    """The configured sources are asked in their order, whichever object carries them."""
    settings = Settings(order_id_from=sources)
    bodies = (
        completed(client_reference_id="ref-7", metadata={"order_id": "order-1", "shop_order": "so-9"}),
        succeeded(payment_details={"order_reference": flows.session_id(1)}),
    )

    assert expected == paid(*bodies, settings=settings).get("order_id")
    assert expected == paid(*reversed(bodies), settings=settings).get("order_id")


def test_the_session_s_metadata_come_before_the_intent_s() -> None:
    """Where Session and PaymentIntent carry the same key with different values, the Session's is taken, in any order."""
    bodies = (
        completed(metadata={"order_id": "of-session"}),
        succeeded(metadata={"order_id": "of-intent"}, payment_details={"order_reference": flows.session_id(1)}),
    )

    assert {"of-session"} == {paid(*o)["order_id"] for o in (bodies, tuple(reversed(bodies)))}


COUNTRIES = {
    "session.billing": (completed, {"customer_details": {"address": {"country": "AA"}}}),
    "session.shipping": (
        completed,
        {"collected_information": {"shipping_details": {"address": {"country": "BB"}}}},
    ),
    "payment_intent.shipping": (succeeded, {"shipping": {"address": {"country": "CC"}}}),
    "charge.billing": (charged, {"billing_details": {"address": {"country": "DD"}}}),
    "metadata.country": (completed, {"metadata": {"country": "gg"}}),
    "card_issuer": (charged, {"payment_method_details": {"type": "card", "card": {"country": "HH"}}}),
}
KINDS = {
    "session.billing": "billing",
    "session.shipping": "shipping",
    "payment_intent.shipping": "shipping",
    "charge.billing": "billing",
    "metadata.country": "metadata",
    "card_issuer": "card_issuer",
}
VALUES = dict(zip(COUNTRIES, ("AA", "BB", "CC", "DD", "GG", "HH"), strict=True))


def _told(present: list[str]) -> list[Any]:
    over: dict[Any, dict[str, Any]] = {
        completed: {"customer_details": None},
        succeeded: {"payment_details": {"order_reference": flows.session_id(1)}},
        charged: {"billing_details": None, "payment_method_details": {"type": "card"}},
    }
    for source in present:
        make, fields = COUNTRIES[source]
        over[make].update(fields)
    return [make(**fields) for make, fields in over.items()]


@pytest.mark.parametrize("first", range(len(COUNTRIES)))
def test_country_comes_in_the_documented_order(first: int) -> None:
    """Billing, shipping, PaymentIntent, charge, metadata, card issuer: the first that is there, and of which kind it was."""
    present = list(COUNTRIES)[first:]
    settings = Settings()
    till = Till(settings)
    bodies = _told(present)
    for body in (bodies[2], bodies[1], bodies[0]):  # the charge and the intent wait for the Session
        till.deliver(body)
    (payment,) = till.recorded
    attributes = order.paid_attributes(payment, settings)

    assert (VALUES[present[0]], KINDS[present[0]]) == (attributes["country"], attributes["country_source"])


def test_an_invoice_has_its_buyer_s_country() -> None:
    """An invoice's country is the customer's, billing before shipping; the merchant's `account_country` is never used."""
    address = {"customer_address": {"country": "AT"}, "customer_shipping": {"address": {"country": "CH"}}}
    both = paid(flows.event("invoice.paid", flows.invoice(1, 5, account_country="US", **address), n=1))
    shipping = paid(
        flows.event(
            "invoice.paid", flows.invoice(1, 5, account_country="US", **{**address, "customer_address": None}), n=1
        )
    )
    neither = paid(flows.event("invoice.paid", flows.invoice(1, 5, account_country="US"), n=1))

    assert ("AT", "CH", None) == (both["country"], shipping["country"], neither.get("country"))


@pytest.mark.parametrize("value", ["", "D", "DEU", "Germany", "D1", "ＤＥ", None, 49, ["DE"], {"a": 1}])
def test_what_is_no_country_is_left_out(value: object) -> None:
    """A country that is not two letters is no country: absent, never empty."""
    attributes = paid(completed(customer_details={"address": {"country": value}}))

    assert not {"country", "country_source"} & attributes.keys()


@pytest.mark.parametrize(
    "value",
    [
        "jane@example.org",
        "order-jane@example.org",
        "jane%40example.org",
        "Jane Doe",
        "Jané",
        "4242424242424242",
        "4242 4242 4242 4242",
        "+49 171 1234567",
        "DE89370400440532013000",
        "sk_live_abcdefghijklmnop",
        "a\x00b",
        "\ud800",
        "x" * 201,
        "",
        "   ",
        None,
        5,
        ["ref-1"],
    ],
    ids=ascii,
)
def test_a_client_reference_that_is_no_id_is_left_out(value: object) -> None:
    """`client_reference_id` is the shop's free text: what looks like a person, a card or a secret is not taken."""
    settings = Settings(order_id_from=("client_reference_id",))

    assert "order_id" not in paid(completed(client_reference_id=value), settings=settings)


@pytest.mark.parametrize("value", ["ref-1", "2024/118#3", "b7f1c2d0-1f3e-4a53-9d55-0c2f6f1a7e11", "1700000000000"])
def test_a_client_reference_that_is_an_id_is_taken(value: str) -> None:
    """Ids as shops have them are taken unchanged."""
    settings = Settings(order_id_from=("client_reference_id",))

    assert value == paid(completed(client_reference_id=value), settings=settings)["order_id"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("order-1", "order-1"),
        (1234, "1234"),
        ("  order-1 ", "order-1"),
        ("jane@example.org", None),
        ("4242424242424242", None),
        ("+49 171 1234567", None),
        (True, None),
        (1.5, None),
        (2**70, None),
        ("", None),
        (None, None),
        (["order-1"], None),
    ],
    ids=ascii,
)
def test_metadata_values_are_checked(value: object, expected: str | None) -> None:
    """A configured metadata key gives text or an integer; what looks like personal data, and other types, give nothing."""
    settings = Settings(order_id_from=("metadata.order_id",))

    assert expected == paid(completed(metadata={"order_id": value}), settings=settings).get("order_id")


def test_an_id_that_is_too_long_becomes_its_hash() -> None:
    """An order_id beyond the limit of 254 is replaced as a whole by a hash, so that it still joins."""
    attributes = paid(completed(metadata={"order_id": "x" * 500}))

    assert attributes["order_id"].startswith("sha256:")
    assert attributes["order_id"] == paid(succeeded(metadata={"order_id": "x" * 500}))["order_id"]


def test_only_configured_metadata_are_taken() -> None:
    """Metadata keys that no source names are not in the facts at all."""
    till = Till()
    till.deliver(completed(metadata={"order_id": "order-1", "note": "canary-note", "gift_for": "canary-name"}))

    assert "canary" not in str(till.taken)


def test_the_event_carries_every_id_that_is_known() -> None:
    """Ids of the objects of a payment are on its event, whichever object named them."""
    one = paid(completed(payment_link="plink_1"))
    bill = paid(*flows.renewal(1, old=True).events[2:3])

    assert (flows.session_id(1), flows.intent(1, 1)["id"], "plink_1") == tuple(
        one[f"stripe.{name}.id"] for name in ("checkout.session", "payment_intent", "payment_link")
    )
    assert (flows.invoice_id(1), flows.intent(1, 1)["id"], flows.charge(1, 1)["id"], f"sub_{1:016d}") == tuple(
        bill[f"stripe.{name}.id"] for name in ("invoice", "payment_intent", "charge", "subscription")
    )


# -- create parameters -------------------------------------------------------------------------------------------------


class Size(str, Enum):
    """An application's own kind of text."""

    BIG = "price_big"


LINE = {"price_data": {"product_data": {"metadata": {"sku": "poster-a3"}}}}
FORMS = {
    "plain": ({"line_items": [{**LINE, "quantity": 2}, {"price": "price_1"}]}, 3, ["poster-a3", "price_1"]),
    "numbers as text": ({"line_items": [{"price": "price_1", "quantity": "2"}]}, 2, ["price_1"]),
    "tuples": ({"line_items": ({"price": "price_1", "quantity": 2},)}, 2, ["price_1"]),
    "indices": ({"line_items": {"0": {"price": "price_1"}, "1": {"price": "price_2"}}}, 2, ["price_1", "price_2"]),
    "brackets": (
        {"line_items[0][price]": "price_1", "line_items[0][quantity]": "2", "line_items[1][price]": "price_2"},
        3,
        ["price_1", "price_2"],
    ),
    "bytes": ({b"line_items": [{b"price": b"price_1", b"quantity": b"2"}]}, 2, ["price_1"]),
    "enum": ({"line_items": [{"price": Size.BIG}]}, 1, ["price_big"]),
    "subscription": ({"items": [{"price": "price_1", "quantity": 4}]}, 4, ["price_1"]),
    "twice the same": ({"line_items": [{"price": "price_1"}, {"price": "price_1"}]}, 2, ["price_1"]),
    "malformed quantity": ({"line_items": [{"price": "price_1", "quantity": "two"}]}, None, ["price_1"]),
    "quantity of float": ({"line_items": [{"price": "price_1", "quantity": 2.0}]}, None, ["price_1"]),
    "negative": ({"line_items": [{"price": "price_1", "quantity": -1}]}, None, ["price_1"]),
    "an address as a SKU": (
        {"line_items": [{"price_data": {"product_data": {"metadata": {"sku": "jane@example.org"}}}}]},
        1,
        None,
    ),
    "nothing": (None, None, None),
    "empty": ({}, None, None),
    "none": ({"line_items": None}, None, None),
    "text": ({"line_items": "all of it"}, None, None),
}


@pytest.mark.parametrize("form", FORMS)
def test_items_are_read_in_every_form_of_the_parameters(form: str) -> None:
    """Units and SKUs come from the create parameters in whatever form the application passes them; what is malformed gives none."""
    params, count, skus = FORMS[form]
    labels = items.from_params(normalise(params), SKUS, TIERS, clean_id)
    found = {name: candidates["requested"][1] for name, candidates in labels.items()}

    assert {k: v for k, v in {"item_count": count, "skus": skus}.items() if v is not None} == found


def test_items_are_read_from_stripe_s_own_objects() -> None:
    """A Price of the library's stands for its id, as in the library's own encoder."""
    price = stripe.Price.construct_from({"id": "price_9", "object": "price", "lookup_key": "x"}, "sk_test_x")
    params = {"line_items": [{"price": price, "quantity": 2}]}
    labels = items.from_params(normalise(params), SKUS, TIERS, clean_id)

    assert (2, ["price_9"]) == tuple(labels[name]["requested"][1] for name in ("item_count", "skus"))


def test_what_the_request_asked_for_is_kept_by_session() -> None:
    """What the create parameters said is on the payment that a webhook tells of later, marked as requested."""
    till, settings = Till(), Settings()
    requested = items.from_params(
        normalise({"line_items": [{"price": "price_1", "quantity": "2", "metadata": {"tier": "gold"}}]}),
        SKUS,
        TIERS,
        clean_id,
    )
    opened = flows.session(1, 4999, payment_status="unpaid", status="open", payment_intent=None, metadata={})
    till.answer("POST", SESSIONS, opened, requested=requested, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    till.deliver(completed(metadata={}))
    (payment,) = till.recorded
    attributes = order.paid_attributes(payment, settings)

    assert (2, ["price_1"], "gold") == tuple(attributes[name] for name in ("item_count", "skus", "tier"))
    assert ["item_count", "skus", "tier"] == attributes["requested_attributes"]
    assert f"00-{'a' * 32}-{'b' * 16}-01" == payment.traceparent


def test_lines_that_stripe_returned_come_before_what_was_requested() -> None:
    """Expanded line items are Stripe's word: they replace what was requested, and are not marked."""
    till, settings = Till(), Settings()
    requested = items.from_params(normalise({"line_items": [{"price": "price_1"}]}), SKUS, TIERS, clean_id)
    opened = flows.session(1, 4999, payment_status="unpaid", status="open", payment_intent=None)
    till.answer("POST", SESSIONS, opened, requested=requested)
    lines = {"data": [{"quantity": 3, "price": {"id": "price_2", "lookup_key": "poster-a2"}}], "has_more": False}
    till.answer("GET", f"{SESSIONS}/{opened['id']}", flows.session(1, 4999, line_items=lines))
    attributes = order.paid_attributes(till.recorded[0], settings)

    assert (3, ["poster-a2"]) == (attributes["item_count"], attributes["skus"])
    assert "requested_attributes" not in attributes


def test_what_is_bound_in_the_request_is_marked() -> None:
    """What only `bind` said comes first where it is configured so, and is marked; what Stripe confirms is not."""
    labels: Any = {
        "order_id": {"bind": [0, "o-bound"], "metadata.order_id": [1, "o-meta"]},
        "tier": {"bind": [0, "gold"]},
        "country": {"bind": [0, "FR"]},
        "subtotal_minor": {"bind": [0, [1000, "EUR"]]},
    }
    first = order.context_attributes(labels, Settings(), currency="EUR")
    last = order.context_attributes(labels, Settings(order_id_from=("metadata.order_id", "bind")), currency="EUR")

    assert ("o-bound", "gold", "FR", "request", 1000, 10.0) == tuple(
        first[n] for n in ("order_id", "tier", "country", "country_source", "subtotal_minor", "subtotal")
    )
    assert ["country", "order_id", "subtotal_minor", "tier"] == first["requested_attributes"]
    assert ("o-meta", False) == (last["order_id"], "order_id" in last["requested_attributes"])


def test_a_bound_subtotal_of_another_currency_is_left_out() -> None:
    """A subtotal that the request bound in another currency than the payment's is not told."""
    labels: Any = {"subtotal_minor": {"bind": [0, [1000, "USD"]]}}

    assert {} == order.context_attributes(labels, Settings(), currency="EUR")
