# SPDX-License-Identifier: Apache-2.0
"""The gate that everything passes that we emit: only declared attributes leave, in the declared type, clean."""

from __future__ import annotations

import enum
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.errors import SchemaError
from otel_revenue.schema.events import EVENTS as MODELS
from otel_revenue.schema.events import SCHEMA_VERSION
from otel_revenue.schema.fields import attributes_of
from otel_revenue.signals import record, rules
from otel_revenue.signals.otlp_decode import decode_log_record
from support.json_schema import errors
from support.personal import MASKED

ID = "6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53"
PAID = {"event_id": ID, "amount_minor": 4999, "currency": "EUR"}

NAMES = [model.event_name for model in MODELS]
DECLARED = {model.event_name: attributes_of(model) for model in MODELS}
EXAMPLES = {name: {wire: info.example for wire, info in infos.items()} for name, infos in DECLARED.items()}

TEXT = st.text(st.characters(codec=None), max_size=400)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary() | st.decimals() | st.builds(lambda: 10**5000) | st.just(object()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4) | st.tuples(inner),
    max_leaves=6,
)  # fmt: skip


@given(st.sampled_from(NAMES), st.data())
def test_unknown_means_out(name, data):
    """
    Whatever stands beside the declared attributes, only declared ones leave, and nothing raises but a SchemaError.
    """
    keys = st.sampled_from(sorted(DECLARED[name])) | TEXT
    required = {wire: EXAMPLES[name][wire] for wire, info in DECLARED[name].items() if info.required}

    clean, refused = record.prepare(name, {**data.draw(st.dictionaries(keys, ANYTHING, max_size=12)), **required})

    assert (set(), set()) == (set(clean) - set(DECLARED[name]), set(refused) - set(DECLARED[name]) - {"undeclared"})


@given(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(sorted({w for d in DECLARED.values() for w in d})), ANYTHING),
)
def test_what_leaves_is_valid_by_the_published_schema(name, values):
    """
    Whatever goes in, what comes out of the gate is valid by the event's JSON Schema, or there is a SchemaError.
    """
    try:
        clean, _ = record.prepare(name, values)
    except SchemaError:
        return

    assert [] == errors(name, clean)


@given(st.sampled_from(NAMES), st.dictionaries(TEXT, ANYTHING, max_size=8))
def test_what_leaves_can_be_encoded_and_read_again(name, values):
    """
    Every prepared event is encoded as OTLP, and reads back as the same attributes in the same types.
    """
    required = {wire: EXAMPLES[name][wire] for wire, info in DECLARED[name].items() if info.required}
    clean, _ = record.prepare(name, {**EXAMPLES[name], **values, **required})
    decoded = decode_log_record(record.encode(name, clean, time_ns=1, observed_ns=2, ids=(3, 4, 1)))

    assert (name, clean, [type(v) for v in clean.values()]) == (
        decoded.event_name, decoded.attributes, [type(v) for v in decoded.attributes.values()],
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_example_passes_unchanged(name):
    """
    The examples of the schema pass the gate as they are.
    """
    assert (EXAMPLES[name], []) == record.prepare(name, EXAMPLES[name])


@pytest.mark.parametrize("name", NAMES)
def test_table_and_models_are_one_schema(name):
    """
    The hot path's table says of every attribute what the model says.
    """
    infos = DECLARED[name].values()

    assert (
        {info.wire: (info.kind.value, info.pattern) for info in infos},
        tuple(info.wire for info in infos if info.required),
        SCHEMA_VERSION,
    ) == (record.EVENTS[name], record.REQUIRED[name], record.SCHEMA_VERSION)


class Tier(str, enum.Enum):
    """A tier as an application may have it."""

    PRO = "pro"


@pytest.mark.parametrize(
    ("key", "value", "leaves"),
    [
        ("order_id", "order-1042", "order-1042"),
        ("order_id", 1042, "1042"),
        ("order_id", -7, "-7"),
        ("tier", Tier.PRO, "pro"),
        ("tier", 3, "3"),
        ("tier", "  pro\n", "pro"),
        ("tier", "a\0b\ud800", "a?b?"),
        ("tier", "é" * 300, "é" * 127),
        ("tier", "for ada@example.com", "for [email]"),
        ("country", "DE", "DE"),
        ("livemode", False, False),
        ("item_count", 0, 0),
        ("time_to_pay_ms", 2**63 - 1, 2**63 - 1),
        ("amount", 49.99, 49.99),
        ("amount", 50, 50.0),
        ("skus", ("a", "b"), ["a", "b"]),
        ("payment_kind", "one_off", "one_off"),
    ],
)  # fmt: skip
def test_what_is_let_through(key, value, leaves):
    """
    Values in the declared type leave; ids may be integers, text is trimmed, masked and cut.
    """
    clean, refused = record.prepare("order.paid", {**PAID, key: value})

    assert (leaves, type(leaves), []) == (clean[key], type(clean[key]), refused)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("order_id", ""),
        ("order_id", "   "),
        ("order_id", True),
        ("order_id", 10.0),
        pytest.param("order_id", 10**5000, id="order_id of 5000 digits"),
        ("order_id", b"order"),
        ("order_id", "ada@example.com"),
        ("order_id", ["order"]),
        ("tier", ""),
        ("tier", {"name": "pro"}),
        ("country", "Germany"),
        ("country", "de"),
        ("country", "DE\n"),
        ("currency", "EURO"),
        ("livemode", 1),
        ("livemode", "true"),
        ("item_count", -1),
        ("item_count", 3.0),
        ("item_count", True),
        ("item_count", 2**63),
        ("amount", "49.99"),
        ("amount", math.nan),
        ("amount", math.inf),
        ("amount", -1.0),
        ("amount", True),
        ("amount", 2**53),
        ("amount", Decimal("49.99")),
        ("skus", "poster"),
        ("skus", []),
        ("skus", [None, 1.5]),
        ("skus", {"poster": 1}),
        ("payment_kind", "gift"),
        ("payment_method_type", "card\0"),
    ],
)
def test_what_is_refused_is_named(key, value):
    """
    A value of another type or form is left out and named; it is never converted.
    """
    clean, refused = record.prepare("order.paid", {**PAID, key: value})

    assert (False, [key]) == (key in clean and key not in PAID, refused)


@pytest.mark.parametrize("key", sorted(DECLARED["order.paid"]))
def test_none_is_absent_and_not_refused(key):
    """
    An unknown value is no attribute: neither empty nor null, nor counted as refused.
    """
    values = {**PAID, key: None}
    if key in ("event_id", "amount_minor"):
        with pytest.raises(SchemaError):
            record.prepare("order.paid", values)
        return

    assert ([], key == "schema_version") == (
        record.prepare("order.paid", values)[1],
        key in record.prepare("order.paid", values)[0],
    )


def test_undeclared_names_do_not_leave_either():
    """
    What is refused is counted by declared names only: a name that is not ours may hold an address.
    """
    _, refused = record.prepare("order.paid", {**PAID, "ada@example.com": 1, "customer_email": "x"})

    assert ["undeclared", "undeclared"] == refused


@pytest.mark.parametrize("missing", ["event_id", "amount_minor"])
@pytest.mark.parametrize("value", [None, "", 49.99, "4999"])
def test_without_what_is_required_there_is_no_event(missing, value):
    """
    An event without its id or its money is refused, not guessed; the error tells the name and no value.
    """
    with pytest.raises(SchemaError) as refusal:
        record.prepare("order.paid", {**PAID, missing: value})

    assert f"order.paid without a usable {missing}" == str(refusal.value)


@pytest.mark.parametrize("name", ["order.payed", "", None, 7, ["order.paid"]])
def test_an_event_that_is_not_declared_is_refused(name):
    """
    Only events of the schema leave.
    """
    with pytest.raises(SchemaError, match="not declared"):
        record.prepare(name, PAID)


def test_the_version_is_ours_to_say():
    """
    A caller cannot claim another version of the schema.
    """
    clean, _ = record.prepare("order.paid", {**PAID, "schema_version": "9.9"})

    assert SCHEMA_VERSION == clean["schema_version"]


@pytest.mark.parametrize(
    ("minor", "currency", "major"),
    [(4900, "EUR", 49.0), (4900, "JPY", 4900.0), (4900, "KWD", 4.9), (4900, "XTS", None), (4900, None, None)],
)
def test_a_subtotal_in_minor_units_gets_its_number(minor, currency, major):
    """
    What an application says as an integer is on the event in major units too, where the currency's decimals are known.
    """
    clean, _ = record.prepare("checkout.start", {"event_id": ID, "subtotal_minor": minor, "currency": currency})

    assert (minor, major) == (clean["subtotal_minor"], clean.get("subtotal"))


@pytest.mark.parametrize(("kind", "personal", "around"), MASKED)
@pytest.mark.parametrize("key", ["order_id", "tier", "surface", "skus", "journey_id", "stripe.charge.id"])
def test_personal_data_in_declared_attributes_does_not_leave(key, kind, personal, around):
    """
    Text is masked, ids and SKUs are left out whole: no piece of personal data is in what leaves.
    """
    text = around.format(personal)
    clean, _ = record.prepare("order.paid", {**PAID, key: [text] if key == "skus" else text})

    assert personal not in json.dumps(clean, ensure_ascii=False)


@given(TEXT, TEXT)
def test_equal_ids_stay_equal_and_different_ones_different(one, other):
    """
    Two ids that leave are equal exactly where they were equal, and below 255 bytes.
    """
    left, right = (record.prepare("order.paid", {**PAID, "order_id": i})[0].get("order_id") for i in (one, other))

    assert (True, True) == (
        left is None or right is None or (left == right) == (one == other),
        len((left or "").encode()) < 255,
    )


@pytest.mark.parametrize("size", [254, 255, 4096, 4097, 100_000])
def test_long_ids_are_hashed_at_any_length(size):
    """
    An id beyond the limit is replaced by a hash, which differs when only the last character does.
    """
    values = [record.prepare("order.paid", {**PAID, "order_id": "x" * (size - 1) + end})[0]["order_id"] for end in "ab"]

    assert (2, size > 254) == (len(set(values)), all(value.startswith("sha256:") for value in values))


def test_skus_that_do_not_fit_are_counted():
    """
    A list of SKUs keeps whole ones from its beginning, below 255 together, and says how many are missing.
    """
    clean, _ = record.prepare("order.paid", {**PAID, "skus": [f"sku-{i:06}" for i in range(100)]})

    assert (23, 77, "sku-000000") == (len(clean["skus"]), clean["skus_cut"], clean["skus"][0])


def test_skus_that_look_personal_are_left_out_and_counted():
    """
    A SKU that looks like personal data is left out whole, and counted.
    """
    clean, refused = record.prepare("order.paid", {**PAID, "skus": ["a", "ada@example.com", "b", None]})

    assert (["a", "b"], 2, []) == (clean["skus"], clean["skus_cut"], refused)


def test_the_memo_of_clean_ids_is_bounded():
    """
    Ids that are remembered as clean are few and short, however many and long ones pass.
    """
    for i in range(3 * rules._CLEAN_MEMO_LIMIT):
        record.clean_id(f"order-{i}" + "x" * (i % 400))

    assert (True, True) == (len(rules._clean_ids) <= rules._CLEAN_MEMO_LIMIT, max(map(len, rules._clean_ids)) < 255)


@pytest.mark.parametrize(
    ("values", "clean", "refused"),
    [
        ({"order_id": "o-1", "tier": "pro"}, {"order_id": "o-1", "tier": "pro"}, []),
        ({"tier": "for ada@example.com"}, {"tier": "for [email]"}, []),
        ({"order_id": "ada@example.com"}, {}, ["order_id"]),
        ({"country": "Germany"}, {}, ["country"]),
        ({"country": None, "livemode": False}, {"livemode": False}, []),
        (
            {"subtotal_minor": 4900, "currency": "EUR"},
            {"subtotal_minor": 4900, "currency": "EUR", "subtotal": 49.0},
            [],
        ),
        ({"stripe.charge.id": "ch_1", "skus": ["a"], "ada@example.com": "x"}, {}, []),
    ],
)
def test_the_context_of_a_request_passes_the_same_gate(values, clean, refused):
    """
    What an application binds stands on the request's span by the rules of the schema: declared, typed, masked.
    """
    assert (clean, refused) == record.context(values)
