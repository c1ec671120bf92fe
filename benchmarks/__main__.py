# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks`: run the comparisons and print their tables."""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import answering, figures, flood, funnel, importing, scrubbing, serving, stages, webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Path], list[figures.Table]]


def _runs(*, quick: bool) -> dict[str, Run]:
    return {
        "caller": functools.partial(funnel.caller, rounds=2 if quick else 40),
        "cpu": functools.partial(funnel.cpu, rounds=1 if quick else 7, chunks=2 if quick else 50),
        "serving": functools.partial(
            serving.serving, rounds=1 if quick else 9, busy=40 if quick else 3000, quiet=30 if quick else 1000
        ),
        "stages": functools.partial(stages.stages, rounds=1 if quick else 9, busy=40 if quick else 3000),
        "webhook": functools.partial(webhook.webhook, rounds=5 if quick else 400),
        "answering": functools.partial(
            answering.answering, events=20_000 if quick else 2_000_000, rounds=1 if quick else 5
        ),
        "scrubbing": functools.partial(scrubbing.scrubbing, rounds=2 if quick else 21),
        "flood": functools.partial(flood.flood, rounds=1 if quick else 5, posts=300 if quick else 10_000),
        "importing": functools.partial(importing.importing, rounds=1 if quick else 9),
    }


NAMES: Final = tuple(_runs(quick=True))


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; a goal that is missed is shown, and is no failure of the run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures side by side with the peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument(
        "--quick", action="store_true", help="a few calls each: shows that it runs, the figures mean nothing"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where stores are made; on a real disk (default: here)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the tables there, as Markdown")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(NAMES)}")
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]  # contenders are compared at their defaults
    os.environ["OTEL_SERVICE_NAME"] = "benchmark"
    os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    runs = {name: run for name, run in _runs(quick=options.quick).items() if name in (options.names or NAMES)}
    facts = figures.machine(options.folder)
    print("\n".join(facts))
    tables: list[figures.Table] = []
    for run in runs.values():
        with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=options.folder) as folder:
            made = run(Path(folder).absolute())
        tables += made
        for table in made:
            print(f"\n{figures.rendered(table)}", flush=True)
    if options.json:
        content = {"machine": facts, "tables": [figures.as_json(table) for table in tables]}
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.results:
        today = dt.datetime.now(dt.timezone.utc).date().isoformat()
        options.results.write_text(figures.markdown(facts, tables, on=today), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
