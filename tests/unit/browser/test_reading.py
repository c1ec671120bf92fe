# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a browser's post to what may be recorded: forged, malformed, hostile and simply wrong input."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.browser import reading
from otel_revenue.browser._allowed import ALLOWED
from otel_revenue.browser.answers import Refused
from otel_revenue.browser.limits import MAX_EVENTS
from otel_revenue.instrumentation.stripe import order
from support.browser_posts import body, record

NOW = 1_790_000_000 * 10**9
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR
UID = "0123456789abcdef0123456789abcdef"


def at_now(name="checkout.start", **attributes):
    return record(name, NOW, NOW, **attributes)


def read_one(entry):
    """Read one record; return the event and the reasons."""
    events, reasons = reading.read(body(entry), NOW)
    return (events[0] if events else None), dict(reasons)


def test_an_event_is_read_whole():
    """
    What the module sends comes out: name, declared attributes, its own time and the trace of its page.
    """
    entry = at_now(uid=UID, tier="pro", item_count=3, skus=["a-1", "b-2"], journey_id="j-1", synthetic=True)
    entry |= {"traceId": "a" * 32, "spanId": "b" * 16, "flags": 1}

    event, reasons = read_one(entry)

    assert reasons == {}
    assert reading.BrowserEvent(
        "checkout.start", event.event_id,
        {"tier": "pro", "item_count": 3, "skus": ["a-1", "b-2"], "journey_id": "j-1", "synthetic": True},
        NOW, (int("a" * 32, 16), int("b" * 16, 16), 1),
    ) == event  # fmt: skip


@pytest.mark.parametrize("name", ["order.paid", "order.refunded", "order.", "order.paid\0"])
def test_no_event_about_money_comes_from_a_browser(name):
    """
    A forged payment is no event, and is counted as what it is.
    """
    assert (None, {"money": 1}) == read_one(at_now(name, tier="pro"))


@pytest.mark.parametrize(
    "name",
    ["checkout.session_created", "checkout.payment_failed", "page.view", "", "__proto__", 7, None, ["checkout.start"]],
)
def test_only_declared_stages_come_from_a_browser(name):
    """
    What the schema does not give to browsers is no event.
    """
    assert (None, {"event": 1}) == read_one(at_now(name))


@pytest.mark.parametrize(
    "forged",
    [
        {"amount": 0.01}, {"amount_minor": 1}, {"subtotal": 49.0}, {"subtotal_minor": 4900}, {"currency": "EUR"},
        {"stripe.payment_intent.id": "pi_3PqL2e"},
    ],
    ids=lambda forged: next(iter(forged)),
)  # fmt: skip
def test_amounts_from_a_browser_are_left_out(forged):
    """
    An amount, a currency or an id of Stripe's on a stage is left out and counted; the stage itself is kept.
    """
    event, reasons = read_one(at_now(tier="pro", **forged))

    assert ({"tier": "pro"}, {"money": 1}) == (event.attributes, reasons)


@pytest.mark.parametrize(
    "key",
    ["event_id", "schema_version", "telemetry.source", "livemode", "replayed", "elapsed_ms", "country", "design_id", "__proto__",
     "constructor", "toString", "", "email"],
)  # fmt: skip
def test_what_is_ours_to_say_or_unknown_is_left_out(key):
    """
    Neither what the server says (id, source, mode) nor what nobody declared, keys of JavaScript's prototypes among it, gets in.
    """
    event, reasons = read_one(at_now(**{"tier": "pro", key: "x"}))

    assert ({"tier": "pro"}, {"attribute": 1}) == (event.attributes, reasons)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tier", "ada@person.example"), ("surface", "call +49 30 901820"), ("tier", "4242 4242 4242 4242"), ("order_id", "ada@person.example"),
        ("surface", "203.0.113.7"), ("skus", ["a-1", "ada@person.example"]), ("journey_id", "sk_live_51H8sExampleKeyOfStripe00"),
    ],
)  # fmt: skip
def test_personal_data_is_left_out(key, value):
    """
    A label, id or list in which somebody's data stands is left out as a whole, and counted.
    """
    event, reasons = read_one(at_now(**{"item_count": 1, key: value}))

    assert ({"item_count": 1}, {"personal": 1}) == (event.attributes, reasons)


@pytest.mark.parametrize(
    "value",
    [
        {}, None, "pro", 7, [], {"stringValue": 7}, {"stringValue": None}, {"boolValue": "true"}, {"intValue": "1e3"}, {"intValue": "-1"},
        {"intValue": True}, {"intValue": "9" * 20}, {"doubleValue": 1.5}, {"kvlistValue": {"values": []}}, {"bytesValue": "AA=="},
        {"arrayValue": {}}, {"arrayValue": []}, {"arrayValue": {"values": [{"intValue": 1}]}}, {"arrayValue": {"values": []}},
        {"stringValue": "a", "intValue": 1},
    ],
    ids=str,
)  # fmt: skip
def test_values_of_other_types_are_left_out(value):
    """
    What is no value of OTLP, or of a type that no attribute of ours has, is left out and counted.
    """
    entry = at_now()
    entry["attributes"].append({"key": "tier", "value": value})

    event, reasons = read_one(entry)

    assert ({}, {"value": 1}) == (event.attributes, reasons)


# -- whole posts that are refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b"\xff\xfe", b"\0", b"[" * 16000, b'{"resourceLogs":' * 900, b"1" * 16000,
        b'{"resourceLogs": 7}', b'{"resourceLogs": [7]}', b'{"resourceLogs": [{"scopeLogs": {}}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [null]}]}]}', b'{"resourceLogs": [{"scopeLogs": [{"logRecords": []}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "checkout.start", "attributes": 1}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "checkout.start", "attributes": [[]]}]}]}]}',
    ],
    ids=lambda content: content[:40].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_request_is_refused(content):
    """
    Malformed JSON, JSON of another shape, nesting and numbers without end: refused as a whole, without another exception.
    """
    with pytest.raises(Refused) as refusal:
        reading.read(content, NOW)

    assert "malformed" == refusal.value.reason


def test_too_many_events_are_refused():
    """
    One event more than the limit, spread over resources, refuses the post; as many as the limit do not.
    """
    entries = [at_now()] * MAX_EVENTS
    many = json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [entry]}]} for entry in [*entries, at_now()]]}
    ).encode()

    with pytest.raises(Refused) as refusal:
        reading.read(many, NOW)

    assert ("events", MAX_EVENTS) == (refusal.value.reason, len(reading.read(body(*entries), NOW)[0]))


# -- clocks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "sent", "expected", "counted"),
    [
        pytest.param(NOW - MINUTE, NOW, NOW - MINUTE, 0, id="right"),
        pytest.param(NOW - 2 * MINUTE, NOW - 2 * MINUTE, NOW - 2 * MINUTE, 0, id="right within five minutes"),
        pytest.param(NOW - HOUR, NOW + 4 * MINUTE, NOW - HOUR, 0, id="sent again an hour later"),
        pytest.param(0, 3 * 10**9, NOW - 3 * 10**9, 1, id="1970"),
        pytest.param(4_070_908_800 * 10**9, 4_070_908_805 * 10**9, NOW - 5 * 10**9, 1, id="2099"),
        pytest.param(NOW - 2 * DAY, NOW, NOW - DAY, 1, id="older than a day"),
        pytest.param(NOW + HOUR, NOW, NOW, 1, id="after it was sent"),
        pytest.param("soon", NOW, NOW, 1, id="no number"),
        pytest.param(-5, NOW, NOW, 1, id="negative"),
        pytest.param(10**30, 10**30, NOW, 1, id="beyond any clock"),
        pytest.param(1.5, NOW, NOW, 1, id="a fraction"),
    ],
)  # fmt: skip
def test_wrong_clocks_are_mended(at, sent, expected, counted):
    """
    A clock that is right is believed; of one that is wrong, only how long ago it was; never the future, never beyond a day. Counted.
    """
    event, reasons = read_one({**at_now(), "timeUnixNano": at, "observedTimeUnixNano": sent})

    assert (expected, counted) == (event.at_ns, reasons.get("clock", 0))


@given(at=st.integers(-(2**70), 2**70), sent=st.integers(-(2**70), 2**70))
def test_no_clock_leads_out_of_the_last_day(at, sent):
    """
    Whatever a browser says of time, the event is not in the future by more than a clock's error, nor older than a day and that.
    """
    event, _ = read_one({**at_now(), "timeUnixNano": str(at), "observedTimeUnixNano": str(sent)})

    assert NOW - DAY - reading.CLOCK_ERROR_NS <= event.at_ns <= NOW + reading.CLOCK_ERROR_NS


# -- ids -----------------------------------------------------------------------------------------------------------------


def test_a_post_that_is_sent_again_is_the_same_event():
    """
    The random id that the module gives an event leads to one `event_id`, at any time and in any process; another id to another.
    """
    first, _ = read_one(at_now(uid=UID))
    again, _ = reading.read(body(record("checkout.start", NOW, NOW + HOUR, uid=UID)), NOW + HOUR)[0][0], None
    other, _ = read_one(at_now(uid=UID[::-1]))

    assert (first.event_id, NOW, True, "5") == (
        again.event_id,
        again.at_ns,
        first.event_id != other.event_id,
        first.event_id[14],
    )


@pytest.mark.parametrize("uid", ["6f1c2a35-58f5-5a9c-9d58-6f6e0c1f0d53", "pi_3PqL2e", "A" * 32, "a" * 33, 7])
def test_an_id_of_another_form_is_not_taken(uid):
    """
    What is no random id of the module's makes no `event_id`: the event gets a fresh one.
    """
    assert read_one(at_now(uid=uid))[0].event_id is None


@given(text=st.one_of(st.text(max_size=40), st.from_regex(r"[0-9a-f]{32}", fullmatch=True), st.uuids().map(str)))
def test_no_browser_can_choose_the_id_of_a_payment(text):
    """
    Whatever a browser sends as its id, even the very text from which a payment's `event_id` is made, becomes another `event_id`.
    """
    event, _ = read_one(at_now(uid=text or "x"))
    payment = str(uuid.uuid5(order.NAMESPACE, text))

    assert event.event_id not in (text, payment)


@pytest.mark.parametrize(
    "ids",
    [
        {"traceId": "a" * 31, "spanId": "b" * 16}, {"traceId": "0" * 32, "spanId": "b" * 16}, {"traceId": "a" * 32},
        {"traceId": "A" * 32, "spanId": "b" * 16}, {"traceId": 7, "spanId": 8}, {"traceId": "a" * 32, "spanId": "0" * 16},
    ],
    ids=str,
)  # fmt: skip
def test_a_malformed_trace_is_none(ids):
    """
    Ids that are no trace's leave the event without one.
    """
    assert (0, 0, 0) == read_one({**at_now(), **ids})[0].ids


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(content=JSON, name=st.sampled_from([*ALLOWED, "order.paid"]), key=st.text(max_size=12), value=JSON)
def test_whatever_is_sent_only_what_is_allowed_comes_out(content, name, key, value):
    """
    For any JSON in any place: no other exception than a refusal, and no attribute beside those that a browser may say.
    """
    entry = {
        **at_now(name),
        "flags": content,
        "attributes": [{"key": key, "value": value}, {"key": "tier", "value": content}],
    }
    found = []
    for sent in (body(entry), json.dumps(content).encode(), json.dumps({"resourceLogs": content}).encode()):
        try:
            found += reading.read(sent, NOW)[0]
        except Refused:
            continue

    assert set() == {
        (event.name, wire) for event in found for wire in event.attributes if wire not in ALLOWED[event.name]
    }
