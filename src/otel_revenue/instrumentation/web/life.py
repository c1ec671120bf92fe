# SPDX-License-Identifier: Apache-2.0
"""The two moments in the life of a serving process: when it begins, and when it is about to end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Life:
    """
    Args:
        start: called when the process begins to serve.
        flush: called when it has stopped serving; must be bounded in time.

    Attributes:
        active: once False, nothing is called any more.
    """

    def __init__(self, start: Callable[[], None], flush: Callable[[], object]) -> None:
        self.active = True
        self._start = start
        self._flush = flush
        self._pid = 0

    def begin(self) -> None:
        """Say that this process begins to serve."""
        self._pid = os.getpid()
        if self.active:
            self._start()

    def begin_once(self) -> None:
        """Say it with each request: servers that fork have no better moment."""
        if self._pid != os.getpid():
            self.begin()

    def end(self) -> None:
        """Say that this process has stopped serving; returns within the bound."""
        if self.active:
            self._flush()
