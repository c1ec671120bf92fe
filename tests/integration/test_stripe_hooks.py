# SPDX-License-Identifier: Apache-2.0
"""The hooks in the real stripe library, which talks to a real socket. `test_stripe_hooks_versions` runs this file on other releases."""

from __future__ import annotations

import asyncio
import inspect
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
import requests
import stripe
import stripe._api_requestor
import stripe._webhook
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from otel_revenue.instrumentation.stripe.metadata import inject
from support.hooked import (
    ANSWERS,
    EVENT,
    SECRET,
    SESSION,
    THIN,
    TRACEPARENT,
    VERSION,
    Bench,
    Server,
    client,
    hooked,
    sessions,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, value in (
        ("api_base", running.url),
        ("api_key", "sk_test_of_a_test"),
        ("enable_telemetry", False),
        ("max_network_retries", 0),
        ("default_http_client", None),
    ):
        monkeypatch.setattr(stripe, name, value)
    running.requests.clear()
    return running


@pytest.fixture
def bench() -> Iterator[Bench]:
    with hooked() as it:
        yield it


LINES = {"mode": "payment", "line_items": [{"price": "price_1", "quantity": 2}], "success_url": "https://shop.example"}
bound_before = stripe.checkout.Session.create

CALLS: dict[str, Callable[[Server], Any]] = {
    "class": lambda s: stripe.checkout.Session.create(**LINES),
    "bound before": lambda s: bound_before(**LINES),
    "client": lambda s: sessions(s).create(params=LINES),
    "async class": lambda s: asyncio.run(stripe.checkout.Session.create_async(**LINES)),
    "async client": lambda s: asyncio.run(sessions(s).create_async(params=LINES)),
    "raw": lambda s: client(s).raw_request("post", "/v1/checkout/sessions", **LINES),
    "async raw": lambda s: asyncio.run(client(s).raw_request_async("post", "/v1/checkout/sessions", **LINES)),
}
ASYNC = hasattr(stripe._api_requestor._APIRequestor, "request_raw_async")
"""Not in 8.0."""
if not ASYNC:
    CALLS = {door: call for door, call in CALLS.items() if "async" not in door}
if VERSION < (9, 0):
    CALLS = {door: call for door, call in CALLS.items() if "raw" not in door}


@pytest.mark.parametrize("door", CALLS)
def test_every_door_is_heard_once(door: str, server: Server, bench: Bench) -> None:
    """Whichever way a call goes into the library, it is heard once, with its parameters and its answer, in one span."""
    CALLS[door](server)

    ((call, answer),) = bench.listener.calls
    assert ("POST", "/v1/checkout/sessions") == (call.method, call.url)
    assert "payment" == call.params["mode"]  # type: ignore[index]
    assert (200, "req_of_test") == (answer.status, answer.request_id)
    assert answer.body is not None
    assert json.loads(answer.body) == SESSION
    assert [True] == bench.listener.inside
    (span,) = bench.spans()
    assert "POST /v1/checkout/sessions" == span.name
    assert SpanKind.CLIENT is span.kind
    assert StatusCode.UNSET is span.status.status_code
    assert {
        "http.request.method": "POST",
        "url.template": "/v1/checkout/sessions",
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rsplit(":")[-1]),
        "http.response.status_code": 200,
        "stripe.request_id": "req_of_test",
        "stripe.api_version": "2025-03-31.basil",
    } == dict(span.attributes)
    assert int is type(span.attributes["http.response.status_code"])


def test_ids_are_no_part_of_the_template(server: Server, bench: Bench) -> None:
    """A path with ids and a query gives a template of few values."""
    stripe.checkout.Session.retrieve("cs_test_1", expand=["line_items"])
    stripe.checkout.Session.list_line_items("cs_test_1", limit=3)

    assert [
        "GET /v1/checkout/sessions/{id}",
        "GET /v1/checkout/sessions/{id}/line_items",
    ] == [span.name for span in bench.spans()]
    assert [
        "/v1/checkout/sessions/cs_test_1",
        "/v1/checkout/sessions/cs_test_1/line_items",
    ] == [call.url for call, _ in bench.listener.calls]


def _confirm(_: Server) -> Any:
    return stripe.PaymentIntent.confirm("pi_declined")


FAILURES: dict[str, tuple[Callable[[Server], Any], int, bool, dict[str, object]]] = {
    "declined card": (
        _confirm,
        402,
        False,
        {"stripe.error.code": "card_declined", "stripe.decline_code": "insufficient_funds"},
    ),
    "bad request": (
        lambda s: stripe.Customer.retrieve("cus_bad"),
        400,
        True,
        {"error.type": "parameter_unknown", "stripe.error.code": "parameter_unknown"},
    ),
    "wrong key": (lambda s: stripe.Customer.retrieve("cus_key"), 401, True, {"error.type": "auth_error"}),
    "no JSON": (lambda s: stripe.Customer.retrieve("cus_broken"), 500, True, {"error.type": "500"}),
}


@pytest.mark.parametrize("case", FAILURES)
def test_an_error_answer_stays_as_it_is(case: str, server: Server, bench: Bench) -> None:
    """The application gets the error that it would get without us; the span names its code and nothing of its text."""
    call, status, failed, expected = FAILURES[case]
    with hooked() as unhooked, pytest.raises(stripe.StripeError) as plain:
        unhooked.hooks.remove()
        call(server)
    with hooked() as bench, pytest.raises(stripe.StripeError) as raised:
        call(server)

    assert (type(plain.value), str(plain.value)) == (type(raised.value), str(raised.value))
    (span,) = bench.spans()
    found = {k: v for k, v in span.attributes.items() if k == "error.type" or ("code" in k and k.startswith("stripe"))}
    assert expected == found
    assert status == span.attributes["http.response.status_code"]
    assert (StatusCode.ERROR if failed else StatusCode.UNSET) is span.status.status_code
    assert span.status.description is None
    assert () == span.events
    assert "example.com" not in span.to_json()
    assert [status] == [answer.status for _, answer in bench.listener.calls]


@pytest.mark.parametrize("way", ["sync", "async"] if ASYNC else ["sync"])
def test_no_connection(way: str, server: Server, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, the library's own error arrives, and the span ends with its class."""
    monkeypatch.setattr(stripe, "api_base", "http://127.0.0.1:9")

    with pytest.raises(stripe.APIConnectionError) as raised:
        if way == "sync":
            stripe.checkout.Session.create(**LINES)
        else:
            asyncio.run(stripe.checkout.Session.create_async(**LINES))

    ((_, answer),) = bench.listener.calls
    assert (None, None) == (answer.status, answer.body)
    assert raised.value is answer.error
    (span,) = bench.spans()
    assert "APIConnectionError" == span.attributes["error.type"]
    assert StatusCode.ERROR is span.status.status_code
    assert (None, ()) == (span.status.description, span.events)


if ASYNC:

    def test_cancellation_passes(server: Server, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cancelled task is cancelled; its span ends, and the context is as it was."""

        async def hang(*args: object, **kwargs: object) -> object:
            started.set()
            return await asyncio.Event().wait()

        async def shop() -> tuple[bool, object]:
            http = stripe._api_requestor._APIRequestor._global_instance()._get_http_client()
            monkeypatch.setattr(http, "request_with_retries_async", hang)
            task = asyncio.create_task(stripe.checkout.Session.create_async(**LINES))
            await started.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            return task.cancelled(), otel_context.get_current()

        before = otel_context.get_current()
        started = asyncio.Event()
        assert (True, before) == asyncio.run(shop())

        (span,) = bench.spans()
        assert "CancelledError" == span.attributes["error.type"]


def test_the_span_is_current_and_baggage_stays_at_home(
    server: Server, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the HTTP client sends, the CLIENT span is current and there is no baggage; afterwards both are as before."""
    seen: list[tuple[object, object]] = []
    send = requests.Session.send

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.append((trace.get_current_span().get_span_context().span_id, dict(baggage.get_all())))
        return send(*args, **kwargs)

    monkeypatch.setattr(requests.Session, "send", spy)
    token = otel_context.attach(baggage.set_baggage("customer.email", "jo@example.com"))
    try:
        with bench.tracer.start_as_current_span("request") as outer:
            stripe.checkout.Session.create(**LINES)
            assert outer is trace.get_current_span()
            assert {"customer.email": "jo@example.com"} == dict(baggage.get_all())
    finally:
        otel_context.detach(token)

    inner, _ = bench.spans()
    assert [(inner.context.span_id, {})] == seen
    assert outer.get_span_context().span_id == inner.parent.span_id


def test_suppression_stops_spans_not_money(server: Server, bench: Bench) -> None:
    """Under OpenTelemetry's suppression there is no span, but calls and deliveries are heard."""
    body = json.dumps(EVENT)
    with suppress_instrumentation():
        stripe.checkout.Session.create(**LINES)
        stripe.Webhook.construct_event(body, signed(body), SECRET)

    assert [] == bench.spans()
    assert 1 == len(bench.listener.calls)
    assert [("evt_1", True)] == bench.listener.deliveries


INJECTED = ("metadata[otel_traceparent]", "payment_intent_data[metadata][otel_traceparent]")
FORMS: dict[str, dict[str, Any]] = {
    "nothing there": {"mode": "payment"},
    "dicts": {"mode": "payment", "metadata": {"a": "1"}, "payment_intent_data": {"metadata": {"b": "2"}}},
    "bracket keys": {"mode": "payment", "metadata[a]": "1", "payment_intent_data[metadata][b]": "2"},
    "mixed": {"mode": "payment", "metadata[a]": "1", "metadata": {"c": "3"}, "payment_intent_data[description]": "d"},
    "object": {"mode": "payment", "metadata": stripe.StripeObject.construct_from({"a": "1"}, "k")},
}


@pytest.mark.parametrize("form", FORMS)
def test_injected_keys_arrive_once(form: str, server: Server, bench: Bench) -> None:
    """In whatever form the parameters come, the encoded body holds each of their keys and of ours exactly once."""
    given = FORMS[form]
    before = repr(given)
    stripe.checkout.Session.create(**given)
    bench.listener.replace = lambda call: inject(call.method, call.url, call.params, call.options, TRACEPARENT)[0]
    stripe.checkout.Session.create(**given)

    plain, injected = (parse_qsl(body, keep_blank_values=True) for *_, body in server.requests)
    assert sorted([*plain, *((key, TRACEPARENT) for key in INJECTED)]) == sorted(injected)
    assert len(injected) == len({key for key, _ in injected})
    assert before == repr(given)


def test_an_idempotency_key_is_known(server: Server, bench: Bench) -> None:
    """A key of the application's own is seen, as an option and as a header; so is the connected account."""
    stripe.checkout.Session.create(**LINES)
    stripe.checkout.Session.create(**LINES, idempotency_key="k", stripe_account="acct_1")
    sessions(server).create(params=LINES, options={"headers": {"IDEMPOTENCY-key": "k"}, "stripe_account": "acct_2"})

    assert [("", False), ("acct_1", True), ("acct_2", True)] == [
        (call.account, call.idempotency_key_given) for call, _ in bench.listener.calls
    ]


def test_the_accounts_of_a_client_is_known(server: Server, bench: Bench) -> None:
    """A client that was set up for a connected account calls for it."""
    connected = stripe.StripeClient("sk_test_x", base_addresses={"api": server.url}, stripe_account="acct_9")
    (connected.v1 if VERSION >= (12, 5) else connected).checkout.sessions.create(params=LINES)

    ((call, _),) = bench.listener.calls
    assert "acct_9" == call.account
    assert "sk_test" not in repr(call)


@pytest.mark.parametrize(
    ("key", "context", "account"),
    [
        ("sk_test_x", "acct_9", "acct_9"),
        ("sk_test_x", "acct_9/acct_10", "acct_10"),
        ("sk_test_x", "", ""),
        ("sk_org_test_x", "acct_1", ""),
        ("sk_org_test_x", "acct_1/acct_9", "acct_9"),
        ("sk_test_x", "elsewhere", ""),
    ],
)
def test_the_context_of_a_call_names_its_account(
    key: str, context: str, account: str, server: Server, bench: Bench
) -> None:
    """`Stripe-Context` names the connected account that a call is for, as an option and as a header; to an organization its own."""
    connected = stripe.StripeClient(key, base_addresses={"api": server.url})
    create = (connected.v1 if VERSION >= (12, 5) else connected).checkout.sessions.create
    create(params=LINES, options={"stripe_context": context})
    create(params=LINES, options={"headers": {"stripe-Context": context}})

    assert [account, account] == [call.account for call, _ in bench.listener.calls]


# -- webhooks ------------------------------------------------------------------------------------------------------


def _verify_and_parse(body: Any) -> None:
    stripe.WebhookSignature.verify_header(body, signed(body), SECRET, 300)
    json.loads(body)


def _parse_thin(body: str) -> None:
    shop: Any = stripe.StripeClient("sk_test_x")
    parse = shop.parse_event_notification if VERSION >= (13, 0) else shop.parse_thin_event
    parse(body, signed(body), SECRET)


DELIVERIES: dict[str, tuple[tuple[int, int], Callable[[str], Any], list[tuple[str, bool]]]] = {
    "construct_event": ((8, 0), lambda b: stripe.Webhook.construct_event(b, signed(b), SECRET), [("evt_1", True)]),
    "bytes": ((8, 0), lambda b: stripe.Webhook.construct_event(b.encode(), signed(b), SECRET), [("evt_1", True)]),
    "bytearray": (
        (15, 5),
        lambda b: stripe.Webhook.construct_event(bytearray(b.encode()), signed(b), SECRET),
        [("evt_1", True)],
    ),
    "client": (
        (8, 0),
        lambda b: stripe.StripeClient("sk_test_x").construct_event(b, signed(b), SECRET),
        [("evt_1", True)],
    ),
    "own JSON": ((8, 0), _verify_and_parse, [("evt_1", True)]),
    "keywords": (
        (8, 0),
        lambda b: stripe.WebhookSignature.verify_header(payload=b, header=signed(b), secret=SECRET),
        [("evt_1", True)],
    ),
    "without verification": (
        (15, 5),
        lambda b: stripe.Webhook.construct_event_without_verification(b),
        [("evt_1", False)],
    ),
    "client without verification": (
        (15, 5),
        lambda b: stripe.StripeClient("sk_test_x").construct_event_without_verification(b),
        [("evt_1", False)],
    ),
    "EventBridge": (
        (15, 5),
        lambda b: stripe.Webhook.construct_event_without_verification(
            json.dumps({"id": "env_1", "source": "aws.partner/stripe.com", "detail": json.loads(b)})
        ),
        [("evt_1", False)],
    ),
    "verified, then built": (
        (15, 5),
        lambda b: (_verify_and_parse(b), stripe.Webhook.construct_event_without_verification(b)),
        [("evt_1", True)],
    ),
    "thin": ((11, 0), lambda b: _parse_thin(json.dumps(THIN)), [("evt_thin_1", True)]),
    "construct_from": ((8, 0), lambda b: stripe.Event.construct_from(json.loads(b), "sk_test_x"), []),
}


@pytest.mark.parametrize("way", [way for way, (since, *_) in DELIVERIES.items() if since <= VERSION])
def test_a_delivery_is_heard_once(way: str, server: Server, bench: Bench) -> None:
    """One delivery, one observation, in whatever way it is read; none for a body that nobody vouches for."""
    _, deliver, expected = DELIVERIES[way]
    deliver(json.dumps(EVENT))
    deliver(json.dumps(EVENT))

    assert expected * 2 == bench.listener.deliveries


def test_what_is_not_signed_right_is_not_heard(bench: Bench) -> None:
    """A wrong signature raises the library's own error, and nothing is observed."""
    body = json.dumps(EVENT)
    for header in (signed(body, "whsec_other"), "t=1,v1=00", "junk"):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, header, SECRET)

    assert [] == bench.listener.deliveries


def test_api_reads_are_no_deliveries(server: Server, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that is read through the API was not delivered."""
    monkeypatch.setitem(ANSWERS, "/v1/events/evt_1", (200, EVENT))
    stripe.Event.retrieve("evt_1")

    assert [] == bench.listener.deliveries


def test_a_mark_is_for_one_listener(bench: Bench) -> None:
    """What one listener heard as verified is news to the next one."""
    body = json.dumps(EVENT)
    with hooked() as first:
        _verify_and_parse(body)
    with hooked() as second:
        if VERSION >= (15, 5):
            stripe.Webhook.construct_event_without_verification(body)
        else:
            _verify_and_parse(body)

    assert (1, 1) == (len(first.listener.deliveries), len(second.listener.deliveries))


# -- set and removed -----------------------------------------------------------------------------------------------


def _statics() -> dict[str, object]:
    places: list[tuple[Any, str]] = [
        (stripe._api_requestor._APIRequestor, "request_raw"),
        (stripe._webhook.WebhookSignature, "verify_header"),
    ]
    if ASYNC:
        places.append((stripe._api_requestor._APIRequestor, "request_raw_async"))
    if VERSION >= (15, 5):
        places.append((stripe._webhook, "build_v1_event"))
    return {name: inspect.getattr_static(owner, name) for owner, name in places}


def test_removed_without_trace() -> None:
    """After `remove()` every attribute is the very object that it was, however often hooks were set."""
    before = _statics()
    namespaces = [
        dict(vars(owner)) for owner in (stripe._api_requestor._APIRequestor, stripe._webhook.WebhookSignature)
    ]
    for _ in range(2):
        with hooked():
            assert all(before[name] is not now for name, now in _statics().items())

    assert all(before[name] is now for name, now in _statics().items())
    assert namespaces == [
        dict(vars(owner)) for owner in (stripe._api_requestor._APIRequestor, stripe._webhook.WebhookSignature)
    ]


def test_the_signature_of_the_functions_stays() -> None:
    """Whoever inspects the library sees the same parameters, and a coroutine function where there was one."""
    requestor = stripe._api_requestor._APIRequestor
    names = ("request_raw", "request_raw_async") if ASYNC else ("request_raw",)

    def seen() -> list[tuple[inspect.Signature, bool]]:
        functions = [getattr(requestor, name) for name in names]
        return [(inspect.signature(f), inspect.iscoroutinefunction(f)) for f in functions]

    before = seen()
    with hooked():
        assert before == seen()
    assert [name.endswith("_async") for name in names] == [awaited for _, awaited in before]


def test_nothing_is_heard_after_removal(server: Server) -> None:
    """Removed hooks hear nothing, the library works."""
    with hooked() as bench:
        pass
    body = json.dumps(EVENT)
    stripe.checkout.Session.create(**LINES)
    stripe.Webhook.construct_event(body, signed(body), SECRET)

    assert ([], []) == (bench.listener.calls, bench.listener.deliveries)
