# SPDX-License-Identifier: Apache-2.0
"""
Metrics about ourselves, through the application's MeterProvider. For alerts; the books are the events.

Labels are few and bounded: step, event, destination, reason, currency.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from otel_revenue import _guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Read = Callable[[], dict[str, Any]]


class Tally:
    """A count by event name, read when the metrics are: on the path of each event a counter of the SDK costs more than its record."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """In a forked child: the counts are the parent's, and so may the lock's holder be."""
        self._counts = {}
        self._lock = threading.Lock()

    def add(self, event: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[event] = self._counts.get(event, 0) + 1

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return what was counted so far."""
        with self._lock:
            counts = dict(self._counts)
        return [Observation(count, {"event": event}) for event, count in counts.items()]


class _Source:
    """
    What the instruments of one meter observe. The SDK keeps an instrument, and whom it asks, for as long as its meter: an
    application that is instrumented anew gets the old ones, which must ask the new runtime.
    """

    def __init__(self) -> None:
        self.recorded = Tally()
        self.read: Read = dict


_sources: weakref.WeakKeyDictionary[Meter, _Source] = weakref.WeakKeyDictionary()


class Instruments:
    """
    The counters and gauges.

    *read* returns what the gauges show: `durable`, `held`, `waiting`, `aside`, `oldest_s`, `unconfirmed` (by currency),
    `spool_bytes`, `dropped`, `facts_lost`, `unprotected`. It is called by the metric reader's thread, at its pace.
    """

    def __init__(self, meter: Meter, read: Read) -> None:
        self._source = _sources.setdefault(meter, _Source())
        self._source.read = read
        self.recorded = self._source.recorded
        meter.create_observable_counter(
            "otel_revenue.events.recorded",
            [self.recorded.observe],
            unit="{event}",
            description="Events that passed the schema and privacy, by name.",
        )
        self.refused = meter.create_counter(
            "otel_revenue.events.refused",
            unit="{attribute}",
            description="Attributes and events left out because they are not of the schema or look like personal data.",
        )
        self.browser_refused = meter.create_counter(
            "otel_revenue.browser.refused",
            unit="{refusal}",
            description="What visitors' browsers sent and was refused, left out or mended, by reason.",
        )
        self.unread = meter.create_counter(
            "otel_revenue.facts.set_aside",
            unit="{object}",
            description="News from Stripe with money in it that could not be read, by reason.",
        )
        self.late_joins = meter.create_counter(
            "otel_revenue.payments.late_joins",
            unit="{payment}",
            description="Payments recorded as two before a fact joined them.",
        )
        self.disagreed = meter.create_counter(
            "otel_revenue.payments.disagreed",
            unit="{payment}",
            description="Payments whose amount changed after they were recorded.",
        )
        self.fallback = meter.create_counter(
            "otel_revenue.store.fallback",
            unit="{fact}",
            description="Facts kept aside because the store was busy or broken.",
        )
        self.injection = meter.create_counter(
            "otel_revenue.metadata.injection",
            unit="{call}",
            description="Stripe calls by what became of the trace context in their metadata.",
        )
        self.lookups = meter.create_counter(
            "otel_revenue.lookups",
            unit="{question}",
            description="Questions put to Stripe's API by the look-up, by question and outcome.",
        )
        meter.create_observable_counter(
            "otel_revenue.failures",
            [self._failures],
            unit="{failure}",
            description="Our own failures that were kept from the app, by step.",
        )
        for name, key, unit, text in (
            ("otel_revenue.store.durable", "durable", "1", "1 when ledger and outbox are on disk, 0 when in memory."),
            (
                "otel_revenue.delivery.held",
                "held",
                "1",
                "1 while the destination refuses us as such (wrong key or URL).",
            ),
            (
                "otel_revenue.outbox.pending",
                "waiting",
                "{event}",
                "Events in the outbox that wait for their acknowledgement.",
            ),
            ("otel_revenue.outbox.set_aside", "aside", "{event}", "Events that the far end refuses for good."),
            ("otel_revenue.outbox.oldest_age", "oldest_s", "s", "Age of the oldest waiting event."),
            ("otel_revenue.spool.size", "spool_bytes", "By", "Size of the spool."),
            (
                "otel_revenue.facts.unprotected",
                "unprotected",
                "{fact}",
                "Facts and notes in memory alone: neither the store nor the disk takes them now.",
            ),
        ):
            meter.create_observable_gauge(name, [self._gauge(key)], unit=unit, description=text)
        meter.create_observable_gauge(
            "otel_revenue.outbox.unconfirmed",
            [self._unconfirmed],
            unit="{minor_unit}",
            description="Money in the outbox that no far end has acknowledged, in Stripe's minor units, by currency.",
        )
        meter.create_observable_counter(
            "otel_revenue.delivery.events",
            [self._delivery],
            unit="{event}",
            description="Events by outcome of their delivery.",
        )
        meter.create_observable_counter(
            "otel_revenue.spool.dropped",
            [self._dropped],
            unit="By",
            description="Bytes of the spool lost to its size limit or to corruption.",
        )
        meter.create_observable_counter(
            "otel_revenue.facts.lost",
            [self._lost],
            unit="{fact}",
            description="Facts and notes that neither store, disk nor memory could take.",
        )

    def _read(self) -> dict[str, Any]:
        return self._source.read()

    def _failures(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {"step": step}) for step, count in dict(_guard.failures).items()]

    def _gauge(self, key: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with _guard.guard("metrics"):
                value = self._read().get(key)
                return [] if value is None else [Observation(value)]
            return []

        return observe

    def _unconfirmed(self, _: CallbackOptions) -> Iterable[Observation]:
        with _guard.guard("metrics"):
            return [
                Observation(minor, {"currency": code}) for code, minor in self._read().get("unconfirmed", {}).items()
            ]
        return []

    def _delivery(self, _: CallbackOptions) -> Iterable[Observation]:
        with _guard.guard("metrics"):
            return [
                Observation(count, {"outcome": outcome}) for outcome, count in self._read().get("delivery", {}).items()
            ]
        return []

    def _lost(self, _: CallbackOptions) -> Iterable[Observation]:
        with _guard.guard("metrics"):
            lost = self._read().get("facts_lost")
            return [] if lost is None else [Observation(lost)]
        return []

    def _dropped(self, _: CallbackOptions) -> Iterable[Observation]:
        with _guard.guard("metrics"):
            return [Observation(count, {"reason": reason}) for reason, count in self._read().get("dropped", {}).items()]
        return []
