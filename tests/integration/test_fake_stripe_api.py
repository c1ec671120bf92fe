"""The API of FakeStripe through the real stripe library: idempotency, lists, errors, hostile input."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_revenue.testing import FakeStripe
from support.fake_stripe import PAYMENT, POSTER, raw, refused
from support.shop import CONNECTED, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        yield running


# -- idempotency -------------------------------------------------------------------------------------------------------


def test_a_key_replays_its_first_answer(fake: FakeStripe, shop: Shop) -> None:
    """
    The same key and parameters give the same object again, marked as replayed, and make nothing new.
    """
    options = {"idempotency_key": "replay-1"}

    first = shop.api.checkout.sessions.create(PAYMENT, options)
    sessions = len(fake.sessions())
    second = shop.api.checkout.sessions.create(PAYMENT, options)
    headers = second.last_response.headers
    assert (first.id, sessions) == (second.id, len(fake.sessions()))
    assert ("true", first.last_response.request_id) == (headers["Idempotent-Replayed"], headers["Original-Request"])
    assert "Idempotent-Replayed" not in first.last_response.headers


@pytest.mark.parametrize("change", [{"metadata": {"otel_traceparent": "00-1"}}, {"expand": ["line_items"]}])
def test_a_key_with_other_parameters_is_an_error(shop: Shop, change: dict[str, Any]) -> None:
    """
    One metadata key more, or an expansion, under a used key: 400 idempotency_error.
    """
    options = {"idempotency_key": f"other-{sorted(change)}"}
    shop.api.checkout.sessions.create(PAYMENT, options)

    error = refused(lambda: shop.api.checkout.sessions.create({**PAYMENT, **change}, options), stripe.IdempotencyError)
    assert (400, "idempotency_error") == (error.http_status, error.error.type)


def test_a_key_of_another_endpoint_is_an_error(shop: Shop) -> None:
    """
    The text names the endpoint that the key was first used for.
    """
    options = {"idempotency_key": "endpoint-1"}
    shop.api.customers.create({}, options)

    error = refused(lambda: shop.api.products.create({"name": "A"}, options), stripe.IdempotencyError)
    assert "'/v1/customers'" in str(error)


def test_a_key_is_free_again_after_a_refusal(shop: Shop) -> None:
    """
    A request that failed validation is not kept: the corrected one goes through under the same key.
    """
    options = {"idempotency_key": "refused-1"}
    refused(lambda: shop.api.checkout.sessions.create({**PAYMENT, "colour": "red"}, options))

    assert shop.api.checkout.sessions.create(PAYMENT, options).id.startswith("cs_test_")


def test_a_decline_is_kept_for_its_key(fake: FakeStripe, shop: Shop) -> None:
    """
    What was executed and failed is replayed: no second charge for the same key.
    """
    params = {"amount": 100, "currency": "eur", "payment_method": "pm_card_chargeDeclined", "confirm": True}
    options = {"idempotency_key": "declined-1"}
    failures = [refused(lambda: shop.api.payment_intents.create(params, options), stripe.CardError) for _ in range(2)]

    ids = {e.json_body["error"]["payment_intent"]["id"] for e in failures}
    assert ([402, 402], 1) == ([e.http_status for e in failures], len(ids))
    assert [False, True] == [r.replayed for r in fake.requests[-2:]]


def test_keys_belong_to_their_account(fake: FakeStripe, shop: Shop) -> None:
    """
    The platform and a connected account may use the same key for different things.
    """
    options = {"idempotency_key": "account-1"}
    shop.api.customers.create({"name": "A"}, options)

    theirs = [Shop(fake, CONNECTED).api.customers.create({"name": "B"}, options) for _ in range(2)]
    assert (["B", "B"], 1) == ([c.name for c in theirs], len({c.id for c in theirs}))


def test_a_key_has_at_most_255_characters(shop: Shop) -> None:
    """
    256 are refused.
    """
    assert 400 == refused(lambda: shop.api.customers.create({}, {"idempotency_key": "k" * 256})).http_status


def test_the_librarys_own_retries_reach_an_answer_and_make_one_object(fake: FakeStripe) -> None:
    """
    After a 500 the library tries again with the same key: one Session.
    """
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url}, max_network_retries=2)
    before = len(fake.sessions())
    fake.fail_next(1, status=500, path="/checkout/sessions")

    client.v1.checkout.sessions.create(PAYMENT)
    first, second = fake.requests[-2:]
    assert (before + 1, [500, 200]) == (len(fake.sessions()), [first.status, second.status])
    assert first.idempotency_key == second.idempotency_key != ""


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, stripe.AuthenticationError),
        (403, stripe.PermissionError),
        (429, stripe.RateLimitError),
        (500, stripe.APIError),
        (503, stripe.APIError),
    ],
)
def test_trouble_on_request_is_raised_as_stripes(
    fake: FakeStripe, shop: Shop, status: int, kind: type[stripe.StripeError]
) -> None:
    """
    `fail_next` gives each status in the shape that makes the library raise the class that belongs to it.
    """
    fake.fail_next(1, status=status)

    assert status == refused(lambda: shop.api.customers.list(), kind).http_status


# -- answers -----------------------------------------------------------------------------------------------------------


def test_every_answer_has_a_request_id_and_events_name_it(fake: FakeStripe, shop: Shop) -> None:
    """
    `Request-Id` of the answer is `request.id` of the events that the request caused, with its idempotency key.
    """
    customer = shop.api.customers.create({}, {"idempotency_key": "events-1"})
    error = refused(lambda: shop.api.customers.retrieve("cus_x"))

    event = fake.events[-1]
    assert {"id": customer.last_response.request_id, "idempotency_key": "events-1"} == event["request"]
    assert ("customer.created", True) == (event["type"], error.request_id.startswith("req_"))


def test_an_unknown_object_is_404(shop: Shop) -> None:
    """
    Retrieving what is not there: 404 resource_missing.
    """
    error = refused(lambda: shop.api.checkout.sessions.retrieve("cs_test_x"))

    assert (404, "resource_missing") == (error.http_status, error.code)


@pytest.mark.parametrize(
    "path", ["/v1/nonsense", "/v2/core/events", "/", "/v1", "/v1/customers/a/b/c", "/%00", "/v1/../etc"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_an_unknown_route_is_answered_in_stripes_shape(fake: FakeStripe, method: str, path: str) -> None:
    """
    404 invalid_request_error with a request id, whatever the method and path.
    """
    answer = raw(fake, method, path)

    assert (404, "invalid_request_error") == (answer.status_code, answer.json()["error"]["type"])
    assert answer.headers["Request-Id"].startswith("req_")


def test_line_items_come_when_asked_for_and_page_by_page(shop: Shop) -> None:
    """
    Not in a Session; by `expand`; and by `list_line_items`, 10 at a time, which the library walks through.
    """
    lines = [{"price_data": {**POSTER, "unit_amount": 100 + i}, "quantity": i + 1} for i in range(23)]
    session = shop.api.checkout.sessions.create({**PAYMENT, "line_items": lines})
    expanded = shop.api.checkout.sessions.retrieve(
        session.id, {"expand": ["line_items", "line_items.data.price.product"]}
    )

    page = shop.api.checkout.sessions.line_items.list(session.id)
    every = [item.quantity for item in page.auto_paging_iter()]
    assert (False, 10, True, [*range(1, 24)]) == ("line_items" in session, len(page.data), page.has_more, every)
    assert "Poster" == expanded.line_items.data[0].price.product.name
    assert sum((100 + i) * (i + 1) for i in range(23)) == session.amount_total


def test_lists_are_newest_first_and_can_be_filtered(shop: Shop) -> None:
    """
    `limit`, `starting_after`, `ending_before`, `created` and the fields that an endpoint has.
    """
    mail = "lists@example.org"
    ids = [shop.api.customers.create({"email": mail}).id for _ in range(5)][::-1]

    def of(**params: Any) -> list[str]:
        return [c.id for c in shop.api.customers.list({"email": mail, **params}).data]

    assert ids == of()
    assert (ids[:2], ids[3:], ids[:2]) == (of(limit=2), of(starting_after=ids[2]), of(ending_before=ids[2]))
    assert ([], ids) == (of(created={"lt": 1}), of(created={"gte": 1}))
    assert ["limit", "limit"] == [refused(lambda n=n: of(limit=n)).param for n in (0, 101)]


def test_what_cannot_be_expanded_is_an_error(shop: Shop) -> None:
    """
    An unknown path, and one of more than four levels: 400.
    """
    for path in ("nonsense", "a.b.c.d.e"):
        assert (
            400
            == refused(lambda path=path: shop.api.checkout.sessions.create({**PAYMENT, "expand": [path]})).http_status
        )


def test_a_session_is_found_by_its_payment_intent(fake: FakeStripe, shop: Shop) -> None:
    """
    `GET /v1/checkout/sessions?payment_intent=` gives the one Session.
    """
    session = shop.session()
    fake.pay(session.id)
    intent = shop.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]}).payment_intent

    assert [session.id] == [s.id for s in shop.api.checkout.sessions.list({"payment_intent": intent.id}).data]


def test_an_invoice_is_found_by_its_payment_intent(fake: FakeStripe, shop: Shop) -> None:
    """
    `GET /v1/invoice_payments` links the two; the invoice's `payments` come by expansion.
    """
    invoice = shop.invoice(shop.customer().id, 3000)
    shop.api.invoices.pay(invoice.id)
    (payment,) = shop.api.invoice_payments.list({"invoice": invoice.id}).data
    by_intent = shop.api.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": payment.payment.payment_intent}}
    )

    expanded = shop.api.invoices.retrieve(invoice.id, {"expand": ["payments"]})
    assert [invoice.id] == [p.invoice for p in by_intent.data]
    assert [payment.id] == [p.id for p in expanded.payments.data]


def test_events_can_be_listed_and_retrieved(shop: Shop) -> None:
    """
    `/v1/events`, by type, newest first.
    """
    customer = shop.api.customers.create({})

    newest = shop.api.events.list({"type": "customer.created", "limit": 1}).data[0]
    assert customer.id == newest.data.object.id == shop.api.events.retrieve(newest.id).data.object.id


def test_an_older_client_gets_the_older_shape(fake: FakeStripe, shop: Shop) -> None:
    """
    The answer is in the version that the request names.
    """
    invoice = shop.invoice(shop.customer().id, 3000)
    paid = shop.api.invoices.pay(invoice.id)
    old = shop.api.invoices.retrieve(invoice.id, options={"stripe_version": "2024-06-20"})

    assert (True, True) == (old.paid, old.payment_intent.startswith("pi_"))
    assert ("payment_intent" in paid, "2024-06-20") == (False, old.last_response.headers["Stripe-Version"])


@pytest.mark.parametrize("account", ["nonsense", "acct_", "cus_1"])
def test_an_account_that_is_none_is_403(fake: FakeStripe, account: str) -> None:
    """
    `Stripe-Account` must be an account's id.
    """
    assert 403 == refused(lambda: Shop(fake, account).api.customers.list(), stripe.PermissionError).http_status


def test_accounts_do_not_see_one_another(fake: FakeStripe, shop: Shop) -> None:
    """
    What one account made, another one cannot retrieve.
    """
    theirs = Shop(fake, CONNECTED).api.customers.create({})

    assert 404 == refused(lambda: shop.api.customers.retrieve(theirs.id)).http_status


# -- hostile input -----------------------------------------------------------------------------------------------------


def test_a_huge_body_is_refused_and_the_next_request_works(fake: FakeStripe, shop: Shop) -> None:
    """
    More than two MiB: 413 in Stripe's shape.
    """
    answer = raw(fake, "POST", "/v1/customers", b"name=" + b"x" * 3_000_000)

    assert (413, "invalid_request_error") == (answer.status_code, answer.json()["error"]["type"])
    assert shop.api.customers.create({}).id.startswith("cus_")


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"a[[=1",
        b"a]=1",
        b"[a]=1",
        b"a=1&a[b]=2",
        b"a[b]=1&a=2",
        b"a" + b"[b]" * 500 + b"=1",
        b"a[" + b"9" * 5000 + b"]=1&a[1]=2",
        b"&".join(b"k%d=v" % i for i in range(30_000)),
        b'{"name": "json"}',
        b"name=%00",
        b"name=%ED%A0%80",
        b"metadata[]=1",
        b"metadata[%5B]=1",
    ],
)
def test_a_broken_form_is_answered_in_stripes_shape(fake: FakeStripe, body: bytes) -> None:
    """
    Whatever the body is: an object or Stripe's error, never a crash.
    """
    answer = raw(fake, "POST", "/v1/customers", body)

    assert answer.status_code in (200, 400)
    assert ("object" in answer.json()) is (answer.status_code == 200)


KEYS = st.sampled_from(
    """mode success_url line_items[0][price] line_items[0][quantity] line_items[0][price_data][currency] line_items[x]
    line_items[0][price_data][unit_amount] line_items[0][price_data][product_data][name] line_items metadata metadata[a]
    metadata[a][b] payment_intent_data payment_intent_data[metadata][a] payment_intent_data[capture_method] customer email
    amount currency confirm payment_method payment_method_data[type] payment_method_data[card][token] items[0][price] type
    name id unit_amount unit_amount_decimal product product_data[name] recurring[interval] recurring source charge
    payment_intent expand[] expand discounts[0][coupon] discounts percent_off amount_off percentage display_name
    trial_period_days limit starting_after created created[gt] card[number] billing_details address shipping[name]
    invoice_settings[default_payment_method] subscription_data[trial_period_days] custom_fields[0][key] balance
    custom_fields[0][type] shipping_options[0][shipping_rate_data][fixed_amount][amount] transfer_data[destination]
    payment_details[order_reference] pricing[price] price_data[currency] pending_invoice_items_behavior""".split()
)
VALUES = st.one_of(
    st.sampled_from(
        """payment subscription setup eur jpy 100 0 -1 1.5 1e5 NaN Infinity true false card sepa_debit pm_card_visa tok_visa
        pm_card_chargeDeclined month https://shop.example/ manual include cs_test_x in_x""".split()
    ),
    st.text(max_size=30),
)
PATHS = st.sampled_from(
    """checkout/sessions payment_intents customers products prices coupons promotion_codes tax_rates payment_methods charges
    refunds subscriptions invoices invoiceitems payment_links setup_intents events invoice_payments
    payment_methods/pm_card_visa/attach payment_intents/pi_x/capture""".split()
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=PATHS, method=st.sampled_from(["GET", "POST", "DELETE"]), form=st.lists(st.tuples(KEYS, VALUES), max_size=8)
)
def test_no_form_breaks_the_api(fake: FakeStripe, path: str, method: str, form: list[tuple[str, str]]) -> None:
    """
    Any parameters on any endpoint: an answer or one of Stripe's errors, never a 500.
    """
    body = requests.models.RequestEncodingMixin._encode_params(form).encode()  # type: ignore[arg-type]
    key = {"authorization": f"Bearer {fake.api_key}"}
    answer = fake.api.handle(method, f"/v1/{path}", body.decode() if method == "GET" else "", body, key)

    assert answer.status in (200, 400, 402, 404)


# -- at once -----------------------------------------------------------------------------------------------------------


def test_many_threads_at_once_get_an_object_each(fake: FakeStripe) -> None:
    """
    200 Sessions from 10 threads: 200 ids, each paid once, all in the books.
    """
    made: list[str] = []

    def buy() -> None:
        shop = Shop(fake)
        for _ in range(20):
            session = shop.session()
            fake.pay(session.id)
            made.append(session.id)

    threads = [threading.Thread(target=buy) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    booked = [row.session for row in fake.books() if row.session in set(made)]
    assert (200, sorted(made)) == (len(set(made)), sorted(str(s) for s in booked))


def test_one_key_from_many_threads_makes_one_object(fake: FakeStripe) -> None:
    """
    The same idempotency key at the same time: one Session for all.
    """
    ids: set[str] = set()

    def create() -> None:
        ids.add(Shop(fake).api.checkout.sessions.create(PAYMENT, {"idempotency_key": "race-1"}).id)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(ids)


def test_two_fakes_in_one_process_know_nothing_of_one_another() -> None:
    """
    Ports, objects and books are each one's own.
    """
    with FakeStripe() as one, FakeStripe(seed=2) as two:
        session = Shop(one).session()
        one.pay(session.id)

        refused(lambda: Shop(two).api.checkout.sessions.retrieve(session.id))
        assert (1, 0, False) == (len(one.books()), len(two.books()), one.url == two.url)


def test_a_fake_can_be_stopped_and_started_again() -> None:
    """
    What it knows stays, and so does its address.
    """
    fake = FakeStripe()
    with fake:
        url, session = fake.url, Shop(fake).session()
    with fake:
        again = Shop(fake).api.checkout.sessions.retrieve(session.id)

        assert (url, session.id) == (fake.url, again.id)


def test_a_taken_port_is_an_os_error() -> None:
    """
    Starting where somebody listens fails at once, and says so.
    """
    with FakeStripe() as one, pytest.raises(OSError, match="in use"):
        FakeStripe(port=int(one.url.rpartition(":")[2])).start()
