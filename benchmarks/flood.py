# SPDX-License-Identifier: Apache-2.0
"""
A flood of posts at the browser's route: what the application's own routes feel of it, and what a post costs.

The reference is the same flood at a path that the application does not have: a server that is reached from outside can be
flooded anyway, and a route of ours must not be a better place for it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import selectors
import socket
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from .figures import Line, Table, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

NOWHERE: Final = "a path that is not there"
KINDS: Final = (NOWHERE, "the browser's route", "the same, bodies of 5 MB")
_CONNECTIONS: Final = 8
_EVENT: Final = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"checkout.start","attributes":[]}]}]}]}'
_OWN: Final = b"GET /own HTTP/1.1\r\nHost: shop.example\r\n\r\n"


def flood(folder: Path, *, rounds: int, posts: int) -> list[Table]:
    """Let each kind of flood have its turn in each round."""
    felt: dict[str, list[float]] = {kind: [] for kind in KINDS}
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with _application(folder) as (port, cpu_s):
        for number in range(rounds + 1):
            for kind in random.sample(KINDS, len(KINDS)):
                before = cpu_s()
                taken = _flooded(port, _post(kind), posts)
                if number:  # the first round warms up
                    felt[kind].append(statistics.median(taken) * 1000)
                    spent[kind].append((cpu_s() - before) / (posts + len(taken)) * 1e6)
    worst = max(ratio(felt[kind], felt[NOWHERE]) for kind in KINDS)
    return [
        Table(
            f"Flood of {posts:,} posts over {_CONNECTIONS} connections: the application's own route meanwhile (p50)",
            "ms",
            [_line(kind, felt) for kind in KINDS],
            goal="≤ 1.1 × the same flood at a path that is not there",
            met=worst <= 1.1,
        ),
        Table("The same: CPU of the process per request", "µs", [_line(kind, spent) for kind in KINDS]),
    ]


def _line(kind: str, values: dict[str, list[float]]) -> Line:
    return Line(kind, values[kind], None if kind == NOWHERE else ratio(values[kind], values[NOWHERE]))


def _post(kind: str) -> bytes:
    """Return one post as a page of the shop would send it; of a large body, the announcement alone."""
    path = "/nothing" if kind == NOWHERE else "/otel-revenue/v1/logs"
    large = kind == KINDS[2]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: shop.example\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\n"
        f"User-Agent: Mozilla/5.0\r\nContent-Length: {5_000_000 if large else len(_EVENT)}\r\n\r\n"
    )
    return head.encode() + (b"" if large else _EVENT)


def _flooded(port: int, post: bytes, posts: int) -> list[float]:
    """Send so many posts, one at a time over each connection, and beside them the application's own requests; returns their seconds."""
    taken: list[float] = []
    left = posts
    with selectors.DefaultSelector() as selector:
        own = _connected(port)
        selector.register(own, selectors.EVENT_READ)
        begun = time.perf_counter()
        own.sendall(_OWN)
        for _ in range(_CONNECTIONS):
            _send_on(selector, port, post)
        while left > 0:
            for key, _ in selector.select(60):
                connection: Any = key.fileobj
                answer = connection.recv(65536)
                if connection is own:
                    taken.append(time.perf_counter() - begun)
                    begun = time.perf_counter()
                    own.sendall(_OWN)
                    continue
                left -= bool(answer)
                # Who has not been let finish a body is disconnected, and comes again.
                if not answer or b"connection: close" in answer or not post.endswith(_EVENT):
                    selector.unregister(connection)
                    connection.close()
                    _send_on(selector, port, post)
                else:
                    connection.sendall(post)
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return taken


def _send_on(selector: selectors.BaseSelector, port: int, post: bytes) -> None:
    connection = _connected(port)
    selector.register(connection, selectors.EVENT_READ)
    connection.sendall(post)


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


@contextlib.contextmanager
def _application(folder: Path) -> Iterator[tuple[int, Any]]:
    """Start the application in a process of its own; returns its port, and what asks for its CPU time in seconds."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(folder / "flood", there), daemon=True)
    process.start()
    if not here.poll(60):
        raise RuntimeError("the application does not start")

    def cpu_s() -> float:
        here.send("cpu")
        return float(here.recv())

    try:
        yield int(here.recv()), cpu_s
    finally:
        here.send("stop")
        process.join(15)
        if process.is_alive():
            process.terminate()


def _serve(folder: Path, pipe: Connection) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from otel_revenue import RevenueInstrumentor
    from otel_revenue.browser import asgi_app

    RevenueInstrumentor().instrument(store=str(folder), flush_timeout=0)
    shop = Starlette(routes=[Route("/own", lambda _: JSONResponse({"ok": True}))])
    server = uvicorn.Server(uvicorn.Config(asgi_app(shop), log_level="critical", access_log=False))
    # The protocol is named, as asyncio turns off Nagle's algorithm for such sockets alone.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()

    def until_told() -> None:
        with contextlib.suppress(EOFError, OSError):
            while pipe.recv() == "cpu":
                pipe.send(time.process_time())
        server.should_exit = True

    threading.Thread(target=until_told, daemon=True).start()
    pipe.send(listening.getsockname()[1])
    server.run(sockets=[listening])
