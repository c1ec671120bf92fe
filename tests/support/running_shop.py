"""The example shop as users run it: unmodified, in a process of its own, under `opentelemetry-instrument`."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from .ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.testing import FakeStripe

REPOSITORY = Path(__file__).resolve().parents[2]
SHOP = REPOSITORY / "examples" / "shop_fastapi"
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")


def children(pid: int) -> list[int]:
    """Return the living children of a process, oldest first."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return sorted(found)


def command_line(pid: int) -> str:
    """Return what a process was called with."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def open_files(pid: int) -> list[str]:
    """Return what a process has open."""
    found = []
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(str(descriptor.readlink()))
    return found


@dataclass
class RunningShop:
    """
    One shop. `environ` is added to its environment; `command` replaces what is run under the instrumentation.

    The store and the log survive restarts: start it again after `kill` or `stop`.
    """

    fake: FakeStripe
    folder: Path
    otlp: str
    environ: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    cwd: Path = SHOP
    instrumented: bool = True
    _process: subprocess.Popen[bytes] | None = None
    _group: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def log(self) -> str:
        return (self.folder / "shop.log").read_text(errors="replace")

    def __enter__(self) -> RunningShop:
        try:
            return self.start()
        except BaseException:
            self.__exit__()  # Python calls it for blocks alone that were entered
            raise

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.kill_group()

    def start(self, ready: Callable[[], bool] | None = None) -> RunningShop:
        """Start it, and wait until it answers, or until *ready* says so."""
        server = [sys.executable, "-m", "uvicorn", "shop:app", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "shop.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*([str(INSTRUMENT)] if self.instrumented else []), *(self.command or server)],
                cwd=self.cwd,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._group = self._process.pid
        end = time.monotonic() + 90
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise AssertionError(f"the shop ended:\n{self.log}")
            try:
                if ready() if ready is not None else requests.get(f"{self.url}/healthz", timeout=5).ok:
                    return self
                time.sleep(0.02)
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError(f"the shop does not answer:\n{self.log}")

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "STRIPE_"))}
        return {
            **kept,
            "HOME": str(self.folder),
            "STRIPE_API_KEY": self.fake.api_key,
            "STRIPE_API_BASE": self.fake.url,
            "STRIPE_WEBHOOK_SECRET": "whsec_fake_stripe_on_loopback",
            "SHOP_BASE_URL": self.url,
            "SHOP_DATABASE": str(self.folder / "shop.db"),
            "OTEL_SERVICE_NAME": "postercraft",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_REVENUE_STORE": str(self.store),
            **self.environ,
        }

    def kill(self) -> None:
        """Kill -9: nothing of ours gets to run."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop it as an orchestrator does; returns the exit code."""
        return self._end(signal.SIGTERM)

    def kill_group(self) -> None:
        """Kill what a killed master has left: some workers go on for ever."""
        if self._group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)

    def forget_leases(self) -> None:
        """Let the time pass for which rows belong to a process that is dead."""
        with contextlib.closing(sqlite3.connect(self.store / "ledger.sqlite3")) as ledger, ledger:
            ledger.execute("UPDATE delivery SET lease_ns = 0")

    def end(self, number: int) -> int:
        """Send it a signal and wait for its end; returns the exit code."""
        return self._end(number)

    def signal(self, number: int) -> None:
        """Send it a signal that does not end it."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """Of the process that was started: with several workers, their master."""
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes below it that are our application's, in the order of their start."""
        return [pid for pid in children(self.pid) if "resource_tracker" not in command_line(pid)]

    def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        return process.wait(90)

    def order(self, **cart: Any) -> dict[str, Any]:
        """Put an order; returns what the shop answers."""
        body = {"tier": "basic", "currency": "eur", "lines": [{"sku": "poster-a3", "quantity": 2}], **cart}
        answer = requests.post(f"{self.url}/checkout", json=body, timeout=60)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def webhook(self, body: bytes, signature: str) -> int:
        """Deliver a webhook; returns the shop's status."""
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
        return requests.post(f"{self.url}/webhooks/stripe", data=body, headers=headers, timeout=60).status_code
