"""What FakeStripe takes and refuses, through the real stripe library: keys, parameters, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
import stripe

from otel_revenue.testing import FakeStripe
from support.fake_stripe import PAYMENT, POSTER, raw, refused
from support.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        yield running


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["sk_live_0123456789", "nonsense", "pk_test_0123456789", "sk_test_"])
def test_a_wrong_key_is_refused(fake: FakeStripe, key: str) -> None:
    """
    Anything but a secret test key: 401, which the library raises as AuthenticationError; the key is masked in the text.
    """
    client = stripe.StripeClient(key, base_addresses={"api": fake.url})

    error = refused(lambda: client.v1.customers.list(), stripe.AuthenticationError)
    assert (401, True) == (error.http_status, error.user_message.startswith("Invalid API Key provided: "))
    assert len(key) <= 12 or key not in str(error)


def test_no_key_at_all_is_refused(fake: FakeStripe) -> None:
    """
    Without a key: 401 in Stripe's shape.
    """
    answer = requests.get(f"{fake.url}/v1/customers", timeout=30)

    assert (401, "invalid_request_error") == (answer.status_code, answer.json()["error"]["type"])


def test_one_key_can_be_made_the_only_one() -> None:
    """
    A fake with a key of its own refuses every other, and shows it in no representation or log of requests.
    """
    with FakeStripe(api_key="sk_test_the_only_one") as fake:
        Shop(fake).api.customers.list()
        other = stripe.StripeClient("sk_test_another_one", base_addresses={"api": fake.url})
        refused(lambda: other.v1.customers.list(), stripe.AuthenticationError)

        assert "the_only_one" not in repr(fake) + repr(fake.requests)


def test_live_mode_takes_live_keys_alone() -> None:
    """
    A fake in live mode refuses test keys, as Stripe separates the two.
    """
    with FakeStripe(livemode=True) as fake:
        Shop(fake).api.customers.list()
        test = stripe.StripeClient("sk_test_0123456789", base_addresses={"api": fake.url})

        assert 401 == refused(lambda: test.v1.customers.list(), stripe.AuthenticationError).http_status


def test_basic_authentication_works_as_with_curl(fake: FakeStripe) -> None:
    """
    `curl -u sk_test_…:` is how Stripe's documentation shows it.
    """
    assert 200 == requests.get(f"{fake.url}/v1/customers", auth=(fake.api_key, ""), timeout=30).status_code


# -- parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        pytest.param({"colour": "red"}, "parameter_unknown", "colour", id="unknown"),
        pytest.param({"payment_intent_data": {"x": "y"}}, "parameter_unknown", "payment_intent_data[x]", id="nested"),
        pytest.param(
            {"line_items": [{"price_data": {**POSTER, "x": "y"}, "quantity": 1}]},
            "parameter_unknown",
            "line_items[0][price_data][x]",
            id="deeply nested",
        ),
        pytest.param({"line_items": None}, "parameter_missing", "line_items", id="no lines"),
        pytest.param({"mode": None}, "parameter_missing", "mode", id="no mode"),
        pytest.param({"success_url": None}, "parameter_missing", "success_url", id="no url"),
        pytest.param({"success_url": "shop"}, "url_invalid", "success_url", id="a url that is none"),
        pytest.param(
            {"line_items": [{"price": "price_x", "quantity": 1}]},
            "resource_missing",
            "line_items[0][price]",
            id="price",
        ),
        pytest.param({"customer": "cus_x"}, "resource_missing", "customer", id="customer"),
        pytest.param({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at", id="no number"),
        pytest.param(
            {"line_items": [{"price_data": {**POSTER, "unit_amount": -1}, "quantity": 1}]},
            "parameter_invalid_integer",
            "unit_amount",
            id="negative",
        ),
        pytest.param(
            {"line_items": [{"price_data": POSTER, "quantity": -1}]}, "parameter_invalid_integer", "quantity", id="less"
        ),
    ],
)
def test_parameters_are_refused_as_stripe_refuses_them(
    shop: Shop, change: dict[str, Any], code: str, param: str
) -> None:
    """
    400 with Stripe's code, and the parameter's name.
    """
    params = {name: value for name, value in {**PAYMENT, **change}.items() if value is not None}

    error = refused(lambda: shop.api.checkout.sessions.create(params))
    assert (400, code, param) == (error.http_status, error.code, error.param)


@pytest.mark.parametrize(
    ("mode", "data"),
    [("subscription", "payment_intent_data"), ("payment", "subscription_data"), ("payment", "setup_intent_data")],
)
def test_data_of_another_mode_is_refused(shop: Shop, mode: str, data: str) -> None:
    """
    `payment_intent_data` in subscription mode and its likes: 400.
    """
    error = refused(lambda: shop.session(mode=mode, **{data: {"metadata": {"a": "b"}}}))

    assert (400, data) == (error.http_status, error.param)


def test_a_recurring_price_needs_subscription_mode_and_the_other_way_round(shop: Shop) -> None:
    """
    Payment mode with a recurring price, and subscription mode without one: 400.
    """
    monthly = [{"price_data": {**POSTER, "recurring": {"interval": "month"}}, "quantity": 1}]

    assert 400 == refused(lambda: shop.api.checkout.sessions.create({**PAYMENT, "line_items": monthly})).http_status
    assert 400 == refused(lambda: shop.api.checkout.sessions.create({**PAYMENT, "mode": "subscription"})).http_status


def test_payment_method_types_are_refused_in_the_newest_version_alone(shop: Shop) -> None:
    """
    2026-09-30.endive took the parameter away; who asks in an older version may still give it.
    """
    params = {**PAYMENT, "payment_method_types": ["card"]}

    error = refused(lambda: shop.api.checkout.sessions.create(params))
    old = shop.api.checkout.sessions.create(params, {"stripe_version": "2025-03-31.basil"})
    assert ("payment_method_types_no_longer_supported", ["card"]) == (error.code, old.payment_method_types)


def test_amounts_have_at_most_twelve_digits(shop: Shop) -> None:
    """
    0, 13 digits, a float and a currency that is none: 400 with the parameter's name.
    """
    bad = [(0, "eur", "amount"), (10**12, "eur", "amount"), ("1.5", "eur", "amount"), (100, "euro", "currency")]
    seen = [refused(lambda a=a, c=c: shop.intent(a, c)).param for a, c, _ in bad]

    assert [param for _, _, param in bad] == seen


def test_a_refused_request_leaves_nothing_behind(fake: FakeStripe, shop: Shop) -> None:
    """
    Two good lines and a bad one: no product, no event, no Session.
    """
    before = len(fake.events), len(shop.api.products.list({"limit": 100}).data), len(fake.sessions())
    lines = [
        {"price_data": POSTER, "quantity": 1},
        {"price_data": POSTER, "quantity": 2},
        {"price": "price_x", "quantity": 1},
    ]

    refused(lambda: shop.api.checkout.sessions.create({**PAYMENT, "line_items": lines}))
    assert before == (len(fake.events), len(shop.api.products.list({"limit": 100}).data), len(fake.sessions()))


@pytest.mark.parametrize(("text", "status"), [("true", 200), ("True", 200), ("False", 200), ("yes", 400), ("1", 400)])
def test_flags_are_taken_as_every_library_writes_them(fake: FakeStripe, text: str, status: int) -> None:
    """
    stripe-python 11 writes `True`, newer ones `true`; anything else is refused.
    """
    card = "amount=100&currency=eur&payment_method=pm_card_visa"

    assert status == raw(fake, "POST", "/v1/payment_intents", f"{card}&confirm={text}").status_code


# -- metadata ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({f"k{i}": "v" for i in range(51)}, id="51 keys"),
        pytest.param({"k" * 41: "v"}, id="a key of 41 characters"),
        pytest.param({"k": "v" * 501}, id="a value of 501 characters"),
        pytest.param({"k": {"nested": "v"}}, id="nested"),
    ],
)
@pytest.mark.parametrize("where", ["metadata", "payment_intent_data"])
def test_metadata_has_stripes_limits(shop: Shop, metadata: dict[str, Any], where: str) -> None:
    """
    Past a limit the whole call fails, on the Session and on the data for its intent alike.
    """
    given_there = metadata if where == "metadata" else {"metadata": metadata}

    assert 400 == refused(lambda: shop.api.checkout.sessions.create({**PAYMENT, where: given_there})).http_status


def test_metadata_at_its_limits_is_taken(shop: Shop) -> None:
    """
    50 keys of 40 characters with values of 500 characters come back as they were given.
    """
    metadata = {f"{i:040d}": "v" * 500 for i in range(50)}

    session = shop.api.checkout.sessions.create({**PAYMENT, "metadata": metadata})
    assert metadata == session.metadata.to_dict()


def test_metadata_is_merged_and_unset_by_empty_values(shop: Shop) -> None:
    """
    An update adds keys, an empty value unsets one, an empty metadata unsets all.
    """
    customer = shop.api.customers.create({"metadata": {"a": "1", "b": "2"}})

    merged = shop.api.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}}).metadata.to_dict()
    emptied = shop.api.customers.update(customer.id, {"metadata": ""}).metadata.to_dict()
    assert ({"a": "1", "c": "3"}, {}) == (merged, emptied)


def test_the_limit_counts_what_is_there_already(shop: Shop) -> None:
    """
    50 keys and one more in an update: refused, and nothing of the update is done.
    """
    customer = shop.api.customers.create({"name": "A", "metadata": {f"k{i}": "v" for i in range(50)}})

    error = refused(lambda: shop.api.customers.update(customer.id, {"name": "B", "metadata": {"one more": "v"}}))
    assert (400, "A") == (error.http_status, shop.api.customers.retrieve(customer.id).name)


def test_metadata_keys_may_be_numbers(shop: Shop) -> None:
    """
    Under `metadata` a number is a name, not a place in a list.
    """
    assert {"0": "a", "1": "b"} == shop.api.customers.create({"metadata": {"0": "a", "1": "b"}}).metadata.to_dict()
