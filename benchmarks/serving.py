# SPDX-License-Identifier: Apache-2.0
"""An event on every request of a small web application: what is left of its requests per second, and of its latency."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import random
import selectors
import socket
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import contenders, sink
from .figures import Line, Table, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

BARE: Final = contenders.Nothing.name
NAMES: Final = (BARE, contenders.Revenue.name, contenders.OtelLog.name, contenders.PostHog.name)

_CONNECTIONS: Final = 8
_REQUEST: Final = b"POST /designs/approve HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n"
REST_S: Final = 0.05
WARM: Final = 1


@dataclass(frozen=True)
class Shop:
    """One application, in a process of its own under uvicorn."""

    name: str
    port: int

    def ask(self, path: str) -> Any:
        """Return the JSON that the application answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n".encode())
            return json.loads(_answer(connection))

    def busy(self, requests: int) -> float:
        """Return the requests per second over several connections, each with one request at a time."""
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            for _ in range(_CONNECTIONS):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=60))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
            begun = time.perf_counter()
            for key in selector.get_map().values():
                key.fileobj.sendall(_REQUEST)  # type: ignore[union-attr]
            answered, sent = 0, _CONNECTIONS
            while answered < requests:
                for key, _ in selector.select(60):
                    _answer(key.fileobj)  # type: ignore[arg-type]
                    answered += 1
                    if sent < requests:
                        key.fileobj.sendall(_REQUEST)  # type: ignore[union-attr]
                        sent += 1
            return answered / (time.perf_counter() - begun)

    def quiet(self, requests: int) -> list[float]:
        """Return the milliseconds of each request over one connection."""
        taken = []
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(requests):
                begun = time.perf_counter()
                connection.sendall(_REQUEST)
                _answer(connection)
                taken.append((time.perf_counter() - begun) * 1000)
        return taken


def serving(folder: Path, *, rounds: int, busy: int, quiet: int) -> list[Table]:
    """Let each application have its turn in each round: first many requests at once, then one after the other."""
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    slow: dict[str, list[float]] = {name: [] for name in NAMES}
    with sink.running() as receiver, shops(receiver.url, folder, NAMES, _serve) as running:
        for number in range(rounds + WARM):
            for shop in random.sample(running, len(running)):
                rate, taken = shop.busy(busy), shop.quiet(quiet)
                shop.ask("/flush")
                time.sleep(REST_S)
                if number >= WARM:
                    rates[shop.name].append(rate)
                    slow[shop.name].append(statistics.quantiles(taken, n=100)[98])
        lost = _lost(running, receiver)
    return [_rates(rates, lost), _latencies(slow, lost)]


def _rates(rates: dict[str, list[float]], lost: dict[str, int]) -> Table:
    ours = ratio(rates[contenders.Revenue.name], rates[BARE])
    return Table(
        f"An event on every request: requests per second, {_CONNECTIONS} connections, one uvicorn worker",
        "req/s",
        [_line(name, rates, lost) for name in NAMES],
        goal="otel-revenue ≥ 0.8 × the application without it",
        met=ours >= 0.8,
        notes=("the application alone is the line `nothing`; delivery runs meanwhile",),
    )


def _latencies(slow: dict[str, list[float]], lost: dict[str, int]) -> Table:
    ours = ratio(slow[contenders.Revenue.name], slow[BARE])
    return Table(
        "The same: p99 of a request over one connection, with delivery running",
        "ms",
        [_line(name, slow, lost) for name in NAMES],
        goal="otel-revenue ≤ 3 × the application without it",
        met=ours <= 3,
    )


def _line(name: str, values: dict[str, list[float]], lost: dict[str, int]) -> Line:
    against = None if name == BARE else ratio(values[name], values[BARE])
    return Line(name, values[name], against, f"{lost[name]} LOST" if lost[name] else "")


def _lost(shops: list[Shop], receiver: sink.Sink) -> dict[str, int]:
    recorded = {shop.name: shop.ask("/flush") for shop in shops}
    delivered = receiver.counts()
    return {name: 0 if name == BARE else number - delivered.get(name, 0) for name, number in recorded.items()}


def _answer(connection: socket.socket) -> bytes:
    """Read one answer; returns its body."""
    data = connection.recv(65536)
    while (head := data.find(b"\r\n\r\n")) < 0:
        data += _more(connection)
    lines = data[:head].lower().split(b"\r\n")
    if b" 200 " not in lines[0] + b" ":
        raise RuntimeError(f"the application answers {lines[0].decode('latin-1')}")
    size = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    while len(data) < head + 4 + size:
        data += _more(connection)
    return data[head + 4 :]


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the application has closed the connection")
    return data


@contextlib.contextmanager
def shops(
    url: str, folder: Path, names: Sequence[str], target: Callable[[str, str, Path, Connection], None]
) -> Iterator[list[Shop]]:
    """Start a process for each application; end them with the block. *target* is given name, receiver, folder and pipe."""
    spawn = multiprocessing.get_context("spawn")
    started = []
    try:
        for number, name in enumerate(names):
            here, there = spawn.Pipe()
            process = spawn.Process(target=target, args=(name, url, folder / f"shop-{number}", there), daemon=True)
            process.start()
            started.append((here, process))
        ports = [here.recv() for here, _ in started if here.poll(60)]
        yield [Shop(name, port) for name, port in zip(names, ports, strict=True)]
    finally:
        for here, _ in started:
            with contextlib.suppress(OSError):
                here.send("stop")
        for _, process in started:
            process.join(15)
            if process.is_alive():
                process.terminate()


def _serve(name: str, url: str, folder: Path, pipe: Connection) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    contender = contenders.ALL[name](TracerProvider(), url, folder)
    answer(_application(contender), pipe)
    contender.close()


def answer(application: Any, pipe: Connection) -> None:
    """Say the port, and answer requests until something comes through the pipe."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(application, log_level="critical", access_log=False))
    # The protocol is named, as asyncio turns off Nagle's algorithm for such sockets alone.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()

    def until_told() -> None:
        with contextlib.suppress(EOFError, OSError):
            pipe.recv()
        server.should_exit = True

    threading.Thread(target=until_told, daemon=True).start()
    pipe.send(listening.getsockname()[1])
    server.run(sockets=[listening])


def _application(contender: contenders.Contender) -> Any:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    recorded = 0

    async def approve(_: Request) -> JSONResponse:
        nonlocal recorded
        recorded += 1
        contender.record(contenders.attributes(contender.name, recorded))
        return JSONResponse({"approved": True})

    async def flush(_: Request) -> JSONResponse:
        await run_in_threadpool(contender.flush)
        return JSONResponse(recorded)

    routes = [Route("/designs/approve", approve, methods=["POST"]), Route("/flush", flush, methods=["POST"])]
    return Starlette(routes=routes)
