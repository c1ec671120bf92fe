# SPDX-License-Identifier: Apache-2.0
"""Medians, spreads, ratios, and the table that shows them."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Line:
    """
    One row of a table.

    Attributes:
        what: the contender.
        values: one per round, in the table's unit.
        ratio: to the reference, the median over rounds of the rounds' own ratios; None for the reference and where there is none.
        note: in the reader's words.
    """

    what: str
    values: Sequence[float]
    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """One comparison. `goal` says in words what design and docs promise; `met` whether this run kept it, None where nothing is promised."""

    title: str
    unit: str
    lines: Sequence[Line]
    goal: str = ""
    met: bool | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def spread(values: Sequence[float]) -> float:
    """Half the distance between the quartiles."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    """
    Return the median of the ratios of values that were measured in the same round.

    Raises:
        ValueError: the rounds are not the same.
    """
    return statistics.median(a / b for a, b in zip(values, reference, strict=True))


def rendered(table: Table) -> str:
    """Return the table as text for a terminal."""
    width = max(len(line.what) for line in table.lines)
    out = [table.title, "-" * len(table.title)]
    for line in table.lines:
        median = statistics.median(line.values)
        shown = f"{line.what:<{width}}  {median:9.2f} ± {spread(line.values):<6.2f} {table.unit}"
        out.append((f"{shown}  {'' if line.ratio is None else f'{line.ratio:5.2f} ×'}  {line.note}").rstrip())
    if table.goal:
        out.append(f"goal: {table.goal}{ {True: ' - met', False: ' - MISSED', None: ''}[table.met] }")
    out += table.notes
    return "\n".join(out)


def markdown(facts: Sequence[str], tables: Sequence[Table], *, on: str) -> str:
    """Return a page with all tables, the machine that they were made on and the date."""
    out = [
        "# Results",
        "",
        f"Written by `make bench` on {on}. How each figure is made, and how it lies: docs/benchmarks.md.",
    ]
    out += ["", *(f"- {fact}" for fact in facts)]
    for table in tables:
        out += [
            "",
            f"## {table.title}",
            "",
            f"| | median, {table.unit} | ± | rounds | ratio | |",
            "|---|---|---|---|---|---|",
        ]
        for line in table.lines:
            against = "" if line.ratio is None else f"{line.ratio:.2f}"
            figures = (
                f"{statistics.median(line.values):.2f} | {spread(line.values):.2f} | {len(line.values)} | {against}"
            )
            out.append(f"| {line.what.strip()} | {figures} | {line.note} |")
        if table.goal:
            out += ["", f"Goal: {table.goal}{ {True: ': met', False: ': **missed**', None: ''}[table.met] }."]
        out += ["", *table.notes] if table.notes else []
    return "\n".join(out) + "\n"


def as_json(table: Table) -> dict[str, object]:
    """Return the table as plain values."""
    return {
        "title": table.title,
        "unit": table.unit,
        "goal": table.goal,
        "met": table.met,
        "notes": list(table.notes),
        "lines": [
            {
                "what": line.what,
                "median": statistics.median(line.values),
                "spread": spread(line.values),
                "rounds": len(line.values),
                "ratio": line.ratio,
                "note": line.note,
            }
            for line in table.lines
        ],
    }


def machine(folder: Path) -> list[str]:
    """Say what the figures were made on."""
    versions = ", ".join(f"{name} {_version(name)}" for name in ("opentelemetry-sdk", "posthog", "stripe"))
    where = f"{platform.system()} {platform.release()}, store on {_file_system(folder)}"
    return [
        f"{os.cpu_count()} × {_cpu()}, {where}, load {os.getloadavg()[0]:.1f} at the start",
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}",
    ]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of the file system below *folder*: a figure of a disk that is none is worth nothing."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "an unknown file system"
    place = str(folder.absolute())
    fitting = [m for m in mounts if place == m[1] or place.startswith(m[1].rstrip("/") + "/")]
    return max(fitting, key=lambda m: len(m[1]))[2] if fitting else "an unknown file system"
