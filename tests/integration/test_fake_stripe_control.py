"""FakeStripe from another process: the program, its control routes, Stripe's page for buyers; and the pytest plugin."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from otel_revenue.testing import FakeStripe
from otel_revenue.testing.fake_stripe import WEBHOOK_SECRET, control
from support.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        running.collect()
        yield running


def post(fake: FakeStripe, name: str, **body: Any) -> tuple[int, Any]:
    answer = requests.post(f"{fake.url}/_fake/{name}", json=body, timeout=30)
    return answer.status_code, answer.json()


def get(fake: FakeStripe, name: str) -> Any:
    return requests.get(f"{fake.url}/_fake/{name}", timeout=30).json()


# -- control -----------------------------------------------------------------------------------------------------------


def test_a_buyer_can_pay_decline_and_settle_over_http(fake: FakeStripe) -> None:
    """
    What the demo's buyers post: a country, a payment method, a decline; then the money of the bank debit arrives.
    """
    shop = Shop(fake)
    card, debit = shop.session(1000), shop.session(2000)

    said = [
        post(fake, "pay", session=card.id, country="DE", payment_method="card", decline="insufficient_funds"),
        post(fake, "pay", session=card.id, country="DE", payment_method="card"),
        post(fake, "pay", session=debit.id, country="AT", payment_method="sepa_debit"),
        post(fake, "settle", session=debit.id),
    ]
    assert [
        (200, {"status": "open"}),
        (200, {"status": "complete"}),
        (200, {"status": "complete"}),
        (200, {"settled": debit.id}),
    ] == said
    assert {"eur": {"count": 2, "minor": 3000, "refunds": 0, "refunded_minor": 0}} == get(fake, "sums")
    countries = [s["customer_details"]["address"]["country"] for s in get(fake, "sessions")]
    assert ["DE", "AT"] == countries


def test_books_are_one_row_per_payment_with_refunds_apart(fake: FakeStripe) -> None:
    """
    Currencies are summed each for itself, in minor units; a refund takes nothing off what was paid.
    """
    shop = Shop(fake)
    for amount, currency in ((4999, "eur"), (1, "eur"), (4200, "jpy"), (8500, "kwd")):
        fake.pay(shop.session(amount, currency).id)
    first = fake.books()[0]
    shop.api.refunds.create({"payment_intent": first.id, "amount": 999})

    rows = {row["id"]: row for row in get(fake, "books")}
    assert (4, 4999, 999) == (len(rows), rows[first.id]["amount_minor"], rows[first.id]["refunded_minor"])
    assert {"order_id": "order-1", "tier": "pro"} == rows[first.id]["metadata"]
    assert {
        "eur": {"count": 2, "minor": 5000, "refunds": 1, "refunded_minor": 999},
        "jpy": {"count": 1, "minor": 4200, "refunds": 0, "refunded_minor": 0},
        "kwd": {"count": 1, "minor": 8500, "refunds": 0, "refunded_minor": 0},
    } == get(fake, "sums")


def test_intents_links_and_renewals_over_http(fake: FakeStripe) -> None:
    """
    The rest of what buyers and time do.
    """
    shop = Shop(fake)
    intent = shop.intent()
    product = shop.api.products.create({"name": "A"})
    price = shop.api.prices.create({"product": product.id, "currency": "eur", "unit_amount": 700})
    link = shop.api.payment_links.create({"line_items": [{"price": price.id, "quantity": 1}]})
    monthly, open_session = shop.session(300, mode="subscription"), shop.session()

    assert (200, {"status": "succeeded"}) == post(fake, "pay_intent", payment_intent=intent.id, country="FR")
    _, opened = post(fake, "open_link", payment_link=link.id)
    assert (200, {"status": "complete"}) == post(fake, "pay", session=opened["session"])
    post(fake, "pay", session=monthly.id)
    _, renewed = post(fake, "renew", subscription=fake.session(monthly.id)["subscription"])  # type: ignore[index]
    assert renewed["invoice"].startswith("in_")
    assert (200, {"expired": open_session.id}) == post(fake, "expire", session=open_session.id)
    assert {"count": 4, "minor": 4999 + 700 + 300 + 300}.items() <= get(fake, "sums")["eur"].items()


def test_webhooks_are_steered_and_counted_over_http(fake: FakeStripe) -> None:
    """
    Doubled on request; counted; released; drained; sent again.
    """
    said, behaviour = post(fake, "webhooks", duplicates=2, hold=True, drop=["charge.updated"])
    fake.pay(Shop(fake).session().id)
    held = get(fake, "traffic")["held"]
    released = post(fake, "release")
    drained = post(fake, "drain", timeout=10)
    post(fake, "resend", event=get(fake, "events")[0]["id"])

    events = len(get(fake, "events")) - 1
    assert (200, 2, ["charge.updated"]) == (said, behaviour["duplicates"], behaviour["drop"])
    assert (2 * events, (200, {"released": 2 * events}), (200, {"drained": True})) == (held, released, drained)
    traffic = get(fake, "traffic")
    assert {
        "events": events,
        "deliveries": 2 * events + 2,
        "doubled": events,
        "failed": 0,
        "gave_up": 0,
    }.items() <= traffic.items()
    assert ({0}, {200}) == ({traffic["pending"], traffic["held"]}, {d["status"] for d in get(fake, "deliveries")})


def test_an_endpoint_can_be_added_and_requests_be_made_to_fail_over_http(fake: FakeStripe) -> None:
    """
    `drain` runs out of time on a dead endpoint with 504; a failing API request is answered 503, once.
    """
    post(fake, "webhooks", backoff=60.0, backoff_most=60.0)
    added = post(fake, "endpoints", url="http://127.0.0.1:9/", events=["customer.created"], secret="whsec_dead")
    Shop(fake).api.customers.create({})
    status, said = post(fake, "drain", timeout=0.3)
    post(fake, "fail", n=1, status=503, path="/customers")
    answers = [requests.get(f"{fake.url}/v1/customers", auth=(fake.api_key, ""), timeout=30).status_code for _ in "12"]

    assert (200, {"url": "http://127.0.0.1:9/", "events": ["customer.created"]}) == added
    assert (504, "1 deliveries") == (status, said["error"][:12])
    assert [503, 200] == answers


def test_requests_are_on_record_without_keys(fake: FakeStripe) -> None:
    """
    Method, path, parameters and headers of each API request, for tests to look at; never the secret key.
    """
    Shop(fake).api.customers.create({"name": "A"}, {"idempotency_key": "k-1"})

    (seen,) = get(fake, "requests")
    assert ("POST", "/v1/customers", {"name": "A"}, "k-1", 200) == (
        seen["method"],
        seen["path"],
        seen["params"],
        seen["idempotency_key"],
        seen["status"],
    )
    assert fake.api_key not in str(seen)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("pay", b""),
        ("pay", b"{"),
        ("pay", b"[]"),
        ("pay", b"[" * 100_000),
        ("pay", b'{"session": "cs_x"}'),
        ("pay", b'{"session": ["cs_x"]}'),
        ("pay", b'{"session": "cs_x", "colour": "red"}'),
        ("pay", b'{"session": "cs_x", "payment_method": "seashells"}'),
        ("pay", b'{"session": "cs_x", "payment_method": 1}'),
        ("pay", b'{"session": "cs_x", "buyer": {"shoe_size": "43"}}'),
        ("pay", b'{"session": "cs_x", "buyer": {"email": 1}}'),
        ("pay", b'{"session": "cs_x", "buyer": "me"}'),
        ("pay", b'{"session": "cs_x", "country": "\\ud800"}'),
        ("pay_intent", b'{"payment_intent": "pi_x", "decline": "dislike"}'),
        ("settle", b'{"session": "cs_x"}'),
        ("settle", b'{"session": "pi_x"}'),
        ("settle", b'{"session": {}}'),
        ("expire", b'{"session": "cs_x"}'),
        ("renew", b'{"subscription": "sub_x"}'),
        ("open_link", b'{"payment_link": "plink_x"}'),
        ("resend", b'{"event": "evt_x"}'),
        ("endpoints", b'{"url": "nowhere"}'),
        ("endpoints", b'{"url": "http://a/", "secret": "x"}'),
        ("endpoints", b'{"url": 1}'),
        ("endpoints", b'{"url": "http://a/", "events": 1}'),
        ("webhooks", b'{"duplicates": "many"}'),
        ("fail", b'{"n": "x"}'),
        ("fail", b'{"status": "x"}'),
        ("drain", b'{"timeout": "x"}'),
    ],
)
def test_a_wrong_control_request_is_400_and_says_why(fake: FakeStripe, name: str, body: bytes) -> None:
    """
    Whatever is wrong with it: 400 and a text, and the fake goes on.
    """
    answer = requests.post(f"{fake.url}/_fake/{name}", data=body, timeout=30)

    assert (400, True) == (answer.status_code, bool(answer.json()["error"]))
    assert "ok" == get(fake, "")["status"]


def test_unknown_control_routes_and_huge_bodies_are_refused(fake: FakeStripe) -> None:
    """
    404 with the routes that there are; 413 for more than two MiB.
    """
    unknown = requests.post(f"{fake.url}/_fake/nonsense", timeout=30)
    huge = requests.post(f"{fake.url}/_fake/pay", data=b" " * 3_000_000, timeout=30)

    assert (404, True, 413) == (unknown.status_code, "POST pay" in unknown.json()["error"], huge.status_code)


def test_every_control_route_is_in_the_docstring() -> None:
    """
    The table that people read names each route.
    """
    table = control.__doc__ or ""
    names = {route.split(" ")[1] for route in control.ROUTES} - {""}

    assert set() == {name for name in names if f"| `{name}` " not in table}


# -- Stripe's page -----------------------------------------------------------------------------------------------------


def test_a_person_can_pay_on_the_page(fake: FakeStripe) -> None:
    """
    The Session's URL shows a form; a decline shows it again; paying leads to the shop with the Session's id filled in.
    """
    session = Shop(fake).session(
        success_url="https://shop.example/ok?s={CHECKOUT_SESSION_ID}", cancel_url="https://shop.example/no"
    )
    page = requests.get(session.url, timeout=30)
    declined = requests.post(session.url, data={"method": "declined_card", "country": "DE"}, timeout=30)
    paid = requests.post(
        session.url, data={"method": "card", "email": "a@example.org"}, allow_redirects=False, timeout=30
    )

    assert ("49" in page.text, "https://shop.example/no" in page.text) == (True, True)
    assert "declined" in declined.text
    assert (303, f"https://shop.example/ok?s={session.id}") == (paid.status_code, paid.headers["location"])
    assert "expired or was used" in requests.get(f"{fake.url}/c/pay/{session.id}", timeout=30).text


def test_a_link_leads_to_a_page(fake: FakeStripe) -> None:
    """
    Opening a Payment Link's URL makes a Session and goes to its page.
    """
    shop = Shop(fake)
    product = shop.api.products.create({"name": "A"})
    price = shop.api.prices.create({"product": product.id, "currency": "eur", "unit_amount": 700})
    link = shop.api.payment_links.create({"line_items": [{"price": price.id, "quantity": 1}]})

    opened = requests.get(link.url, timeout=30)
    assert (200, True, 1) == (opened.status_code, "/c/pay/cs_test_" in opened.url, len(fake.sessions()))
    assert 404 == requests.get(f"{fake.url}/pay/nonsense", timeout=30).status_code


@pytest.mark.parametrize(
    "form", [{"method": "seashells"}, {"shoe_size": "43"}, {"email": "\x00"}, {"method": "paypal"}]
)
def test_the_page_refuses_what_nobody_can_choose(fake: FakeStripe, form: dict[str, str]) -> None:
    """
    400, and the Session stays open; what was typed is never markup.
    """
    session = Shop(fake).session(allowed_payment_method_types=["card"])
    answer = requests.post(session.url, data={**form, "decline": ""}, timeout=30)

    assert (400, "open") == (answer.status_code, fake.session(session.id)["status"])  # type: ignore[index]


def test_text_of_the_shop_is_no_markup_on_the_page(fake: FakeStripe) -> None:
    """
    A cancel URL with quotes and tags stays a URL.
    """
    session = Shop(fake).session(cancel_url='https://shop.example/"><script>alert(1)</script>')

    assert "<script>" not in requests.get(session.url, timeout=30).text


# -- the program -------------------------------------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "otel_revenue.testing.fake_stripe", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_says_its_address_and_ends_on_a_signal(number: signal.Signals) -> None:
    """
    The first line is the address, which answers; SIGTERM and SIGINT end it with 0 and nothing on stderr.
    """
    process = start("--duplicates", "2", "--reorder", "--endpoint", "http://127.0.0.1:9/")
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    status = requests.get(f"{url}/_fake/", timeout=30).json()["status"]
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)

    assert ("ok", 0, "") == (status, process.returncode, errors)


@pytest.mark.parametrize(("arguments", "expected"), [((), 2), (("--seed", "7"), 1)], ids=["by itself", "with a seed"])
def test_the_program_makes_other_ids_at_each_start(arguments: tuple[str, ...], expected: int) -> None:
    """
    A payment after a restart is another payment; with a seed the ids repeat.
    """
    ids = set()
    for _ in range(2):
        process = start(*arguments)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        created = requests.post(f"{url}/v1/customers", headers={"Authorization": "Bearer sk_test_fake"}, timeout=30)
        ids.add(created.json()["id"])
        process.terminate()
        process.communicate(timeout=30)

    assert expected == len(ids)


@pytest.mark.parametrize(
    "arguments",
    [("--endpoint", "nowhere"), ("--duplicates", "0"), ("--drop", "2"), ("--port", "99999"), ("--port", "-1")],
)
def test_the_program_refuses_to_start_with_wrong_arguments(arguments: tuple[str, ...]) -> None:
    """
    One line on stderr, and 2.
    """
    process = start(*arguments)
    _, errors = process.communicate(timeout=30)

    assert (2, True, 1) == (process.returncode, errors.startswith("cannot start: "), errors.count("\n"))


# -- for users' tests --------------------------------------------------------------------------------------------------

CONFTEST = 'pytest_plugins = ["otel_revenue.testing.plugin"]\n'
SHOP_TEST = """
import stripe

def test_an_order_is_paid(fake_stripe):
    fake_stripe.collect("shop", events=["checkout.session.completed"])
    session = stripe.checkout.Session.create(
        mode="payment", success_url="https://shop.example/ok",
        line_items=[{"quantity": 1, "price_data": {"currency": "eur", "unit_amount": 4999, "product_data": {"name": "A"}}}])
    fake_stripe.pay(session.id)
    (delivery,) = fake_stripe.deliveries
    event = stripe.Webhook.construct_event(delivery.body, delivery.signature, "whsec_fake_stripe_on_loopback")
    assert event.data.object.payment_status == "paid"
    assert [4999] == [payment.amount_minor for payment in fake_stripe.books()]

def test_the_next_one_begins_anew(fake_stripe):
    assert [] == fake_stripe.books()

def test_without_it_stripe_is_itself():
    assert stripe.api_base == "https://api.stripe.com" and stripe.api_key is None
"""


def test_the_plugin_gives_a_fresh_fake_to_each_test(tmp_path: Path) -> None:
    """
    In a project of its own: the fixture works, and leaves the library as it was.
    """
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_shop.py").write_text(SHOP_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=100, check=False)

    assert (0, True) == (ran.returncode, "3 passed" in ran.stdout), ran.stdout + ran.stderr


def blocks(page: str) -> dict[str, str]:
    """The Python blocks of a page whose first line names their file."""
    found = re.findall(r"```python\n# (\S+)\n(.*?)```", page, re.DOTALL)
    return dict(found)


def test_the_example_of_the_docs_works_on_the_example_shop(tmp_path: Path) -> None:
    """
    What `docs/testing.md` shows, copied word for word beside `examples/shop_fastapi/shop.py`, passes.
    """
    for name, code in blocks((ROOT / "docs" / "testing.md").read_text(encoding="utf-8")).items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "examples" / "shop_fastapi"),
        "STRIPE_API_KEY": "sk_test_of_the_shop",
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "SHOP_DATABASE": str(tmp_path / "shop.db"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=100, check=False
    )

    assert (0, True) == (ran.returncode, "1 passed" in ran.stdout), ran.stdout + ran.stderr
