# SPDX-License-Identifier: Apache-2.0
"""A real OTLP/HTTP receiver with moods, which counts each event that it took."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Mood = Callable[["Call"], None]

OTLP = "application/x-protobuf"


class Call:
    """One request; a mood answers it."""

    def __init__(self, far_end: FarEnd, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.far_end = far_end
        self.handler = handler
        self.body = body
        request = ExportLogsServiceRequest.FromString(body)
        self.records = [r for rl in request.resource_logs for sl in rl.scope_logs for r in sl.log_records]
        self.orders = [_attribute(record, "order_id") for record in self.records]

    def take(self, chosen: Callable[[str], bool] = lambda order: True) -> int:
        """Keep the records of the orders that are *chosen*; returns how many are not."""
        kept = [r for r, order in zip(self.records, self.orders, strict=True) if chosen(order)]
        self.far_end.keep(kept)
        return len(self.records) - len(kept)

    def answer(self, status: int, content: bytes = b"", kind: str = OTLP, **headers: str) -> None:
        """Answer, well-formed."""
        handler = self.handler
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    def raw(self, data: bytes) -> None:
        """Write bytes that are no whole answer."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def hang_up(self) -> None:
        """End the connection."""
        self.handler.close_connection = True
        with contextlib.suppress(OSError):
            self.handler.connection.shutdown(socket.SHUT_RDWR)


class FarEnd:
    """
    Takes events on one port.

    Attributes:
        mood: answers each request; None: takes it.
        bad: how many requests a mood had.
        taken: how often each (event name, event_id) was taken.
        ids: the event ids of each (event name, order id).
        amounts: what `order.paid` said of each order, minor units.
    """

    def __init__(self) -> None:
        self.mood: Mood | None = None
        self.bad = 0
        self.taken: Counter[tuple[str, str]] = Counter()
        self.ids: dict[tuple[str, str], set[str]] = {}
        self.amounts: dict[str, set[int]] = {}
        self.over = threading.Event()
        self.busy = threading.Event()
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = free_port()
        self.open()

    @property
    def url(self) -> str:
        """What the application sends to."""
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listen; on the same port as before."""
        far_end = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                call = Call(far_end, self, self.rfile.read(int(self.headers["Content-Length"])))
                with contextlib.suppress(OSError):
                    far_end.meet(call)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                """A client that was killed is no error here."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Listen no more: connections are refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def meet(self, call: Call) -> None:
        """Answer one request by the mood of the moment."""
        mood = self.mood
        if mood is None:
            call.take()
            call.answer(200)
            return
        with self._lock:
            self.bad += 1
        mood(call)

    def keep(self, records: Sequence[Any]) -> None:
        """Count what was taken."""
        with self._lock:
            for record in records:
                name, event_id = record.event_name, _attribute(record, "event_id")
                order = _attribute(record, "order_id")
                self.taken[name, event_id] += 1
                self.ids.setdefault((name, order), set()).add(event_id)
                if name == "order.paid":
                    self.amounts.setdefault(order, set()).add(int(_attribute(record, "amount_minor") or -1))


def _attribute(record: Any, key: str) -> str:
    for pair in record.attributes:
        if pair.key == key:
            value = pair.value
            return str(value.int_value) if value.HasField("int_value") else str(value.string_value)
    return ""


# -- moods ---------------------------------------------------------------------------------------------------------------


def status(code: int, **headers: str) -> Mood:
    """Refuse everything with *code*."""
    return lambda call: call.answer(code, **headers)


def refusing(code: int, bad: Callable[[Call], bool]) -> Mood:
    """Refuse with *code* what is *bad*, take the rest."""

    def mood(call: Call) -> None:
        if bad(call):
            call.answer(code)
        else:
            call.take()
            call.answer(200)

    return mood


def taking_some(good: Callable[[str], bool]) -> Mood:
    """Take what is good of each request, and say how many were rejected."""

    def mood(call: Call) -> None:
        answer = ExportLogsServiceResponse()
        answer.partial_success.rejected_log_records = call.take(good)
        call.answer(200, answer.SerializeToString())

    return mood


def hanging(call: Call) -> None:
    """Never answer."""
    call.far_end.over.wait(20)
    call.hang_up()


def dripping(call: Call) -> None:
    """Answer a byte at a time, without end."""
    call.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n")
    while not call.far_end.over.wait(0.05):
        call.raw(b"\x0a")
    call.hang_up()


def web_page(call: Call) -> None:
    """Answer 200 with something that is no OTLP."""
    call.answer(200, b"<html>Sign in to the hotel's wireless network</html>", "text/html")


def gibberish(call: Call) -> None:
    """Answer 200 in OTLP's type, with bytes that are none."""
    call.answer(200, b"\xff" * 40)


def breaking_off(call: Call) -> None:
    """Take the events, and close in the middle of the answer."""
    call.take()
    call.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 50\r\n\r\n\x0a")
    call.hang_up()


def slow(seconds: float) -> Mood:
    """Take everything, slowly; `busy` says that a request is under way."""

    def mood(call: Call) -> None:
        call.take()
        call.far_end.busy.set()
        call.far_end.over.wait(seconds)
        call.answer(200)

    return mood
