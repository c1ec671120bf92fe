# SPDX-License-Identifier: Apache-2.0
"""Every backend on a real Collector, column by column: what docs/collector.md shows, with fewer events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collector.backends.play import COLUMNS
from collector.backends.table import BACKENDS, Backend

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_backend_keeps_what_the_table_says(backend: Backend, column: str, tmp_path: Path) -> None:
    """
    Nothing is lost, refused without need, sent twice without need, or let out that should stay in.
    """
    cell = COLUMNS[column](backend, tmp_path, 10)

    assert [] == cell.problems
