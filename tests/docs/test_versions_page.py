# SPDX-License-Identifier: Apache-2.0
"""The table of versions. Not among the tests that a cell of the matrix runs: a new cell's row is written after them."""

from __future__ import annotations

import re
from pathlib import Path

from tools.matrix import page
from tools.matrix.__main__ import tomllib
from tools.matrix.cells import cells, declared_pythons

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_has_a_row_for_each_cell():
    """
    No Python that the package names and no release of stripe is left out of the committed table.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8").partition(page.BEGIN)[2].partition(page.END)[0]
    rows = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))

    assert set() == {cell.name for cell in cells(declared_pythons(project), {}, (3, 11))} - rows
