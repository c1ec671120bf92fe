# SPDX-License-Identifier: Apache-2.0
"""The public door is typed as applications use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def mypy(*files: str) -> tuple[int, str]:
    """Read files as a user's strict mypy would; returns its exit code and its words."""
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir=.mypy_cache/typing", "--strict", "--no-error-summary", *files],
        cwd=ROOT, env={"PATH": "", "MYPYPATH": "src", "PYTHONPATH": "src"}, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    lines = [line for line in ran.stdout.splitlines() if line.startswith(tuple(files))]
    return ran.returncode, "\n".join(lines) + ran.stderr


def test_applications_use_the_door_as_it_is_typed():
    """
    Every use of the public API in `api.py` has the type that is asserted there, and a misuse is an error.
    """
    code, said = mypy("tests/typing/api.py", "tests/typing/misuse.py")

    assert (1, 1, True) == (code, len(said.splitlines()), 'misuse.py:8: error: Argument 1 to "flush"' in said)
