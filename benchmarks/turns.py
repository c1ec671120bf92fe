# SPDX-License-Identifier: Apache-2.0
"""
A process per contender, each at its turn.

In one process the exporters of one would run while another is timed. Here each has a process, and the parent lets one of
them work at a time: A, B, C, A, B, C, in an order that is drawn anew each round.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import time
from typing import TYPE_CHECKING, Any

from . import contenders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path


class Player:
    """One contender's process, from outside."""

    def __init__(self, name: str, pipe: Connection) -> None:
        self.name = name
        self._pipe = pipe

    def ask(self, what: str, **arguments: Any) -> Any:
        """
        Let the process do something and return its answer.

        Raises:
            RuntimeError: it failed or did not answer.
        """
        self._pipe.send((what, arguments))
        if not self._pipe.poll(120):
            raise RuntimeError(f"{self.name} does not answer")
        try:
            done, answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self.name} has died") from None
        if not done:
            raise RuntimeError(f"{self.name}: {answer}")
        return answer


@contextlib.contextmanager
def players(names: list[str], url: str, folder: Path) -> Iterator[list[Player]]:
    """Start a process for each of *names*; end them with the block."""
    spawn = multiprocessing.get_context("spawn")
    started = []
    try:
        for name in names:
            here, there = spawn.Pipe()
            process = spawn.Process(target=_play, args=(name, url, folder / name, there), daemon=True)
            process.start()
            started.append((Player(name, here), process))
        for player, _ in started:
            player.ask("ready")
        yield [player for player, _ in started]
        for player, _ in started:
            player.ask("stop")
    finally:
        for _, process in started:
            process.join(10)
            if process.is_alive():
                process.terminate()


class _Stage:
    """The inside of a contender's process."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider()
        self._tracer = provider.get_tracer("benchmark")
        self._contender = contenders.ALL[name](provider, url, folder)
        self._number = 0

    def ready(self) -> None:
        """Answer when imports are done."""

    def chunk(self, calls: int, *, span: bool) -> list[int]:
        """Return the nanoseconds of each of *calls* calls, inside a recording SERVER span each or outside of any."""
        from opentelemetry.trace import SpanKind

        record = self._contender.record
        clock = time.perf_counter_ns
        taken = []
        for values in self._events(calls):
            if not span:
                start = clock()
                record(values)
                taken.append(clock() - start)
                continue
            with self._tracer.start_as_current_span("POST /designs/{id}/approve", kind=SpanKind.SERVER):
                start = clock()
                record(values)
                taken.append(clock() - start)
        return taken

    def burst(self, chunks: int, calls: int, pause_s: float) -> float:
        """Return the seconds of CPU that the process spent on *chunks* of calls outside of a span, until they were delivered."""
        self._contender.flush()
        gc.collect()
        start = time.process_time()
        for _ in range(chunks):
            for values in self._events(calls):
                self._contender.record(values)
            time.sleep(pause_s)
        self._contender.flush()
        return time.process_time() - start

    def flush(self) -> int:
        """Deliver what waits; return how many events were recorded so far."""
        self._contender.flush()
        return self._number

    def stop(self) -> None:
        """End."""
        self._contender.close()

    def _events(self, calls: int) -> list[dict[str, Any]]:
        events = [contenders.attributes(self._contender.name, self._number + i) for i in range(calls)]
        self._number += calls
        return events


def _play(name: str, url: str, folder: Path, pipe: Connection) -> None:
    stage = _Stage(name, url, folder)
    what = ""
    while what != "stop":
        what, arguments = pipe.recv()
        try:
            pipe.send((True, getattr(stage, what)(**arguments)))
        except Exception as error:
            pipe.send((False, f"{type(error).__name__}: {error}"))
