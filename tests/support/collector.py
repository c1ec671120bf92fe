"""A real Collector on free ports of loopback, with the files of collector-config/ or others."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from .ports import free_port
from .receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIG = Path(__file__).resolve().parents[2] / "collector-config"
BASE = ("base.yaml", "allowlist.yaml")
READY = "Everything is ready."
TOKEN = "ingest-token-of-the-tests"
PROGRAM = "OTEL_REVENUE_TEST_OTELCOL"
OLDER = "OTEL_REVENUE_TEST_OTELCOL_OLDER"
"""The variables that name the program, and an older one with the parts that the first lacks (tests/collector/older)."""


def otelcol(variable: str = PROGRAM) -> str:
    """Return the path of the program; the test is skipped, which CI takes for a failure, where there is none."""
    program = os.environ.get(variable, "")
    if not program:
        pytest.skip(f"{variable} names no Collector: run `make test`, or set it to what `make collector` prints")
    return program


def arguments(files: Sequence[str | Path]) -> list[str]:
    """Return `--config` for each file, those of collector-config/ by their name there."""
    return [part for file in files for part in ("--config", str(CONFIG / file))]


def ask(
    command: str, files: Sequence[str | Path], environ: Mapping[str, str], program: str = PROGRAM
) -> subprocess.CompletedProcess[str]:
    """Run `validate` or `print-config` and return what it said."""
    return subprocess.run(
        [otelcol(program), command, *arguments(files)],
        env={"PATH": os.environ.get("PATH", ""), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass
class Collector:
    """
    One Collector. Ports, queue and token are kept over `stop` or `kill` and another `start`.

    Args:
        folder: of its queue, token and log.
        files: beside `BASE`; those of collector-config/ by their name there, others by their path.
        environ: added to its environment; REVENUE_RECORD above all.
        base: what comes before.
        program: the variable that names it.
    """

    folder: Path
    files: Sequence[str | Path] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    base: Sequence[str | Path] = BASE
    program: str = PROGRAM

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.grpc, self.http, self.browser, self.health, self.metrics = (free_port() for _ in range(5))
        self.token_file = self.folder / "token"
        self.token_file.write_text(TOKEN)
        self.queue = self.folder / "queue"
        self.log = self.folder / "collector.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Collector:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def variables(self) -> dict[str, str]:
        """Return its environment, without the caller's."""
        return {
            "REVENUE_OTLP_GRPC": f"127.0.0.1:{self.grpc}",
            "REVENUE_OTLP_HTTP": f"127.0.0.1:{self.http}",
            "REVENUE_BROWSER_HTTP": f"127.0.0.1:{self.browser}",
            "REVENUE_HEALTH_ENDPOINT": f"127.0.0.1:{self.health}",
            "REVENUE_SELF_METRICS_PORT": str(self.metrics),
            "REVENUE_QUEUE_DIR": str(self.queue),
            "REVENUE_INGEST_TOKEN_FILE": str(self.token_file),
            **self.environ,
        }

    @property
    def url(self) -> str:
        """Return where it takes OTLP over HTTP, without the path."""
        return f"http://127.0.0.1:{self.http}"

    @property
    def browser_url(self) -> str:
        """Return where browser.yaml takes OTLP over HTTP, without the path."""
        return f"http://127.0.0.1:{self.browser}"

    @property
    def headers(self) -> dict[str, str]:
        """Return what a sender shows."""
        return {"Authorization": f"Bearer {TOKEN}"}

    @property
    def pid(self) -> int:
        """Return the id of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until this very process says that it is ready: a port may be answered by somebody else's Collector."""
        before = len(self.said())
        with self.log.open("ab") as log:
            process = self._process = subprocess.Popen(
                [otelcol(self.program), *arguments([*self.base, *self.files])],
                env={"PATH": os.environ.get("PATH", ""), **self.variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        wait_for(lambda: process.poll() is not None or READY in self.said()[before:], 60)
        if process.poll() is not None or READY not in self.said()[before:]:
            self.kill()
            raise AssertionError(f"the Collector did not start:\n{self.said()[before:][-4000:]}")

    def stop(self) -> int:
        """End it as a service manager does; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)

    def said(self) -> str:
        """Return its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def post(self, body: bytes, path: str = "/v1/logs", kind: str = "application/x-protobuf") -> requests.Response:
        """Send one request as a server does."""
        return requests.post(self.url + path, data=body, headers={**self.headers, "Content-Type": kind}, timeout=60)

    def own_metrics(self) -> str:
        """Return what it says about itself, in Prometheus' text format."""
        return requests.get(f"http://127.0.0.1:{self.metrics}/metrics", timeout=45).text
