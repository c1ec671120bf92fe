# SPDX-License-Identifier: Apache-2.0
"""
The routes under `/_fake/`: what `FakeStripe` can do, for other processes.

JSON in, JSON out: the keys of the body are the parameters of the function of that name. 400 says what is wrong, 504 that
`drain` ran out of time.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .buyer import Buyer

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from .fake import FakeStripe

Obj = dict[str, Any]


def pay(fake: FakeStripe, *, session: str, method: str = "card", buyer: Obj | None = None, decline: str = "") -> Obj:
    """Pay a Session on Stripe's page."""
    return {"status": fake.pay(session, method, Buyer.read(buyer or {}), decline=decline)}


def pay_intent(
    fake: FakeStripe, *, payment_intent: str, method: str = "card", buyer: Obj | None = None, decline: str = ""
) -> Obj:
    """Confirm a PaymentIntent in the browser."""
    return {"status": fake.pay_intent(payment_intent, method, Buyer.read(buyer or {}), decline=decline)}


def settle(fake: FakeStripe, *, session: str, succeed: bool = True) -> Obj:
    """Let the money of a delayed method arrive, or fail."""
    fake.settle(session, succeed=succeed)
    return {"settled": session}


def expire(fake: FakeStripe, *, session: str) -> Obj:
    """Let a Session run out."""
    fake.expire(session)
    return {"expired": session}


def renew(fake: FakeStripe, *, subscription: str, method: str = "", decline: str = "") -> Obj:
    """Begin a subscription's next period."""
    return {"invoice": fake.renew(subscription, method, decline=decline)}


def open_link(fake: FakeStripe, *, payment_link: str) -> Obj:
    """Open a Payment Link."""
    return {"session": fake.open_link(payment_link)}


def webhooks(fake: FakeStripe, **changes: Any) -> Obj:
    """Change how deliveries go."""
    behaviour = fake.webhooks.configure(**changes).__dict__
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in behaviour.items()}


def release(fake: FakeStripe) -> Obj:
    """Let go what is held."""
    return {"released": fake.webhooks.release()}


def drain(fake: FakeStripe, *, timeout: float = 10.0) -> Obj:
    """Wait until all is delivered."""
    return {"drained": fake.webhooks.drain(timeout)}


def endpoints(fake: FakeStripe, *, url: str, **options: Any) -> Obj:
    """Send events to a URL."""
    added = fake.add_endpoint(url, **options)
    return {"url": added.url, "events": list(added.events)}


def fail(fake: FakeStripe, *, n: int = 1, status: int = 500, path: str = "") -> Obj:
    """Let the next API requests fail."""
    fake.fail_next(n, status=status, path=path)
    return {"failing": n}


def resend(fake: FakeStripe, *, event: str) -> Obj:
    """Deliver an old event again."""
    fake.resend(event)
    return {"resent": event}


_POST: Final[dict[str, Callable[..., Obj]]] = {
    "drain": drain,
    "endpoints": endpoints,
    "expire": expire,
    "fail": fail,
    "open_link": open_link,
    "pay": pay,
    "pay_intent": pay_intent,
    "release": release,
    "renew": renew,
    "resend": resend,
    "settle": settle,
    "webhooks": webhooks,
}
_GET: Final[dict[str, Callable[..., Any]]] = {
    "": lambda fake: {"status": "ok", "url": fake.url},
    "books": lambda fake: [row.as_json() for row in fake.books()],
    "deliveries": lambda fake: [delivery.as_json() for delivery in fake.deliveries],
    "events": lambda fake: fake.events,
    "pending": lambda fake: {"pending": fake.webhooks.pending, "held": fake.webhooks.held},
    "requests": lambda fake: [received.__dict__ for received in fake.requests],
    "sessions": lambda fake: fake.sessions(),
}


def routes(fake: FakeStripe) -> list[Route]:
    """Return the control routes of *fake*."""
    return [
        *(Route(f"/_fake/{name}", _acting(fake, act), methods=["POST"]) for name, act in _POST.items()),
        *(Route(f"/_fake/{name}", _looking(fake, look), methods=["GET"]) for name, look in _GET.items()),
    ]


def _acting(fake: FakeStripe, act: Callable[..., Obj]) -> Any:
    async def handler(request: Request) -> Response:
        body = await request.body()
        try:
            return JSONResponse(await run_in_threadpool(_act, fake, act, body))
        except TimeoutError as error:
            return JSONResponse({"error": str(error)}, 504)
        except (ValueError, TypeError, LookupError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return handler


def _act(fake: FakeStripe, act: Callable[..., Obj], body: bytes) -> Obj:
    values = json.loads(body or b"{}")
    if not isinstance(values, dict):
        raise TypeError("expected a JSON object")
    return act(fake, **values)


def _looking(fake: FakeStripe, look: Callable[[FakeStripe], Any]) -> Any:
    async def handler(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(look, fake))

    return handler
