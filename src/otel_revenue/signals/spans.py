# SPDX-License-Identifier: Apache-2.0
"""
Events on traces: span events, order context on the request's SERVER span, links, and the `checkout.payment` span.

Spans can be sampled away: what is guaranteed is the log event. Everything here is a projection of it.
"""

from __future__ import annotations

import re
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "journey_id",
    "livemode",
)
"""Attributes that an event leaves on the request's SERVER span, so that every request of an order can be found."""

_NO_IDS: Final = (0, 0, 0)
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_DAY_NS: Final = 86_400 * 10**9
MAX_LINK_AGE_NS: Final = 14 * _DAY_NS
"""Delayed payment methods settle within about that; a subscription's metadata lives for years and is no link."""


class ServerSpans(SpanProcessor):
    """
    Knows the live SERVER span of each trace in this process, and what the app has bound to it.

    The current span is often an inner one (the Stripe call); the request's own span is found here. Exports nothing.
    """

    def __init__(self) -> None:
        self._spans: weakref.WeakValueDictionary[int, Span] = weakref.WeakValueDictionary()
        self._bound: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember a span that begins a request."""
        del parent_context
        if span.kind in (SpanKind.SERVER, SpanKind.CONSUMER) or span.parent is None:
            context = span.get_span_context()
            if context is not None:
                self._spans.setdefault(context.trace_id, span)

    def on_end(self, span: ReadableSpan) -> None:
        """Forget the span when the request is over."""
        context = span.get_span_context()
        if context is None:
            return
        known = self._spans.get(context.trace_id)
        if known is not None and known.get_span_context() == context:
            self._spans.pop(context.trace_id, None)
            if self._bound:
                with self._lock:
                    self._bound.pop(context.trace_id, None)

    def find(self, trace_id: int) -> Span | None:
        """Return the live SERVER span of a trace, None when there is none that records."""
        span = self._spans.get(trace_id)
        return span if span is not None and span.is_recording() else None

    def bind(self, trace_id: int, values: Mapping[str, Any]) -> bool:
        """Keep *values* until the request of this trace is over; False when no such request is known."""
        if self._spans.get(trace_id) is None:
            return False
        with self._lock:
            self._bound.setdefault(trace_id, {}).update(values)
        return True

    @property
    def has_bound(self) -> bool:
        """Whether anything is bound to any request."""
        return bool(self._bound)

    def bound(self, trace_id: int) -> Mapping[str, Any]:
        """Return what was bound to the request of this trace."""
        return self._bound.get(trace_id, {})


def current_ids() -> tuple[int, int, int]:
    """Return trace id, span id and flags of the current span; zeros outside a trace."""
    span = trace.get_current_span()
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
    """Return the time since the request's SERVER span began, in milliseconds; None outside a known request."""
    server = servers.find(trace_id) if trace_id else None
    if server is None or server.start_time is None:
        return None
    return max(0, (now_ns - server.start_time) // 10**6)


def add_event(
    servers: ServerSpans, name: str, attributes: Mapping[str, Any], time_ns: int, *, on_server: bool = False
) -> bool:
    """
    Put the event on the live span (or, where asked for, on the request's own), and the order context on the SERVER span.

    Returns:
        whether a recording span took it.
    """
    current = trace.get_current_span()
    context = current.get_span_context()
    server = servers.find(context.trace_id) if context.is_valid else None
    candidates = (server, current) if on_server else (current, server)
    target = next((span for span in candidates if span is not None and span.is_recording()), None)
    if server is not None:
        set_context(server, attributes)
    if target is None:
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
