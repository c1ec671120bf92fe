"""Deliveries of FakeStripe to real endpoints: signed, repeated until acknowledged, doubled, shuffled, lost, held on request."""

from __future__ import annotations

import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from otel_revenue.testing import FakeStripe
from otel_revenue.testing.fake_stripe import WEBHOOK_SECRET
from support.shop import CONNECTED, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Receiver:
    """An endpoint that notes what came, and answers with the next of *moods*, then with 200."""

    moods: list[int] = field(default_factory=list)
    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.got]

    @property
    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for body, _ in self.got]

    @property
    def signatures(self) -> list[str]:
        return [headers["stripe-signature"] for _, headers in self.got]


def serve(receiver: Receiver) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((body, {name.lower(): value for name, value in self.headers.items()}))
            status = receiver.moods.pop(0) if receiver.moods else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/webhooks?from=stripe"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    server = serve(receiver)
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture
def second() -> Iterator[Receiver]:
    receiver = Receiver()
    server = serve(receiver)
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        running.webhooks.configure(backoff=0.01, backoff_most=0.02)
        yield running


def buy(fake: FakeStripe, **more: Any) -> str:
    session = Shop(fake).session(**more)
    fake.pay(session.id)
    return str(session.id)


PAID = ("charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")


def test_events_arrive_signed_in_order_and_as_stripe_sends_them(fake: FakeStripe, receiver: Receiver) -> None:
    """
    The real library verifies each body with its header; order, query string and headers are Stripe's.
    """
    fake.add_endpoint(receiver.url)
    buy(fake)
    fake.drain()

    events = [stripe.Webhook.construct_event(b, h["stripe-signature"], WEBHOOK_SECRET) for b, h in receiver.got]
    assert [e["id"] for e in fake.events] == [e.id for e in events]
    headers = receiver.got[0][1]
    assert {"host", "content-type", "user-agent", "stripe-signature", "content-length", "accept-encoding"} == set(
        headers
    )
    assert ("application/json; charset=utf-8", True) == (
        headers["content-type"],
        headers["user-agent"].startswith("Stripe/1.0"),
    )


def test_a_forged_body_does_not_verify(fake: FakeStripe, receiver: Receiver) -> None:
    """
    Another byte, another secret or another time: SignatureVerificationError.
    """
    fake.add_endpoint(receiver.url, events=["payment_intent.succeeded"])
    buy(fake)
    fake.drain()
    (body, _), signature = receiver.got[0], receiver.signatures[0]

    assert stripe.Webhook.construct_event(body, signature, WEBHOOK_SECRET)
    for bad in (
        (body + b" ", signature, WEBHOOK_SECRET),
        (body, signature, "whsec_other"),
        (body, signature.replace("t=", "t=1"), WEBHOOK_SECRET),
    ):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(*bad)


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
def test_whatever_is_not_2xx_is_tried_again_with_a_fresh_signature(
    fake: FakeStripe, receiver: Receiver, status: int
) -> None:
    """
    Same event, same body, attempts counted; a redirect is not followed; the signature's time is the attempt's.
    """
    moments = iter(range(1_900_000_000, 1_900_000_100))
    fake.webhooks._clock = lambda: next(moments)
    receiver.moods = [status, status]
    fake.add_endpoint(receiver.url, events=["payment_intent.succeeded"])
    buy(fake)
    fake.drain()

    assert [(status, 1), (status, 2), (200, 3)] == [(d.status, d.attempt) for d in fake.deliveries]
    assert (1, 1, 3) == (len(set(receiver.ids)), len({b for b, _ in receiver.got}), len(set(receiver.signatures)))
    assert ["t=1900000000", "t=1900000001", "t=1900000002"] == [s.split(",")[0] for s in receiver.signatures]
    for body, headers in receiver.got:
        assert stripe.Webhook.construct_event(body, headers["stripe-signature"], WEBHOOK_SECRET, tolerance=0)


def test_a_dead_endpoint_is_given_up_after_all_attempts_and_holds_nobody_up(
    fake: FakeStripe, receiver: Receiver
) -> None:
    """
    The other endpoint gets its event; the record names the failure and what was given up.
    """
    fake.webhooks.configure(attempts=3)
    fake.add_endpoint("http://127.0.0.1:9/", events=["payment_intent.succeeded"])
    fake.add_endpoint(receiver.url, events=["payment_intent.succeeded"])
    buy(fake)
    fake.drain()

    dead = [d for d in fake.deliveries if d.endpoint != receiver.url]
    assert [(0, "ConnectionRefusedError", False)] * 2 + [(0, "ConnectionRefusedError", True)] == [
        (d.status, d.error, d.gave_up) for d in dead
    ]
    assert ["payment_intent.succeeded"] == receiver.types
    assert (1, 3, 1) == (fake.traffic().deliveries, fake.traffic().failed, fake.traffic().gave_up)


def test_an_endpoint_that_never_answers_times_out(fake: FakeStripe, receiver: Receiver) -> None:
    """
    A silent endpoint costs one attempt's timeout, and is tried again.
    """
    silent = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            silent.wait(10)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    fake.webhooks.configure(attempts=2, timeout=0.1)
    fake.add_endpoint(f"http://127.0.0.1:{server.server_port}/", events=["payment_intent.succeeded"])
    buy(fake)
    fake.drain()
    silent.set()
    server.shutdown()
    server.server_close()

    assert [("TimeoutError", False), ("TimeoutError", True)] == [(d.error, d.gave_up) for d in fake.deliveries]


def test_drain_says_what_is_wrong_when_time_runs_out(fake: FakeStripe) -> None:
    """
    A TimeoutError with how many are pending and the last failure.
    """
    fake.webhooks.configure(backoff=60.0, backoff_most=60.0)
    fake.add_endpoint("http://127.0.0.1:9/", events=["payment_intent.succeeded"])
    buy(fake)

    with pytest.raises(TimeoutError, match=r"1 deliveries are still pending; last failure: .*ConnectionRefusedError"):
        fake.drain(0.5)


def test_endpoints_get_what_they_asked_for_in_their_version_under_their_secret(
    fake: FakeStripe, receiver: Receiver, second: Receiver
) -> None:
    """
    Types are filtered, an older version gets older shapes, and the secret of one does not verify the other's.
    """
    fake.add_endpoint(receiver.url, events=["invoice.paid"])
    fake.add_endpoint(
        second.url, secret="whsec_second", events=["invoice.paid", "invoice_payment.paid"], api_version="2022-11-15"
    )
    shop = Shop(fake)
    shop.api.invoices.pay(shop.invoice(shop.customer().id, 3000).id)
    fake.drain()

    (new, _), (old, headers) = receiver.got[0], second.got[0]
    assert (["invoice.paid"], ["invoice.paid"]) == (receiver.types, second.types)
    assert (False, True) == (b'"payment_intent"' in new, b'"payment_intent"' in old)
    assert stripe.Webhook.construct_event(old, headers["stripe-signature"], "whsec_second")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(old, headers["stripe-signature"], WEBHOOK_SECRET)


def test_events_of_connected_accounts_go_to_connect_endpoints_alone(
    fake: FakeStripe, receiver: Receiver, second: Receiver
) -> None:
    """
    Each side gets its own; the account stands in the event.
    """
    fake.add_endpoint(receiver.url, events=["payment_intent.succeeded"])
    fake.add_endpoint(second.url, events=["payment_intent.succeeded"], connect=True)
    buy(fake)
    theirs = Shop(fake, CONNECTED).session()
    fake.pay(theirs.id)
    fake.drain()

    accounts = [[json.loads(b).get("account") for b, _ in r.got] for r in (receiver, second)]
    assert [[None], [CONNECTED]] == accounts


def test_duplicates_have_the_same_id_and_body(fake: FakeStripe, receiver: Receiver) -> None:
    """
    Three of each, byte for byte, and the record says so.
    """
    fake.webhooks.configure(duplicates=3)
    fake.add_endpoint(receiver.url, events=PAID)
    buy(fake)
    fake.drain()

    assert (9, 3, 3) == (len(receiver.got), len(set(receiver.ids)), len({b for b, _ in receiver.got}))
    assert (3, 9, 3) == (fake.traffic().events, fake.traffic().deliveries, fake.traffic().doubled)


def test_reordering_is_from_the_seed_and_loses_nothing(receiver: Receiver) -> None:
    """
    The same seed shuffles in the same way, another seed in another; every event arrives.
    """

    def order(seed: int) -> list[str]:
        with FakeStripe(seed=seed) as fake:
            fake.webhooks.configure(hold=True, reorder=True)
            fake.collect(events=[*PAID, "payment_intent.created", "charge.updated"])
            for _ in range(3):
                buy(fake)
            fake.webhooks.release()
            return [d.type for d in fake.deliveries]

    first, again, other = order(1), order(1), order(2)
    assert (first, sorted(first)) == (again, sorted(other))
    assert first != other


def test_reordered_events_arrive_late_at_a_real_endpoint(fake: FakeStripe, receiver: Receiver) -> None:
    """
    With `reorder` younger events overtake older ones, and the record counts them.
    """
    fake.webhooks.configure(reorder=True)
    fake.add_endpoint(receiver.url)
    for _ in range(4):
        buy(fake)
    fake.drain()

    assert sorted(e["id"] for e in fake.events) == sorted(receiver.ids)
    assert [e["id"] for e in fake.events] != receiver.ids
    assert fake.traffic().late > 0


def test_what_is_dropped_never_arrives(fake: FakeStripe, receiver: Receiver) -> None:
    """
    By type, or a share; the books do not care.
    """
    fake.webhooks.configure(drop=["checkout.session.completed"])
    fake.add_endpoint(receiver.url, events=PAID)
    buy(fake)
    fake.drain()
    by_type = receiver.types
    fake.webhooks.configure(drop=1.0)
    buy(fake)
    fake.drain()

    assert ["charge.succeeded", "payment_intent.succeeded"] == by_type == receiver.types
    assert 2 == len(fake.books())


def test_a_share_is_dropped_from_the_seed() -> None:
    """
    The same seed loses the same deliveries.
    """

    def arrived(seed: int) -> list[str]:
        with FakeStripe(seed=seed) as fake:
            fake.webhooks.configure(drop=0.5)
            fake.collect()
            for _ in range(3):
                buy(fake)
            return [d.type for d in fake.deliveries]

    assert arrived(3) == arrived(3)
    assert 0 < len(arrived(3)) < 18


def test_what_is_held_goes_when_it_is_released(fake: FakeStripe, receiver: Receiver) -> None:
    """
    Nothing arrives before, everything after; `drain` does not wait for what is held.
    """
    fake.webhooks.configure(hold=True)
    fake.add_endpoint(receiver.url, events=PAID)
    buy(fake)
    fake.drain()
    before = list(receiver.types)
    released = fake.webhooks.release()
    fake.drain()

    assert ([], 3, sorted(PAID)) == (before, released, sorted(receiver.types))


def test_an_old_event_can_be_sent_again(fake: FakeStripe, receiver: Receiver) -> None:
    """
    Same id and object, new signature; an id that is none is a LookupError.
    """
    fake.add_endpoint(receiver.url, events=["payment_intent.succeeded"])
    buy(fake)
    fake.drain()
    fake.resend(receiver.ids[0])
    fake.drain()

    assert 1 == len(set(receiver.ids)) == len(receiver.ids) - 1
    with pytest.raises(LookupError, match="evt_x"):
        fake.resend("evt_x")


def test_a_slow_or_failing_endpoint_does_not_slow_the_api(fake: FakeStripe) -> None:
    """
    Sessions are made and paid while nothing can be delivered.
    """
    fake.webhooks.configure(backoff=60.0, backoff_most=60.0)
    fake.add_endpoint("http://127.0.0.1:9/")
    for _ in range(5):
        buy(fake)

    assert (5, True) == (len(fake.books()), fake.webhooks.pending >= 5)


def test_deliveries_at_a_time_overlap_when_asked_for(fake: FakeStripe) -> None:
    """
    With `concurrency=4` four deliveries wait in the endpoint together: only then does the barrier open.
    """
    barrier = threading.Barrier(4)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            barrier.wait(20)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    fake.webhooks.configure(concurrency=4)
    fake.add_endpoint(f"http://127.0.0.1:{server.server_port}/", events=["payment_intent.succeeded"])
    for _ in range(4):
        buy(fake)
    fake.drain(25)
    server.shutdown()
    server.server_close()

    assert [200] * 4 == [d.status for d in fake.deliveries]


def test_an_event_can_be_signed_without_being_sent(fake: FakeStripe) -> None:
    """
    By id, or any dict; with another secret, time or version.
    """
    buy(fake)
    paid = next(e for e in fake.events if e["type"] == "payment_intent.succeeded")

    body, header = fake.signed(paid["id"])
    assert paid["id"] == stripe.Webhook.construct_event(body, header, WEBHOOK_SECRET).id
    old, header = fake.signed(paid, secret="whsec_x", timestamp=int(time.time()) - 10, api_version="2022-11-15")
    assert "2022-11-15" == stripe.Webhook.construct_event(old, header, "whsec_x").api_version
    assert b"payment_details" in body
    assert b"payment_details" not in old
    stale = fake.signed(paid, timestamp=1)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(*stale, WEBHOOK_SECRET)


def test_collected_deliveries_go_nowhere_and_verify(fake: FakeStripe) -> None:
    """
    For tests that post to their application themselves: bodies and signatures, in order, counted as acknowledged.
    """
    fake.collect("inbox", secret="whsec_inbox", events=PAID)
    buy(fake)

    for delivery in fake.deliveries:
        assert stripe.Webhook.construct_event(delivery.body, delivery.signature, "whsec_inbox")
    assert [("inbox", 200, t) for t in PAID] == [(d.endpoint, d.status, d.type) for d in fake.deliveries]
    assert "whsec_inbox" not in repr(fake.webhooks.endpoints) + repr(fake.deliveries)


@pytest.mark.parametrize(
    "change",
    [
        {"duplicate": 2},
        {"duplicates": 0},
        {"duplicates": "2"},
        {"drop": 1.5},
        {"drop": -0.1},
        {"attempts": 0},
        {"backoff": -1},
        {"concurrency": True},
        {"delay": None},
        {"hold": "yes"},
        {"attempts": 2.5},
        {"timeout": float("inf")},
        {"drop": True},
        {"drop": [1]},
    ],
)
def test_a_wrong_behaviour_is_refused(fake: FakeStripe, change: dict[str, Any]) -> None:
    """
    An unknown name or a value out of range: a ValueError that names it, and nothing is changed.
    """
    before = fake.webhooks.behaviour

    with pytest.raises(ValueError, match=next(iter(change))):
        fake.webhooks.configure(**change)
    assert before == fake.webhooks.behaviour


@pytest.mark.parametrize(
    ("url", "secret"),
    [("shop/webhooks", "whsec_a"), ("ftp://shop/", "whsec_a"), ("http://", "whsec_a"), ("http://a/", "secret")],
)
def test_a_wrong_endpoint_is_refused(fake: FakeStripe, url: str, secret: str) -> None:
    """
    No http URL, or a secret that is none: ValueError, without the secret in its text.
    """
    with pytest.raises(ValueError, match="an endpoint") as caught:
        fake.add_endpoint(url, secret=secret)
    assert secret not in str(caught.value) or secret == "secret"
