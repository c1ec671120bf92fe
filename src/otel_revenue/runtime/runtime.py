# SPDX-License-Identifier: Apache-2.0
"""What the instrumentation calls: take facts, record events, flush."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_revenue._guard import guard
from otel_revenue.ledger.keys import BROWSER, ORDER_KEYS
from otel_revenue.signals import bound, record, spans
from otel_revenue.signals.metrics import Instruments

from . import event_ids, orders
from .emit import Emitter
from .life import Life
from .money import Money
from .surfaces import Few

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from otel_revenue.config import Settings
    from otel_revenue.ledger.join import Rules
    from otel_revenue.ledger.ledger import Taken
    from otel_revenue.ledger.model import Facts, Labels

    from .money import Describe
    from .plan import Plan
    from .process import Beside, Process

SCOPE: Final = "otel_revenue"
_TOLD_BY_BROWSERS: Final = (("order_id", "journey_id"), ("journey_id", "surface", "surface_source"))
"""
What of a browser's word follows an order: anybody can name any order, but nobody another browser's journey. So its surface is
its journey's, and no order's that belongs to another journey.
"""


class Runtime(Life):
    """
    The running parts of one application.

    Args:
        settings: the checked settings.
        plan: how and where events go.
        rules: returns how facts are joined; asked when a process opens the ledger.
        describe: turns a payment or a setback into name and attributes of its event.
        tracer_provider, meter_provider: the application's.
        beside: opens what an instrumentation runs beside the worker, for each process; None for nothing.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        rules: Callable[[], Rules],
        describe: Describe,
        *,
        tracer_provider: TracerProvider,
        meter_provider: MeterProvider,
        version: str,
        beside: Callable[[Process], Beside] | None = None,
    ) -> None:
        self._open_beside = beside
        self.settings = settings
        self.plan = plan
        self._rules = rules
        self._tracer_provider = tracer_provider
        self.tracer = tracer_provider.get_tracer(SCOPE, version)
        self.servers = spans.ServerSpans()
        self._few = {"tier": Few(), "surface": Few()}
        self._watching = False
        self._watch()
        self.instruments = Instruments(meter_provider.get_meter(SCOPE, version), self._gauges)
        self._emitter = Emitter(plan, self.servers, self.instruments)
        self._money = Money(
            self._emitter, describe, self._open, self.servers, self.tracer, self.instruments, logs=plan.logs
        )
        super().__init__(settings.flush_timeout)  # last: from here on a fork asks for all of it

    def _watch(self) -> None:
        """See the application's spans begin. It may set its provider after it was instrumented: then what stands in for it leads there."""
        if self._watching:
            return
        with guard("runtime.processor"):
            if isinstance(self._tracer_provider, trace.ProxyTracerProvider):
                self._tracer_provider = trace.get_tracer_provider()
            add = getattr(self._tracer_provider, "add_span_processor", None)
            if add is not None:
                add(self.servers)
                self._watching = True

    def _make_process(self) -> Process:
        from .process import Process  # with store and delivery behind it: a third of all that is imported

        self._watch()
        return Process(
            self.settings,
            self.plan,
            self._rules(),
            release=self._money.release,
            retake=self._money.retake,
            beside=self._open_beside,
        )

    def forget_process(self) -> None:
        """In a forked child: what the parent opened is the parent's."""
        super().forget_process()
        self.servers.begin_anew()
        self.instruments.recorded.begin_anew()

    def beside(self) -> Beside | None:
        """Return what runs beside the worker of this process, None for nothing."""
        return self._open().beside

    # -- events -----------------------------------------------------------------------------------------------------

    def record(self, name: str, attributes: Mapping[str, Any], *, on_server: bool = False) -> bool:
        """
        Record an event that is not money: checked, cleaned, on its way to disk, and on the live span.

        Args:
            name: the event's name in the schema.
            attributes: by wire name; what the schema does not declare is left out and counted.
            on_server: the span event goes to the request's SERVER span rather than to the current one.

        Returns:
            whether it was recorded.
        """
        now_ns = time.time_ns()
        here = spans.here(self.servers, on_server=on_server)
        clean = self._written(name, attributes, event_ids.new(), here.elapsed_ms(now_ns), now_ns, now_ns, here.ids)
        if here.ids[0]:
            self._emitter.project(here, name, clean, now_ns, on_server=on_server)
        return True

    def _written(
        self,
        name: str,
        attributes: Mapping[str, Any],
        event_id: str,
        elapsed_ms: int | None,
        time_ns: int,
        now_ns: int,
        ids: tuple[int, int, int],
        *,
        sync: bool = True,
    ) -> dict[str, Any]:
        """Check, clean, encode and append an event that is not money; returns the attributes that leave."""
        parts: dict[str, bytes] = {}
        clean = self._emitter.clean(name, attributes, parts, event_id, elapsed_ms)
        if self.plan.logs:
            encoded = record.encode(name, clean, time_ns=time_ns, observed_ns=now_ns, ids=ids, encoded=parts)
            self._open().append(clean["event_id"], name, encoded, now_ns, sync=sync)
        self.instruments.recorded.add(name)
        return clean

    def track(self, name: str, attributes: Mapping[str, Any]) -> bool:
        """Record an event of the application's own flow; what is bound to the request is added."""
        values = bound.current(self.servers)
        return self.record(name, spans.onto(values, attributes) if values else attributes)

    def track_browser(
        self,
        name: str,
        attributes: Mapping[str, Any],
        *,
        event_id: str | None = None,
        at_ns: int | None = None,
        ids: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """
        Record an event that a visitor's browser tells of, by its own word alone: nothing of the current request is added.

        It is a log event only: the span that it belongs to has ended, or is not ours. It is never synced to the disk: anybody can
        send events, and would keep the application waiting.

        Args:
            name: an event that a browser may send.
            attributes: by wire name, those that a browser may say.
            event_id: where the same event may be told again, an id that it then has again; never one that the browser chose.
            at_ns: when it happened, by our clock; now when None.
            ids: trace id, span id and flags of the page; zeros outside a trace.
        """
        now_ns = time.time_ns()
        time_ns = now_ns if at_ns is None else at_ns
        values = {**attributes, "telemetry.source": "browser"}
        self.bound_words(values)
        if "surface" in values:
            values["surface_source"] = BROWSER
        clean = self._written(name, values, event_id or event_ids.new(), None, time_ns, now_ns, ids, sync=False)
        if "synthetic" not in clean:
            for names in _TOLD_BY_BROWSERS:
                self.remember({key: clean[key] for key in names if key in clean}, BROWSER)

    def bound_words(self, told: dict[str, Any]) -> None:
        """Let few different words through of what visitors say and metrics are labelled by, in place."""
        for name, few in self._few.items():
            if isinstance(told.get(name), str):
                told[name] = few.kept(told[name])

    def show_context(self, attributes: Mapping[str, Any]) -> None:
        """Put the order context on the request's SERVER span."""
        self._emitter.show_context(attributes)

    def bind(self, values: Mapping[str, Any]) -> bound.Binding:
        """
        Keep what the application knows about the order of the current request: on its SERVER span, for what it records from
        now on, and for the order's payment, whichever request brings it.
        """
        known = self._known(values)
        binding = bound.bind(self.servers, known)
        self.remember(spans.onto(bound.current(self.servers), known))
        return binding

    def learn(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """
        Keep what the current request itself tells of its order, for this request; what is bound in code precedes it.

        Returns:
            the context values among it, clean.
        """
        known = self._known(values)
        self.servers.bind(spans.current_ids()[0], known)
        return known

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        clean = self._emitter.context(values)
        if "surface" in clean:
            clean.setdefault("surface_source", orders.EXPLICIT)
        self.show_context(clean)
        return {name: clean[name] for name in bound.NAMES if name in clean}

    def remember(self, known: Mapping[str, Any], told_by: str = orders.SAID) -> None:
        """Keep clean context values for the payment of the order that they name, whichever request brings it."""
        if not known.keys().isdisjoint(ORDER_KEYS):
            labels = orders.labels_of(known, self.settings.surface_from, time.time_ns(), told_by=told_by)
            self._open().remember(known, labels)

    def labels_of(self, known: Mapping[str, Any]) -> Labels:
        """Return what is bound to the request that creates a payment as candidates of that payment."""
        return orders.labels_of(known, self.settings.surface_from, time.time_ns(), told_by=orders.BIND)

    def clean_text(self, text: str) -> str | None:
        """Return text of Stripe's as it may be stored, None where it looks like personal data and nothing else is left of it."""
        return record.clean_id(text)

    # -- money ------------------------------------------------------------------------------------------------------

    def take(self, facts: Facts, bind: Labels | None = None) -> Taken | None:
        """Take facts into the ledger; see `Money.take`."""
        return self._money.take(facts, bind)

    def set_aside(self, source: str, kind: str, reason: str, ids: Sequence[str]) -> None:
        """Keep a note of news that had money in it and could not be read; see `Money.set_aside`."""
        self._money.set_aside(source, kind, reason, ids)

    def _gauges(self) -> dict[str, Any]:
        process = self._process
        return {} if process is None or process.pid != os.getpid() else process.gauges()
