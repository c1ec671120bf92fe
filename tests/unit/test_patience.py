# SPDX-License-Identifier: Apache-2.0
"""How long a store that is busy is not asked again."""

from __future__ import annotations

import pytest

from otel_revenue.errors import StoreBusy, StoreError, StoreFull
from otel_revenue.runtime.patience import SPENT_S, Patience


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _ask(patience: Patience, error: Exception | None = None) -> str:
    """Ask a store that fails with *error*; say whether it was asked, and what came of it."""
    asked = "not asked"
    try:
        with patience:
            asked = "asked"
            if error is not None:
                raise error
    except StoreError as caught:
        return f"{asked}, {type(caught).__name__}"
    return asked


def test_a_busy_store_is_left_alone_for_a_second() -> None:
    """After one `StoreBusy` nobody waits until the second is over; then one asks again, and its failure begins the next."""
    clock = Clock()
    patience = Patience(clock)
    seen = [_ask(patience), _ask(patience, StoreBusy("locked")), _ask(patience)]
    clock.now += SPENT_S - 0.01
    seen.append(_ask(patience))
    clock.now += 0.02
    seen += [_ask(patience, StoreBusy("locked")), _ask(patience)]

    assert [
        "asked",
        "asked, StoreBusy",
        *["not asked, StoreBusy"] * 2,
        "asked, StoreBusy",
        "not asked, StoreBusy",
    ] == seen


def test_a_store_that_answers_is_asked_again() -> None:
    """What the worker could write ends the wait at once."""
    patience = Patience(Clock())
    _ask(patience, StoreBusy("locked"))
    patience.restore()

    assert "asked" == _ask(patience)


@pytest.mark.parametrize("error", [StoreFull("full"), StoreError("broken")])
def test_other_failures_cost_no_time(error: StoreError) -> None:
    """Only waiting is spared: whatever fails at once is tried each time."""
    patience = Patience(Clock())
    _ask(patience, error)

    assert "asked" == _ask(patience)
