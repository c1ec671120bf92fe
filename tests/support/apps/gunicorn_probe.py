"""A gunicorn configuration that notes what the master has before each fork, and what the worker has after it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

FILE = Path(os.environ["GUNICORN_PROBE"])
STORE = os.environ["OTEL_REVENUE_STORE"]


def _note(moment: str) -> None:
    files = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            files.append(str(descriptor.readlink()))
        except OSError:  # the descriptor by which the folder was read
            continue
    threads = sorted(thread.name for thread in threading.enumerate())
    noted = {"moment": moment, "threads": threads, "files": [name for name in files if name.startswith(STORE)]}
    with FILE.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(noted)}\n")


def pre_fork(server: Any, worker: Any) -> None:
    _note("master")


def post_fork(server: Any, worker: Any) -> None:
    _note("worker")
