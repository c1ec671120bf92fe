# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.privacy`: the detectors beside the peers' on one corpus, in one run, as docs/privacy.md shows them."""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks import figures

from .scrubbers import ALL, SIZES

ROOT: Final = Path(__file__).parents[2]
_ROUNDS: Final = 5
_LONGEST_S: Final = 60


def measure(name: str, what: str, peers: str) -> list[Any]:
    """Return what a scrubber's process has printed; what it did not get to within a minute is missing."""
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "src"), str(ROOT / "tests"), *([peers] if name != "otel-revenue" else [])]
    )
    command = [sys.executable, "-m", "benchmarks.privacy.scrubbers", name, what]
    try:
        run = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=True,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        return [json.loads(line) for line in (said.decode() if isinstance(said, bytes) else said).splitlines()]
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{name}: {error.stderr}") from None
    return [json.loads(line) for line in run.stdout.splitlines()]


def table(names: list[str], peers: str) -> list[str]:
    """Return the page's part: recall, false alarms, speed, hostile input."""
    results = {name: measure(name, "found", peers)[-1] for name in names}
    titles = [f"{name} {results[name]['version']}".strip() for name in names]
    out = [f"| of what must be masked, is | {' | '.join(titles)} |", "|---" * (len(names) + 1) + "|"]
    out += _rows(results, "masked")
    out += ["", f"| of what must stay, is changed | {' | '.join(titles)} |", "|---" * (len(names) + 1) + "|"]
    out += _rows(results, "changed")
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(_ROUNDS):
        for name in random.sample(names, len(names)):
            times[name].append(measure(name, "speed", peers)[-1])
    slow = {name: (measure(name, "hostile", peers) or [[]])[-1] for name in names}
    out += ["", f"| how long it takes | {' | '.join(titles)} |", "|---" * (len(names) + 1) + "|"]
    cells = [f"{statistics.median(taken):.1f} ± {figures.spread(taken):.1f} µs" for taken in times.values()]
    out.append(f"| a record of 10 × 60 characters, 2 % of them personal, {_ROUNDS} rounds | {' | '.join(cells)} |")
    ratios = [f"{figures.ratio(taken, times[names[0]]):.2f} ×" for taken in times.values()]
    out.append(f"| the same, by the rounds' ratios | {' | '.join(ratios)} |")
    for number, size in enumerate(SIZES):
        cells = [f"{one[number]:.0f} ms" if number < len(one) else f"> {_LONGEST_S} s for all" for one in slow.values()]
        out.append(f"| the worst of the hostile values of {size // 1024} KiB | {' | '.join(cells)} |")
    return [*out, "", f"{figures.machine(Path())[0]}; {figures.machine(Path())[1].partition(',')[0]}."]


def _rows(results: dict[str, Any], part: str) -> list[str]:
    kinds = next(iter(results.values()))[part]
    rows = []
    for kind, (_, all_) in kinds.items():
        cells = [str(result[part][kind][0]) for result in results.values()]
        rows.append(f"| {kind}, {all_} | {' | '.join(cells)} |")
    sums = [[sum(pair[i] for pair in result[part].values()) for i in (0, 1)] for result in results.values()]
    return [*rows, f"| **all** | {' | '.join(f'**{hit / of:.1%}**' for hit, of in sums)} |"]


def main() -> int:
    """Measure and print, and write what `--results` asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.privacy", description="The detectors beside the peers'."
    )
    parser.add_argument(
        "--peers",
        default="",
        metavar="FOLDER",
        help="where logfire, sentry-sdk and presidio-analyzer are; without: ours alone",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="write the tables there; docs/privacy.md takes them from benchmarks/PRIVACY.md",
    )
    options = parser.parse_args()
    text = "\n".join(table(list(ALL) if options.peers else ["otel-revenue"], options.peers)) + "\n"
    print(text)
    if options.results:
        options.results.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
