# SPDX-License-Identifier: Apache-2.0
"""What events of both kinds, those of the funnel and those of money, pass on their way out: the schema's gate, and the traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_revenue.errors import SchemaError
from otel_revenue.signals import record, spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_revenue.signals.metrics import Instruments

    from .plan import Plan


class Emitter:
    """
    Cleans attributes, counts what may not leave, and shows events on spans.

    Args:
        plan: on which signals events leave.
        servers: the SERVER spans of the requests under way.
        instruments: where it is counted.
    """

    def __init__(self, plan: Plan, servers: spans.ServerSpans, instruments: Instruments) -> None:
        self._plan = plan
        self._servers = servers
        self._instruments = instruments

    def clean(
        self,
        name: str,
        attributes: Mapping[str, Any],
        parts: dict[str, bytes],
        event_id: str | None = None,
        elapsed_ms: int | None = None,
    ) -> dict[str, Any]:
        """
        Return the attributes of an event that may leave; see `record.prepare`.

        Raises:
            SchemaError: the event may not.
        """
        try:
            clean, refused = record.prepare(name, attributes, parts, event_id=event_id, elapsed_ms=elapsed_ms)
        except SchemaError:
            self._instruments.refused.add(1, {"attribute": "event"})
            raise
        for key in refused:
            self._instruments.refused.add(1, {"attribute": key})
        return clean

    def context(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the context values that may leave."""
        clean, refused = record.context(values)
        for name in refused:
            self._instruments.refused.add(1, {"attribute": name})
        return clean

    def project(
        self, here: spans.Here, name: str, clean: Mapping[str, Any], time_ns: int, *, on_server: bool = False
    ) -> None:
        """Show an event on the current span, or on the request's SERVER span; where span events are off, its context alone."""
        if self._plan.span_events:
            spans.add_event(here, name, clean, time_ns, on_server=on_server)
        else:
            self.show_context(clean)

    def show_context(self, attributes: Mapping[str, Any]) -> None:
        """Put the order context on the request's SERVER span."""
        server = self._servers.find(spans.current_ids()[0])
        if server is not None:
            spans.set_context(server, self.context(attributes))
