"""The look-up's pure parts: which question, what an answer tells, when to ask, with whose key."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.config import Settings
from otel_revenue.delivery.spool import Spool
from otel_revenue.instrumentation.stripe.calls import ApiCall
from otel_revenue.instrumentation.stripe.joins import LOOKED_UP
from otel_revenue.instrumentation.stripe.lookup import answers, questions
from otel_revenue.instrumentation.stripe.lookup.clients import Clients
from otel_revenue.instrumentation.stripe.lookup.pacing import Backoff, Bucket, Turns
from otel_revenue.instrumentation.stripe.lookup.questions import Question
from otel_revenue.instrumentation.stripe.lookup.turn import Turn
from otel_revenue.instrumentation.stripe.lookup.waiting import READER, Waiting
from otel_revenue.instrumentation.stripe.thin_events import Thin
from support.reading import NO_TRACE, NOW_NS, read_event, reader_for

READ = reader_for(Settings())(account="", at_ns=NOW_NS, livemode=False)
ITEMS = Question(questions.ITEMS, "", "cs_test_1")
THIN = Thin("payment_intent.succeeded", "evt_1", "", "pi_1", False, NOW_NS, NO_TRACE)


def thin(**fields: Any) -> dict[str, Any]:
    """A thin event, with *fields* changed."""
    return {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.payment_intent.succeeded",
        "created": "2026-11-24T21:00:00.123Z",
        "livemode": True,
        "context": None,
        "related_object": {"id": "pi_1", "type": "payment_intent", "url": "https://evil.example/v1/payment_intents/pi_1"},
        **fields,
    }  # fmt: skip


# -- thin events ------------------------------------------------------------------------------------------------------------


def test_a_thin_event_of_money_names_its_object() -> None:
    """A thin event that speaks of money is a problem, and says what would have to be fetched."""
    reading = read_event(thin(context="acct_9"))

    assert ("payment_intent.succeeded", "thin_event", ("evt_1", "pi_1"), ()) == (
        reading.kind,
        reading.problem,
        reading.ids,
        reading.facts,
    )
    assert reading.thin is not None
    assert ("acct_9", "pi_1", True, 1795554000 * 10**9) == (
        reading.thin.account,
        reading.thin.object_id,
        reading.thin.livemode,
        reading.thin.at_ns,
    )
    assert reading.thin == Thin.from_json(reading.thin.to_json())


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"type": "v1.customer.created"}, ""),
        ({"type": "payment_intent.succeeded"}, ""),
        ({"type": None}, ""),
        ({"related_object": None}, "object_missing"),
        ({"related_object": {"id": "../../v1/refunds", "type": "payment_intent"}}, "object_missing"),
        ({"related_object": {"id": "ch_1", "type": "charge"}}, "object_missing"),
        ({"context": "jo@person.example"}, "account_malformed"),
        ({"context": {"a": 1}}, "account_malformed"),
        ({"context": "org_1/acct_9"}, "thin_event"),
        ({"created": "yesterday"}, "thin_event"),
        ({"created": 5}, "thin_event"),
    ],
)
def test_thin_events_of_any_shape(fields: dict[str, Any], problem: str) -> None:
    """Other thin events are left alone, and malformed ones are a problem of their own: none raises."""
    assert problem == read_event(thin(**fields)).problem


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda v: st.lists(v, max_size=3)
                    | st.dictionaries(st.sampled_from(["id", "type", "url", "x"]), v, max_size=3), max_leaves=8))  # fmt: skip
def test_hostile_thin_events(value: Any) -> None:
    """Whatever stands in a thin event's fields, reading it raises nothing and gives no facts."""
    found = {read_event(thin(**{name: value})).facts for name in ("related_object", "context", "created", "livemode", "id")}  # fmt: skip

    assert {()} == found


def test_a_url_decides_nothing() -> None:
    """The key goes where the library's base address leads; the URL in the body is not followed."""
    path, params = questions.put(questions.of_thin(THIN), "payment_intent")

    assert ("/v1/payment_intents/pi_1", {}) == (path, params)


# -- what an answer tells ------------------------------------------------------------------------------------------------------


def line(number: int) -> dict[str, Any]:
    """A line item of two pieces."""
    return {"id": f"li_{number}", "object": "item", "quantity": 2, "price": {"id": f"price_{number}"}}


@pytest.mark.parametrize(
    ("pages", "count"),
    [
        ([{"data": [line(1)], "has_more": False}], 2),
        ([{"data": [line(n) for n in range(60)], "has_more": True}, {"data": [line(60)], "has_more": False}], 122),
        ([{"data": [line(n) for n in range(90)], "has_more": True}, {"data": [line(n) for n in range(20)]}], None),
        ([{"data": [line(1)], "has_more": True}], None),
        ([{"data": [{"id": "li_1", "quantity": "many"}], "has_more": False}], None),
        ([{"data": "x"}], None),
        ([None], None),
        ([], None),
    ],
)
def test_pages_of_lines(pages: list[Any], count: int | None) -> None:
    """Only a whole count is a count; what is cut, too long or malformed is marked as unknown."""
    labels = answers.items(ITEMS, pages, READ).labels

    assert count == labels.get("item_count", {}).get("lines", [0, None])[1]
    assert (count is None) == (LOOKED_UP in labels)


def test_the_next_page_begins_where_the_last_ended() -> None:
    """The second page is asked for after the first one's last line, and there is none after a last page."""
    after = answers.last_line({"data": [line(1), line(2)], "has_more": True})
    path, params = questions.put(ITEMS, sku_from=("product.metadata.sku",), after=after)

    assert ("/v1/checkout/sessions/cs_test_1/line_items", "li_2") == (path, params["starting_after"])
    assert ["data.price.product"] == params["expand"]
    assert "" == answers.last_line({"data": [line(1)], "has_more": False})


def test_an_answer_about_something_else_makes_no_order() -> None:
    """What Stripe answers is taken only where it names the object that was asked about."""
    paid = {
        "id": "cs_other", "object": "checkout.session", "mode": "payment", "payment_status": "paid", "amount_total": 900,
        "currency": "eur", "payment_intent": "pi_other",
    }  # fmt: skip
    asked = Question(questions.SESSION_OF_INTENT, "", "pi_1")

    assert [] == answers.told(asked, {"data": [paid]}, READ)
    assert 1 == len(answers.told(asked, {"data": [{**paid, "payment_intent": "pi_1"}]}, READ))


@pytest.mark.parametrize("body", [None, [], {}, {"data": None}, {"data": [None, 1, {"object": "invoice_payment"}]}, {"object": []}])  # fmt: skip
@pytest.mark.parametrize("topic", [questions.THE_SESSION, questions.INVOICE_OF_INTENT, questions.SESSION_OF_INTENT])
def test_malformed_answers(topic: str, body: Any) -> None:
    """An answer of another shape tells nothing, and raises nothing."""
    assert [] == answers.told(Question(topic, "", "pi_1"), body, READ)


# -- when --------------------------------------------------------------------------------------------------------------------


@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=80))
def test_the_rate_is_kept(rate: float, gaps: list[float]) -> None:
    """Whenever it is asked, no more than the rate, and one second's worth of it at once, goes out."""
    bucket, now, taken = Bucket(rate), 1000.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.wait_s(now) == 0

    assert taken <= max(1.0, rate) + sum(gaps) * rate + 1e-6


def test_backing_off() -> None:
    """Failures double the pause up to a minute, Stripe's own word counts, and an answer ends it."""
    backoff, pauses = Backoff(), []
    for retry_after in (0.0, 0.0, 30.0, 9999.0):
        backoff.failed(100.0, retry_after)
        pauses.append(backoff.left_s(100.0))
    backoff.answered()

    assert [1.0, 2.0, 30.0, 60.0] == pauses
    assert 0.0 == backoff.left_s(100.0)


def test_one_question_is_put_a_few_times() -> None:
    """The first time after a patience, then after longer and longer waits, and at last no more."""
    turns: Turns[str] = Turns(2.0, times=3)
    waits = [turns.due_in_s("q", 0.0)]
    for _ in range(3):
        turns.put("q", 0.0)
        waits.append(turns.due_in_s("q", 0.0))

    assert [2.0, 4.0, 8.0, None] == waits


# -- with whose key ------------------------------------------------------------------------------------------------------------


class Requestor:
    """Stands in for one of the library's requestors."""

    def __init__(self, options: Any = None, client: Any = None, **fields: Any) -> None:
        self._options = options or SimpleNamespace(to_dict=lambda: fields)
        self._client = client

    @property
    def api_key(self) -> Any:
        return self._options.to_dict().get("api_key")


def call(key: str, account: str = "") -> ApiCall:
    """A call that was made with *key* for *account*."""
    return ApiCall("GET", "/v1/x", account=account, requestor=Requestor(api_key=key, stripe_account=account or None))


@pytest.mark.parametrize(
    ("account", "livemode", "key", "asks_for"),
    [
        pytest.param("", True, "sk_live_2", None, id="the newest of the mode"),
        pytest.param("", False, "sk_test_1", None, id="the other mode"),
        pytest.param("acct_1", True, "sk_live_9", "acct_1", id="the account's own"),
        pytest.param("acct_2", True, "sk_live_2", "acct_2", id="the platform's, for the account"),
    ],
)
def test_the_client_that_fits(account: str, livemode: bool, key: str, asks_for: str | None) -> None:
    """An object is asked about with the key of its mode: its account's own, else the platform's."""
    clients = Clients()
    for made in (call("sk_live_1"), call("sk_test_1"), call("sk_live_2"), call("sk_live_9", "acct_1")):
        clients.remember(made)
    found = clients.find(account, livemode=livemode)

    assert found is not None
    assert (key, asks_for) == (found.requestor._options.api_key, found.requestor._options.stripe_account)
    assert key not in repr((clients, found, call(key)))


def test_a_bounded_memory_of_clients() -> None:
    """A platform that speaks for thousands of accounts is remembered by the last few of them."""
    clients = Clients()
    for number in range(1000):
        clients.remember(call("sk_live_1", f"acct_{number}"))

    assert "<64 clients>" == repr(clients)
    assert clients.find("acct_1", livemode=True) is not None


# -- what waits ----------------------------------------------------------------------------------------------------------------


def test_thin_events_survive_until_they_are_done(tmp_path: Any) -> None:
    """What was not done when a process ended is handed out by the next one, in order, and what was done is not."""
    first = Waiting(Spool(tmp_path, token="a", readers=(READER,), fsync=True))
    for number in range(3):
        first.add(THIN._replace(object_id=f"pi_{number}"))
    before = [t.object_id for _, t in first.open()]
    first.put_back(0)
    first.close()
    second = Waiting(Spool(tmp_path, token="b", readers=(READER,), fsync=True))
    handed = [t.object_id for _, t in second.open()]
    for number, _ in second.open():
        second.done(number)
    second.close()
    third = Waiting(Spool(tmp_path, token="c", readers=(READER,), fsync=True))

    assert ["pi_0", "pi_1", "pi_2"] == before
    assert ["pi_0", "pi_1", "pi_2", "pi_0"] == handed
    assert [] == third.open()


def test_thin_events_without_a_folder() -> None:
    """Where nothing can be written they wait in memory, and are done with one by one."""
    waiting = Waiting(None)
    waiting.add(THIN)
    ((number, handed),) = waiting.open()
    waiting.done(number)

    assert THIN == handed
    assert [] == waiting.open()


def test_a_frame_of_another_version_is_passed_over(tmp_path: Any) -> None:
    """What cannot be read holds nothing up."""
    spool = Spool(tmp_path, token="a", readers=(READER,), fsync=True)
    spool.append(json.dumps({"x": 1}).encode())
    spool.append(b"no json")
    spool.append(THIN.to_json())
    waiting = Waiting(spool)

    assert [THIN] == [t for _, t in waiting.open()]


def test_one_process_of_a_folder_asks(tmp_path: Any) -> None:
    """The turn is one process's until it gives it, or ends."""
    one, other = Turn(tmp_path / "lock"), Turn(tmp_path / "lock")
    first = (one.take(), one.take(), other.take())
    one.give()

    assert (True, True, False) == first
    assert (True, False) == (other.take(), one.take())
    assert Turn(None).take()
