"""What a name says about its value."""

from __future__ import annotations

import pytest

from otel_revenue.privacy.keys import kind_of, kind_of_parameter
from otel_revenue.schema._table import EVENTS


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("user.email", "email"),
        ("customer_email", "email"),
        ("billingEmail", "email"),
        ("customer[email]", "email"),
        ("customer%5Bemail%5D", "email"),
        ("customer.phone", "phone"),
        ("firstName", "name"),
        ("billing_details.name", "name"),
        ("enduser.id", "name"),
        ("shipping.address.line1", "address"),
        ("postal_code", "address"),
        ("date_of_birth", "birth"),
        ("tax_id", "id"),
        ("card[number]", "card"),
        ("cvc", "card"),
        ("http.request.header.authorization", "secret"),
        ("http.request.header.cookie", "secret"),
        ("http.request.header.stripe-signature", "secret"),
        ("API_KEY", "secret"),
        ("payment_intent_client_secret", "secret"),
        ("process.command_line", "secret"),
        ("client.address", "ip"),
        ("net.peer.ip", "ip"),
        ("http.request.header.x-forwarded-for", "ip"),
    ],
)
def test_a_person_s_name_for_a_value(key: str, kind: str) -> None:
    """A key that is named after a person's data or a secret says of which kind it is, in any spelling."""
    found = kind_of(key)

    assert kind == found


@pytest.mark.parametrize(
    "key",
    [
        "http.request.method", "http.route", "http.response.status_code", "url.path", "server.address", "service.name", "thread.name",
        "db.system", "db.user", "db.query.text", "code.function.name", "exception.type", "email.template", "gen_ai.usage.input_tokens",
        "messaging.destination.name", "host.name", "session.id", "otel.scope.name", "k8s.pod.name", "product.name", "file.name", "",
    ],
)  # fmt: skip
def test_a_machine_s_name_for_a_value(key: str) -> None:
    """Names of machines, code and counts say nothing of a person."""
    found = kind_of(key)

    assert found == ""


def test_our_own_attributes_are_no_person_s() -> None:
    """The gate of the schema and this list agree, but for the id of a Checkout Session, which reads like a session's."""
    wrong = {key for fields in EVENTS.values() for key in fields if kind_of(key)}

    assert {"stripe.checkout.session.id"} == wrong


def test_a_query_is_what_a_person_typed() -> None:
    """In a URL a bare `name` or `q` is a person's, in a log line it is not."""
    found = [(kind_of(key), kind_of_parameter(key)) for key in ("name", "q", "page")]

    assert [("", "name"), ("", "text"), ("", "")] == found
