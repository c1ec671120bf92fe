# SPDX-License-Identifier: Apache-2.0
"""What we do around one call of Stripe's API, for the sync and the async wrapper alike. Each part is guarded by itself."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_revenue._guard import guard

from .calls import ApiAnswer, ApiCall, describe, read_answer, read_call, start_span

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from .hooks import Listener

ours: ContextVar[bool] = ContextVar("otel_revenue_ours", default=False)
"""True around a call that we make ourselves: it is none of the application's, and is not observed."""


class Observed:
    """
    A call that is being made.

    Attributes:
        args, kwargs: to make it with; the original ones unless the listener gave other parameters.
    """

    __slots__ = ("_attached", "_call", "_context", "_listener", "_span", "_started", "args", "kwargs")

    def __init__(
        self,
        listener: Listener,
        tracer: Tracer | None,
        requestor: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.args = args
        self.kwargs = kwargs
        self._listener = listener
        self._call: ApiCall | None = None
        self._span: Span | None = None
        self._context: Context | None = None
        self._attached: Token[Context] | None = None
        self._started = time.perf_counter()
        with guard("stripe.call"):
            self._call = read_call(requestor, args, kwargs)
        with guard("stripe.span"):
            self._attach(tracer)
        with guard("stripe.before_call"):
            self._replace_params()

    def answered(self, answer: object) -> None:
        """Hear the answer, whatever its status."""
        known: ApiAnswer | None = None
        try:
            with guard("stripe.call"):
                known = read_answer(answer, seconds=time.perf_counter() - self._started)
            self._tell(known)
        finally:
            self._finish(known)

    def failed(self, error: BaseException) -> None:
        """Hear that no answer came: no connection, no key, cancelled."""
        known = ApiAnswer(status=None, error=error, seconds=time.perf_counter() - self._started)
        try:
            self._tell(known)
        finally:
            self._finish(known)

    def _attach(self, tracer: Tracer | None) -> None:
        """Make the span current, and hide the baggage: HTTP instrumentations would send it to Stripe."""
        context = baggage.clear()
        try:
            if tracer is not None and self._call is not None and is_instrumentation_enabled():
                self._span = start_span(tracer, self._call)
                context = trace.set_span_in_context(self._span, context)
        finally:
            self._context = context
            self._attached = otel_context.attach(context)

    def _replace_params(self) -> None:
        if self._call is None:
            return
        params = self._listener.before_call(self._call)
        if params is None:
            return
        if len(self.args) > 2:
            self.args = (*self.args[:2], params, *self.args[3:])
        else:
            self.kwargs = {**self.kwargs, "params": params}

    def _tell(self, answer: ApiAnswer | None) -> None:
        with guard("stripe.after_call"):
            if self._call is not None and answer is not None:
                self._listener.after_call(self._call, answer)

    def _finish(self, answer: ApiAnswer | None) -> None:
        try:
            with guard("stripe.span"):
                if self._span is not None:
                    try:
                        if answer is not None:
                            describe(self._span, answer)
                    finally:
                        self._span.end()
        finally:
            with guard("stripe.span"):
                self._detach(answer)

    def _detach(self, answer: ApiAnswer | None) -> None:
        if self._attached is None:
            return
        # A coroutine that is closed from outside may end in another context: there is nothing of ours to take away.
        closed = answer is not None and isinstance(answer.error, GeneratorExit)
        if not closed or otel_context.get_current() is self._context:
            otel_context.detach(self._attached)
