# SPDX-License-Identifier: Apache-2.0
"""The demo's processes: started with a log file each, waited for, and always ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from otel_revenue.errors import RevenueError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from pathlib import Path

    import requests

    T = TypeVar("T")

READY_S: Final = 60.0
STOP_S: Final = 5.0

# Linux ends the part with the demo, however the demo ends; elsewhere a killed demo may leave its parts behind.
_LAUNCH: Final = """
import ctypes, os, signal, sys
try:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (OSError, AttributeError):
    pass
os.execvp(sys.argv[1], sys.argv[1:])
"""


class PartFailed(RevenueError):
    """A part of the demo did not start, or ended on its own. The text holds the last lines of its log."""


class Part:
    """
    One process of the demo.

    Args:
        name: what people call it.
        argv: program and arguments.
        environ: its whole environment.
        log: file for its output.
        cwd: its working folder.
        address: says where it answers, None as long as that is not known.
        health: path below the address that answers 2xx once the part works.
        handles: open file descriptors that it inherits.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        log: Path,
        cwd: Path,
        address: Callable[[], str | None],
        health: str = "/",
        handles: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._argv = [sys.executable, "-c", _LAUNCH, *argv]
        self._environ = dict(environ)
        self._log = log
        self._cwd = cwd
        self._address = address
        self._health = health
        self._handles = tuple(handles)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; does not wait for it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own parts
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env=self._environ,
                pass_fds=self._handles,
                # Ctrl-C reaches the demo alone, which then ends its parts in order.
                start_new_session=True,
            )

    def wait_ready(self, within_s: float = READY_S) -> str:
        """
        Wait until the part answers; returns its address.

        Raises:
            PartFailed: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + within_s
        with local_session() as session:
            while time.monotonic() < deadline:
                self.check()
                url = self._address()
                if url is not None and _answers(session, url + self._health):
                    return url
                time.sleep(0.05)
        raise PartFailed(f"{self.name} did not answer within {within_s:.0f} s.{self.tail()}")

    def check(self) -> None:
        """
        Look whether the part still runs.

        Raises:
            PartFailed: it ended.
        """
        code = self._process.poll() if self._process else None
        if code is not None:
            raise PartFailed(f"{self.name} ended with exit code {code}.{self.tail()}")

    def tail(self, lines: int = 20, *, but: str | None = None) -> str:
        """Return the last lines of its log, for people, without those that begin with *but*."""
        with contextlib.suppress(OSError):
            text = self._log.read_text(encoding="utf-8", errors="replace").strip()
            kept = [line for line in text.splitlines() if but is None or not line.startswith(but)][-lines:]
            if kept:
                return f" Its last lines ({self._log.name}):\n" + "\n".join(f"  | {line}" for line in kept)
        return " It wrote nothing."

    def stop(self) -> None:
        """End the part: politely, then for sure. Does nothing when it ended already."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_S)
                break


def local_session() -> requests.Session:
    """Return a client for this machine: a proxy has no business between it and itself."""
    import requests

    session = requests.Session()
    session.trust_env = False
    return session


def _answers(session: requests.Session, url: str) -> bool:
    import requests

    try:
        return session.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """
    Let SIGTERM and SIGHUP leave the block as `SystemExit`, so that what was begun in it is ended in order.

    One that is ignored stays so: `nohup` means it.
    """

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    heard = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_whole(main: Coroutine[Any, Any, T]) -> T:
    """
    Run *main* in an event loop, as `asyncio.run` does; signals wait until the loop is made.

    One that is half made cannot be ended in order.
    """
    waiting: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: waiting.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }

    def hear() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        while waiting:
            signal.raise_signal(waiting.pop())

    async def begun() -> T:
        hear()
        return await main

    try:
        return asyncio.run(begun())
    finally:
        main.close()
        hear()


@contextlib.contextmanager
def stopping(parts: list[Part]) -> Iterator[None]:
    """End *parts*, last one first, however the block ends. A second Ctrl-C meanwhile does not leave half of them behind."""
    try:
        yield
    finally:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
        try:
            for part in reversed(parts):
                part.stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
