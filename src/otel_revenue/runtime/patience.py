# SPDX-License-Identifier: Apache-2.0
"""One request waits for a store that is busy; those behind it do not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from otel_revenue.errors import StoreBusy

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

SPENT_S: Final = 1.0


class Patience:
    """
    Stands around what a request asks of the store.

    After a `StoreBusy` further ones are sent away at once, for a second or until the worker finds the store free: what they
    would have waited for is kept aside in any case.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent_until = 0.0

    def restore(self) -> None:
        """Say that the store has answered."""
        self._spent_until = 0.0

    def __enter__(self) -> None:
        if self._spent_until and self._clock() < self._spent_until:
            raise StoreBusy("the store was busy a moment ago")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, StoreBusy):
            self._spent_until = self._clock() + SPENT_S
