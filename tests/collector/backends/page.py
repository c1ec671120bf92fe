# SPDX-License-Identifier: Apache-2.0
"""The table: as JSON, and in docs/collector.md between its two marks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .play import COLUMNS
from .table import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = ROOT / "docs" / "collector.md"
DATA: Final = ROOT / "docs" / "collector-table.json"
BEGIN: Final = "<!-- backends: made by `make collector-table` -->"
END: Final = "<!-- backends: end -->"

HEADS: Final = {
    "validated": "validated by",
    "run": "run: arrived",
    "killed": "`kill -9` while all are down",
    "dead neighbour": "beside a dead one: arrived once",
    "of record": "of record: down, then up",
}


def read() -> dict[str, Any]:
    """Return what was made last: each backend's cells by column."""
    content: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return content


def table(content: Mapping[str, Any]) -> str:
    """Return the block of the page."""
    rows = [["file", *(HEADS[column] for column in COLUMNS)]]
    rows += [
        [f"`{backend.name}`", *(content["backends"][backend.name][column] for column in COLUMNS)]
        for backend in BACKENDS
        if backend.name in content["backends"]
    ]
    rows.append(
        ["`archive-s3`", "not run: its exporter could not be had; keys checked against its documentation", *[""] * 4]
    )
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([BEGIN, lines[0], "|---" * len(rows[0]) + "|", *lines[1:], END])


def write(cells: Mapping[str, Mapping[str, str]]) -> None:
    """Write file and page anew."""
    known = read()["backends"] if DATA.exists() else {}
    content = {"backends": {**known, **cells}}
    DATA.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    block = table(content)
    PAGE.write_text(
        re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.DOTALL), encoding="utf-8"
    )
