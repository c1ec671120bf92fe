"""Thin events of FakeStripe, read by the real library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stripe

from otel_revenue.testing import FakeStripe
from support import elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "whsec_fake_stripe_on_loopback"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with FakeStripe() as running:
        running.collect("snapshots")
        running.collect("thin", thin=True)
        running.collect("connect", thin=True, connect=True)
        yield running


def test_the_library_reads_them(fake: FakeStripe) -> None:
    """A thin event is verified, names its object, and leads to it and to its v1 twin, by the library's own calls."""
    session = elsewhere.session(fake)
    fake.pay(session)
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
    snapshot, thin = (
        next(d for d in fake.deliveries if (d.endpoint, d.type) == (name, "checkout.session.completed"))
        for name in ("snapshots", "thin")
    )
    read: Any = client.parse_event_notification(thin.body, thin.signature, SECRET)
    event: Any = read.fetch_event()

    assert ("v1.checkout.session.completed", session) == (read.type, read.related_object.id)
    assert session == read.fetch_related_object().id
    assert (snapshot.event_id, read.id) == (event["snapshot_event"], event["id"])
    assert session.encode() in thin.body
    assert b"amount" not in thin.body


def test_they_name_the_connected_account(fake: FakeStripe) -> None:
    """A thin event of a connected account goes to its own endpoint, with the account as its context."""
    fake.pay(elsewhere.session(fake, account="acct_1"))
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
    of_account = [d for d in fake.deliveries if d.endpoint == "connect"]
    read: Any = client.parse_event_notification(of_account[0].body, of_account[0].signature, SECRET)

    assert of_account
    assert "acct_1" == str(read.context)
    assert [] == [d for d in fake.deliveries if d.endpoint == "thin"]


def test_an_unknown_one_is_not_found(fake: FakeStripe) -> None:
    """Asking for a thin event that never was is Stripe's 404."""
    client = stripe.StripeClient(fake.api_key, base_addresses={"api": fake.url})
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v2.core.events.retrieve("evt_thin_none")

    assert 404 == error.value.http_status
