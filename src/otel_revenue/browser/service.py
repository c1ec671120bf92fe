# SPDX-License-Identifier: Apache-2.0
"""
What both edges ask: which answer a request gets. Bytes and headers in, an answer out; events go to the runtime.

The work for one post is bounded: what can be refused by its headers is refused before a byte of its body is read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_revenue._guard import guard
from otel_revenue.runtime import active

from . import module
from .answers import MODULE, TAILS, Answer, Refused, as_json, refusal
from .limits import MAX_BODY
from .rates import Rates
from .reading import read
from .who import from_our_pages, is_machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.runtime import Runtime

    from .answers import Request


def tail_of(path: str, prefix: str) -> str | None:
    """Return which of our resources *path* leads to, None for a path of somebody else's."""
    return next((tail for tail in TAILS if path.endswith(prefix + tail)), None)


class Service:
    """
    Args:
        now_s: monotonic seconds.
        now_ns: nanoseconds since the epoch.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_s = now_s
        self._now_ns = now_ns
        self._rates: tuple[Runtime, Rates] | None = None

    def before_body(self, request: Request) -> Answer | None:
        """Answer what needs no body; None: at most `MAX_BODY` + 1 bytes of it are to be read, and `with_body` asked."""
        if request.tail == MODULE:
            return module.serve(request.method, request.headers)
        if request.method == "OPTIONS":
            return _cross_origin(request, Answer(204, (("access-control-max-age", "86400"),), b""))
        runtime = _recording()
        reason = "inactive" if runtime is None else self._why_not(runtime, request)
        return None if reason is None else _refused(request, reason)

    def with_body(self, request: Request, body: bytes) -> Answer:
        """Record what a post tells of."""
        runtime = _recording()
        try:
            return _cross_origin(request, self._record(runtime, request, body))
        except Refused as refused:
            return _refused(request, refused.reason)

    def _why_not(self, runtime: Runtime, request: Request) -> str | None:
        """Return the reason that the headers give for a refusal. What one visitor has had too much of costs the others nothing."""
        headers, now_s = request.headers, self._now_s()
        rates = self._rates_of(runtime, now_s)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        checks: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("method", lambda: request.method == "POST"),
            ("privacy", lambda: headers.get("sec-gpc", "").strip() != "1"),
            ("origin", lambda: from_our_pages(headers, runtime.settings.browser_origins)),
            ("media_type", lambda: kind == "application/json" and "content-encoding" not in headers),
            ("size", lambda: _fits(headers.get("content-length"))),
            ("rate", lambda: rates.admit(self._visitor(runtime, request), now_s)),
            ("rate", lambda: rates.admit_any(now_s)),
        )
        return next((reason for reason, holds in checks if not holds()), None)

    def _rates_of(self, runtime: Runtime, now_s: float) -> Rates:
        if self._rates is None or self._rates[0] is not runtime:
            self._rates = (runtime, Rates(runtime.settings.browser_rate, now_s))
        return self._rates[1]

    @staticmethod
    def _visitor(runtime: Runtime, request: Request) -> str:
        name = runtime.settings.browser_client_header
        return request.headers.get(name, "").rpartition(",")[2] if name else request.client

    def _record(self, runtime: Runtime | None, request: Request, body: bytes) -> Answer:
        if runtime is None:
            raise Refused("inactive")
        if len(body) > MAX_BODY:
            raise Refused("size")
        events, reasons = read(body, self._now_ns())
        for reason, count in reasons.items():
            runtime.instruments.browser_refused.add(count, {"reason": reason})
        synthetic = {"synthetic": True} if is_machine(request.headers) else {}
        recorded = 0
        for event in events:
            with guard("browser.record"):
                values = {**event.attributes, **synthetic}
                runtime.track_browser(event.name, values, event_id=event.event_id, at_ns=event.at_ns, ids=event.ids)
                recorded += 1
        if events and not recorded:
            raise Refused("busy")
        said = {"accepted": recorded, **({"refused": dict(reasons)} if reasons else {})}
        return as_json(202 if recorded else 400, said)


def _recording() -> Runtime | None:
    """Return the runtime; None where there is none, or where it records span events alone: these events have no span here."""
    runtime = active.get()
    return runtime if runtime is not None and runtime.plan.logs else None


def _fits(length: str | None) -> bool:
    return length is None or (len(length) < 9 and length.isascii() and length.isdigit() and int(length) <= MAX_BODY)


def _refused(request: Request, reason: str) -> Answer:
    runtime = active.get()
    if runtime is not None:
        runtime.instruments.browser_refused.add(1, {"reason": reason})
    return _cross_origin(request, refusal(reason))


def _cross_origin(request: Request, answer: Answer) -> Answer:
    """Let a page of a listed origin ask beforehand, and read the answer (CORS)."""
    runtime = active.get()
    origin = request.headers.get("origin", "")
    if runtime is None or origin.lower() not in runtime.settings.browser_origins:
        return answer
    more = (
        ("access-control-allow-origin", origin),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type"),
        ("vary", "origin"),
    )
    return answer._replace(headers=(*answer.headers, *more))
