# SPDX-License-Identifier: Apache-2.0
"""
A receiver on loopback, in a process of its own, that counts the events of each contender.

A contender is known by the first part of the path (`/otel/v1/logs`, `/posthog/batch/`). Bodies are kept as they come and
read when somebody asks (`GET /counts`), so that the receiver costs as little as it can while others are timed.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import multiprocessing
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


class Sink:
    """The receiver, from outside."""

    def __init__(self, url: str) -> None:
        self.url = url

    def counts(self) -> dict[str, int]:
        """Return how many distinct events each contender has delivered so far."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=60) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextlib.contextmanager
def running() -> Iterator[Sink]:
    """Run a receiver until the block ends."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        if not here.poll(30):
            raise TimeoutError("the receiver did not start")
        yield Sink(f"http://127.0.0.1:{here.recv()}")
    finally:
        process.terminate()
        process.join(5)


def _serve(pipe: Connection) -> None:
    bodies: list[tuple[str, bool, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            bodies.append((self.path, self.headers.get("Content-Encoding") == "gzip", body))
            is_otlp = "/v1/" in self.path
            self._answer(
                b"" if is_otlp else b'{"status":1}', "application/x-protobuf" if is_otlp else "application/json"
            )

        def do_GET(self) -> None:
            self._answer(json.dumps(counted(bodies)).encode(), "application/json")

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response_only(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    pipe.send(server.server_port)
    server.serve_forever(poll_interval=60)


def counted(bodies: list[tuple[str, bool, bytes]]) -> dict[str, int]:
    """Return the number of distinct events by contender; by the order's id, which every event of a run has of its own."""
    seen: dict[str, set[str]] = {}
    for path, zipped, body in list(bodies):
        if "/v1/" in path and "/v1/logs" not in path:
            continue  # a contender's spans and metrics hold no event
        raw = gzip.decompress(body) if zipped else body
        ids = seen.setdefault(path.split("/")[1], set())
        ids.update(_otlp_ids(raw) if "/v1/logs" in path else _posthog_ids(raw))
    return {name: len(ids) for name, ids in seen.items()}


def _otlp_ids(raw: bytes) -> Iterator[str]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    for resource in ExportLogsServiceRequest.FromString(raw).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield from (a.value.string_value for a in record.attributes if a.key == "order_id")


def _posthog_ids(raw: bytes) -> Iterator[str]:
    for event in json.loads(raw).get("batch", ()):
        order_id = event.get("properties", {}).get("order_id")
        if order_id:
            yield str(order_id)
