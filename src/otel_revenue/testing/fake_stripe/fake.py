# SPDX-License-Identifier: Apache-2.0
"""The fake as one object: start and stop, what buyers do, the books, and a look inside."""

from __future__ import annotations

import copy
import random
import time
from typing import TYPE_CHECKING

from . import books, legacy, summary
from .api import Api, Received, Trouble
from .buyers import Buyers
from .defaults import API_KEY, WEBHOOK_SECRET
from .deliveries import Behaviour, Delivery, Endpoint, collected, endpoint, payload, rendered, sign
from .server import Server, application
from .webhooks import Webhooks
from .world import API_VERSION, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from .books import Booked
    from .summary import Sum, Traffic
    from .world import Obj


class FakeStripe(Buyers):
    """
    A small stateful Stripe on 127.0.0.1.

    Point the real library at it: `stripe.api_base = fake.url`, or
    `StripeClient(fake.api_key, base_addresses={"api": fake.url})`.

    Args:
        port: where to listen; 0 for any free port.
        seed: for ids, shuffles and drops; the same seed and the same calls give the same run.
        clock: seconds since the epoch, for objects and events. Signatures use the real time.
        api_version: of the account.
        api_key: the one key that is accepted; None for any of the right mode.
        livemode: say that everything is real money, take `sk_live_` keys and make `cs_live_` ids. No money moves.
        cut_references: cut session ids in `payment_details.order_reference` to 25 characters, as Stripe sometimes does.

    Everything is safe to call from any thread.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 1,
        clock: Callable[[], float] = time.time,
        api_version: str = API_VERSION,
        api_key: str | None = None,
        livemode: bool = False,
        cut_references: bool = False,
    ) -> None:
        self.api_key = api_key or (API_KEY.replace("_test_", "_live_") if livemode else API_KEY)
        self.latency = 0.0
        self.webhooks = Webhooks(rng=random.Random(seed + 1))  # noqa: S311 - reproducible, no secret
        self._world = World(
            rng=random.Random(seed),  # noqa: S311 - reproducible, no secret
            clock=clock,
            api_version=api_version,
            livemode=livemode,
            shapes=legacy.shapes,
            dispatch=self._dispatch,
        )
        self._world.cut_references = cut_references
        self.api = Api(self._world, strict_key=api_key or "")
        self._port = port
        self._server: Server | None = None

    def _dispatch(self, events: list[Obj]) -> None:
        self.webhooks.dispatch(self._world, events)

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> FakeStripe:
        """Listen. Raises OSError when the port is taken."""
        if self._server is None:
            self._server = Server(application(self), "127.0.0.1", self._port)
            self._port = self._server.port
            self._world.url = self.url
        return self

    def stop(self) -> None:
        """Stop listening and sending; what is known stays."""
        self.webhooks.stop()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> FakeStripe:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    # -- webhooks ------------------------------------------------------------------------------------------------------

    def add_endpoint(
        self,
        url: str,
        *,
        secret: str = WEBHOOK_SECRET,
        events: Iterable[str] = ("*",),
        api_version: str | None = None,
        connect: bool = False,
        thin: bool = False,
    ) -> Endpoint:
        """
        Send events to *url* from now on.

        Args:
            url: of the receiver.
            secret: `whsec_…`.
            events: names of event types, or `("*",)`.
            api_version: of the payloads, e.g. "2022-11-15" for the shapes before 2025-03-31; None for the account's.
            connect: True for the events of connected accounts, which other endpoints do not get.
            thin: True for thin events (API v2): `v1.<type>`, with the object's id instead of the object.

        Raises:
            ValueError: the URL or the secret is malformed.
        """
        added = endpoint(url, secret, events, api_version, connect=connect, thin=thin)
        self.webhooks.add(added)
        return added

    def collect(
        self,
        name: str = "collected",
        *,
        secret: str = WEBHOOK_SECRET,
        events: Iterable[str] = ("*",),
        api_version: str | None = None,
        connect: bool = False,
        thin: bool = False,
    ) -> Endpoint:
        """
        Sign events from now on and keep them in `deliveries`, without sending them anywhere.

        For tests that post `delivery.body` and `delivery.signature` to their application themselves, in the order and
        as often as they like. *name* stands where the URL of a real endpoint does; the rest as in `add_endpoint`.

        Raises:
            ValueError: the secret is malformed.
        """
        added = collected(name, secret, events, api_version, connect=connect, thin=thin)
        self.webhooks.add(added)
        return added

    def signed(
        self,
        event: Obj | str,
        *,
        secret: str | None = None,
        timestamp: int | None = None,
        api_version: str | None = None,
    ) -> tuple[bytes, str]:
        """
        Return (body, `Stripe-Signature` header) for an event, without sending it.

        Args:
            event: an event, any dict, or the id of an event of this fake.
            secret: what to sign with; None for the first endpoint's, else `WEBHOOK_SECRET`.
            timestamp: of the signature, seconds since the epoch; None for now.
            api_version: whose shapes the body has; None for the event's own.

        Raises:
            LookupError: there is no event of that id.
        """
        found = self._event(event) if isinstance(event, str) else event
        known = self.webhooks.endpoints
        key = secret or (known[0].secret if known else WEBHOOK_SECRET)
        body = payload(rendered(self._world, found, api_version) if api_version else found)
        return body, sign(body, key, int(time.time()) if timestamp is None else timestamp)

    def resend(self, event_id: str) -> None:
        """
        Deliver an old event again, as Stripe's dashboard and CLI can for 15 to 30 days.

        Raises:
            LookupError: there is no event of that id.
        """
        self.webhooks.send(self._world, self._event(event_id))

    def _event(self, event_id: str) -> Obj:
        with self._world.lock:
            for event in self._world.events:
                if event["id"] == event_id:
                    return copy.deepcopy(event)
        raise LookupError(f"no such event: {event_id}")

    # -- a look inside -------------------------------------------------------------------------------------------------

    def books(self) -> list[Booked]:
        """Return what was taken: one row per payment, oldest first, computed from state."""
        with self._world.lock:
            return books.books(self._world)

    def sums(self) -> dict[str, Sum]:
        """Return the books per currency: how many payments and how much, refunds apart."""
        return summary.sums(self.books())

    def traffic(self) -> Traffic:
        """Return in numbers how deliveries went so far."""
        with self._world.lock:
            ids = [event["id"] for event in self._world.events]
        return summary.traffic(self.deliveries, ids)

    def drain(self, timeout: float = 10.0) -> bool:
        """
        Wait until every event was delivered (what is held does not count), and return True.

        Raises:
            TimeoutError: something is still pending after *timeout* seconds; the text says how much, and what failed last.
        """
        return self.webhooks.drain(timeout)

    @property
    def events(self) -> list[Obj]:
        """Every event so far, oldest first."""
        with self._world.lock:
            return copy.deepcopy(self._world.events)

    @property
    def livemode(self) -> bool:
        """Whether everything says that it is real money."""
        return self._world.livemode

    @property
    def cut_references(self) -> bool:
        """Whether session ids in `payment_details.order_reference` are cut to 25 characters; may be changed any time."""
        return self._world.cut_references

    @cut_references.setter
    def cut_references(self, value: bool) -> None:
        self._world.cut_references = value

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt to deliver so far."""
        return self.webhooks.deliveries

    @property
    def requests(self) -> list[Received]:
        """Every API request so far."""
        with self._world.lock:
            return list(self.api.received)

    def fail_next(self, n: int = 1, *, status: int = 500, path: str = "") -> None:
        """
        Let the next *n* API requests (whose path contains *path*) fail with *status*, before they do anything.

        Raises:
            ValueError: *n* is below 1, or *status* is no error.
        """
        if n < 1 or not 400 <= status <= 599:
            raise ValueError("n must be at least 1, and status from 400 to 599")
        with self._world.lock:
            self.api.troubles.append(Trouble(n, status, path))

    def session(self, session_id: str) -> Obj | None:
        """Return a copy of a Checkout Session, None when there is none."""
        return self._copy("checkout.session", session_id)

    def sessions(self) -> list[Obj]:
        """Return copies of all Checkout Sessions of all accounts, oldest first."""
        with self._world.lock:
            return [self._world.shown(session) for _, session in self._world.all("checkout.session")]

    def get(self, object_id: str) -> Obj | None:
        """Return a copy of any object, None when there is none of that id."""
        return self._copy("", object_id)

    def _copy(self, kind: str, object_id: str) -> Obj | None:
        with self._world.lock:
            account = self._world.account_of(object_id)
            obj = self._world.find(account, object_id) if account is not None else None
            return self._world.shown(obj) if obj is not None and kind in ("", obj["object"]) else None

    def link_at(self, path: str) -> str | None:
        """Return the id of the Payment Link whose URL has *path*."""
        with self._world.lock:
            found = (link for _, link in self._world.all("payment_link") if link["url"] == f"{self.url}{path}")
            return next((str(link["id"]) for link in found), None)

    def __repr__(self) -> str:
        return f"<FakeStripe at {self.url}>"


__all__ = ["API_KEY", "WEBHOOK_SECRET", "Behaviour", "FakeStripe"]
