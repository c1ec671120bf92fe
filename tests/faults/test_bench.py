# SPDX-License-Identifier: Apache-2.0
"""A short run of every fault of `make faults`: nothing lost, nothing doubled, and the fault took place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from faults.bench import page
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


def test_the_page_has_every_fault() -> None:
    """
    docs/reliability.md shows the last run of every fault that there is and of no other, each with 10 000 events.
    """
    content = json.loads(page.DATA.read_text(encoding="utf-8"))
    rows = content["faults"]

    assert page.table(content) in page.PAGE.read_text(encoding="utf-8")
    assert [(fault.name, 5_000) for fault in FAULTS] == [(name, rows[name]["payments"]) for name in rows]
