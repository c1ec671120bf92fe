# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.collector --cache FOLDER`: print the path of a Collector; version and size go to the other stream."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import build, find

MANIFEST = Path(__file__).resolve().parents[2] / "collector-config" / "builder-config.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Find or build. Exit code 2 where neither can be done."""
    parser = argparse.ArgumentParser(prog="make collector", description="Find or build an OpenTelemetry Collector.")
    parser.add_argument("--cache", type=Path, required=True, help="where what was built is kept")
    parser.add_argument(
        "--build", type=Path, default=None, metavar="MANIFEST", help="build this one, whatever is there"
    )
    chosen = parser.parse_args(arguments)
    manifest = chosen.build or MANIFEST
    try:
        there = None if chosen.build else find.found(os.environ, build.version_of(manifest.read_text(encoding="utf-8")))
        program = there or build.built(manifest, chosen.cache)
    except (find.Unusable, build.Failed) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    size = program.stat().st_size / 1e6
    sys.stderr.write(f"Collector {find.version_text(program)}, {size:.0f} MB\n")
    sys.stdout.write(f"{program}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
