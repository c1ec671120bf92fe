# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.collector`: how many events a second, and for how much CPU, with what collector-config/ adds and without."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import figures
from support.collector import Collector
from support.otlp_events import event, logs_request, paid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE: Final = Path(__file__).parent
OURS: Final = ("backends/otlp.yaml",)
CLIENTS: Final = 4

FUNNEL: Final = logs_request(
    [
        event("checkout.start", order_id=f"o-{n}", tier="pro", skus=["poster-a2", "frame-oak"], item_count=2)
        for n in range(100)
    ]
)
PAYMENT: Final = logs_request(
    [paid(tier="pro", country="DE", surface="pricing-page", skus=["poster-a2"], item_count=1)]
)


def load(collector: Collector, body: bytes, requests: int) -> float:
    """
    Post *body* that often from some threads and return the seconds until all were acknowledged.

    Raises:
        RuntimeError: one was not.
    """
    failed: list[int] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", collector.http, timeout=60)
        headers = {**collector.headers, "Content-Type": "application/x-protobuf"}
        for _ in range(requests // CLIENTS):
            connection.request("POST", "/v1/logs", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(f"not acknowledged: {failed[:5]}")
    return time.perf_counter() - start


def cpu_s(collector: Collector) -> float:
    """Return the CPU time of the Collector's threads so far, to the nanosecond; `stat` would count in hundredths of a second."""
    tasks = Path(f"/proc/{collector.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def settled(collector: Collector) -> None:
    """Wait until the Collector rests: its queue is empty."""
    before = -1.0
    while (now := cpu_s(collector)) > before + 0.02:
        before = now
        time.sleep(0.5)


@contextlib.contextmanager
def contenders(folder: Path) -> Iterator[dict[str, Collector]]:
    """Run a backend, and a Collector for each way of sending to it."""
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Collector(folder / "sink", (HERE / "sink.yaml",), base=()))
        backend = {"REVENUE_OTLP_URL": sink.url}
        made = {
            "bare, queued": Collector(folder / "a", (HERE / "bare.yaml",), {**backend, "BARE": "queued"}, ()),
            "bare, asked": Collector(folder / "b", (HERE / "bare.yaml",), {**backend, "BARE": "asked"}, ()),
            "base, asked": Collector(folder / "c", OURS, {**backend, "REVENUE_RECORD": "otlp_http/otlp_record"}),
            "base, queued": Collector(folder / "d", OURS, {**backend, "REVENUE_RECORD": "nop/queued"}),
        }
        for collector in made.values():
            stack.enter_context(collector)
        yield made


def compared(
    running: dict[str, Collector],
    names: Sequence[str],
    body: bytes,
    events: int,
    requests: int,
    rounds: int,
    title: str,
    notes: Sequence[str],
) -> list[figures.Table]:
    """Let each contender at its turn take the load; the first is the reference."""
    rates: dict[str, list[float]] = {name: [] for name in names}
    costs: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        load(running[name], body, CLIENTS)
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            collector = running[name]
            before = cpu_s(collector)
            rates[name].append(requests * events / load(collector, body, requests))
            settled(collector)
            costs[name].append((cpu_s(collector) - before) / (requests * events) * 1e6)
    return [
        _table(f"{title}: events acknowledged per second", "events/s", rates, notes),
        _table(f"{title}: CPU of the Collector per event, delivery included", "µs", costs, notes),
    ]


def _table(title: str, unit: str, values: dict[str, list[float]], notes: Sequence[str]) -> figures.Table:
    reference, *others = values
    lines = [figures.Line(reference, values[reference])]
    lines += [figures.Line(name, values[name], figures.ratio(values[name], values[reference])) for name in others]
    return figures.Table(title, unit, lines, notes=notes)


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and write the page where that is asked for."""
    parser = argparse.ArgumentParser(prog="make bench-collector")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400, help="a round; single payments twice as many")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where the queues are; on a real disk (default: here)"
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the tables there, as Markdown")
    options = parser.parse_args(arguments)
    facts = figures.machine(options.folder)
    funnel_notes = [
        "bare: receiver, token, memory limiter, synced queue on disk, exporter",
        "base: the same with allow-list and masks",
    ]
    money_notes = [
        "asked: the backend's own answer is waited for; queued: the queue on disk answers",
        "four connections",
    ]
    with (
        tempfile.TemporaryDirectory(prefix=".benchmark-", dir=options.folder) as folder,
        contenders(Path(folder).absolute()) as running,
    ):
        tables = compared(
            running,
            ("bare, queued", "base, queued"),
            FUNNEL,
            100,
            options.requests,
            options.rounds,
            "Funnel events, 100 per request",
            funnel_notes,
        )
        tables += compared(
            running,
            ("bare, asked", "base, asked", "bare, queued", "base, queued"),
            PAYMENT,
            1,
            2 * options.requests,
            options.rounds,
            "Payments, one per request",
            money_notes,
        )
    print("\n".join(facts))
    for table in tables:
        print(f"\n{figures.rendered(table)}", flush=True)
    if options.results:
        page = figures.markdown(facts, tables, on=time.strftime("%Y-%m-%d", time.gmtime()))
        options.results.write_text(page.replace("make bench`", "make bench-collector`"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
