# SPDX-License-Identifier: Apache-2.0
"""What the demo prints. On a terminal with colour and bars; elsewhere plain lines, without control codes."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.text import Text

from ._demo_check import verdict
from ._funnel_tables import on_money
from ._report_tables import print_report
from ._trace_tree import tree
from ._words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_revenue.analytics.figures import Report
    from otel_revenue.analytics.funnel_figures import FunnelReport
    from otel_revenue.analytics.trace import OrderTrace, SpanNode
    from otel_revenue.testing.fake_stripe.summary import Traffic

    from ._demo_buyers import Walk
    from ._demo_check import Line
    from ._demo_scene import Scene


class Show:
    """
    The demo's output.

    Args:
        out: where to; control codes are used only if it is a terminal.
        width: columns; the terminal's when None.
    """

    def __init__(self, out: TextIO, width: int | None = None) -> None:
        reconfigure = getattr(out, "reconfigure", None)
        if reconfigure is not None:  # a log in ASCII must not end the demo
            reconfigure(errors="replace")
        if width is None and not out.isatty():
            width = 110
        self.console = Console(file=out, width=width, highlight=False)
        self._yes, self._no = ("✓", "✗") if self.console.encoding.startswith("utf") else ("ok", "NO")

    def opening(self, buyers: int, shop: Path) -> None:
        """Say what is about to happen."""
        self._line(Text("otel-revenue demo", style="bold"))
        self._line(
            f"{count(buyers, 'buyer')} will walk through a FastAPI shop that imports nothing of otel-revenue:\n{shop}\n"
            "Stripe is a fake one on this machine; it sends its webhooks twice and out of order.\n"
        )

    @contextlib.contextmanager
    def starting(self) -> Iterator[Callable[[str, str], None]]:
        """Say what is being started; yields the function that takes name and address of what answers."""

        def started(name: str, about: str) -> None:
            self._marked(self._yes, "green", Text.assemble((f"{name:<15}", "bold"), about))

        if not self.console.is_terminal:
            yield started
            return
        with self.console.status("starting ..."):
            yield started

    @contextlib.contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show progress while the block runs; yields the function that takes how many are done."""
        if not self.console.is_terminal:
            yield self._quarters(title, total)
            return
        columns = (TextColumn(f"  {title:<16}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda done: progress.update(task, completed=done)

    def _quarters(self, title: str, total: int) -> Callable[[int], None]:
        shown = [-1]

        def advance(done: int) -> None:
            quarter = 4 if total == 0 else 4 * done // total
            if quarter > shown[0]:
                shown[0] = quarter
                self._line(f"  {title:<16} {done}/{total}")

        return advance

    def crowd(self, walk: Walk, traffic: Traffic) -> None:
        """Say what the buyers did, and what came of it at the shop's door."""
        self._rule("What happened")
        for fate, number in walk.fates.most_common():
            self._line(f"  {number:>4}  {fate.value}")
        lost = f"; {traffic.gave_up} never arrived" if traffic.gave_up else ""
        self._line(
            f"Stripe sent {traffic.events} events in {traffic.deliveries} webhooks: {traffic.doubled} of them more than once, "
            f"{traffic.late} out of order{lost}."
        )

    def report(self, report: Report) -> None:
        """Print the report: the same as `otel-revenue report --test-mode`."""
        self._rule("What telemetry knows: otel-revenue report --test-mode")
        print_report(report, self.console)

    def funnel(self, found: FunnelReport) -> None:
        """Say what did not become money; the whole funnel is `otel-revenue report --funnel --test-mode`."""
        self._rule("What did not become money: otel-revenue report --funnel --test-mode")
        for line in on_money(found):
            self._line(line)

    def trace(self, trace: OrderTrace) -> None:
        """Print one order's traces, with the payment on them; webhooks that changed nothing are counted alone."""
        self._rule(f"One order on its traces: otel-revenue report --order {trace.order_id}")
        told, silent = telling(trace)
        self.console.print(tree(told))
        if silent:
            self._line(f"And {count(silent, 'webhook')} more about this order, which changed nothing.")

    def verdict(self, lines: list[Line]) -> bool:
        """Say whether telemetry and Stripe's books agree; returns it."""
        same = bool(lines) and all(line.same for line in lines)
        self._rule("Compared with Stripe's own books")
        self._marked(self._yes if same else self._no, "green" if same else "red", Text(verdict(lines), style="bold"))
        return same

    def next_steps(self, kept: Path | None) -> None:
        """Say where to look next; *kept* is the database, if there still is one afterwards."""
        self._rule("Next")
        ours = program()
        if kept is not None:
            self._step(
                f"{ours} report --test-mode --database {kept}", "the numbers of this run again; --json has them too"
            )
        self._step(f"{ours} demo --serve", "the same, and the shop stays open: buy something yourself")
        self._step('README.md, "Use it in your own app"', "a few settings and one command; your code stays as it is")
        self._step(f"{ours} schema", "every event and attribute that may leave the application")

    def serving(self, scene: Scene, *, kept: bool) -> None:
        """Say what is running, until Ctrl-C; *kept*: the database will still be there afterwards."""
        self._rule("Still running; Ctrl-C ends it")
        report = f"{program()} report --database {scene.database}"
        afterwards = "stays afterwards" if kept else "is removed afterwards (keep it: --keep FOLDER)"
        order = '-H \'Content-Type: application/json\' -d \'{"lines": [{"sku": "poster-a3"}]}\''
        self._step(
            f"curl {scene.shop_url}/checkout {order}", "buy something: open the checkout_url that it answers, and pay"
        )
        self._step(f"{report} --order last", "your order, on its traces")
        self._step(f"{report} --test-mode", "the report, with your order in it")
        self._step(f"{scene.stripe_url}/_fake/books", "what the fake Stripe took")
        self._step(str(scene.database), f"the database (DuckDB): locked while this runs, {afterwards}")

    def failed(self, text: str) -> None:
        """Say what went wrong."""
        self._marked(self._no, "red", Text(text))

    def _step(self, command: str, what: str) -> None:
        self._line(Text.assemble(("  " + command, "cyan"), "\n      " + what))

    def _rule(self, title: str) -> None:
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="dim"))

    def _marked(self, mark: str, style: str, text: Text) -> None:
        self._line(Text.assemble("  ", (mark, style), " ", text))

    def _line(self, text: Any) -> None:
        # Paths and commands are to be copied: the terminal may break them, we do not.
        self.console.print(text, soft_wrap=True, markup=False)


def telling(trace: OrderTrace) -> tuple[OrderTrace, int]:
    """Return *trace* without the traces that only point to others, and how many these are."""
    told = tuple(one for one in trace.traces if any(not root.links or _has_events(root) for root in one.roots))
    return replace(trace, traces=told), len(trace.traces) - len(told)


def _has_events(node: SpanNode) -> bool:
    return bool(node.events) or any(_has_events(child) for child in node.children)


def program() -> str:
    """Return how the user calls us: by name where the shell finds this installation, else by path."""
    beside = Path(sys.executable).with_name("otel-revenue")
    found = shutil.which("otel-revenue")
    if not beside.is_file() or (found is not None and Path(found).samefile(beside)):
        return "otel-revenue"
    near = os.path.relpath(beside)
    return str(beside) if near.startswith("..") else near
