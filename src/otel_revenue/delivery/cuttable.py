# SPDX-License-Identifier: Apache-2.0
"""
A `requests` adapter that can be trusted with an acknowledgement.

Two things that the standard library leaves open. A timeout bounds each read, not the whole: a far end that drips a byte now and
then holds the thread for ever; here the exchange can be ended from outside. And headers that end with the connection are
taken for whole, so that a 200 that was cut off reads as a 200; here it is an error.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from collections.abc import Iterator


class CuttableAdapter(HTTPAdapter):
    """An adapter that knows its connections. Used by one thread, cut by another."""

    def __init__(self) -> None:
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self._pools = _pools(self._connections)
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See `HTTPAdapter`."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: Any, **proxy_kwargs: Any) -> Any:
        """See `HTTPAdapter`. A SOCKS proxy needs connections of its own kind: those are bounded per read alone."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not str(proxy).lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut what is going on inside this block when it takes longer than *seconds*; what waits on it then fails at once."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # the interpreter is ending: no new threads
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        """Shut every connection down, whatever waits on it."""
        for connection in list(self._connections):
            sock = getattr(connection, "sock", None)
            if sock is not None:
                with contextlib.suppress(OSError):
                    # Not `sock.shutdown`: TLS sockets would forget their session under the reader's feet.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Lines:
    """A reader that remembers the last line that was read."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self._reader.readline(limit)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


class _WholeHeaders(http.client.HTTPResponse):
    """A response whose headers must end with an empty line."""

    def begin(self) -> None:
        reader: Any = self.fp
        lines = _Lines(reader)
        self.fp: Any = lines
        super().begin()
        self.fp = reader
        if not lines.last.endswith(b"\n"):
            raise http.client.IncompleteRead(lines.last)


def _pools(connections: weakref.WeakSet[Any]) -> dict[str, Any]:
    class Connection(HTTPConnection):
        response_class = _WholeHeaders

        def connect(self) -> None:
            connections.add(self)
            super().connect()

    class TlsConnection(HTTPSConnection):
        response_class = _WholeHeaders

        def connect(self) -> None:
            connections.add(self)
            super().connect()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": Pool, "https": TlsPool}
