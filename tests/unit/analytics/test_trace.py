"""One order over its traces, as data and as a tree on a terminal."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from rich.console import Console

from otel_revenue.analytics import jsonable
from otel_revenue.analytics.logs import read_logs
from otel_revenue.analytics.spans import read_spans
from otel_revenue.analytics.store import Batch, Store
from otel_revenue.analytics.trace import OrderTrace, SpanNode, grow, order_trace
from otel_revenue.analytics.values import Members
from otel_revenue.cli._trace_tree import tree
from support.otlp_events import T0, event, logs_request, paid

MS = 10**6
CHECKOUT, WEBHOOK, OTHER = b"c" * 16, b"w" * 16, b"o" * 16


def span(
    trace: bytes,
    own: str,
    name: str,
    parent: str = "",
    kind: int = 1,
    at: int = 0,
    ms: int = 5,
    links: Any = (),
    **attributes: Any,
) -> Span:
    made = Span(
        trace_id=trace, span_id=own.encode().ljust(8), parent_span_id=parent.encode().ljust(8) if parent else b"", name=name, kind=kind,  # type: ignore[arg-type]
        start_time_unix_nano=T0 + at * MS, end_time_unix_nano=T0 + (at + ms) * MS,
    )  # fmt: skip
    for key, value in attributes.items():
        target = made.attributes.add(key=key).value
        if isinstance(value, int):
            target.int_value = value
        else:
            target.string_value = value
    for link in links:
        made.links.add(trace_id=link, span_id=b"x" * 8)
    return made


def store_of(spans: list[Span], records: list[bytes]) -> Store:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    store = Store(None)
    lines = read_spans(request.SerializeToString(), Members()).lines
    store.write(
        Batch(events=read_logs(logs_request(records), Members()).lines if records else [], spans=lines), received_ns=T0
    )
    return store


def an_order() -> Store:
    ids = (int.from_bytes(WEBHOOK, "big"), 1, 1)
    spans = [
        span(CHECKOUT, "server", "POST /checkout", kind=2, ms=40, order_id="o-1"),
        span(
            CHECKOUT,
            "stripe",
            "POST /v1/checkout/sessions",
            parent="server",
            kind=3,
            at=5,
            ms=20,
            **{"stripe.request_id": "req_1"},
        ),
        span(
            CHECKOUT,
            "pay",
            "checkout.payment",
            parent="server",
            at=30,
            ms=9000,
            links=[WEBHOOK],
            order_id="o-1",
            amount_minor=4999,
            currency="EUR",
        ),
        span(WEBHOOK, "hook", "POST /webhooks/stripe", kind=2, at=9100, links=[CHECKOUT]),
        span(OTHER, "else", "GET /", kind=2),
    ]
    spans[3].events.add(name="order.paid", time_unix_nano=T0 + 9030 * MS)
    records = [
        event("checkout.session_created", order_id="o-1", at=T0 + 30 * MS, ids=(int.from_bytes(CHECKOUT, "big"), 1, 1)),
        paid("o-1", 4999, at=T0 + 9030 * MS, ids=ids),
    ]
    return store_of(spans, records)


def shape(node: SpanNode) -> Any:
    return (node.name, [shape(child) for child in node.children])


def printed(trace: OrderTrace, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(tree(trace))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_an_order_has_its_checkout_and_its_webhook() -> None:
    """
    The traces of an order are those of its events, of its spans and of their links; other requests are not in it.
    """
    with an_order() as store:
        found = order_trace(store, "o-1")

    assert found is not None
    assert [CHECKOUT.hex(), WEBHOOK.hex()] == [one.trace_id for one in found.traces]
    assert [("POST /checkout", [("POST /v1/checkout/sessions", []), ("checkout.payment", [])])] == [
        shape(root) for root in found.traces[0].roots
    ]
    assert ["checkout.session_created", "order.paid"] == [moment.name for moment in found.events]


def test_the_last_paid_order_is_found_without_its_name() -> None:
    """
    Without an id it is the order paid last of which a trace has arrived.
    """
    with an_order() as store:
        later = paid("o-untraced", 1, at=T0 + 10**12)
        store.write(Batch(events=read_logs(logs_request([later]), Members()).lines), received_ns=T0)

        found = order_trace(store)

    assert found is not None
    assert "o-1" == found.order_id


def test_an_unknown_order_has_no_trace() -> None:
    """
    What is not there is None, in an empty database too.
    """
    with an_order() as store, Store(None) as empty:
        found = [order_trace(store, "nobody"), order_trace(empty)]

    assert [None, None] == found


def test_the_tree_shows_the_payment() -> None:
    """
    The printed tree holds the requests, Stripe's call with its request id, the payment with its amount, and the links.
    """
    with an_order() as store:
        found = order_trace(store, "o-1")
    assert found is not None

    text = printed(found)

    for expected in (
        "order o-1  paid 49.99 EUR",
        "POST /v1/checkout/sessions",
        "stripe.request_id=req_1",
        "checkout.payment",
        f"⇢ trace {WEBHOOK.hex()[:8]}",
    ):
        assert expected in text


def test_text_of_others_does_not_command_the_terminal() -> None:
    """
    Names with control characters or markup are shown, not obeyed.
    """
    with store_of([span(CHECKOUT, "s", "\x1b[2Jgone [red]x[/]", order_id="o\x1b")], []) as store:
        found = order_trace(store, "o\x1b")
    assert found is not None

    text = printed(found)

    assert "\x1b[2J" not in text
    assert "[red]x[/]" in text


def row(trace: str, own: str, parent: str | None, at: int) -> tuple[Any, ...]:
    return (trace, own, parent, own, "", "", at, at + 1, None, "{}", "[]", "[]")


@settings(max_examples=100)
@given(
    rows=st.lists(
        st.builds(
            row,
            st.sampled_from("tu"),
            st.sampled_from("abcdef"),
            st.none() | st.sampled_from("abcdefz"),
            st.integers(0, 9),
        ),
        unique_by=lambda made: made[:2],
        max_size=12,
    )
)
def test_every_span_is_in_its_tree_once(rows: list[Any]) -> None:
    """
    Whatever parents spans name (none, missing ones, themselves, each other), each is shown once, in its own trace.
    """
    trees = grow(rows)

    shown: list[tuple[str, str]] = []
    for one in trees:
        waiting = list(one.roots)
        while waiting:
            node = waiting.pop()
            shown.append((one.trace_id, node.span_id))
            waiting.extend(node.children)
    assert sorted(made[:2] for made in rows) == sorted(shown)


def test_a_runaway_depth_is_cut_into_pieces() -> None:
    """
    Spans a thousand levels deep are all there, survive JSON and can be printed.
    """
    rows = [row("t", str(n), str(n - 1) if n else None, n) for n in range(1000)]
    trace = OrderTrace("o", (), grow(rows))

    back = jsonable.from_json(OrderTrace, json.loads(json.dumps(jsonable.to_json(trace))))

    assert trace == back
    assert 10 == len(trace.traces[0].roots)
    assert "999" in printed(trace, width=1000)
