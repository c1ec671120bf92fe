# SPDX-License-Identifier: Apache-2.0
"""What Stripe said of money, on its way into the ledger, and what the ledger says of it, on its way out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard
from otel_revenue.errors import StoreError
from otel_revenue.signals import record, spans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.trace import Tracer

    from otel_revenue.ledger.ledger import Taken
    from otel_revenue.ledger.model import Facts, Labels, Outcome, Payment
    from otel_revenue.ledger.store import NewRow
    from otel_revenue.signals.metrics import Instruments

    from .emit import Emitter
    from .process import Process

    Describe = Callable[[Outcome], tuple[str, dict[str, Any]]]
    Recorded = list[tuple[Outcome, str, dict[str, Any]]]


class Money:
    """
    Takes facts, and records the payments and setbacks that they make.

    Args:
        emitter: cleans the events and shows them on spans.
        describe: turns a payment or a setback into name and attributes of its event.
        opened: opens what this process uses.
        servers, tracer, instruments: of the application.
        logs: whether events leave as log events.
    """

    def __init__(
        self,
        emitter: Emitter,
        describe: Describe,
        opened: Callable[[], Process],
        servers: spans.ServerSpans,
        tracer: Tracer,
        instruments: Instruments,
        *,
        logs: bool,
    ) -> None:
        self._emitter = emitter
        self._describe = describe
        self._opened = opened
        self._servers = servers
        self._tracer = tracer
        self._instruments = instruments
        self._logs = logs

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
        process = self._opened()
        now_ns = time.time_ns()
        ids = self._request_ids()
        recorded: Recorded = []
        try:
            with process.patience:
                taken = process.ledger.take(facts, now_ns, lambda outcome: self._encode(outcome, now_ns, ids, recorded))
        except StoreError:
            self._instruments.fallback.add(1)
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
            return spans.request_ids(self._servers)
        return 0, 0, 0

    def set_aside(self, source: str, kind: str, reason: str, ids: Sequence[str]) -> None:
        """Keep a note of news that had money in it and could not be read: kind and reason, never values."""
        self._instruments.unread.add(1, {"source": source, "kind": kind, "reason": reason})
        self._opened().note(source, kind, reason, tuple(ids))

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
                attributes["elapsed_ms"] = spans.elapsed_ms(self._servers, seen[0], now_ns)
        parts: dict[str, bytes] = {}
        clean = self._emitter.clean(name, attributes, parts)
        recorded.append((outcome, name, clean))
        if not self._logs:
            return []
        encoded = record.encode(name, clean, time_ns=outcome.at_ns, observed_ns=now_ns, ids=seen, encoded=parts)
        money = (outcome.amount_minor, outcome.currency) if isinstance(outcome, Payment) else (0, "")
        return [NewRow(clean["event_id"], name, encoded, now_ns, *money)]

    def _after(self, taken: Taken, recorded: Recorded, *, live: bool) -> None:
        """Show what was recorded on the traces. The money is on disk by now: nothing here may undo that."""
        from otel_revenue.ledger.model import Payment

        if taken.late_joins:
            self._instruments.late_joins.add(taken.late_joins)
        if taken.disagrees:
            self._instruments.disagreed.add(1)
        for outcome, name, clean in recorded:
            with guard("signals.project"):
                self._instruments.recorded.add(name)
                if live:
                    self._emitter.project(spans.here(self._servers), name, clean, outcome.at_ns)
                if isinstance(outcome, Payment):
                    self._show_payment(outcome, clean, live=live)

    def _show_payment(self, paid: Payment, clean: Mapping[str, Any], *, live: bool) -> None:
        if paid.traceparent and clean.get("payment_kind") != "subscription_renewal":
            spans.payment_span(
                self._tracer,
                paid.traceparent,
                clean,
                start_ns=paid.created_ns or paid.at_ns,
                end_ns=paid.at_ns,
                seen=spans.request_ids(self._servers) if live else paid.seen,
            )

    def release(self, process: Process, now_ns: int) -> None:
        """Record payments whose hold is over; in the worker's thread."""
        recorded: Recorded = []
        taken = process.ledger.release(now_ns, lambda outcome: self._encode(outcome, now_ns, (0, 0, 0), recorded))
        self._after(taken, recorded, live=False)

    def retake(self, process: Process, facts: Facts) -> None:
        """Join facts that were kept aside; in the worker's thread."""
        recorded: Recorded = []
        now_ns = time.time_ns()
        taken = process.ledger.take(facts, now_ns, lambda outcome: self._encode(outcome, now_ns, (0, 0, 0), recorded))
        self._after(taken, recorded, live=False)


def _with_labels(facts: Facts, labels: Labels) -> Facts:
    from dataclasses import replace

    return replace(facts, labels=labels)
