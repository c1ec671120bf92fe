"""Far ends on loopback that behave well or badly: scripted HTTP over bare sockets, and a real gRPC server."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

PARTIAL_ONE = b"\x0a\x02\x08\x01"
"""An `ExportLogsServiceResponse`: one record rejected."""


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpFarEnd:
    """
    Answers each request by `mood(connection, request, over)`; `over` is set when the test ends, for moods without end.

    A mood returns whether the connection is kept.
    """

    mood: Callable[[socket.socket, Request, threading.Event], bool]
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> HttpFarEnd:
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(5)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.settimeout(5)
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                while not self._over.is_set() and (request := _read(connection, self._over)) is not None:
                    self.requests.append(request)
                    if not self.mood(connection, request, self._over):
                        return


def _read(connection: socket.socket, over: threading.Event) -> Request | None:
    data = b""
    connection.settimeout(0.05)
    while b"\r\n\r\n" not in data:
        try:
            chunk = connection.recv(65536)
        except TimeoutError:
            if over.is_set():
                return None
            continue
        if not chunk:
            return None
        data += chunk
    connection.settimeout(5)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body)


def answer(
    status: int, body: bytes = b"", content_type: str = "application/x-protobuf", **headers: str
) -> Callable[[socket.socket, Request, threading.Event], bool]:
    """A well-formed answer; `retry_after="1"` becomes `retry-after: 1`."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    def mood(connection: socket.socket, request: Request, over: threading.Event) -> bool:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return True

    return mood


def raw(data: bytes) -> Callable[[socket.socket, Request, threading.Event], bool]:
    """These bytes, then the end of the connection."""

    def mood(connection: socket.socket, request: Request, over: threading.Event) -> bool:
        connection.sendall(data)
        return False

    return mood


def dripping(first: bytes, drop: bytes) -> Callable[[socket.socket, Request, threading.Event], bool]:
    """These bytes, then *drop* again and again, faster than any read's timeout, without end."""

    def mood(connection: socket.socket, request: Request, over: threading.Event) -> bool:
        connection.sendall(first)
        while not over.wait(0.02):
            connection.sendall(drop)
        return False

    return mood


def hanging(connection: socket.socket, request: Request, over: threading.Event) -> bool:
    """No answer."""
    over.wait(60)
    return False


@dataclass
class GrpcFarEnd:
    """Answers each call of *method* by `mood(body, context, over)`: the answer's bytes, or an abort; `port` 0 picks one."""

    mood: Callable[[bytes, grpc.ServicerContext, threading.Event], bytes]
    credentials: grpc.ServerCredentials | None = None
    options: tuple[tuple[str, Any], ...] = ()
    method: str = METHOD
    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> GrpcFarEnd:
        self._over = threading.Event()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=self.options)
        handler = grpc.unary_unary_rpc_method_handler(self._take, bytes, bytes)
        service, _, method = self.method[1:].rpartition("/")
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.port = (
            self._server.add_insecure_port(f"127.0.0.1:{self.port}")
            if self.credentials is None
            else self._server.add_secure_port(f"127.0.0.1:{self.port}", self.credentials)
        )
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.stop(0).wait(5)

    def _take(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        self.bodies.append(body)
        self.metadata.append(dict(context.invocation_metadata()))
        return self.mood(body, context, self._over)


def acknowledged(body: bytes, context: grpc.ServicerContext, over: threading.Event) -> bytes:
    return b""


def answering(data: bytes) -> Callable[[bytes, grpc.ServicerContext, threading.Event], bytes]:
    return lambda body, context, over: data


def aborting(
    code: str, trailers: tuple[tuple[str, Any], ...] = ()
) -> Callable[[bytes, grpc.ServicerContext, threading.Event], bytes]:
    def mood(body: bytes, context: grpc.ServicerContext, over: threading.Event) -> bytes:
        context.set_trailing_metadata(trailers)
        context.abort(grpc.StatusCode[code], "secret-token-in-details")
        raise AssertionError

    return mood


def stalling(body: bytes, context: grpc.ServicerContext, over: threading.Event) -> bytes:
    over.wait(60)
    return b""
