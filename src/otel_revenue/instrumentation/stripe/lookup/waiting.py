# SPDX-License-Identifier: Apache-2.0
"""Thin events whose object is still to be fetched: synced to disk before the webhook is answered, kept until Stripe answers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from otel_revenue.instrumentation.stripe.thin_events import Thin

if TYPE_CHECKING:
    from otel_revenue.delivery.spool import Batch, Spool

FOLDER: Final = "thin"
READER: Final = "lookup"
_AT_ONCE: Final = 50
_IN_MEMORY: Final = 10_000


class Waiting:
    """
    Thin events in the order in which they came.

    Args:
        spool: where they are kept; None where there is no folder: then in memory, bounded.
    """

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self._memory: deque[bytes] = deque()
        self._batch: Batch | None = None
        self._open: dict[int, Thin] = {}

    def add(self, thin: Thin) -> bool:
        """Keep one; returns whether there was room."""
        return self._keep(thin.to_json())

    def open(self) -> list[tuple[int, Thin]]:
        """Return up to 50 of the oldest that are not done, each with its number; adopts those of dead processes."""
        if self._spool is not None:
            self._spool.adopt()
        if not self._open:
            self._read()
        return list(self._open.items())

    def done(self, number: int) -> None:
        """Say that one is fetched, or never will be. What is not done when the process dies is handed out again."""
        self._open.pop(number, None)
        self._commit_if_done()

    def put_back(self, number: int) -> None:
        """Let those behind one that fails again and again pass it."""
        thin = self._open.get(number)
        if thin is not None and self._keep(thin.to_json()):
            self.done(number)

    def close(self) -> None:
        """Let go of the files; what is not done is handed out by the next process."""
        if self._spool is not None:
            self._spool.close()

    def abandon(self) -> None:
        """In a forked child."""
        if self._spool is not None:
            self._spool.abandon()

    def _keep(self, frame: bytes) -> bool:
        if self._spool is not None:
            try:
                self._spool.append(frame)
                return True
            except OSError:
                pass
        if len(self._memory) >= _IN_MEMORY:
            return False
        self._memory.append(frame)
        return True

    def _read(self) -> None:
        frames: list[bytes] = []
        if self._spool is not None:
            self._batch = self._spool.read(READER, _AT_ONCE)
            frames = [] if self._batch is None else list(self._batch.frames)
        if self._batch is None:
            frames = [self._memory.popleft() for _ in range(min(_AT_ONCE, len(self._memory)))]
        found = enumerate(_thin(frame) for frame in frames)
        self._open = {number: thin for number, thin in found if thin is not None}
        self._commit_if_done()

    def _commit_if_done(self) -> None:
        if not self._open and self._batch is not None and self._spool is not None:
            self._spool.commit(READER, self._batch)
            self._batch = None


def _thin(frame: bytes) -> Thin | None:
    try:
        return Thin.from_json(frame)
    except (ValueError, TypeError, IndexError):
        return None  # of another version's making
