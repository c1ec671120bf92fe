# SPDX-License-Identifier: Apache-2.0
"""
Takes single frames out of segments, on an operator's word, beside the process that writes them.

A frame keeps its place and its length, so that cursors and locks stay true: its bytes become NUL, and its checksum 0.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .segment import FRAME, MAGIC, MAX_FRAME, is_erased

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def frames(folder: Path) -> Iterator[bytes]:
    """
    Yield the frames of all segments below *folder*, delivered or not.

    Raises:
        OSError: the folder or a file in it may not be read.
    """
    for path in sorted(folder.glob("*.seg")):
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # delivered meanwhile
            continue
        for _, frame in _frames(data):
            yield frame


def erase(folder: Path, goes: Callable[[bytes], bool]) -> int:
    """
    Erase the frames of which *goes* says so; returns how many. A process that has read one already still sends it.

    Raises:
        OSError: the folder or a file in it may not be changed.
    """
    erased = 0
    for path in sorted(folder.glob("*.seg")):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            data = os.pread(fd, os.fstat(fd).st_size, 0)
            found = [(at, len(frame)) for at, frame in _frames(data) if goes(frame)]
            for at, length in found:
                os.pwrite(fd, bytes(FRAME.size - 4 + length), at + 4)
            if found:
                os.fsync(fd)
        finally:
            os.close(fd)
        erased += len(found)
    return erased


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield where each whole frame begins, and its bytes."""
    start = len(MAGIC) + 4
    if len(data) < start or not data.startswith(MAGIC):  # of another format
        return
    at = start + int.from_bytes(data[len(MAGIC) : start], "little")
    while at + FRAME.size <= len(data):
        length, crc = FRAME.unpack_from(data, at)
        end = at + FRAME.size + length
        if not 0 < length <= MAX_FRAME or end > len(data):
            return
        frame = data[at + FRAME.size : end]
        if not is_erased(frame, crc):
            yield at, frame
        at = end
