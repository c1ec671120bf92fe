# SPDX-License-Identifier: Apache-2.0
"""
Log records on their way out. OpenTelemetry's SDK for logs is private still, and has changed its names: this file knows them.

Up to 1.38 a record came as `LogData`, with the resource on the record; since 1.39 as `ReadWriteLogRecord`, with the resource beside it.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import get_logger_provider
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs import export as _export

from otel_revenue._guard import report

from .parts import Parts, bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_revenue.privacy.redactor import Redactor

__all__ = ["RedactedLogRecordExporter", "RedactingLogRecordProcessor", "get_logger_provider"]

LogRecordExporter: Final[Any] = getattr(_export, "LogRecordExporter", None) or _export.LogExporter

_MASKED: Final = "[masked]"
_WHOLE: Final = re.compile(r"(?:stripe|sqlalchemy\.(?:engine|pool|orm)|django\.db\.backends)(?:\.|\Z)").match


class RedactingLogRecordProcessor(LogRecordProcessor):
    """
    Masks personal data and secrets in every log record of a LoggerProvider; it must be the first of its processors.

    Args:
        redactor: decides about values; `otel_revenue.redaction.redactor()` makes one from the settings.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._parts = Parts(redactor)

    def on_emit(self, log_record: Any) -> None:
        """Mask *log_record* in place."""
        if not self._redactor.active:
            return
        try:
            _redact(self._redactor, self._parts, log_record)
        except Exception as error:  # noqa: BLE001 - what cannot be masked does not leave; the application goes on
            report("privacy.log", error)
            record = log_record.log_record
            record.body, record.attributes = _MASKED, BoundedAttributes(immutable=False)

    def enabled(self, **_: Any) -> bool:
        """Return that nobody asks for records on its account: it exports nothing."""
        return False

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return that nothing waits."""
        del timeout_millis
        return True


class RedactedLogRecordExporter(LogRecordExporter):  # type: ignore[misc]
    """
    Masks log records before another exporter gets them.

    Args:
        exporter: gets what is left.
        redactor: decides about values.
    """

    def __init__(self, exporter: Any, redactor: Redactor) -> None:
        self._exporter = exporter
        self._redactor = redactor
        self._parts = Parts(redactor)

    def export(self, batch: Sequence[Any]) -> Any:
        """Pass on *batch*, masked; a record that cannot be masked is left out and counted."""
        made = []
        for record in batch:
            try:
                made.append(self._masked(record))
            except Exception as error:  # noqa: BLE001, PERF203 - the others go out
                report("privacy.log", error)
        return self._exporter.export(made)

    def _masked(self, record: Any) -> Any:
        # Other processors and exporters hold the same record.
        made = copy.copy(record)
        object.__setattr__(made, "log_record", copy.copy(record.log_record))
        _redact(self._redactor, self._parts, made)
        return made

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the other exporter."""
        flush = getattr(self._exporter, "force_flush", None)
        return True if flush is None else bool(flush(timeout_millis))


def is_whole(logger: str) -> bool:
    """Whether a logger prints whole objects of Stripe's API, or what is written into a database: nothing of its text stays."""
    return _WHOLE(logger) is not None


def _redact(redactor: Redactor, parts: Parts, data: Any) -> None:
    record, scope = data.log_record, data.instrumentation_scope
    if record.body is not None:
        whole = scope is not None and is_whole(scope.name)
        record.body = redactor.whole(record.body) if whole else redactor.body(record.body)
    attributes = parts.attributes(record.attributes)
    if attributes is not record.attributes:
        record.attributes = bounded(attributes, record.attributes, immutable=False)  # later processors may add to it
    for name in ("event_name", "severity_text"):
        if getattr(record, name, None):
            setattr(record, name, redactor.text(getattr(record, name)))
    owner = data if hasattr(data, "resource") else record
    if owner.resource is not None:
        object.__setattr__(owner, "resource", parts.resource(owner.resource))
    if scope is not None:
        object.__setattr__(data, "instrumentation_scope", parts.scope(scope))
