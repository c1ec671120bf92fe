# SPDX-License-Identifier: Apache-2.0
"""
The routes under `/_fake/`: what `FakeStripe` can do, for other processes. JSON in, JSON out.

| POST              | body                                                       | answer |
|-------------------|------------------------------------------------------------|--------|
| `pay`             | `session`, `payment_method`, `country`, `buyer`, `decline` | `{"status"}` of the Session |
| `pay_intent`      | `payment_intent`, and the rest of `pay`                    | `{"status"}` of the intent |
| `settle`          | `session` (or a PaymentIntent's id), `succeed`             | `{"settled"}` |
| `expire`          | `session`                                                  | `{"expired"}` |
| `renew`           | `subscription`, `payment_method`, `decline`                | `{"invoice"}` |
| `dispute`         | `payment`, `amount`, `reason`, `inquiry`                   | `{"dispute"}` |
| `close_dispute`   | `dispute`, `won`                                           | `{"closed"}` |
| `open_link`       | `payment_link`                                             | `{"session"}` |
| `endpoints`       | `url`, `secret`, `events`, `api_version`, `connect`, `thin` | `{"url", "events"}` |
| `webhooks`        | fields of `Behaviour`, e.g. `{"duplicates": 2}`            | the whole behaviour |
| `release`         |                                                            | `{"released": number}` of held deliveries |
| `drain`           | `timeout` in seconds (10)                                  | `{"drained": true}` when all is delivered |
| `resend`          | `event`                                                    | `{"resent"}` |
| `fail`            | `n`, `status`, `path`: the next API requests fail          | `{"failing"}` |

| GET               | answer |
|-------------------|--------|
| (nothing)         | `{"status": "ok", "url"}` |
| `books`           | one row per payment, oldest first; the fields of `Booked` |
| `sums`            | `{"eur": {"count", "minor", "refunds", "refunded_minor"}, ...}`: the books per currency |
| `traffic`         | `{"events", "deliveries", "doubled", "late", "failed", "gave_up", "pending", "held"}`: see `Traffic` |
| `deliveries`      | every attempt: the fields of `Delivery` but body and signature |
| `events`          | every event, oldest first |
| `requests`        | every API request: the fields of `Received` |
| `sessions`        | every Checkout Session |

`payment_method` is a payment method type (`card`, `sepa_debit`), a test card (`pm_card_visa`) or `declined_card`;
`decline` a decline code. `buyer` has the fields of `Buyer`; `country` is short for `{"country": ...}` in it.
400 says what is wrong, 404 that there is no such route, 413 that the body is too large, 504 that `drain` ran out of time.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .body import TooLarge, read
from .buyer import Buyer
from .defaults import WEBHOOK_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from .fake import FakeStripe

Obj = dict[str, Any]


def _buyer(buyer: Obj | None, country: str) -> Buyer:
    return Buyer.read({**(buyer or {}), **({"country": country} if country else {})})


def pay(
    fake: FakeStripe,
    *,
    session: str,
    payment_method: str = "card",
    country: str = "",
    buyer: Obj | None = None,
    decline: str = "",
) -> Obj:
    """Pay a Session on Stripe's page."""
    return {"status": fake.pay(session, payment_method, _buyer(buyer, country), decline=decline)}


def pay_intent(
    fake: FakeStripe,
    *,
    payment_intent: str,
    payment_method: str = "card",
    country: str = "",
    buyer: Obj | None = None,
    decline: str = "",
) -> Obj:
    """Confirm a PaymentIntent in the browser."""
    return {"status": fake.pay_intent(payment_intent, payment_method, _buyer(buyer, country), decline=decline)}


def settle(fake: FakeStripe, *, session: str, succeed: bool = True) -> Obj:
    """Let the money of a delayed method arrive, or fail."""
    fake.settle(session, succeed=succeed)
    return {"settled": session}


def expire(fake: FakeStripe, *, session: str) -> Obj:
    """Let a Session run out."""
    fake.expire(session)
    return {"expired": session}


def renew(fake: FakeStripe, *, subscription: str, payment_method: str = "", decline: str = "") -> Obj:
    """Begin a subscription's next period."""
    return {"invoice": fake.renew(subscription, payment_method, decline=decline)}


def dispute(
    fake: FakeStripe, *, payment: str, amount: int = 0, reason: str = "fraudulent", inquiry: bool = False
) -> Obj:
    """Let a buyer's bank withdraw money; an amount of 0 is all that was taken."""
    return {"dispute": fake.dispute(payment, amount=amount or None, reason=reason, inquiry=inquiry)}


def close_dispute(fake: FakeStripe, *, dispute: str, won: bool) -> Obj:
    """Let the bank decide."""
    fake.close_dispute(dispute, won=won)
    return {"closed": dispute}


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
    return {"drained": fake.drain(timeout)}


def endpoints(
    fake: FakeStripe,
    *,
    url: str,
    secret: str = WEBHOOK_SECRET,
    events: list[str] = ["*"],  # noqa: B006 - never changed
    api_version: str = "",
    connect: bool = False,
    thin: bool = False,
) -> Obj:
    """Send events to a URL."""
    added = fake.add_endpoint(
        url, secret=secret, events=events, api_version=api_version or None, connect=connect, thin=thin
    )
    return {"url": added.url, "events": list(added.events)}


def fail(fake: FakeStripe, *, n: int = 1, status: int = 500, path: str = "") -> Obj:
    """Let the next API requests fail."""
    fake.fail_next(n, status=status, path=path)
    return {"failing": n}


def resend(fake: FakeStripe, *, event: str) -> Obj:
    """Deliver an old event again."""
    fake.resend(event)
    return {"resent": event}


def traffic(fake: FakeStripe) -> Obj:
    """How deliveries went so far, and what is under way."""
    return {**asdict(fake.traffic()), "pending": fake.webhooks.pending, "held": fake.webhooks.held}


_POST: Final[dict[str, Callable[..., Obj]]] = {
    "close_dispute": close_dispute,
    "dispute": dispute,
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
    "requests": lambda fake: [received.__dict__ for received in fake.requests],
    "sessions": lambda fake: fake.sessions(),
    "sums": lambda fake: {currency: asdict(row) for currency, row in fake.sums().items()},
    "traffic": traffic,
}
ROUTES: Final = frozenset({f"POST {name}" for name in _POST} | {f"GET {name}" for name in _GET})


def routes(fake: FakeStripe) -> list[Route]:
    """Return the control routes of *fake*."""
    return [
        *(Route(f"/_fake/{name}", _acting(fake, act), methods=["POST"]) for name, act in _POST.items()),
        *(Route(f"/_fake/{name}", _looking(fake, look), methods=["GET"]) for name, look in _GET.items()),
        Route("/_fake/{rest:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


# What JSON must hold for a parameter, by the parameter's annotation.
_KINDS: Final[dict[str, tuple[Any, str]]] = {
    "Any": (object, "anything"),
    "Obj | None": (dict, "an object"),
    "bool": (bool, "true or false"),
    "float": ((int, float), "a number"),
    "int": (int, "a whole number"),
    "list[str]": (list, "a list of names"),
    "str": (str, "text"),
}


def _acting(fake: FakeStripe, act: Callable[..., Obj]) -> Any:
    async def handler(request: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(_act, fake, act, await read(request)))
        except TooLarge as error:
            return JSONResponse({"error": str(error)}, 413)
        except TimeoutError as error:
            return JSONResponse({"error": str(error)}, 504)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return handler


def _act(fake: FakeStripe, act: Callable[..., Obj], body: bytes) -> Obj:
    values = json.loads(body or b"{}")
    if not isinstance(values, dict):
        raise TypeError("expected a JSON object")
    for name, value in values.items():
        kind, words = _KINDS[str(act.__annotations__.get(name, "Any"))]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            raise TypeError(f"{name} must be {words}")
    return act(fake, **values)


def _looking(fake: FakeStripe, look: Callable[[FakeStripe], Any]) -> Any:
    async def handler(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(look, fake))

    return handler


async def _unknown(request: Request) -> Response:
    known = ", ".join(sorted(ROUTES))
    return JSONResponse({"error": f"no such route: {request.method} {request.url.path}; known: {known}"}, 404)
