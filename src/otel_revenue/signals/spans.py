# SPDX-License-Identifier: Apache-2.0
"""
Events on traces: span events, order context on the request's SERVER span, links, and the `checkout.payment` span.

Spans can be sampled away: what is guaranteed is the log event. Everything here is a projection of it.
"""

from __future__ import annotations

import re
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import Tracer

ORDER_CONTEXT: Final = (
    "order_id",
    "tier",
    "subtotal",
    "subtotal_minor",
    "currency",
    "country",
    "surface",
    "surface_source",
    "journey_id",
    "livemode",
)
"""Attributes that an event leaves on the request's SERVER span, so that every request of an order can be found."""

_PER_ORDER: Final = ("tier", "subtotal_minor", "currency")
"""What is true of one order; the others are of its buyer."""

_NO_IDS: Final = (0, 0, 0)
_REQUEST: Final = "_otel_revenue_request"
"""Attribute of the SDK's span object that leads to its request: it lives and dies with the span."""
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_DAY_NS: Final = 86_400 * 10**9
MAX_LINK_AGE_NS: Final = 14 * _DAY_NS
"""Delayed payment methods settle within about that; a subscription's metadata lives for years and is no link."""


class Request:
    """
    One request as this process sees it: from the start of its SERVER span to that span's end; or, as a context manager,
    while it is being answered, whether its spans are sampled or not.

    Attributes:
        server: its own span while that lives, None before, afterwards, and where it is not sampled.
        start_ns: when it began.
        bound: what the application has bound to it; replaced as a whole, never changed.
        answered: whether it is being answered, and ends with that.
        over: whether it has ended: tasks may outlive it.
    """

    __slots__ = ("__weakref__", "_before", "answered", "bound", "over", "server", "start_ns")

    def __init__(self, start_ns: int, server: Span | None = None) -> None:
        self.start_ns = start_ns
        self.server = server
        self.bound: Mapping[str, Any] = {}
        self.answered = self.over = False
        self._before: Request | None = None

    def end(self) -> None:
        """Forget what was bound."""
        self.over = True
        self.server = None
        self.bound = {}

    def __enter__(self) -> Request:
        self.answered = True
        self._before = _answered.get()
        _answered.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        _answered.set(self._before)


_answered: ContextVar[Request | None] = ContextVar("otel_revenue_request", default=None)
"""The request that is being answered in this context, where the web framework is one that we see."""


class ServerSpans(SpanProcessor):
    """
    Knows the request that the current span belongs to: its live SERVER span, and what the app has bound to it.

    The current span is often an inner one (the Stripe call); the request's own span is found here. A trace is not enough to
    tell: a batch job calls a shop many times in one trace, for another order each time. Exports nothing.

    Attributes:
        has_bound: whether anything was ever bound to a request.
    """

    def __init__(self) -> None:
        self._by_span: weakref.WeakValueDictionary[int, Request] = weakref.WeakValueDictionary()
        self._by_trace: weakref.WeakValueDictionary[int, Request] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self.has_bound = False

    def begin_anew(self) -> None:
        """In a forked child: whoever holds the lock is not here to release it."""
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note which request a span belongs to; a SERVER span, or one without a parent, begins one."""
        request: Request | None
        if span.kind in (SpanKind.SERVER, SpanKind.CONSUMER) or span.parent is None:
            request = self._begin(span)
        else:
            request = getattr(trace.get_current_span(parent_context), _REQUEST, None)
        setattr(span, _REQUEST, request)

    def _begin(self, span: Span) -> Request:
        request = _answered.get()
        if request is not None and not request.over:
            if span.kind not in (SpanKind.SERVER, SpanKind.CONSUMER):
                return request  # the framework is not instrumented: Stripe's call, say, begins a trace of its own
            if request.server is None:
                request.server = span
                set_context(span, request.bound)  # known from the request itself, before its span began
        if request is None or request.server is not span:
            request = Request(span.start_time or 0, span)
        context = span.get_span_context()
        if context is not None:
            self._by_span[context.span_id] = request
            self._by_trace.setdefault(context.trace_id, request)
        return request

    def on_end(self, span: ReadableSpan) -> None:
        """Forget the span, and what was bound, when the request is over."""
        context = span.get_span_context()
        request = None if context is None else self._by_span.pop(context.span_id, None)
        if context is None or request is None:
            return
        request.server = None
        if not request.answered:
            request.end()
        if self._by_trace.get(context.trace_id) is request:
            self._by_trace.pop(context.trace_id, None)

    def request(self, trace_id: int, current: trace.Span | None = None) -> Request | None:
        """Return the request that the current span, of this trace (0: of none), belongs to; None when it is over or unknown."""
        request: Request | None = getattr(trace.get_current_span() if current is None else current, _REQUEST, None)
        if request is None:  # a span that is not ours to mark: not sampled, or made of a bare context
            request = _answered.get() or self._by_trace.get(trace_id)
        return None if request is None or request.over else request

    def find(self, trace_id: int) -> Span | None:
        """Return the SERVER span of the current request, None when there is none that records."""
        request = self.request(trace_id)
        server = None if request is None else request.server
        return server if server is not None and server.is_recording() else None

    def bind(self, trace_id: int, values: Mapping[str, Any]) -> Request | None:
        """Keep *values* until the current request is over; returns it, None when no such request is known."""
        request = self.request(trace_id)
        if request is not None:
            with self._lock:
                request.bound = onto(request.bound, values)
            self.has_bound = True
        return request

    def unbind(self, request: Request, values: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
        """Take *values* back, as far as nobody has bound others since, and put back what was bound before them."""
        with self._lock:
            if not request.over:
                since = {
                    name: value for name, value in request.bound.items() if values.get(name, earlier.get(name)) != value
                }
                request.bound = {**earlier, **since}


def onto(known: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *known* with *values* in their place; where those are about another order, without what was known of the first."""
    first = known.get("order_id")
    if first is not None and str(values.get("order_id", first)) != first:
        known = {name: value for name, value in known.items() if name not in _PER_ORDER}
    return {**known, **values}


def current_ids(current: trace.Span | None = None) -> tuple[int, int, int]:
    """Return trace id, span id and flags of the current span; zeros outside a trace. *current* is that span, where the caller has it."""
    span = trace.get_current_span() if current is None else current
    if span is trace.INVALID_SPAN:
        return _NO_IDS
    context = span.get_span_context()
    return (context.trace_id, context.span_id, int(context.trace_flags)) if context.is_valid else (0, 0, 0)


def request_ids(servers: ServerSpans) -> tuple[int, int, int]:
    """Return the ids of the request's SERVER span where it is known, else of the current span."""
    trace_id, span_id, flags = current_ids()
    server = servers.find(trace_id) if trace_id else None
    if server is None:
        return trace_id, span_id, flags
    return trace_id, server.get_span_context().span_id, flags


def elapsed_ms(servers: ServerSpans, trace_id: int, now_ns: int) -> int | None:
    """Return the time since the request began, in milliseconds; None outside a known request."""
    request = servers.request(trace_id)
    return None if request is None else max(0, (now_ns - request.start_ns) // 10**6)


class Here(NamedTuple):
    """Where a call comes from, looked up once: the current span, its ids, the request, and that one's SERVER span if it records."""

    current: trace.Span
    ids: tuple[int, int, int]
    request: Request | None
    server: trace.Span | None

    def elapsed_ms(self, now_ns: int) -> int | None:
        """Return the time since the request began, in milliseconds; None outside a known request."""
        return None if self.request is None else max(0, (now_ns - self.request.start_ns) // 10**6)


_NOWHERE: Final = Here(trace.INVALID_SPAN, _NO_IDS, None, None)


def here(servers: ServerSpans, *, on_server: bool = False) -> Here:
    """Return where the call comes from; *on_server*: with the ids of the request's SERVER span, where there is one."""
    current = trace.get_current_span()
    if current is trace.INVALID_SPAN:
        ids, request = _NO_IDS, _answered.get()
        if request is None or request.over:
            return _NOWHERE
    else:
        ids = current_ids(current)
        request = servers.request(ids[0], current)
    server = None if request is None else request.server
    if server is not None and not server.is_recording():
        server = None
    if on_server and server is not None:
        ids = (ids[0], server.get_span_context().span_id, ids[2])
    return Here(current, ids, request, server)


def add_event(where: Here, name: str, attributes: Mapping[str, Any], time_ns: int, *, on_server: bool = False) -> bool:
    """
    Put the event on the live span (or, where asked for, on the request's own), and the order context on the SERVER span.

    Returns:
        whether a recording span took it.
    """
    current, server = where.current, where.server
    if server is not None:
        set_context(server, attributes)
    target = server if server is not None and (on_server or not current.is_recording()) else current
    if not target.is_recording():
        return False
    target.add_event(name, attributes=attributes, timestamp=time_ns)
    if server is None:
        set_context(target, attributes)
    return True


def set_context(span: trace.Span, attributes: Mapping[str, Any]) -> None:
    """Put the order context among *attributes* on *span*."""
    span.set_attributes({key: attributes[key] for key in ORDER_CONTEXT if key in attributes})


def parse(traceparent: str) -> SpanContext | None:
    """Return the span context that a W3C `traceparent` names, None when it is malformed or all zeros."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    context = SpanContext(
        int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=TraceFlags(int(match[3], 16))
    )
    return context if context.is_valid else None


def traceparent_of(ids: tuple[int, int, int]) -> str:
    """Return the W3C `traceparent` of trace id, span id and flags; "" outside a trace."""
    return f"00-{ids[0]:032x}-{ids[1]:016x}-{ids[2]:02x}" if ids[0] and ids[1] else ""


def link_checkout(servers: ServerSpans, traceparent: str) -> None:
    """Link the webhook's SERVER span to the trace of the checkout that led to it."""
    checkout = parse(traceparent)
    current = trace.get_current_span()
    context = current.get_span_context()
    target = (servers.find(context.trace_id) if context.is_valid else None) or current
    if checkout is None or not target.is_recording() or checkout.trace_id == context.trace_id:
        return
    links = getattr(target, "links", ())
    if not any(link.context == checkout for link in links):
        target.add_link(checkout, {"otel_revenue.link": "checkout"})


def payment_span(
    tracer: Tracer,
    traceparent: str,
    attributes: Mapping[str, Any],
    *,
    start_ns: int,
    end_ns: int,
    seen: tuple[int, int, int],
) -> None:
    """
    Put a `checkout.payment` span on the checkout's own trace: from the session's creation to the money taken.

    It is a child of the request that created the session, and links to the request that brought the news.
    """
    checkout = parse(traceparent)
    if checkout is None or end_ns - start_ns > MAX_LINK_AGE_NS:
        return
    links = []
    if seen[0] and seen[0] != checkout.trace_id:
        news = SpanContext(seen[0], seen[1], is_remote=True, trace_flags=TraceFlags(seen[2]))
        links.append(trace.Link(news, {"otel_revenue.link": "webhook"}))
    parent = trace.set_span_in_context(NonRecordingSpan(checkout), otel_context.Context())
    span = tracer.start_span(
        "checkout.payment",
        context=parent,
        kind=SpanKind.INTERNAL,
        attributes=dict(attributes),
        links=links,
        start_time=start_ns,
    )
    # The far end tells whole seconds: money may seem to be taken before the session was there.
    span.end(end_time=max(start_ns, end_ns))
