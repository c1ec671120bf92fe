"""A shop's code in the real stripe library, pointed at a FakeStripe; and how what was paid is written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe import StripeClient

if TYPE_CHECKING:
    from otel_revenue.testing import FakeStripe


CONNECTED = "acct_1FakeConnectedShop"
"""A connected account, for direct charges."""


@dataclass(frozen=True)
class Payment:
    """
    One taking of money.

    `kind` says whose id the canonical one is: "invoice" for billing, else "payment_intent", "charge", or (where
    nothing was due) "checkout.session". Minor units; the currency in Stripe's lower case.
    """

    kind: str
    id: str
    amount_minor: int
    currency: str
    livemode: bool
    account: str
    session: str | None = None
    order_id: str | None = None


@dataclass(frozen=True)
class Truth:
    """What was paid, oldest first; and what was completed for nothing (no order unless zero amounts are asked for)."""

    payments: tuple[Payment, ...] = ()
    free: tuple[Payment, ...] = ()


class Shop:
    """A shop's code: the real library, pointed at the fake."""

    def __init__(self, fake: FakeStripe, account: str = "") -> None:
        client: Any = StripeClient(
            fake.api_key, base_addresses={"api": fake.url}, stripe_account=account or None, max_network_retries=0
        )
        self.fake = fake
        self.account = account
        self.api = getattr(client, "v1", client)

    def session(self, amount: int = 4999, currency: str = "eur", order_id: str = "order-1", **more: Any) -> Any:
        """A Checkout Session for one article; in subscription mode, for one a month."""
        return self.api.checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": "https://shop.example/thanks",
                "metadata": {"order_id": order_id, "tier": "pro"},
                "line_items": [
                    {"quantity": 1, "price_data": price_data(amount, currency, more.get("mode", "payment"))}
                ],
                **more,
            }
        )

    def customer(self, **more: Any) -> Any:
        """A customer with a card that works."""
        return self.api.customers.create(
            {
                "email": "jane@example.org",
                "name": "Jane Doe",
                "payment_method": "pm_card_visa",
                "invoice_settings": {"default_payment_method": "pm_card_visa"},
                **more,
            }
        )

    def invoice(self, customer: str, *amounts: int, currency: str = "eur", **more: Any) -> Any:
        """An open invoice."""
        for amount in amounts:
            self.api.invoice_items.create(
                {"customer": customer, "amount": amount, "currency": currency, "description": "Posters"}
            )
        draft = self.api.invoices.create(
            {"customer": customer, "pending_invoice_items_behavior": "include", "auto_advance": False, **more}
        )
        return self.api.invoices.finalize_invoice(draft.id)

    def intent(self, amount: int = 4999, currency: str = "eur", **more: Any) -> Any:
        """A PaymentIntent without Checkout."""
        return self.api.payment_intents.create({"amount": amount, "currency": currency, **more})

    def paid(self, session_id: str, amount: int, currency: str = "eur", order_id: str = "order-1") -> Payment:
        """The payment behind a one-off Session."""
        session = self.api.checkout.sessions.retrieve(session_id)
        intent = session.payment_intent
        return self.payment("payment_intent", intent, amount, currency, session=session_id, order_id=order_id)

    def invoiced(self, invoice_id: str, amount: int, currency: str = "eur", **more: Any) -> Payment:
        """The payment that an invoice is."""
        return self.payment("invoice", invoice_id, amount, currency, **more)

    def payment(self, kind: str, object_id: str, amount: int, currency: str, **more: Any) -> Payment:
        """One payment of this shop."""
        return Payment(kind, object_id, amount, currency, self.fake.livemode, self.account, **more)


def price_data(amount: int, currency: str, mode: str) -> dict[str, Any]:
    recurring = {"recurring": {"interval": "month"}} if mode == "subscription" else {}
    product = {"name": "Poster A3", "metadata": {"sku": "poster-a3"}}
    return {"currency": currency, "unit_amount": amount, "product_data": product, **recurring}
