# SPDX-License-Identifier: Apache-2.0
"""A far end with its own progress: takes encoded events, answers with an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .outcome import Outcome


class Destination(Protocol):
    """
    A far end.

    `send` is called by the worker's thread alone; it is bounded in time, opens what it needs itself (also after a fork),
    and never raises for what the far end does.
    """

    @property
    def name(self) -> str:
        """Its name in outbox and spool: "otlp"."""

    def send(self, records: Sequence[bytes], resource: bytes) -> Outcome:
        """Send encoded `LogRecord`s of one encoded `Resource`; empty *resource*: the process's own."""

    def close(self) -> None:
        """Let go of connections."""
