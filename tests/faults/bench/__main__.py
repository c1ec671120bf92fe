# SPDX-License-Identifier: Apache-2.0
"""`make faults`: cause every fault, print and write what became of the payments; exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from . import page
from .run import play
from .table import BY_NAME


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m faults.bench", description="Faults against a running application.")
    parser.add_argument("names", nargs="*", metavar="FAULT", help=f"of {', '.join(BY_NAME)}; all by default")
    parser.add_argument("--payments", type=int, default=5_000, help="and as many funnel events; default: 5000")
    parser.add_argument("--folder", type=Path, help="where stores are made; on a real disk (default: the system's)")
    parser.add_argument("--dry", action="store_true", help="print only: leave docs/reliability.md as it is")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(BY_NAME)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if options.payments < 100:
        parser.error("fewer than 100 payments show nothing")
    results = []
    for name in options.names or BY_NAME:
        with tempfile.TemporaryDirectory(prefix="otel-revenue-faults-", dir=options.folder) as folder:
            result = play(BY_NAME[name], Path(folder), options.payments)
        print(page.line(result), flush=True)
        results.append(result)
        if not options.dry:  # at once: an hour's work should not hang on the last fault
            page.write(results)
    if not options.dry:
        print(f"written: {page.PAGE.relative_to(page.ROOT)}, {page.DATA.relative_to(page.ROOT)}")
    broken = [result.name for result in results if result.problems]
    if broken:
        print(f"broken promises: {', '.join(broken)}", file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
