# SPDX-License-Identifier: Apache-2.0
"""The table of results: on the terminal, as JSON, and in docs/reliability.md between its two marks."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .table import BY_NAME, FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .result import Result

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = ROOT / "docs" / "reliability.md"
DATA: Final = ROOT / "docs" / "reliability.json"
BEGIN: Final = "<!-- faults: made by `make faults` -->"
END: Final = "<!-- faults: end -->"


def line(result: Result) -> str:
    """Return one result for the terminal."""
    verdict = "; ".join(result.problems) or "ok"
    return (
        f"{result.name:<15} {result.sent:>6} sent {result.delivered:>6} delivered {result.repeated:>6} twice {result.doubled:>4} doubled "
        f"{result.aside:>5} aside {result.waiting:>4} waiting {result.lost:>4} lost   p99 {result.p99_ms:>7.1f} ms  worst {result.worst_ms:>7.1f} ms "
        f" {result.seconds:>6.1f} s  {verdict}"
    )


def machine() -> dict[str, Any]:
    """Return what the figures were made on."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def merged(results: Sequence[Result], data: Path = DATA) -> dict[str, Any]:
    """Return what the file holds with *results* in place of older ones; faults that there are no more are left out."""
    known = json.loads(data.read_text(encoding="utf-8"))["faults"] if data.exists() else {}
    known.update({result.name: dataclasses.asdict(result) for result in results})
    return {"machine": machine(), "faults": {name: known[name] for name in BY_NAME if name in known}}


def table(content: dict[str, Any]) -> str:
    """Return the block of the page."""
    on = content["machine"]
    heads = ("fault", "what is done, and what is promised", "sent", "delivered", "receipts beyond the first", "doubled after dedupe",
             "set aside", "waiting", "lost", "p99 ms", "worst ms")  # fmt: skip
    out = [
        BEGIN,
        f"Made on {on['cores']} cores, {on['system']}, Python {on['python']}, SQLite {on['sqlite']}.",
        "",
        f"| {' | '.join(heads)} |",
        f"|---|---|{'---:|' * (len(heads) - 2)}",
    ]
    for fault in FAULTS:
        row = content["faults"].get(fault.name)
        if row is not None:
            figures = (
                row["sent"],
                row["delivered"],
                row["repeated"],
                row["doubled"],
                row["aside"],
                row["waiting"],
                row["lost"],
            )
            shown = " | ".join(f"{figure:,}".replace(",", " ") for figure in figures)
            out.append(
                f"| `{fault.name}` | {fault.cause}: {fault.expected} | {shown} | {row['p99_ms']} | {row['worst_ms']} |"
            )
    return "\n".join([*out, END])


def write(results: Sequence[Result]) -> None:
    """Write file and page anew."""
    content = merged(results)
    DATA.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    block = table(content)
    PAGE.write_text(
        re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.DOTALL), encoding="utf-8"
    )
