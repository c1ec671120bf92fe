# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SLF001 - a span that is ending can be changed in its private fields alone (opentelemetry-python#5614)
"""
Spans on their way out.

A span is masked when it is ending (`_on_ending`), which is over before any processor's `on_end` begins: so the order of the processors
does not matter, nor whether they run side by side. Public methods change nothing then: what is used of the SDK's inside is looked at
when the first span has ended, and a span that cannot be masked leaves without its contents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace.status import Status

from otel_revenue._guard import guard, report, warn_once

from .parts import GATE, Parts, bounded, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import Span
    from opentelemetry.sdk.trace.export import SpanExportResult

    from otel_revenue.privacy.redactor import Redactor

_MASKED: Final = "[masked]"


class RedactingSpanProcessor(SpanProcessor):
    """
    Masks personal data and secrets in every span of a TracerProvider, wherever it stands among the processors.

    Args:
        redactor: decides about values; `otel_revenue.redaction.redactor()` makes one from the settings.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._parts = Parts(redactor)
        self._active = redactor.active
        self._asked = self._checked = False

    def stop(self) -> None:
        """Mask nothing from now on: a processor cannot be taken out of its provider."""
        self._active = False

    def _on_ending(self, span: Span) -> None:
        self._asked = True
        self._mask(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Mask a span that nobody asked us to mask before: SDKs without `_on_ending`, where this processor must come first."""
        if not self._asked:
            self._mask(span)
        if self._active and not self._checked:
            self._checked = True
            with guard("privacy.check"):
                attributes = span.attributes
                if self._parts.attributes(attributes) is not attributes:
                    warn_once("privacy.spans", GATE, "spans", "OTEL_TRACES_EXPORTER", "RedactedSpanExporter")

    def _mask(self, span: ReadableSpan) -> None:
        if not self._active:
            return
        try:
            self._redact(span)
        except Exception as error:  # noqa: BLE001 - what cannot be masked does not leave; the application goes on
            report("privacy.span", error)
            with guard("privacy.span"):
                _empty(span)

    def _redact(self, span: ReadableSpan) -> None:
        parts, old = self._parts, span._attributes
        attributes = parts.attributes(old)
        span._name = parts.span_name(span._name, old)
        span._status = parts.status(span._status)
        if attributes is not old:
            span._attributes = bounded(attributes, old)
        events, links = parts.events(span._events), parts.links(span._links)
        if events is not span._events:
            span._events = listed(events, span._events)
        if links is not span._links:
            span._links = listed(links, span._links)
        span._resource = parts.resource(span._resource)
        if span._instrumentation_scope is not None:
            span._instrumentation_scope = parts.scope(span._instrumentation_scope)


def _empty(span: ReadableSpan) -> None:
    """Leave of a span that could not be masked its ids and times."""
    span._name = _MASKED
    span._attributes = BoundedAttributes(immutable=True)
    span._events = BoundedList(None)
    span._links = BoundedList(None)
    span._status = Status(span._status.status_code)


class RedactedSpanExporter(SpanExporter):
    """
    Masks spans before another exporter gets them, by public means alone.

    Args:
        exporter: gets what is left.
        redactor: decides about values.
    """

    def __init__(self, exporter: SpanExporter, redactor: Redactor) -> None:
        self._exporter = exporter
        self._parts = Parts(redactor)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass on *spans*, masked; one that cannot be masked is left out and counted."""
        made = []
        for span in spans:
            try:
                made.append(self._masked(span))
            except Exception as error:  # noqa: BLE001, PERF203 - the others go out
                report("privacy.span", error)
        return self._exporter.export(made)

    def _masked(self, span: ReadableSpan) -> ReadableSpan:
        parts = self._parts
        return ReadableSpan(
            parts.span_name(span.name, span.attributes),
            span.context,
            span.parent,
            parts.resource(span.resource),
            bounded(parts.attributes(span.attributes), getattr(span, "_attributes", None)),
            listed(parts.events(span.events), getattr(span, "_events", None)),
            listed(parts.links(span.links), getattr(span, "_links", None)),
            span.kind,
            None,
            parts.status(span.status),
            span.start_time,
            span.end_time,
            None if span.instrumentation_scope is None else parts.scope(span.instrumentation_scope),
        )

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the other exporter."""
        return self._exporter.force_flush(timeout_millis)
