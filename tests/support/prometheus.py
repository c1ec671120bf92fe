# SPDX-License-Identifier: Apache-2.0
"""promtool and prometheus, where `make prometheus` found them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from .ports import free_port
from .receiver import wait_for

if TYPE_CHECKING:
    from .receiver import Receiver


def tool(name: str) -> str:
    """Return the path of `promtool` or `prometheus`; skips the test where there is none, which CI takes as a failure."""
    path = Path(os.environ.get("OTEL_REVENUE_TEST_PROMETHEUS", ""), name)
    if not path.is_absolute() or not path.is_file():
        pytest.skip(
            f"needs {name}: run `make test`, or `make prometheus` and name the folder in OTEL_REVENUE_TEST_PROMETHEUS"
        )
    return str(path)


def written(record: Receiver, write_url: str) -> dict[str, str]:
    """Return the variables with which a Collector has *record* answer for money, and writes its metrics to *write_url*."""
    return {
        "REVENUE_RECORD": "otlp_http/otlp_record",
        "REVENUE_OTLP_URL": record.url,
        "REVENUE_OTLP_HEADERS": "{}",
        "REVENUE_REMOTE_WRITE_ENDPOINT": write_url,
        "REVENUE_REMOTE_WRITE_HEADERS": "{}",
    }


@dataclass
class Prometheus:
    """A real Prometheus on a free port that takes remote writes; its data is in *folder*, *config* is the text of its file."""

    folder: Path
    config: str = "{}"

    def __enter__(self) -> Prometheus:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        config = self.folder / "prometheus.yml"
        config.write_text(self.config)
        log = (self.folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        log.close()
        if (
            not wait_for(lambda: self._process.poll() is not None or self._ready(), 60)
            or self._process.poll() is not None
        ):
            self.__exit__()
            raise AssertionError(f"Prometheus did not start:\n{(self.folder / 'prometheus.log').read_text()[-2000:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(30)

    @property
    def write_url(self) -> str:
        """Return where it takes remote writes."""
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the value by labels, in alphabetical order, of an instant query."""
        answer = requests.get(f"http://127.0.0.1:{self.port}/api/v1/query", params={"query": expression}, timeout=30)
        return {tuple(sorted(s["metric"].items())): float(s["value"][1]) for s in answer.json()["data"]["result"]}

    def _ready(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=2).status_code == 200
        except requests.RequestException:
            return False
