# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: INP001  a script, no package
"""
Merge two `pip freeze` lists into constraints.txt: `constraints.py NEW_FREEZE OLD_FREEZE`, on standard output.

Some packages have left Python 3.10 behind, which we have not. Where the two lists differ, each line says for whom it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

HEADER = "# Exact versions for development, CI and the demo. Written by 'make constraints'; users are not bound by it."
SPLIT = "3.11"


def read(path: str) -> dict[str, str]:
    """Return version by name."""
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return dict(line.split("==", 1) for line in lines if "==" in line)


def merge(new: dict[str, str], old: dict[str, str]) -> list[str]:
    """Return the lines of the constraints; *old* is for Pythons before `SPLIT`."""
    lines = []
    for name in sorted(new | old, key=str.lower):
        if new.get(name) == old.get(name):
            lines.append(f"{name}=={new[name]}")
            continue
        if name in new:
            lines.append(f'{name}=={new[name]}; python_version >= "{SPLIT}"')
        if name in old:
            lines.append(f'{name}=={old[name]}; python_version < "{SPLIT}"')
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join([HEADER, *merge(read(sys.argv[1]), read(sys.argv[2]))]) + "\n")
