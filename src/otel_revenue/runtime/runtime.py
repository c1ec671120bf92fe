# SPDX-License-Identifier: Apache-2.0
"""What the instrumentation calls: take facts, record events, flush."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_revenue._guard import guard
from otel_revenue.errors import SchemaError, StoreError
from otel_revenue.ledger.keys import BROWSER, ORDER_KEYS
from otel_revenue.signals import bound, record, spans
from otel_revenue.signals.metrics import Instruments

from . import event_ids, orders
from .life import Life
from .surfaces import Few

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from otel_revenue.config import Settings
    from otel_revenue.ledger.join import Rules
    from otel_revenue.ledger.ledger import Taken
    from otel_revenue.ledger.model import Facts, Labels, Outcome, Payment
    from otel_revenue.ledger.store import NewRow

    from .plan import Plan
    from .process import Beside, Process

    Describe = Callable[[Outcome], tuple[str, dict[str, Any]]]
    Recorded = list[tuple[Outcome, str, dict[str, Any]]]

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
        self._describe = describe
        self._tracer_provider = tracer_provider
        self.tracer = tracer_provider.get_tracer(SCOPE, version)
        self.servers = spans.ServerSpans()
        self._few = {"tier": Few(), "surface": Few()}
        self._watching = False
        self._watch()
        self.instruments = Instruments(meter_provider.get_meter(SCOPE, version), self._gauges)
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
            release=self._release,
            retake=self._retake,
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
            self._project(here, name, clean, now_ns, on_server=on_server)
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
        clean = self._clean(name, attributes, parts, event_id, elapsed_ms)
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
        server = self.servers.find(spans.current_ids()[0])
        if server is not None:
            spans.set_context(server, self._masked(attributes))

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
        clean = self._masked(values)
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

    def _masked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        clean, refused = record.context(values)
        for name in refused:
            self.instruments.refused.add(1, {"attribute": name})
        return clean

    def _clean(
        self,
        name: str,
        attributes: Mapping[str, Any],
        parts: dict[str, bytes],
        event_id: str | None = None,
        elapsed_ms: int | None = None,
    ) -> dict[str, Any]:
        try:
            clean, refused = record.prepare(name, attributes, parts, event_id=event_id, elapsed_ms=elapsed_ms)
        except SchemaError:
            self.instruments.refused.add(1, {"attribute": "event"})
            raise
        for key in refused:
            self.instruments.refused.add(1, {"attribute": key})
        return clean

    def _project(
        self, here: spans.Here, name: str, clean: Mapping[str, Any], time_ns: int, *, on_server: bool = False
    ) -> None:
        if self.plan.span_events:
            spans.add_event(here, name, clean, time_ns, on_server=on_server)
        else:
            self.show_context(clean)

    # -- money ------------------------------------------------------------------------------------------------------

    def take(self, facts: Facts, bind: Labels | None = None) -> Taken | None:
        """
        Take facts into the ledger; on disk when this returns.

        Where the store is busy or broken the facts are kept aside, on disk, and joined by the worker: then this returns
        None. *bind* are candidates of the current request.
        """
        if bind:
            from otel_revenue.ledger.model import merge_labels

            labels: Labels = {}
            merge_labels(labels, facts.labels)
            merge_labels(labels, bind)
            facts = _with_labels(facts, labels)
        process = self._open()
        now_ns = time.time_ns()
        ids = self._request_ids()
        recorded: Recorded = []
        try:
            with process.patience:
                taken = process.ledger.take(facts, now_ns, lambda outcome: self._encode(outcome, now_ns, ids, recorded))
        except StoreError:
            self.instruments.fallback.add(1)
            process.keep(facts)
            return None
        except Exception as error:
            # A failure of our own: the payment is not recorded, so it must at least be known by its ids.
            self.set_aside("ledger", "other", f"failed_{type(error).__name__}", [alias.id for alias in facts.aliases])
            raise
        self._after(taken, recorded, live=True)
        if recorded or taken.due_ns:
            process.wake()
        return taken

    def _request_ids(self) -> tuple[int, int, int]:
        with guard("runtime.trace"):  # where tracing fails, the money is recorded outside of it
            return spans.request_ids(self.servers)
        return 0, 0, 0

    def set_aside(self, source: str, kind: str, reason: str, ids: Sequence[str]) -> None:
        """Keep a note of news that had money in it and could not be read: kind and reason, never values."""
        self.instruments.unread.add(1, {"source": source, "kind": kind, "reason": reason})
        self._open().note(source, kind, reason, tuple(ids))

    def _encode(self, outcome: Outcome, now_ns: int, ids: tuple[int, int, int], recorded: Recorded) -> list[NewRow]:
        """Turn a payment or a setback into its outbox row; called inside the ledger's transaction."""
        from otel_revenue.ledger.model import Payment
        from otel_revenue.ledger.store import NewRow

        name, attributes = self._describe(outcome)
        attributes["telemetry.source"] = "server"
        # A setback has waited: the request that is under way now is none of its.
        seen = ids if ids[0] and isinstance(outcome, Payment) else outcome.seen
        if ids[0]:
            with guard("runtime.trace"):
                attributes["elapsed_ms"] = spans.elapsed_ms(self.servers, seen[0], now_ns)
        parts: dict[str, bytes] = {}
        clean = self._clean(name, attributes, parts)
        recorded.append((outcome, name, clean))
        if not self.plan.logs:
            return []
        encoded = record.encode(name, clean, time_ns=outcome.at_ns, observed_ns=now_ns, ids=seen, encoded=parts)
        money = (outcome.amount_minor, outcome.currency) if isinstance(outcome, Payment) else (0, "")
        return [NewRow(clean["event_id"], name, encoded, now_ns, *money)]

    def _after(self, taken: Taken, recorded: Recorded, *, live: bool) -> None:
        """Show what was recorded on the traces. The money is on disk by now: nothing here may undo that."""
        from otel_revenue.ledger.model import Payment

        if taken.late_joins:
            self.instruments.late_joins.add(taken.late_joins)
        if taken.disagrees:
            self.instruments.disagreed.add(1)
        for outcome, name, clean in recorded:
            with guard("signals.project"):
                self.instruments.recorded.add(name)
                if live:
                    self._project(spans.here(self.servers), name, clean, outcome.at_ns)
                if isinstance(outcome, Payment):
                    self._show_payment(outcome, clean, live=live)

    def _show_payment(self, paid: Payment, clean: Mapping[str, Any], *, live: bool) -> None:
        if paid.traceparent and clean.get("payment_kind") != "subscription_renewal":
            spans.payment_span(
                self.tracer,
                paid.traceparent,
                clean,
                start_ns=paid.created_ns or paid.at_ns,
                end_ns=paid.at_ns,
                seen=spans.request_ids(self.servers) if live else paid.seen,
            )

    def _release(self, process: Process, now_ns: int) -> None:
        """Record payments whose hold is over; in the worker's thread."""
        recorded: Recorded = []
        taken = process.ledger.release(now_ns, lambda outcome: self._encode(outcome, now_ns, (0, 0, 0), recorded))
        self._after(taken, recorded, live=False)

    def _retake(self, process: Process, facts: Facts) -> None:
        """Join facts that were kept aside; in the worker's thread."""
        recorded: Recorded = []
        now_ns = time.time_ns()
        taken = process.ledger.take(facts, now_ns, lambda outcome: self._encode(outcome, now_ns, (0, 0, 0), recorded))
        self._after(taken, recorded, live=False)

    def _gauges(self) -> dict[str, Any]:
        process = self._process
        return {} if process is None or process.pid != os.getpid() else process.gauges()


def _with_labels(facts: Facts, labels: Labels) -> Facts:
    from dataclasses import replace

    return replace(facts, labels=labels)
