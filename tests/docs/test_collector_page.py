# SPDX-License-Identifier: Apache-2.0
"""docs/collector.md shows what `make collector-table` has made, and all of it."""

from __future__ import annotations

from collector.backends import page
from collector.backends.play import COLUMNS
from collector.backends.table import BACKENDS


def test_the_page_has_every_backend() -> None:
    """
    The table is the one of the last run, with every column of every backend and no other.
    """
    content = page.read()

    assert page.table(content) in page.PAGE.read_text(encoding="utf-8")
    assert {backend.name: list(COLUMNS) for backend in BACKENDS} == {
        name: list(cells) for name, cells in content["backends"].items()
    }


def test_every_backend_has_a_line_of_its_own() -> None:
    """
    Each file of backends is named on the page, S3's too.
    """
    text = page.PAGE.read_text(encoding="utf-8")

    assert [] == [f"{name}.yaml" for name in [*(b.name for b in BACKENDS), "archive-s3"] if f"{name}.yaml" not in text]
