# SPDX-License-Identifier: Apache-2.0
"""The receiver as a running server, and the note beside its database that says where it answers."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from otel_revenue.errors import ConfigError

from .receiver import application
from .routes import routes
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .store import PaidOrder, Store

SHUTDOWN_S: Final = 5


class LocalServer:
    """
    A receiver that listens from its construction on, and serves while `run` runs.

    Args:
        store: closed by the caller, after `run`.
        port: 0 for any free one.
        on_paid: see `Writer`.

    Raises:
        ConfigError: the address cannot be listened on; names the remedy.
    """

    def __init__(
        self,
        store: Store,
        *,
        host: str = "127.0.0.1",
        port: int = 4318,
        on_paid: Callable[[Sequence[PaidOrder]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._socket = _listen(host, port)
        self.port = int(self._socket.getsockname()[1])
        self._host = host
        self._writer = Writer(store, on_paid=on_paid)
        config = uvicorn.Config(
            application(self._writer, more=routes(store)),
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        self._server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        """Where it answers, as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - a comparison
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serve until `stop`; everything that was acknowledged is on disk then. Not for the main thread: signals are the caller's."""
        note = None if self._store.path is None else note_file(self._store.path)
        try:
            if note is not None:
                _write_note(note, self.url)
            self._server.run(sockets=[self._socket])
        finally:
            self._writer.close()
            self._socket.close()
            if note is not None:
                note.unlink(missing_ok=True)

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._server.should_exit = True


def is_loopback(host: str) -> bool:
    """Tell whether an address to bind to can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def note_file(database: Path) -> Path:
    """Return the file beside a database in which a running server says where it answers."""
    return database.with_name(database.name + ".dev.json")


def read_note(database: Path) -> str | None:
    """Return the address of the server that has *database* open, None when no (readable) note says so."""
    try:
        content: Any = json.loads(note_file(database).read_text(encoding="utf-8"))
        url = content["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) and url.startswith("http://") else None


def _write_note(path: Path, url: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    fresh.replace(path)


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--host {host} --port {port}: this is no address of this machine ({error})") from None
    family, kind, proto, _, address = found[0]
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise ConfigError(_why_not(host, port, error)) from None
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken: a Collector or another `otel-revenue dev`? End it, or choose another: "
            f"otel-revenue dev --port {port + 1 if port < 65535 else 4318}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} needs rights that this user has not; choose one above 1023: otel-revenue dev --port 4318"
    return f"cannot listen on port {port} of {host} ({error.strerror}); --host 127.0.0.1 always works"
