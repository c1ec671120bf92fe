# SPDX-License-Identifier: Apache-2.0
"""One order as its traces tell it: the checkout's request, Stripe's calls, the payment, the webhook that brought the news."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .statements import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .store import Store

MAX_DEPTH: Final = 100
"""Spans below spans; a runaway recursion of the application must not become one of ours."""

_SQL: Final = load("trace.sql")


@dataclass(frozen=True, slots=True)
class Moment:
    """An event: of the order, or on a span. Time in nanoseconds since the epoch."""

    name: str
    time_ns: int
    trace_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SpanNode:
    """A span and the spans below it, by start. *links* are the ids of the traces that it points to."""

    span_id: str
    name: str
    kind: str
    service: str
    start_ns: int
    end_ns: int
    status: str
    attributes: dict[str, Any]
    links: tuple[str, ...]
    events: tuple[Moment, ...]
    children: tuple[SpanNode, ...]


@dataclass(frozen=True, slots=True)
class TraceTree:
    """One trace: its root spans. More than one where a parent is missing, sampled away or not arrived yet."""

    trace_id: str
    roots: tuple[SpanNode, ...]

    @property
    def start_ns(self) -> int:
        """When its first span began."""
        return min(root.start_ns for root in self.roots)


@dataclass(frozen=True, slots=True)
class OrderTrace:
    """An order's events and the traces that they, its spans and their links lead to, by time."""

    order_id: str
    events: tuple[Moment, ...]
    traces: tuple[TraceTree, ...]


def order_trace(store: Store, order_id: str | None = None) -> OrderTrace | None:
    """
    Return an order's traces; those of the order paid last when *order_id* is None. None when there is no such order.

    Raises:
        StoreError: the database failed.
    """
    with store.reading() as db:
        if order_id is None:
            row = db.execute(_SQL["last_paid_order"]).fetchone()
            if row is None:
                return None
            order_id = str(row[0])
        events = db.execute(_SQL["order_events"], {"order_id": order_id}).fetchall()
        spans = db.execute(_SQL["order_spans"], {"order_id": order_id}).fetchall()
    if not events and not spans:
        return None
    return OrderTrace(
        order_id,
        tuple(Moment(name, time_ns, trace_id or "", json.loads(text)) for name, time_ns, trace_id, text in events),
        grow(spans),
    )


def grow(rows: Iterable[Sequence[Any]]) -> tuple[TraceTree, ...]:
    """Build trees of span rows (the columns of `order_spans`), traces and siblings by start. Pure."""
    by_trace: dict[str, dict[str, Sequence[Any]]] = {}
    for row in rows:
        by_trace.setdefault(row[0], {})[row[1]] = row
    trees = [TraceTree(trace_id, _roots(spans)) for trace_id, spans in by_trace.items()]
    return tuple(sorted(trees, key=lambda tree: (tree.start_ns, tree.trace_id)))


def _roots(spans: dict[str, Sequence[Any]]) -> tuple[SpanNode, ...]:
    below: dict[str, list[str]] = {}
    tops = []
    for span_id, row in spans.items():
        if row[2] in spans and row[2] != span_id:
            below.setdefault(row[2], []).append(span_id)
        else:
            tops.append(span_id)
    seen: set[str] = set()
    roots = [_node(span_id, spans, below, seen) for span_id in tops]
    # Spans that name each other as parent hang below no root, and very deep ones are cut off: shown all the same.
    roots += [_node(span_id, spans, below, seen) for span_id in spans if span_id not in seen]
    return tuple(roots)


def _node(
    span_id: str, spans: dict[str, Sequence[Any]], below: dict[str, list[str]], seen: set[str], depth: int = 0
) -> SpanNode:
    seen.add(span_id)
    following = below.get(span_id, ()) if depth < MAX_DEPTH else ()
    children = tuple(_node(child, spans, below, seen, depth + 1) for child in following if child not in seen)
    trace_id, _, _, name, kind, service, start_ns, end_ns, status, attributes, links, events = spans[span_id]
    return SpanNode(
        span_id,
        name,
        kind or "",
        service or "",
        start_ns,
        end_ns,
        status or "",
        json.loads(attributes),
        tuple(link["trace_id"] for link in json.loads(links)),
        tuple(Moment(e["name"], e["time_ns"], trace_id, e["attributes"]) for e in json.loads(events)),
        children,
    )
