"""Every flow of `support.scenarios`, on the real library: what the fake books, sends and signs, against what was written down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
import stripe

from otel_revenue.testing import FakeStripe
from otel_revenue.testing.fake_stripe import WEBHOOK_SECRET
from otel_revenue.testing.fake_stripe.world import API_VERSION
from support.scenarios import BASE, CONNECT, OLD_VERSION, PLATFORM, SCENARIOS, play

if TYPE_CHECKING:
    from collections.abc import Iterator


SECRETS = {
    PLATFORM: WEBHOOK_SECRET,
    CONNECT: WEBHOOK_SECRET,
    "old": "whsec_of_the_old_endpoint",
    "second": "whsec_of_the_second_endpoint",
}
NAMES = sorted(SCENARIOS)


def bodies(name: str, kind: str = "") -> list[dict[str, Any]]:
    return [json.loads(d.body) for d in play(name)[1] if kind in ("", d.type)]


def values_of(key: str, tree: object) -> Iterator[object]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            else:
                yield from values_of(key, value)
    elif isinstance(tree, list):
        for item in tree:
            yield from values_of(key, item)


@pytest.mark.parametrize("name", NAMES)
def test_the_books_hold_what_was_paid_and_nothing_else(name: str) -> None:
    """
    One line per payment, to the minor unit, in every flow.
    """
    with FakeStripe(clock=lambda: BASE) as fake:
        truth = SCENARIOS[name](fake)
        books = fake.books()

    expected = sorted((p.id, p.amount_minor, p.currency, p.account, p.session, p.livemode) for p in truth.payments)
    assert expected == sorted((b.id, b.amount_minor, b.currency, b.account, b.session, b.livemode) for b in books)


@pytest.mark.parametrize("name", NAMES)
def test_every_delivery_verifies_with_its_endpoints_secret(name: str) -> None:
    """
    The real library accepts each delivery, and reads the event that the record names.
    """
    seen = []
    for delivery in play(name)[1]:
        event = stripe.Webhook.construct_event(delivery.body, delivery.signature, SECRETS[delivery.endpoint])
        seen.append((event.id, event.type, event.livemode))

    assert seen == [(d.event_id, d.type, False) for d in play(name)[1]]


@pytest.mark.parametrize("name", NAMES)
def test_every_event_has_stripes_envelope(name: str) -> None:
    """
    Ids are unique per endpoint, times whole seconds, the version the endpoint's, the account there for Connect alone.
    """
    _, deliveries = play(name)

    keys = {"id", "object", "api_version", "created", "data", "livemode", "pending_webhooks", "request", "type"}
    for delivery in deliveries:
        event = json.loads(delivery.body)
        assert keys | ({"account"} if delivery.endpoint == CONNECT else set()) == set(event)
        assert (BASE, "event") == (event["created"], event["object"])
        assert (OLD_VERSION if delivery.endpoint == "old" else API_VERSION) == event["api_version"]
    assert len(deliveries) == len({(d.endpoint, d.event_id) for d in deliveries})


def test_the_same_seed_gives_the_same_bytes() -> None:
    """
    A run repeats byte for byte but for what the library makes up (idempotency keys).
    """
    runs = []
    for _ in range(2):
        with FakeStripe(seed=7, clock=lambda: BASE) as fake:
            fake.collect(PLATFORM)
            SCENARIOS["subscription"](fake)
            events = [json.loads(d.body) for d in fake.deliveries]
            runs.append([{**e, "request": e["request"]["id"]} for e in events])

    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", ["card checkout", "subscription", "old shape endpoint", "connect direct"])
def test_livemode_is_said_everywhere(name: str) -> None:
    """
    A fake in live mode says so on every object of every event, and makes live ids.
    """
    truth, deliveries = play(name, livemode=True)

    assert {True} == {mode for d in deliveries for mode in values_of("livemode", json.loads(d.body))}
    assert {True} == {p.livemode for p in truth.payments}
    assert all(p.session is None or p.session.startswith("cs_live_") for p in truth.payments)


def of(name: str, kind: str, endpoint: str = PLATFORM) -> list[dict[str, Any]]:
    """The objects of the events of one type that one endpoint got."""
    wanted = [d for d in play(name)[1] if d.type == kind and d.endpoint == endpoint]
    return [json.loads(d.body)["data"]["object"] for d in wanted]


def types(name: str) -> list[str]:
    return [d.type for d in play(name)[1]]


def test_a_card_checkout_links_its_objects_as_stripe_does() -> None:
    """
    The intent names the Session as its order reference, the Session the intent, the charge the intent.
    """
    (session,) = of("card checkout", "checkout.session.completed")
    (intent,) = of("card checkout", "payment_intent.succeeded")
    (charge,) = of("card checkout", "charge.succeeded")

    assert session["id"] == intent["payment_details"]["order_reference"]
    assert (intent["id"], "paid", "complete") == (
        session["payment_intent"],
        session["payment_status"],
        session["status"],
    )
    assert (intent["id"], charge["id"]) == (charge["payment_intent"], intent["latest_charge"])
    assert "line_items" not in session


def test_an_asynchronous_capture_tells_the_fee_afterwards() -> None:
    """
    `balance_transaction` is null when the charge succeeds, and comes with `charge.updated`.
    """
    (charge,) = of("card checkout", "charge.succeeded")
    (updated,) = bodies("card checkout", "charge.updated")

    assert charge["balance_transaction"] is None
    assert updated["data"]["object"]["balance_transaction"].startswith("txn_")
    assert {"balance_transaction": None} == updated["data"]["previous_attributes"]


@pytest.mark.parametrize(
    ("name", "status", "last"),
    [
        ("delayed success", "paid", "checkout.session.async_payment_succeeded"),
        ("delayed failure", "unpaid", "checkout.session.async_payment_failed"),
    ],
)
def test_a_delayed_method_completes_first_and_ends_later(name: str, status: str, last: str) -> None:
    """
    The Session completes unpaid; days later its own event says how it ended.
    """
    (completed,) = of(name, "checkout.session.completed")
    (ended,) = of(name, last)

    assert ("unpaid", status) == (completed["payment_status"], ended["payment_status"])


def test_a_decline_is_told_with_its_code_and_the_same_intent_is_paid_in_the_end() -> None:
    """
    Each try is a charge of its own on one PaymentIntent.
    """
    declined = of("decline then pay", "payment_intent.payment_failed")
    (paid,) = of("decline then pay", "payment_intent.succeeded")

    assert ["generic_decline", "insufficient_funds"] == [i["last_payment_error"]["decline_code"] for i in declined]
    assert {paid["id"]} == {i["id"] for i in declined}
    assert (None, 3) == (paid["last_payment_error"], len({i["latest_charge"] for i in (*declined, paid)}))


def test_an_authorisation_is_no_payment_until_it_is_captured() -> None:
    """
    At authorisation the charge is not captured and the Session unpaid; no event of a Session comes at capture.
    """
    (completed,) = of("partial capture", "checkout.session.completed")
    (held,) = of("partial capture", "charge.succeeded")
    (captured,) = of("partial capture", "charge.captured")
    (paid,) = of("partial capture", "payment_intent.succeeded")

    assert ("unpaid", False, 0) == (completed["payment_status"], held["captured"], held["amount_captured"])
    assert (4999, 1999, 1999) == (captured["amount"], captured["amount_captured"], paid["amount_received"])
    after = types("partial capture")[types("partial capture").index("charge.captured") :]
    assert [] == [kind for kind in after if kind.startswith("checkout.")]


def test_several_captures_end_in_one_success() -> None:
    """
    Each capture adds up; `payment_intent.succeeded` comes once, with the sum.
    """
    captured = [c["amount_captured"] for c in of("multi capture", "charge.captured")]
    received = [i["amount_received"] for i in of("multi capture", "payment_intent.succeeded")]

    assert ([3000, 5500, 7000], [7000]) == (captured, received)


def test_a_subscriptions_first_payment_precedes_its_invoice() -> None:
    """
    Since 2025-03-31 the intent succeeds before the invoice exists; the Session names the invoice and no intent.
    """
    kinds = types("subscription")
    (session,) = of("subscription", "checkout.session.completed")
    first, *renewals = of("subscription", "payment_intent.succeeded")
    invoices = of("subscription", "invoice.paid")

    assert kinds.index("payment_intent.succeeded") < kinds.index("invoice.created")
    assert (None, invoices[0]["id"]) == (session["payment_intent"], session["invoice"])
    assert session["id"] == first["payment_details"]["order_reference"]
    assert [i["id"] for i in invoices[1:]] == [r["payment_details"]["order_reference"] for r in renewals]
    assert ["subscription_create", "subscription_cycle", "subscription_cycle"] == [
        i["billing_reason"] for i in invoices
    ]
    assert [{"order_id": "order-1", "tier": "pro"}] * 3 == [
        i["parent"]["subscription_details"]["metadata"] for i in invoices
    ]


def test_billing_is_recognised_by_receipt_and_description() -> None:
    """
    A renewal's charge has an invoice's receipt and a description of billing; a one-off's has neither.
    """
    renewal = of("subscription", "charge.succeeded")[1]
    (one_off,) = of("card checkout", "charge.succeeded")

    assert ("/receipts/invoices/" in renewal["receipt_url"], renewal["description"]) == (True, "Subscription update")
    assert ("/receipts/payment/" in one_off["receipt_url"], one_off["description"]) == (True, None)


def test_an_invoice_names_no_payment_in_the_current_shape() -> None:
    """
    The fields that 2025-03-31 took away are not there, and `payments` is not in webhook bodies.
    """
    gone = {"payment_intent", "charge", "paid", "paid_out_of_band", "subscription", "payments"}

    assert set() == gone & set(of("manual invoice", "invoice.paid")[0])
    assert "invoice" not in of("manual invoice", "payment_intent.succeeded")[0]
    assert "invoice" not in of("manual invoice", "charge.succeeded")[0]


def test_an_endpoint_of_an_old_version_gets_the_old_shapes_of_the_same_events() -> None:
    """
    Invoices, intents and charges name one another there; ids and amounts are those of the other endpoint.
    """
    old, new = (of("old shape endpoint", "invoice.paid", e) for e in ("old", PLATFORM))
    intents = {i["id"]: i for i in of("old shape endpoint", "payment_intent.succeeded", "old")}
    charges = {c["id"]: c for c in of("old shape endpoint", "charge.succeeded", "old")}

    assert [i["id"] for i in old] == [i["id"] for i in new]
    for invoice in old[:4]:
        assert intents[invoice["payment_intent"]]["latest_charge"] == invoice["charge"]
    for invoice in old[1:4]:  # the first one's payment was made before there was an invoice
        assert invoice["id"] == intents[invoice["payment_intent"]]["invoice"] == charges[invoice["charge"]]["invoice"]
    assert (True, 0, 3000) == (old[4]["paid_out_of_band"], old[4]["amount_paid"], new[4]["amount_paid"])
    assert [] == of("old shape endpoint", "invoice_payment.paid", "old")
    assert all("payment_details" not in i for i in intents.values())


def test_an_old_shape_tells_nothing_from_the_future() -> None:
    """
    A draft and an invoice that was just finalised name no charge, though the same request paid it.
    """
    drafts = of("old shape endpoint", "invoice.created", "old")
    final = of("old shape endpoint", "invoice.finalized", "old")

    assert {(None, None, False)} == {(i["payment_intent"], i["charge"], i["paid"]) for i in drafts}
    assert {None} == {i["charge"] for i in final[1:]}


def test_an_account_of_an_old_version_speaks_in_the_old_shape_everywhere() -> None:
    """
    Events, and answers to who names no version; an endpoint of a newer version gets the newer shape.
    """
    with FakeStripe(api_version=OLD_VERSION) as fake:
        fake.collect("old")
        fake.collect("new", api_version=API_VERSION)
        truth = SCENARIOS["manual invoice"](fake)
        key = {"Authorization": f"Bearer {fake.api_key}"}
        answer = requests.get(f"{fake.url}/v1/invoices/{truth.payments[0].id}", headers=key, timeout=30).json()
        paid = {d.endpoint: json.loads(d.body)["data"]["object"] for d in fake.deliveries if d.type == "invoice.paid"}

    assert (True, True, False) == (
        "payment_intent" in answer,
        "payment_intent" in paid["old"],
        "payment_intent" in paid["new"],
    )


def test_an_invoice_paid_in_parts_is_paid_once() -> None:
    """
    Two intents, two invoice payments, one `invoice.paid` with the whole amount.
    """
    parts = of("partial invoice payments", "invoice_payment.paid")

    assert [(1000, "paid"), (2000, "paid")] == [(p["amount_paid"], p["status"]) for p in parts]
    assert [3000] == [i["amount_paid"] for i in of("partial invoice payments", "invoice.paid")]


def test_money_from_outside_is_on_the_invoice_and_has_no_intent() -> None:
    """
    Out of band: `invoice.paid` with the amount, no `invoice.payment_succeeded`, an invoice payment by payment record.
    """
    (invoice,) = of("out of band", "invoice.paid")
    (payment,) = of("out of band", "invoice_payment.paid")

    assert (3000, "payment_record") == (invoice["amount_paid"], payment["payment"]["type"])
    assert {"invoice.payment_succeeded", "payment_intent.succeeded"}.isdisjoint(types("out of band"))


def test_credit_pays_without_money() -> None:
    """
    An invoice that credit covers is paid with nothing paid; the next one takes what is left of it.
    """
    paid = [(i["total"], i["amount_due"], i["amount_paid"]) for i in of("credit balance", "invoice.paid")]

    assert [(400, 0, 0), (3000, 2400, 2400)] == paid


def test_a_trial_is_paid_with_nothing() -> None:
    """
    The trial's invoice is paid with 0 and without an intent, and the Session needs no payment.
    """
    (session,) = of("trial", "checkout.session.completed")

    assert "no_payment_required" == session["payment_status"]
    assert [0, 1200] == [i["amount_paid"] for i in of("trial", "invoice.paid")]


def test_a_payment_links_metadata_stays_on_the_session() -> None:
    """
    A Session of a Payment Link names the link and has its metadata; the intent has none.
    """
    (session,) = of("payment link", "checkout.session.completed")
    (intent,) = of("payment link", "payment_intent.succeeded")

    assert session["payment_link"].startswith("plink_")
    assert ({"order_id": "order-of-a-link"}, {}) == (session["metadata"], intent["metadata"])


def test_direct_charges_are_the_connected_accounts_and_destination_charges_the_platforms() -> None:
    """
    Direct: every event names the account. Destination: the account sees a mirrored `py_` from a transfer.
    """
    assert {CONNECT} == {d.endpoint for d in play("connect direct")[1]}
    (mirror,) = of("destination charge", "charge.succeeded", CONNECT)
    (charge,) = of("destination charge", "charge.succeeded")

    assert ("py_", charge["transfer"]) == (mirror["id"][:3], mirror["source_transfer"])
    assert "stripe_account" == mirror["payment_method_details"]["type"]


def test_the_buyers_own_currency_is_shown_beside_the_shops() -> None:
    """
    Adaptive pricing: amount and currency stay the shop's, `presentment_details` has the buyer's, in its own exponent.
    """
    for kind in ("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"):
        (shown,) = of("adaptive pricing", kind)
        assert {"presentment_amount": 7998, "presentment_currency": "jpy"} == shown["presentment_details"]
        assert "eur" == shown["currency"]


def test_a_reference_can_be_cut() -> None:
    """
    Cut to 25 characters, the order reference begins the Session's id.
    """
    references = [i["payment_details"]["order_reference"] for i in of("cut references", "payment_intent.succeeded")[:2]]
    sessions = [s["id"][:25] for s in of("cut references", "checkout.session.completed")]

    assert sessions == references


def test_two_orders_of_one_buyer_in_one_second_stay_two() -> None:
    """
    Same customer, amount, currency and time; other ids.
    """
    first, second = of("two orders same second", "payment_intent.succeeded")

    same = ("customer", "amount_received", "currency", "created")
    assert [first[k] for k in same] == [second[k] for k in same]
    assert first["id"] != second["id"]


def test_a_completed_session_is_full_of_personal_data() -> None:
    """
    Bodies carry what Stripe's do: a test of privacy on them tests something.
    """
    (session,) = of("card checkout", "checkout.session.completed")
    (intent,) = of("card checkout", "payment_intent.succeeded")

    assert {"email": "jenny.rosen@example.com", "name": "Jenny Rosen", "phone": "+14155550132"}.items() <= session[
        "customer_details"
    ].items()
    assert "jenny.rosen@example.com" == intent["receipt_email"]
