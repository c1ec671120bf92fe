# SPDX-License-Identifier: Apache-2.0
"""
Privacy for everything that leaves the application: spans, logs and metrics of any instrumentation, not only our own events.

`RevenueInstrumentor` puts it into the live providers (`OTEL_REVENUE_PRIVACY`). By hand: `RedactingSpanProcessor` and
`RedactingLogRecordProcessor` in a provider of your own, or the exporters here around any other exporter. By name, as the hard gate:
`OTEL_TRACES_EXPORTER=otlp_redacted`, and the same for logs and metrics.
"""

from __future__ import annotations

from .logs import RedactedLogRecordExporter, RedactingLogRecordProcessor
from .metrics import RedactedMetricExporter
from .policies import redactor
from .spans import RedactedSpanExporter, RedactingSpanProcessor

__all__ = [
    "RedactedLogRecordExporter",
    "RedactedMetricExporter",
    "RedactedSpanExporter",
    "RedactingLogRecordProcessor",
    "RedactingSpanProcessor",
    "redactor",
]
