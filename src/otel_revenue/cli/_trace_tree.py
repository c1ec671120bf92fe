# SPDX-License-Identifier: Apache-2.0
"""One order's traces as a tree on a terminal, with the payment on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text
from rich.tree import Tree

from otel_revenue.errors import UnknownCurrency
from otel_revenue.schema.money import to_major

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_revenue.analytics.trace import Moment, OrderTrace, SpanNode, TraceTree

_SHOWN = ("http.response.status_code", "stripe.request_id", "stripe.error.code", "error.type")
_INNER = ("http receive", "http send")


def tree(trace: OrderTrace) -> Tree:
    """Return an order's traces as a rich tree: servers, Stripe's calls, the payment, the links between the traces."""
    root = Tree(_title(trace), guide_style="dim")
    names = {one.trace_id: f"trace {one.trace_id[:8]}…" for one in trace.traces}
    shown = {(moment.name, moment.attributes.get("event_id")) for one in trace.traces for moment in _moments(one)}
    for one in trace.traces:
        branch = root.add(Text.assemble(("trace ", "dim"), (one.trace_id, "cyan")))
        for node in one.roots:
            _add(branch, node, one, names)
    if not trace.traces:
        root.add(Text("no spans have arrived (yet), or they were sampled away; its events:", style="dim"))
    for moment in trace.events:
        if (moment.name, moment.attributes.get("event_id")) not in shown:
            root.add(_event(moment))
    return root


def _moments(one: TraceTree) -> list[Moment]:
    found: list[Moment] = []
    waiting = list(one.roots)
    while waiting:
        node = waiting.pop()
        found += node.events
        waiting += node.children
    return found


def _title(trace: OrderTrace) -> Text:
    title = Text.assemble(("order ", "bold"), (_clean(trace.order_id), "bold"))
    for moment in trace.events:
        if moment.name == "order.paid":
            title.append(f"  paid {_money(moment.attributes)}", style="bold green")
    return title


def _add(branch: Tree, node: SpanNode, one: TraceTree, names: Mapping[str, str]) -> None:
    if node.kind == "INTERNAL" and node.name.endswith(_INNER) and not node.children and not node.events:
        return  # the web framework's message spans: dozens, and they say nothing
    label = Text.assemble(
        (f"{_offset(node.start_ns - one.start_ns):>9}  ", "dim"),
        (f"{node.kind:<8} ", "dim"),
        (
            _clean(node.name),
            "bold green" if node.name == "checkout.payment" else "bold" if node.kind == "SERVER" else "",
        ),
        (f"  {_time(node.end_ns - node.start_ns)}", "cyan"),
    )
    for key in _SHOWN:
        if key in node.attributes:
            label.append(
                f"  {key.rpartition('.')[2] if key.startswith('http') else key}={_clean(str(node.attributes[key]))}",
                style="dim",
            )
    if node.status == "ERROR":
        label.append("  ERROR", style="bold red")
    if node.name == "checkout.payment":
        label.append(f"  {_money(node.attributes)}", style="bold green")
    for target in dict.fromkeys(node.links):
        label.append(f"  ⇢ {names.get(target, f'trace {target[:8]}…')}", style="magenta")
    below = branch.add(label)
    for moment in node.events:
        below.add(_event(moment))
    for child in node.children:
        _add(below, child, one, names)


def _event(moment: Moment) -> Text:
    text = Text.assemble(("● ", "yellow"), (_clean(moment.name), "yellow"))
    if moment.name == "order.paid":
        text.append(f"  {_money(moment.attributes)}", style="bold green")
    for key in ("order_id", "tier", "country", "elapsed_ms"):
        if key in moment.attributes:
            text.append(f"  {key}={_clean(str(moment.attributes[key]))}", style="dim")
    return text


def _money(attributes: Mapping[str, Any]) -> str:
    minor, currency = attributes.get("amount_minor"), attributes.get("currency")
    if type(minor) is not int or not isinstance(currency, str):
        return ""
    try:
        return f"{to_major(minor, currency):,} {currency}"
    except UnknownCurrency:
        return f"{minor:,} minor units of {_clean(currency)}"


def _offset(ns: int) -> str:
    return f"+{_time(ns)}" if ns >= 0 else f"-{_time(-ns)}"


def _time(ns: int) -> str:
    if abs(ns) < 10**6:
        return f"{ns / 10**3:.0f} µs"
    return f"{ns / 10**6:.1f} ms" if abs(ns) < 10**10 else f"{ns / 10**9:.1f} s"


def _clean(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
