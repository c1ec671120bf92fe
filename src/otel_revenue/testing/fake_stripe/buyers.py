# SPDX-License-Identifier: Apache-2.0
"""What happens at Stripe without an API call of the shop: buyers pay, money arrives, Sessions run out, periods end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import billing_api, catalogue, checkout, disputes, links, payments, sessions
from .buyer import Buyer, instrument
from .world import Scope

if TYPE_CHECKING:
    from .world import Obj, World


class Buyers:
    """The part of `FakeStripe` that buyers and time do."""

    _world: World

    def pay(self, session_id: str, method: str = "card", buyer: Buyer | None = None, *, decline: str = "") -> str:
        """
        Let a buyer fill in Stripe's page and press the button.

        Args:
            session_id: of an open Checkout Session.
            method: a payment method type (`card`, `sepa_debit`, `paypal`, …), `declined_card`, or a test card.
            buyer: who pays.
            decline: a decline code, to have the method declined.

        Returns:
            The Session's status: `complete`, or `open` after a decline.

        Raises:
            LookupError: there is no such Session.
            ValueError: it is not open, *method* or *decline* is not known, or the shop does not take the method.
        """
        used = instrument(method, decline)
        with self._world.operation():
            scope, session = self._find("checkout.session", session_id)
            return checkout.complete(self._as_page(scope), session, used, buyer or Buyer())

    def settle(self, session_id: str, *, succeed: bool = True) -> None:
        """
        Let the money of a delayed method arrive, or fail; takes a PaymentIntent's id too.

        Raises:
            LookupError: there is no such object.
            ValueError: nothing is on its way.
        """
        with self._world.operation():
            if session_id.startswith("pi_"):
                scope, intent = self._find("payment_intent", session_id)
                payments.settle_intent(scope, intent, succeed=succeed)
            else:
                scope, session = self._find("checkout.session", session_id)
                checkout.settle(scope, session, succeed=succeed)

    def expire(self, session_id: str) -> None:
        """
        Let an open Session run out.

        Raises:
            LookupError: there is no such Session.
            ValueError: it is not open.
        """
        with self._world.operation():
            scope, session = self._find("checkout.session", session_id)
            if session["status"] != "open":
                raise ValueError(f"{session_id} is {session['status']}: it cannot expire")
            sessions.expire(scope, session)

    def pay_intent(self, intent_id: str, method: str = "card", buyer: Buyer | None = None, *, decline: str = "") -> str:
        """
        Let a buyer confirm a PaymentIntent in the browser or at a terminal; returns its status.

        Raises:
            LookupError: there is no such PaymentIntent.
            ValueError: it does not wait for a payment, or *method* or *decline* is not known.
        """
        used = instrument(method, decline)
        with self._world.operation():
            scope, intent = self._find("payment_intent", intent_id)
            return payments.pay_intent(self._as_page(scope), intent, used, buyer or Buyer())

    def renew(self, subscription_id: str, method: str = "", *, decline: str = "") -> str:
        """
        Begin a subscription's next period, and return the invoice's id.

        Args:
            subscription_id: of the subscription.
            method: what to pay with; "" for what the customer pays with.
            decline: a decline code, to have it declined.

        Raises:
            LookupError: there is no such subscription.
            ValueError: it does not renew, or nothing is there to pay with.
        """
        with self._world.operation():
            scope, subscription = self._find("subscription", subscription_id)
            chosen: Obj | None = None
            if method or decline:
                used = instrument(method or "card", decline)
                chosen = catalogue.keep_method(scope, used, Buyer().billing_details, subscription["customer"])
            return str(billing_api.renew(scope, subscription, chosen)["id"])

    def dispute(
        self, payment_id: str, *, amount: int | None = None, reason: str = "fraudulent", inquiry: bool = False
    ) -> str:
        """
        Let a buyer's bank withdraw money, and return the dispute's id.

        Args:
            payment_id: of a PaymentIntent or a charge.
            amount: minor units; None for all that was taken.
            reason: one of Stripe's.
            inquiry: the bank only asks; no money moves.

        Raises:
            LookupError: there is no such payment.
            ValueError: nothing was taken, it is disputed already, or amount or reason is none.
        """
        with self._world.operation():
            charge_id = payment_id
            if payment_id.startswith("pi_"):
                charge_id = str(self._find("payment_intent", payment_id)[1]["latest_charge"])
            scope, charge = self._find("charge", charge_id)
            return str(disputes.open_(scope, charge, amount, reason, inquiry=inquiry)["id"])

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """
        Let the bank decide a dispute; when the shop has *won*, the money comes back.

        Raises:
            LookupError: there is no such dispute.
            ValueError: it is decided.
        """
        with self._world.operation():
            scope, found = self._find("dispute", dispute_id)
            disputes.close(scope, found, won=won)

    def open_link(self, payment_link_id: str) -> str:
        """
        Let a buyer open a Payment Link, and return the id of the Session that this makes.

        Raises:
            LookupError: there is no such link.
        """
        with self._world.operation():
            scope, link = self._find("payment_link", payment_link_id)
            return str(links.opened(Scope(scope.world, scope.account, version=""), link)["id"])

    def _find(self, kind: str, object_id: str) -> tuple[Scope, Obj]:
        account = self._world.account_of(object_id)
        obj = self._world.find(account, object_id) if account is not None else None
        if account is None or obj is None or obj["object"] != kind:
            raise LookupError(f"no such {kind}: {object_id}")
        return Scope(self._world, account), obj

    def _as_page(self, scope: Scope) -> Scope:
        """Stripe's own page asks Stripe's API, too: the events of a payment share a request id."""
        return Scope(self._world, scope.account, request_id=scope.new_id("request"))
