# SPDX-License-Identifier: Apache-2.0
"""A short run of every fault of `make faults`: nothing lost, nothing doubled, and the fault took place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.bench.run import play
from faults.bench.table import FAULTS, Fault

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_is_lost(fault: Fault, tmp_path: Path) -> None:
    """
    Every payment and event that was answered arrives once after dedupe by `event_id`, or is set aside where the table says so.
    """
    result = play(fault, tmp_path, 200, thorough=False)

    assert ([], result.sent, 400) == (result.problems, result.delivered + result.aside, result.sent)
