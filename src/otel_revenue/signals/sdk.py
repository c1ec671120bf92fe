# SPDX-License-Identifier: Apache-2.0
"""
Events through the application's own `LoggerProvider`: for those who keep their log pipeline.

What they give up against our own sender: the SDK's queue is in memory, drops the oldest when it is full, and says
nothing of refusals. OpenTelemetry's log API is private still; this file alone touches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import _logs, trace
from opentelemetry import context as otel_context
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from .otlp_decode import decode_log_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCOPE: Final = "otel_revenue"


def global_provider() -> _logs.LoggerProvider:
    """Return the application's logger provider: a proxy as long as it has set none."""
    return _logs.get_logger_provider()


def emitter(provider: _logs.LoggerProvider, version: str) -> Callable[[Sequence[bytes]], None]:
    """
    Return a function that gives encoded records of ours to the application's pipeline.

    It raises ValueError, before it has given any, where one of them is no record.
    """
    logger = provider.get_logger(SCOPE, version)

    def emit(records: Sequence[bytes]) -> None:
        for event in [decode_log_record(record) for record in records]:
            logger.emit(
                timestamp=event.time_ns,
                observed_timestamp=event.observed_ns,
                context=_context(event.trace_id, event.span_id, event.flags),
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                attributes=event.attributes,
                event_name=event.event_name,
            )

    return emit


def _context(trace_id: int, span_id: int, flags: int) -> otel_context.Context:
    """The request that the event belongs to; it may be over."""
    if not trace_id or not span_id:
        return otel_context.Context()
    span = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(span), otel_context.Context())
