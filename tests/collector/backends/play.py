# SPDX-License-Identifier: Apache-2.0
"""What is done to a backend: the columns of the table."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from support.collector import BASE, Collector, ask, otelcol
from support.receiver import wait_for

from .load import LOADS, MARK, POISONED, poisoned
from .table import neighbour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .load import Request
    from .sinks import Sink
    from .table import Backend

PATIENCE_S: Final = 90
"""An exporter may sit in a pause of 30 s after an outage; a bound against hanging, never a promise."""


@dataclass
class Cell:
    """What came out of one column, and what of it breaks a promise."""

    shown: str
    problems: list[str] = field(default_factory=list)


@dataclass
class Scene:
    """A Collector with a backend and its neighbour."""

    backend: Backend
    sink: Sink
    beside: Sink
    collector: Collector

    def send(self, requests: list[Request]) -> list[int]:
        """Send each once; returns the answers."""
        return [self.collector.post(body, path).status_code for path, body in requests]

    def arrived(self, expected: set[str], sink: Sink | None = None, *, poison: bool = False) -> Counter[str]:
        """Wait for what is expected, and for the poisoned order where one was sent; returns what came, and how often."""
        sink = sink or self.sink
        awaited = expected | {POISONED} if poison and self.backend.signal != "metrics" else expected
        wait_for(lambda: awaited <= set(sink.orders()), PATIENCE_S)
        return Counter(order for order in sink.orders() if order in expected)

    def back(self) -> None:
        """The backend is there again; where only a start of the Collector notices, it is started again."""
        self.sink.up()
        if self.sink.restart:
            self.collector.stop()
            self.collector.start()

    def queued(self, exporter: str) -> float:
        """How much waits before an exporter."""
        line = rf'^otelcol_exporter_queue_size{{.*exporter="{exporter}".*}} (\S+)'
        return sum(float(size) for size in re.findall(line, self.collector.own_metrics(), re.MULTILINE))

    def leaks(self) -> list[str]:
        """Where the canary is that should be nowhere: the backends and the Collector's log."""
        places = {
            "the backend": self.sink.everything(),
            "the neighbour": self.beside.everything(),
            "the Collector's log": self.collector.said().encode(),
        }
        return [f"personal data in {place}" for place, content in places.items() if MARK in content]

    def leaks_on_disk(self, known: str) -> list[str]:
        """The same for the queue's files, in which *known* must be found: else nothing can be found in them."""
        contents = {path.name: path.read_bytes() for path in self.collector.queue.iterdir() if path.is_file()}
        readable = any(known.encode() in content for content in contents.values())
        found = [f"personal data in {name}" for name, content in contents.items() if MARK in content]
        return found if readable else [*found, f"{known} in no file of the queue"]


@contextlib.contextmanager
def scene(backend: Backend, folder: Path, record: str) -> Iterator[Scene]:
    """Both backends are up, the Collector is not started; all is ended afterwards."""
    (folder / "sink").mkdir()
    (folder / "beside").mkdir()
    beside = neighbour(backend)
    with contextlib.ExitStack() as stack:
        sinks = [backend.sink(folder / "sink"), beside.sink(folder / "beside")]
        for sink in sinks:
            sink.up()
            stack.callback(sink.end)
        environ = {**sinks[0].variables, **sinks[1].variables, "REVENUE_RECORD": record}
        collector = Collector(folder / "collector", (backend.file, beside.file), environ, program=backend.program)
        stack.callback(collector.kill)
        yield Scene(backend, *sinks, collector)


def validated(backend: Backend, folder: Path, count: int) -> Cell:
    """The real program accepts it."""
    sink, beside = backend.sink(folder), neighbour(backend).sink(folder)
    environ = {**sink.variables, **beside.variables, "REVENUE_RECORD": backend.record or "nop/queued"}
    answer = ask("validate", (*BASE, backend.file, neighbour(backend).file), environ, backend.program)
    version = subprocess.run([otelcol(backend.program), "--version"], capture_output=True, text=True, check=True).stdout
    return Cell(version.split()[-1], [answer.stderr] if answer.returncode else [])


def run(backend: Backend, folder: Path, count: int) -> Cell:
    """All is well: each event arrives once, and personal data nowhere."""
    expected, requests = LOADS[backend.signal](0, count)
    with scene(backend, folder, backend.record or "nop/queued") as on:
        on.collector.start()
        poison = on.send(poisoned())
        answers = on.send(requests)
        came = on.arrived(expected, poison=True)
        problems = [f"answered {bad}" for bad in {*poison, *answers} - {200}] + on.leaks()
        problems += [f"{len(expected) - len(came)} lost"] if len(came) < len(expected) else []
        problems += [f"{came.total() - len(came)} twice"] if came.total() > len(came) else []
    return Cell(f"{len(came)} of {len(expected)}", problems)


def killed(backend: Backend, folder: Path, count: int) -> Cell:
    """Both backends are away, the Collector takes everything, is killed, and starts again; then they come back."""
    if not backend.queued:
        return Cell("keeps nothing")
    expected, requests = LOADS[backend.signal](0, count)
    with scene(backend, folder, "nop/queued") as on:
        on.sink.down()
        on.beside.down()
        on.collector.start()
        problems = [f"answered {bad}" for bad in {*on.send(poisoned()), *on.send(requests)} - {200}]
        if backend.signal == "traces":  # until it is judged, a trace is in memory
            wait_for(lambda: on.queued("otlp_grpc/tracing") >= count, PATIENCE_S)
        on.collector.kill()
        if backend.signal != "metrics":  # their queue is in memory
            problems += on.leaks_on_disk(min(expected))
        on.collector.start()
        on.back()
        on.beside.up()
        if backend.signal == "metrics":  # what was in memory is gone, but the next value stands for all before it
            on.send(LOADS["metrics"](count, 1)[1])
        came = on.arrived(expected, poison=True)
        problems += on.leaks()
        problems += [f"{len(expected) - len(came)} lost"] if len(came) < len(expected) else []
    return Cell(f"{len(expected) - len(came)} lost, {came.total() - len(came)} twice", problems)


def dead_neighbour(backend: Backend, folder: Path, count: int) -> Cell:
    """The neighbour is away all the time: this one gets each event once, nobody is told to send again, and the neighbour's wait."""
    expected, requests = LOADS[backend.signal](0, count)
    with scene(backend, folder, backend.record or "nop/queued") as on:
        on.beside.down()
        on.collector.start()
        problems = [f"answered {bad}" for bad in {*on.send(requests)} - {200}]
        came = on.arrived(expected)
        on.beside.up()
        if backend.signal == "logs":
            beside = on.arrived(expected, on.beside)
            problems += [f"{len(expected) - len(beside)} lost beside"] if len(beside) < len(expected) else []
    problems += [f"{len(expected) - len(came)} lost"] if len(came) < len(expected) else []
    problems += [f"{came.total() - len(came)} twice"] if came.total() > len(came) else []
    return Cell(f"{len(came)} of {len(expected)}", problems)


def recorded(backend: Backend, folder: Path, count: int) -> Cell:
    """As the backend of record, away: no payment is acknowledged; sent again when it is back, each is there."""
    if not backend.record:
        return Cell("takes no money")
    _, requests = LOADS[backend.signal](0, count)
    payments, expected = requests[::2], {f"paid-{n}" for n in range(count)}
    with scene(backend, folder, backend.record) as on:
        on.sink.down()
        on.collector.start()
        refused = on.send(payments[:2])
        on.back()
        wait_for(lambda: set(on.send(payments[:1])) == {200}, PATIENCE_S)
        taken = on.send(payments[1:])
        came = on.arrived(expected)
    problems = [f"acknowledged by nobody: {refused.count(200)}"] if 200 in refused else []
    problems += [f"answered {bad}" for bad in {*taken} - {200}]
    problems += [f"{len(expected) - len(came)} lost"] if len(came) < len(expected) else []
    return Cell(f"{', '.join(map(str, sorted(set(refused))))}; then {len(came)} of {count}", problems)


COLUMNS: Final[dict[str, Callable[[Backend, Path, int], Cell]]] = {
    "validated": validated,
    "run": run,
    "killed": killed,
    "dead neighbour": dead_neighbour,
    "of record": recorded,
}
