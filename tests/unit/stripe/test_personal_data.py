"""Personal data in Stripe's bodies: none of it is in the facts, in the store's bytes, or in what is kept aside."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue.config import Settings
from otel_revenue.instrumentation.stripe import order
from otel_revenue.ledger.ledger import Ledger
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.ledger.store import NewRow
from support import stripe_events as flows
from support.reading import read_answer, read_event
from support.till import HOUR, NOW_NS, RULES

if TYPE_CHECKING:
    from pathlib import Path

    from otel_revenue.ledger.model import Payment


class Canaries:
    """Unique values that look like what they stand for, and how often each was put into a body."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def text(self) -> str:
        return self._new("Canary Jane Doe {}")

    def mail(self) -> str:
        return self._new("canary{}@example.org")

    def phone(self) -> str:
        return self._new("+49 171 77{:05d}")

    def secret(self) -> str:
        return self._new("canary_secret_{}")

    def url(self) -> str:
        return self._new("https://example.org/canary{}?mail=canary%40example.org")

    def _new(self, pattern: str) -> str:
        self.made.append(pattern.format(len(self.made)))
        return self.made[-1]

    def found_in(self, data: bytes) -> list[str]:
        if b"anary" not in data:  # all but the phone numbers hold that word
            return [c for c in self.made if c.startswith("+") and c.encode() in data]
        return [c for c in self.made if c.encode() in data or repr(c)[1:-1].encode() in data]


def address(c: Canaries) -> dict[str, Any]:
    return {
        "country": "DE",
        **{key: c.text() for key in ("line1", "line2", "city", "state", "postal_code")},
    }


def person(c: Canaries) -> dict[str, Any]:
    return {"name": c.text(), "email": c.mail(), "phone": c.phone(), "address": address(c)}


def method(c: Canaries) -> dict[str, Any]:
    card = {
        "brand": "visa",
        "country": "DE",
        "funding": "credit",
        **{key: c.text() for key in ("last4", "fingerprint", "iin", "network_transaction_id", "authorization_code")},
        "wallet": {"dynamic_last4": c.text(), "google_pay": {"x": c.text()}},
        "receipt": {"cardholder_verification_method": c.text()},
        "cardholder_name": c.text(),
    }
    return {
        "type": "card",
        "card": card,
        "sepa_debit": {"iban": c.text(), "last4": c.text(), "mandate": c.text()},
        "us_bank_account": {"account_number": c.text()},
        "paypal": {"payer_email": c.mail(), "payer_name": c.text()},
        "upi": {"vpa": c.mail()},
    }


def metadata(c: Canaries) -> dict[str, Any]:
    """Keys that no source names, and configured ones with what must not be taken from them."""
    return {
        "customer_name": c.text(),
        "note": c.text(),
        c.secret(): c.text(),
        "order_id": f"order of {c.mail()}",
        "tier": c.mail(),
        "country": c.text(),
    }


def free_text(c: Canaries) -> dict[str, Any]:
    """What several objects carry under the same names."""
    return {
        "client_secret": c.secret(),
        "description": c.text(),
        "statement_descriptor": c.text(),
        "statement_descriptor_suffix": c.text(),
        "receipt_email": c.mail(),
        "receipt_number": c.text(),
        "receipt_url": c.url(),
        "shipping": {**person(c), "carrier": c.text(), "tracking_number": c.text()},
        "metadata": metadata(c),
        "transfer_group": c.text(),
        "payment_method": {"billing_details": person(c), **method(c)},
        "source": {"owner": person(c)},
    }


def of_session(c: Canaries) -> dict[str, Any]:
    return {
        "customer_details": {
            **person(c),
            "individual_name": c.text(),
            "business_name": c.text(),
            "tax_ids": [{"type": "eu_vat", "value": c.text()}],
        },
        "customer_email": c.mail(),
        "collected_information": {
            "shipping_details": person(c),
            "business_name": c.text(),
            "individual_name": c.text(),
        },
        "custom_fields": [
            {
                "key": c.text(),
                "label": {"custom": c.text()},
                "text": {"value": c.text()},
                "numeric": {"value": c.text()},
            },
            {"dropdown": {"value": c.text(), "options": [{"label": c.text(), "value": c.text()}]}},
        ],
        "custom_text": {"submit": {"message": c.text()}},
        "client_reference_id": c.mail(),
        **{key: c.url() for key in ("url", "success_url", "cancel_url", "return_url")},
        "after_expiration": {"recovery": {"url": c.url()}},
        "consent": {"promotions": c.text()},
        "shipping_options": [{"shipping_rate": c.text()}],
        "discounts": [{"promotion_code": c.text(), "coupon": c.text()}],
        "branding_settings": {"display_name": c.text()},
        "line_items": {"data": [line(c)], "has_more": False},
    }


def line(c: Canaries) -> dict[str, Any]:
    return {
        "quantity": 1,
        "description": c.text(),
        "metadata": {"sku": c.mail(), "engraving": c.text()},
        "price": {
            "id": "price_1",
            "nickname": c.text(),
            "lookup_key": c.mail(),
            "product": {"id": "prod_1", "name": c.text(), "description": c.text(), "images": [c.url()]},
        },
    }


def of_intent(c: Canaries) -> dict[str, Any]:
    return {
        "next_action": {
            "display_bank_transfer_instructions": {"financial_addresses": [{"iban": {"iban": c.text()}}]},
            "redirect_to_url": {"url": c.url()},
            "konbini_display_details": {"stores": {"x": {"payment_code": c.text()}}},
        },
        "last_payment_error": {
            "message": c.text(),
            "payment_method": {"billing_details": person(c)},
            "doc_url": c.url(),
        },
        "payment_details": {"customer_reference": c.text(), "order_reference": c.text()},
        "amount_details": {"shipping": {"to_postal_code": c.text()}},
    }


def of_charge(c: Canaries) -> dict[str, Any]:
    return {
        "billing_details": person(c),
        "payment_method_details": method(c),
        "failure_message": c.text(),
        "outcome": {"seller_message": c.text(), "reason": c.text()},
        "fraud_details": {"user_report": c.text()},
        "refunds": {"data": [{"reason": c.text(), "metadata": metadata(c)}]},
        "radar_options": {"session": c.secret()},
        "calculated_statement_descriptor": c.text(),
    }


def of_invoice(c: Canaries) -> dict[str, Any]:
    return {
        "customer_email": c.mail(),
        "customer_name": c.text(),
        "customer_phone": c.phone(),
        "customer_address": address(c),
        "customer_shipping": person(c),
        "customer_tax_ids": [{"value": c.text()}],
        "hosted_invoice_url": c.url(),
        "invoice_pdf": c.url(),
        "confirmation_secret": {"client_secret": c.secret()},
        "number": c.text(),
        "custom_fields": [{"name": c.text(), "value": c.text()}],
        "footer": c.text(),
        "account_name": c.text(),
        "last_finalization_error": {"message": c.text(), "payment_intent": {"client_secret": c.secret()}},
        "lines": {"data": [line(c)], "has_more": False},
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": metadata(c)}},
        "default_source": {"owner": person(c)},
    }


OF = {
    "checkout.session": of_session,
    "payment_intent": of_intent,
    "charge": of_charge,
    "invoice": of_invoice,
    "invoice_payment": lambda _: {},
}
PAID = list(
    {body["type"]: body for make in flows.ALL for body in make(1).events if flows.speaks_of_money(body)}.values()
)


def stuffed(body: dict[str, Any], c: Canaries) -> dict[str, Any]:
    """The delivery with a canary in every field that holds free text, a person, a secret or an address."""
    full = copy.deepcopy(body)
    obj = full["data"]["object"]
    obj.update({**free_text(c), **OF[obj["object"]](c)})
    full["data"]["previous_attributes"] = {"receipt_email": c.mail(), "shipping": person(c)}
    full["request"] = {"id": "req_1", "idempotency_key": c.mail()}
    return full


@pytest.mark.parametrize("body", PAID, ids=lambda body: body["type"])
def test_facts_hold_no_personal_data(body: Any) -> None:
    """Of a body in which every free field holds a canary, none is in the facts, and the country is."""
    c = Canaries()
    reading = read_event(stuffed(body, c))
    text = reading.facts[0].to_json()

    assert [] == c.found_in(text.encode() + repr(reading).encode())
    assert "anary" not in text
    assert len(c.made) > 40 or body["data"]["object"]["object"] == "invoice_payment"
    assert body["data"]["object"]["object"] == "invoice_payment" or '"DE"' in text


@pytest.mark.parametrize("body", PAID, ids=lambda body: body["type"])
def test_answers_hold_no_personal_data_either(body: Any) -> None:
    """The same object in an answer of the API, as a creation and as a read, gives no canary."""
    c = Canaries()
    obj = stuffed(body, c)["data"]["object"]
    paths = ("/v1/checkout/sessions", "/v1/payment_intents", "/v1/charges", "/v1/invoices")
    readings = [read_answer(verb, path, obj) for verb in ("POST", "GET") for path in paths]

    assert [] == c.found_in(repr(readings).encode())


def test_the_store_s_bytes_hold_no_personal_data(tmp_path: Path) -> None:
    """After all of it was taken, recorded and pruned, no canary is in the ledger's file, its journal, or beside it."""
    c = Canaries()
    settings = Settings()
    store = SqliteStore(tmp_path / "ledger.sqlite3")
    ledger = Ledger(store, RULES)

    def encode(payment: Payment) -> list[NewRow]:
        attributes = order.paid_attributes(payment, settings)
        return [NewRow(attributes["event_id"], "order.paid", repr(attributes).encode(), 1)]

    for n, make in enumerate(flows.ALL, start=1):
        for body in make(n).events:
            if body["type"] in flows.EVIDENCE:
                for item in read_event(stuffed(body, c)).facts:
                    ledger.take(item, NOW_NS, encode)
    ledger.release(NOW_NS + HOUR, encode)
    with store.transaction() as tx:
        reading = read_event(
            {"type": "charge.succeeded", "data": {"object": {"object": "charge", "captured": c.text()}}}
        )
        tx.set_aside(1, "webhook", reading.kind, reading.problem, reading.ids)
    live = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    rows = len(store.rows("otlp", limit=1000))
    store.close()
    closed = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert (True, True) == (len(c.made) > 2000, rows > 15)
    assert [] == c.found_in(live)
    assert [] == c.found_in(closed)
    assert (0, 0) == (live.count(b"anary"), closed.count(b"anary"))
    assert b"captured_missing" in live
