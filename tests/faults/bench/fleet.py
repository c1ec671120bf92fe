# SPDX-License-Identifier: Apache-2.0
"""Processes of the application, from the outside: start, ask, kill, start again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

PATIENCE_S = 30
"""For the end of a process after SIGTERM: its flush is bounded by 5 seconds."""
TESTS = Path(__file__).resolve().parents[2]


class Gone(Exception):
    """The process ended before it answered."""


class App:
    """One process of the application, started when it is asked something; `stuck` counts how often it did not end when told to."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        self._said: list[str] = []
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "STRIPE_"))}
        path = os.pathsep.join(filter(None, [str(TESTS), kept.get("PYTHONPATH")]))
        self._environ = {**kept, "PYTHONPATH": path, "HOME": str(folder), **environ}
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._asking = threading.Lock()
        self._listener: threading.Thread | None = None
        self.stuck = 0

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """
        Ask one thing.

        Raises:
            Gone: it died; whether it has done what it was asked is unknown.
        """
        with self._asking:
            return self._ask(do, arguments)

    def _ask(self, do: str, arguments: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            process.kill()
            process.wait()
            raise Gone
        return dict(json.loads(line))

    def surely(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Ask until there is an answer, as Stripe sends again what was not answered."""
        while True:
            with contextlib.suppress(Gone):
                return self.ask(do, **arguments)

    def end(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal to the process; returns whether there was one. The next one starts when it is asked something."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        process.send_signal(number)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.stuck += 1
            process.kill()
            process.wait()
        return True

    def close(self) -> None:
        """End it for good, as an orchestrator does."""
        with self._asking:
            self.end(signal.SIGTERM)
            if self._listener is not None:
                self._listener.join(PATIENCE_S)  # all that it said
            if self._process is not None:
                for pipe in (self._process.stdin, self._process.stdout):
                    with contextlib.suppress(OSError):
                        pipe.close()  # type: ignore[union-attr]

    def _running(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "faults.bench.app"],
                    env=self._environ,
                    cwd=self._folder,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,  # no file: its disk may be full
                )
                self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
                self._listener.start()
            return self._process

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            self._said.extend(line.decode(errors="replace") for line in pipe)

    @property
    def log(self) -> str:
        """What it said, over all its starts."""
        return "".join(self._said)
