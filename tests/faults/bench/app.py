# SPDX-License-Identifier: Apache-2.0
"""
The application: verifies webhooks with the real stripe library under the real instrumentor, and tracks a funnel event.

A program of its own that takes commands as lines of JSON and answers each with one. Only the webserver is left out.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from typing import Any

_true_ns = time.time_ns


class _Clock:
    offset_ns = 0

    def now_ns(self) -> int:
        return _true_ns() + self.offset_ns


CLOCK = _Clock()
# Before anything else is imported: whoever keeps a reference keeps one to the clock that jumps.
time.time_ns = CLOCK.now_ns
time.time = lambda: CLOCK.now_ns() / 1e9

import stripe  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402

import otel_revenue  # noqa: E402
from faults.bench import SECRET  # noqa: E402
from otel_revenue import RevenueInstrumentor  # noqa: E402

ANY_AGE = 10**9
"""Stripe refuses signatures that are too old by the application's clock; here it is the clock that jumps."""


class Application:
    """Answers commands until its input ends."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("shop")
        self._guests = 0

    def serve(self) -> None:
        for line in iter(sys.stdin.buffer.readline, b""):
            answer = self._answer(json.loads(line))
            if answer is not None:
                os.write(1, json.dumps(answer).encode() + b"\n")
            if self._guests == 1 and os.getpid() != PARENT:
                return  # a forked worker whose work is done
            self._guests = max(0, self._guests - 1)

    def _answer(self, command: dict[str, Any]) -> dict[str, Any] | None:
        return getattr(self, f"_do_{command.pop('do')}")(**command)

    def _do_ready(self) -> dict[str, Any]:
        return {"pid": os.getpid()}

    def _do_pay(self, order: str, skus: list[str], body: str, signature: str) -> dict[str, Any]:
        """One request of a buyer and one webhook, as a shop would handle them; `us` is what the webhook took, all of it."""
        with self._tracer.start_as_current_span("POST /checkout", kind=trace.SpanKind.SERVER):
            otel_revenue.track("checkout.start", order_id=order, skus=skus)
        return self._do_webhook(body, signature)

    def _do_webhook(self, body: str, signature: str) -> dict[str, Any]:
        with self._tracer.start_as_current_span("POST /webhooks", kind=trace.SpanKind.SERVER):
            begin = time.perf_counter_ns()
            stripe.Webhook.construct_event(body, signature, SECRET, tolerance=ANY_AGE)  # type: ignore[no-untyped-call]
            return {"us": (time.perf_counter_ns() - begin) // 1000}

    def _do_flush(self, seconds: float) -> dict[str, Any]:
        return {"drained": otel_revenue.flush(seconds)}

    def _do_limit(self, size: int) -> dict[str, Any]:
        """No file may grow beyond *size* bytes; -1 for no limit. Python ignores SIGXFSZ: a write fails, as on a full disk."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return {}

    def _do_clock(self, seconds: float) -> dict[str, Any]:
        CLOCK.offset_ns = int(seconds * 1e9)
        return {}

    def _do_fork(self, commands: int) -> dict[str, Any] | None:
        """A child answers this and the next *commands*, then ends as a recycled worker does; meanwhile the parent sleeps."""
        sys.stdout.flush()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return None  # the child has answered
        self._guests = commands + 1
        return {"pid": os.getpid()}


PARENT = os.getpid()


def _without_root_s_rights() -> None:
    """A superuser may write read-only files; an application in production is none."""
    if os.geteuid() == 0:
        import ctypes

        override = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        data = (ctypes.c_uint32 * 6)()
        libc = ctypes.CDLL(None, use_errno=True)
        libc.capget(header, data)
        data[0] &= ~override
        libc.capset(header, data)


def main() -> None:
    """Serve; SIGTERM ends it like a server: the interpreter's exit handlers run."""
    _without_root_s_rights()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    trace.set_tracer_provider(provider)
    instrumentor = RevenueInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    runtime = instrumentor.runtime
    assert runtime is not None
    runtime.start()  # as at an ASGI server's start-up
    Application().serve()


if __name__ == "__main__":
    main()
