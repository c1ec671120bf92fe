# SPDX-License-Identifier: Apache-2.0
"""A far end that cannot be spoken to in this installation: events wait in the store, and the reason is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .outcome import Held, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence


class Unavailable:
    """
    Stands in for a destination whose library is missing.

    Args:
        name: of the destination it stands in for.
        reason: short, for people.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    def send(self, records: Sequence[bytes], resource: bytes) -> Outcome:
        """Hold the destination."""
        del records, resource
        return Held(self._reason)

    def close(self) -> None:
        """There is nothing to let go of."""
