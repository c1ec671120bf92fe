# SPDX-License-Identifier: Apache-2.0
"""Of the processes that share a folder one asks about the payments on hold: the others would ask the same."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Turn:
    """
    A lock on a file, which the system lets go when its process dies.

    Args:
        path: the file; None where there is no folder, and nobody to share it with.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self) -> bool:
        """Say whether it is this process's turn. A folder that cannot be written makes nobody wait."""
        if self._path is None or self._fd is not None:
            return True
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def give(self) -> None:
        """Let another process have it; in a forked child, let go of the parent's."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
