# SPDX-License-Identifier: Apache-2.0
"""
OTLP exporters that mask, by name: `OTEL_TRACES_EXPORTER=otlp_redacted`, `OTEL_LOGS_EXPORTER`, `OTEL_METRICS_EXPORTER`.

Inside is the exporter of `opentelemetry-exporter-otlp` for the protocol that the environment names, with all of its settings.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

from otel_revenue.errors import MissingExtra

from .logs import RedactedLogRecordExporter
from .metrics import RedactedMetricExporter
from .policies import redactor
from .spans import RedactedSpanExporter

_MODULES: Final = {"grpc": "grpc", "http/protobuf": "http"}
_NAMES: Final = {
    "traces": "trace_exporter:OTLPSpanExporter",
    "logs": "_log_exporter:OTLPLogExporter",
    "metrics": "metric_exporter:OTLPMetricExporter",
}


def _inner(signal: str, arguments: dict[str, Any]) -> Any:
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    family = _MODULES.get((protocol or "http/protobuf").strip().lower(), "http")
    module, _, name = _NAMES[signal].partition(":")
    try:
        found = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{family}.{module}")
    except ImportError:
        raise MissingExtra(
            f'otlp_redacted needs the OTLP exporter for {family}: pip install "otel-revenue[auto]"'
        ) from None
    return getattr(found, name)(**arguments)


class OtlpRedactedSpanExporter(RedactedSpanExporter):
    """The `otlp_redacted` exporter of traces; arguments are those of `OTLPSpanExporter`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(_inner("traces", arguments), redactor())


class OtlpRedactedLogExporter(RedactedLogRecordExporter):
    """The `otlp_redacted` exporter of logs; arguments are those of `OTLPLogExporter`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(_inner("logs", arguments), redactor())


class OtlpRedactedMetricExporter(RedactedMetricExporter):
    """The `otlp_redacted` exporter of metrics; arguments are those of `OTLPMetricExporter`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(_inner("metrics", arguments), redactor())
