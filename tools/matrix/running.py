# SPDX-License-Identifier: Apache-2.0
"""Run the tests of one cell and tell what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .cells import constraints
from .environments import Unavailable, environment, stripe_release

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from .cells import Cell, Minor

PASSED, FAILED, MISSING = "passed", "failed", "missing"
BOUND_S: Final = 1800
ASK = """
import importlib.metadata as m, json, platform
print(json.dumps({"python": platform.python_version(), "stripe": m.version("stripe"), "opentelemetry": m.version("opentelemetry-sdk")}))
"""


@dataclass(frozen=True, slots=True)
class Result:
    """
    What came of a cell.

    Attributes:
        cell: which.
        outcome: `PASSED`, `FAILED` or `MISSING`.
        tests: how many passed.
        seconds: how long the tests took; setting up is not counted.
        versions: of Python, stripe and OpenTelemetry's SDK, as found in the environment.
        note: why it failed or is missing.
    """

    cell: Cell
    outcome: str
    tests: int = 0
    seconds: float = 0.0
    versions: Mapping[str, str] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where cells are run: the repository, its metadata, the cache folder and the Pythons at hand."""

    root: Path
    project: Mapping[str, Any]
    cache: Path
    pythons: Mapping[Minor, str]
    workers: str = "2"


def run(cell: Cell, place: Place) -> Result:
    """Set the cell up, run its tests and judge. The output is kept in a file below the cache folder."""
    if cell.python is None:
        return Result(cell, MISSING, note=cell.missing or "there is no Python for it")
    pinned = (place.root / "constraints.txt").read_text(encoding="utf-8")
    text = constraints(cell.versions, place.project, pinned)
    try:
        interpreter = environment(
            place.pythons[cell.python], text, place.root, place.cache, renew=cell.versions == "newest"
        )
        target = stripe_release(interpreter, cell.stripe, place.cache) if cell.stripe else None
    except Unavailable as error:
        return Result(cell, FAILED, note=f"cannot be set up: {error}")
    versions = _versions(interpreter, target)
    log = place.cache / "matrix" / f"{cell.name}.log"
    started = time.monotonic()
    code = _pytest(interpreter, cell, place, target, log)
    seconds = time.monotonic() - started
    output = log.read_text(encoding="utf-8", errors="replace")
    outcome, tests, note = judge(code, output)
    return Result(cell, outcome, tests, seconds, versions, f"{note}; see {log}" if note else "")


def judge(code: int | None, output: str) -> tuple[str, int, str]:
    """
    Return outcome, number of tests passed, and the reason of a failure.

    Args:
        code: pytest's exit code; None when it was stopped at the bound.
        output: what pytest printed. A run that passed no test has failed, whatever its exit code.
    """
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", _last_line(output))}
    passed = counts.get("passed", 0)
    if code is None:
        return FAILED, passed, f"not done after {BOUND_S} s"
    if code == 0 and passed and not counts.get("skipped"):
        return PASSED, passed, ""
    broken = re.findall(r"^(?:FAILED|ERROR) \S*?([\w.]+::\S+|\S+)", output, re.MULTILINE)
    said = f"{len(broken)} failed, the first: {broken[0]}" if broken else f"pytest ended with {code}"
    return FAILED, passed, f"{counts['skipped']} skipped" if code == 0 and counts.get("skipped") else said


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if re.search(r"\d+ (passed|failed|error|skipped)", line)]
    return lines[-1] if lines else ""


def _pytest(interpreter: Path, cell: Cell, place: Place, target: Path | None, log: Path) -> int | None:
    command = [
        str(interpreter), "-m", "pytest", "-v", "-p", "tests.plugins.no_skips", "-p", "no:cacheprovider",
        "-n", place.workers, "--dist", "worksteal", *cell.tests,
    ]  # fmt: skip
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "STRIPE_", "PYTHON"))}
    environ["PATH"] = os.pathsep.join([str(interpreter.parent), environ.get("PATH", "")])
    environ["CI"] = "true"
    if target is not None:
        environ["OTEL_REVENUE_TEST_STRIPE_TARGETS"] = str(target)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=place.root, env=environ, stdout=file, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            return process.wait(BOUND_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):  # also what outlived its test
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _versions(interpreter: Path, target: Path | None) -> dict[str, str]:
    environ = {**os.environ, "PYTHONPATH": str(target)} if target is not None else None
    asked = subprocess.run([str(interpreter), "-c", ASK], capture_output=True, text=True, env=environ, check=True)
    return dict(json.loads(asked.stdout))


def default_python() -> Minor:
    """Return the version of the Python that runs this."""
    return sys.version_info[:2]
