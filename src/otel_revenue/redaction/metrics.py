# SPDX-License-Identifier: Apache-2.0
"""
Metrics on their way out: attributes of their points and exemplars, and the resource.

Names, units and descriptions are constants of code. Two series whose attributes differ in what was masked alone leave as two points with
the same attributes; keep people out of metric attributes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from otel_revenue._guard import report

from .parts import Parts

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics

    from otel_revenue.privacy.redactor import Redactor


class RedactedMetricExporter(MetricExporter):
    """
    Masks the attributes of metrics before another exporter gets them.

    Args:
        exporter: gets what is left.
        redactor: decides about values.
    """

    def __init__(self, exporter: MetricExporter, redactor: Redactor) -> None:
        super().__init__(
            preferred_temporality=getattr(exporter, "_preferred_temporality", None),
            preferred_aggregation=getattr(exporter, "_preferred_aggregation", None),
        )
        self._exporter = exporter
        self._redactor = redactor
        self._parts = Parts(redactor)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10000, **kwargs: Any) -> MetricExportResult:
        """Pass on the metrics, masked; all or nothing, since a part of them would be read as a fall."""
        if self._redactor.active:
            try:
                metrics_data = self._masked(metrics_data)
            except Exception as error:  # noqa: BLE001 - what cannot be masked does not leave
                report("privacy.metric", error)
                return MetricExportResult.FAILURE
        return self._exporter.export(metrics_data, timeout_millis, **kwargs)

    def _masked(self, data: MetricsData) -> MetricsData:
        return dataclasses.replace(
            data, resource_metrics=[self._of_resource(metrics) for metrics in data.resource_metrics]
        )

    def _of_resource(self, metrics: ResourceMetrics) -> ResourceMetrics:
        return dataclasses.replace(
            metrics,
            resource=self._parts.resource(metrics.resource),
            scope_metrics=[self._of_scope(scoped) for scoped in metrics.scope_metrics],
        )

    def _of_scope(self, metrics: ScopeMetrics) -> ScopeMetrics:
        return dataclasses.replace(
            metrics,
            scope=self._parts.scope(metrics.scope),
            metrics=[dataclasses.replace(metric, data=self._data(metric.data)) for metric in metrics.metrics],
        )

    def _data(self, data: Any) -> Any:
        return dataclasses.replace(data, data_points=[self._point(point) for point in data.data_points])

    def _point(self, point: Any) -> Any:
        changes: dict[str, Any] = {}
        attributes = self._parts.attributes(point.attributes)
        if attributes is not point.attributes:
            changes["attributes"] = attributes
        exemplars = getattr(point, "exemplars", None)
        if exemplars:
            changes["exemplars"] = [
                dataclasses.replace(e, filtered_attributes=self._parts.attributes(e.filtered_attributes))
                for e in exemplars
            ]
        return dataclasses.replace(point, **changes) if changes else point

    def force_flush(self, timeout_millis: float = 10000) -> bool:
        """Flush the other exporter."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30000, **kwargs: Any) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown(timeout_millis, **kwargs)
