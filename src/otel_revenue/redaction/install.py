# SPDX-License-Identifier: Apache-2.0
"""
Puts the masking into providers that are alive already, where it comes before any exporter.

Spans: a processor like any other, since it acts before all others end. Logs: around `on_emit` of what hands records to the processors,
so that it comes first for loggers that exist, for processors that are added later, and for those that run side by side. Metrics: around
the exporter of each periodic reader. Where an SDK does not have what is used of its inside, that is said once, with the remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk.trace import SpanProcessor

from otel_revenue._guard import guard, warn_once

from .logs import RedactingLogRecordProcessor, get_logger_provider
from .metrics import RedactedMetricExporter
from .parts import GATE
from .policies import observe
from .spans import RedactingSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.privacy.redactor import Redactor


class Installed:
    """
    The masking of one application.

    Args:
        redactor: decides about values.
        traces, logs, metrics: the application's providers; the global ones where None is given.
    """

    def __init__(self, redactor: Redactor, traces: Any = None, logs: Any = None, metrics: Any = None) -> None:
        self._redactor = redactor
        self._given = (traces, logs, metrics)
        self._undo: list[Callable[[], None]] = []
        self._seen: list[Any] = []

    def find(self) -> None:
        """Put the masking into the providers that are there; called again, into those that the application has set since."""
        traces, logs, metrics = self._given
        with guard("privacy.traces"):
            self.traces(traces or trace.get_tracer_provider())
        with guard("privacy.logs"):
            self.logs(logs or get_logger_provider())
        with guard("privacy.metrics"):
            self.metrics(metrics or get_meter_provider())

    def traces(self, provider: Any) -> None:
        """Mask the spans of a TracerProvider; a proxy that stands in for one is passed over."""
        add = getattr(provider, "add_span_processor", None)
        if add is None or not self._first(provider):
            return
        processor = RedactingSpanProcessor(self._redactor)
        if hasattr(SpanProcessor, "_on_ending"):
            add(processor)
        else:  # the SDK up to 1.42: the last moment is `on_end`, and ours must come first
            self._before(provider, "_active_span_processor", "on_end", processor.on_end)
        self._undo.append(processor.stop)

    def logs(self, provider: Any) -> None:
        """Mask the log records of a LoggerProvider."""
        if not hasattr(provider, "add_log_record_processor") or not self._first(provider):
            return
        processor = RedactingLogRecordProcessor(self._redactor)
        if not self._before(provider, "_multi_log_record_processor", "on_emit", processor.on_emit):
            warn_once("privacy.logs", GATE, "log records", "OTEL_LOGS_EXPORTER", "RedactedLogRecordExporter")

    def metrics(self, provider: Any) -> None:
        """Mask the metrics of a MeterProvider's periodic readers."""
        if not self._first(provider):
            return
        observe(provider)
        config = getattr(provider, "_sdk_config", None)  # holds the readers up to 1.43
        for reader in getattr(provider, "_metric_readers", None) or getattr(config, "metric_readers", None) or ():
            exporter = getattr(reader, "_exporter", None)
            if exporter is not None and not isinstance(exporter, RedactedMetricExporter):
                self._put(reader, "_exporter", RedactedMetricExporter(exporter, self._redactor), exporter)

    def remove(self) -> None:
        """Take out what was put in place; a span processor cannot be, and does nothing from then on."""
        for undo in reversed(self._undo):
            with guard("privacy.remove"):
                undo()
        self._undo.clear()

    def _before(self, provider: Any, owner: str, name: str, first: Callable[[Any], None]) -> bool:
        """Call *first* before a method of what hands things to the processors; returns whether there is such a method."""
        multi = getattr(provider, owner, None)
        method = getattr(multi, name, None)
        if multi is None or method is None:
            return False

        def both(thing: Any) -> None:
            first(thing)
            method(thing)

        setattr(multi, name, both)
        self._undo.append(lambda: delattr(multi, name))
        return True

    def _put(self, owner: Any, name: str, value: object, before: object) -> None:
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before))

    def _first(self, provider: Any) -> bool:
        if any(seen is provider for seen in self._seen):
            return False
        self._seen.append(provider)
        return True
