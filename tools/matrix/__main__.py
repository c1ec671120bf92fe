# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.matrix [--write] [CELL ...]`: run cells one after another. Exit code 1 when one fails, 2 when a name is wrong."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path

from . import page
from .cells import cells, cut, declared_pythons
from .environments import cache_folder, find_pythons
from .running import FAILED, Place, default_python, run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "versions.md"


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make matrix", description="Try the versions that are supported.")
    parser.add_argument("cells", nargs="*", help="names of cells, or `stripe`, `python`; `ci` is the smaller cut")
    parser.add_argument("--list", action="store_true", help="name the cells and end")
    parser.add_argument("--write", action="store_true", help="put the rows into docs/versions.md, when none failed")
    parser.add_argument("--workers", default="2", help="processes per cell")
    chosen = parser.parse_args(arguments)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = declared_pythons(project)
    pythons = {default_python(): sys.executable, **find_pythons(min(declared))}
    every = cells(declared, pythons, default_python())
    try:
        wanted = cut(every, " ".join(chosen.cells))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if chosen.list:
        sys.stdout.writelines(f"{cell.name:14} {cell.missing or cell.about}\n" for cell in wanted)
        return 0
    place = Place(ROOT, project, cache_folder(os.environ), pythons, chosen.workers)
    day = datetime.now(timezone.utc).date().isoformat()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tests end with us
    results = []
    for cell in wanted:
        results.append(run(cell, place))
        sys.stdout.write(page.row(results[-1], day) + "\n")
        sys.stdout.flush()
    failed = any(result.outcome == FAILED for result in results)
    if chosen.write and not failed:
        PAGE.write_text(page.page(PAGE.read_text(encoding="utf-8"), every, results, day), encoding="utf-8")
    sys.stdout.write("\n".join(page.summary(results)) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
