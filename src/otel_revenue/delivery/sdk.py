# SPDX-License-Identifier: Apache-2.0
"""The application's own log pipeline as a far end. It takes everything and says nothing: what it was given counts as delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .outcome import Delivered, Outcome, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Sdk:
    """
    Gives events to the application's `LoggerProvider`.

    Args:
        emit: gives encoded records to the pipeline; raises ValueError, before it has given any, where one is no record.
    """

    name = "sdk"

    def __init__(self, emit: Callable[[Sequence[bytes]], None]) -> None:
        self._emit = emit

    def send(self, records: Sequence[bytes], resource: bytes) -> Outcome:
        """Give the records to the pipeline, which has a resource of its own. See `Destination.send`."""
        del resource
        try:
            self._emit(records)
        except ValueError:
            return Refused("record unreadable")
        return Delivered()

    def close(self) -> None:
        """The pipeline is the application's."""
