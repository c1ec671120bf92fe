# SPDX-License-Identifier: Apache-2.0
"""`make collector-table`: play every column with every backend and write the table; exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from . import page
from .play import COLUMNS
from .table import BY_NAME


def main(arguments: list[str] | None = None) -> int:
    """Play what was asked for."""
    parser = argparse.ArgumentParser(
        prog="make collector-table", description="Play every backend through every column."
    )
    parser.add_argument("names", nargs="*", metavar="BACKEND", help=f"of {', '.join(BY_NAME)}; all by default")
    parser.add_argument("--count", type=int, default=200, help="payments, and as many funnel events; default: 200")
    options = parser.parse_args(arguments)
    broken = False
    for name in options.names or BY_NAME:
        cells = {}
        for column, play in COLUMNS.items():
            with tempfile.TemporaryDirectory(prefix="otel-revenue-collector-") as folder:
                cell = play(BY_NAME[name], Path(folder), options.count)
            sys.stdout.write(f"{name:<24} {column:<15} {cell.shown}   {'; '.join(cell.problems) or 'ok'}\n")
            sys.stdout.flush()
            cells[column] = cell.shown
            broken |= bool(cell.problems)
        page.write({name: cells})
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
