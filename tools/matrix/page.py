# SPDX-License-Identifier: Apache-2.0
"""The table: on the terminal, and between two markers of docs/versions.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .running import FAILED, MISSING, PASSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cells import Cell
    from .running import Result

BEGIN: Final = "<!-- matrix: written by `make matrix` -->"
END: Final = "<!-- /matrix -->"
HEAD: Final = ("cell", "Python", "stripe", "OpenTelemetry", "tests", "seconds", "result", "on")


def row(result: Result, day: str) -> str:
    """Return one line of the table; *day* is when it was run."""
    versions = result.versions or {}
    ran = result.outcome != MISSING
    return _line(
        f"`{result.cell.name}`",
        versions.get("python", ""),
        versions.get("stripe", ""),
        versions.get("opentelemetry", ""),
        str(result.tests) if ran else "",
        f"{result.seconds:.0f}" if ran else "",
        result.outcome + (f": {result.note}" if result.note else ""),
        day,
    )


def page(text: str, every: Sequence[Cell], results: Sequence[Result], day: str) -> str:
    """
    Return the page with the rows of *results* replaced. Rows of other cells stay, `not run` where there is none;
    those of cells that are no more go.

    Raises:
        ValueError: the markers are not there, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"there must be one {BEGIN} and one {END} behind it")
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*\|$", old, re.MULTILINE)}
    rows |= {result.cell.name: row(result, day) for result in results}
    never = {cell.name: _line(f"`{cell.name}`", "", "", "", "", "", "not run", "") for cell in every}
    lines = [_line(*HEAD), _line(*["---"] * len(HEAD)), *(rows.get(cell.name, never[cell.name]) for cell in every)]
    return "\n".join([f"{before}{BEGIN}\n", *lines, f"\n{END}{after}"])


def _line(*values: str) -> str:
    return "| " + " | ".join(values) + " |"


def summary(results: Sequence[Result]) -> list[str]:
    """Return the closing lines: what is missing, by name, and the counts."""
    missing = [f"missing: {r.cell.name} ({r.note})" for r in results if r.outcome == MISSING]
    failed = [f"failed: {r.cell.name} ({r.note})" for r in results if r.outcome == FAILED]
    passed = sum(r.outcome == PASSED for r in results)
    return [*missing, *failed, f"cells: {passed} passed, {len(failed)} failed"]
