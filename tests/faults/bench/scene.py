# SPDX-License-Identifier: Apache-2.0
"""The stage of one fault: a store, a receiver, processes of the application, and buyers who pay."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from otel_revenue.testing.fake_stripe.deliveries import sign

from . import SECRET
from .far_end import FarEnd
from .fleet import App, Gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SKUS = ["poster-a3", "frame-oak"]
TIMEOUT_S = 1
"""Of a request to the receiver. A row that a killed process was sending waits for this and 5 seconds more."""


class Scene:
    """
    Everything around one fault.

    Args:
        folder: empty; store and logs go there.
        payments: how many are paid in all.
        apps: how many processes share the store.
        seed: of what is random.
        environ: more settings of the application.

    Attributes:
        happened: how often the fault was seen to take place; 0 in the end means that nothing was tested.
        answered: orders whose payment was answered; only those may be missed.
        attempts: how often each order was tried; a try that was cut short may have recorded its funnel event, or not.
        waits_us: what each answered webhook waited for us.
        points: what is done right before an order is paid.
    """

    def __init__(self, folder: Path, payments: int, *, apps: int = 1, seed: int = 7, environ: Any = None) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.ledger = self.store / "ledger.sqlite3"
        self.payments = payments
        self.rng = random.Random(seed)
        self.far_end = FarEnd()
        settings = {
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_REVENUE_STORE": str(self.store),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.far_end.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": str(TIMEOUT_S),
            **(environ or {}),
        }
        self.apps = [App(folder, settings) for _ in range(apps)]
        self.happened = 0
        self.answered: set[int] = set()
        self.attempts: dict[int, int] = {}
        self.waits_us: list[int] = []
        self.points: dict[int, Callable[[], None]] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._settings = settings

    @property
    def app(self) -> App:
        """The first process."""
        return self.apps[0]

    @property
    def log(self) -> str:
        """What the processes said."""
        return "".join(app.log for app in self.apps)

    def coming(self, share: float) -> range:
        """Return the numbers of the orders of the next `pay(share)`."""
        return range(self._next, min(self.payments, self._next + round(self.payments * share)))

    def pay(self, share: float) -> None:
        """Let a share of all orders be paid, by as many buyers at a time as there are processes."""
        orders = self.coming(share)
        self._next = orders.stop
        tasks: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        for order in orders:
            for kind in kinds(order, everything_twice=len(self.apps) > 1):
                tasks.put((kind, order))
        failed: list[BaseException] = []

        def buyer(app: App) -> None:
            try:
                while not failed:
                    self._tell(app, *tasks.get_nowait())
            except queue.Empty:
                pass
            except BaseException as error:
                failed.append(error)

        buyers = [threading.Thread(target=buyer, args=(app,)) for app in self.apps]
        for thread in buyers:
            thread.start()
        for thread in buyers:
            thread.join()
        if failed:
            raise failed[0]

    def _tell(self, app: App, kind: str, order: int) -> None:
        if kind == "pay" and (deed := self.points.pop(order, None)) is not None:
            deed()
        body = event(kind, order)
        while True:
            signature = sign(body.encode(), SECRET, int(time.time()))
            if kind == "pay":
                self.attempts[order] = self.attempts.get(order, 0) + 1
            try:
                if kind == "pay":
                    told = app.ask("pay", order=f"o-{order}", skus=SKUS, body=body, signature=signature)
                else:
                    told = app.ask("webhook", body=body, signature=signature)
            except Gone:
                continue  # Stripe sends again what was not answered
            with self._lock:
                self.waits_us.append(told["us"])
                if kind == "pay":
                    self.answered.add(order)
            return

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> bool:
        """Wait until *condition* holds; the time is a bound against hanging, never a promise."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.02)
        return bool(condition())

    def spread(self, share: float, count: int, deed: Callable[[], None]) -> None:
        """Do *deed* before *count* random orders of the coming *share*."""
        orders = self.coming(share)
        for order in self.rng.sample(orders, min(count, len(orders))):
            self.points[order] = deed

    drained = False
    """Whether the last flush left nothing."""

    def missing(self) -> set[tuple[str, str]]:
        """Return (event name, order id) of what was answered and not taken by the receiver yet."""
        return {key for key in self.expected() if key not in self.far_end.ids}

    def expected(self) -> Iterable[tuple[str, str]]:
        """Return (event name, order id) of everything that must arrive."""
        for order in self.answered:
            yield "order.paid", f"o-{order}"
            yield "checkout.start", f"o-{order}"

    def settle(self, seconds: float, enough: Callable[[], bool], *, thorough: bool) -> None:
        """
        Give the processes time to deliver; then end them, and let the next start deliver what they left.

        *thorough*: until no row is held for a dead process any more, so that what is sent twice is counted.
        """
        end = time.monotonic() + seconds
        while self.missing() and not enough() and time.monotonic() < end:
            flushed = [app.surely("flush", seconds=1)["drained"] for app in self.apps]
            self.drained = all(flushed)
        for app in self.apps:
            app.close()
        last = App(self.folder, self._settings)
        self.apps.append(last)
        for _ in range(30):
            self.drained = last.surely("flush", seconds=2)["drained"]
            if (not self.missing() or enough()) and (self.drained or not thorough):
                break
            time.sleep(1)
        last.close()

    def close(self) -> None:
        """End everything."""
        self.far_end.over.set()
        for app in self.apps:
            app.end()
            app.close()
        self.far_end.close()


def kinds(order: int, *, everything_twice: bool) -> Iterable[str]:
    """Yield what Stripe tells of an order: all of them complete a Session; some are told twice, and by their PaymentIntent too."""
    yield "pay"
    if everything_twice or order % 5 == 0:
        yield "again"
    if order % 5 == 1:
        yield "intent"


def amount(order: int) -> int:
    """What the buyer of an order pays, minor units."""
    return 4200 + order


def event(kind: str, order: int) -> str:
    """One event of Stripe's, as text."""
    common = {"currency": "eur", "created": 1_790_000_000, "livemode": True, "metadata": {"order_id": f"o-{order}"}}
    if kind == "intent":
        data = {"id": f"pi_{order:024d}", "object": "payment_intent", "status": "succeeded", "amount": amount(order),
                "amount_received": amount(order), "latest_charge": f"ch_{order:024d}", **common}  # fmt: skip
        type_ = "payment_intent.succeeded"
    else:
        data = {"id": f"cs_live_{order:050d}", "object": "checkout.session", "mode": "payment", "payment_status": "paid",
                "status": "complete", "payment_intent": f"pi_{order:024d}", "amount_total": amount(order),
                "customer_details": {"address": {"country": "DE"}}, **common}  # fmt: skip
        type_ = "checkout.session.completed"
    return json.dumps(
        {"id": f"evt_{type_[0]}{order:020d}", "object": "event", "type": type_, "api_version": "2025-09-30.clover",
         "created": 1_790_000_000, "livemode": True, "data": {"object": data}}
    )  # fmt: skip
