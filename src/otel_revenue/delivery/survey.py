# SPDX-License-Identifier: Apache-2.0
"""
What waits in a folder of segments, seen from outside.

For people: reads only, takes no segment from the process that writes it, and may run at any time beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .segment import FRAME, MAGIC, MAX_FRAME, is_erased

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    What one reader has not passed yet.

    Attributes:
        segments: files with something in them that waits.
        orphans: those of them whose process is dead; the next process that runs adopts them.
        frames: how many events or facts.
        bytes: how much, with the frames' heads.
        torn: bytes that are no whole frames, in orphans (their process died while it wrote) and files of another format.
        oldest_ns: when the longest untouched of these files was written to; 0 when nothing waits.
    """

    segments: int = 0
    orphans: int = 0
    frames: int = 0
    bytes: int = 0
    torn: int = 0
    oldest_ns: int = 0


def survey(folder: Path, reader: str) -> Waiting:
    """
    Look at every segment below *folder*; a folder that is not there has none.

    Raises:
        OSError: the folder or a file in it may not be read.
    """
    segments = orphans = frames = size = torn = oldest = 0
    for path in sorted(folder.glob("*.seg")):
        try:
            found, rest, alive, written_ns = _look(path, reader)
        except FileNotFoundError:  # delivered meanwhile
            continue
        torn += 0 if alive else rest[1]
        if not found:
            continue
        segments += 1
        orphans += not alive
        frames += found
        size += rest[0]
        oldest = min(oldest or written_ns, written_ns)
    return Waiting(segments, orphans, frames, size, torn, oldest)


def _look(path: Path, reader: str) -> tuple[int, tuple[int, int], bool, int]:
    """Return waiting frames, their bytes and the bytes after them, whether the writer lives, and the time of the last write."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        about = os.fstat(fd)
        head = os.pread(fd, len(MAGIC) + 4, 0)
        if len(head) < len(MAGIC) + 4 or not head.startswith(MAGIC):
            return 0, (0, about.st_size), False, 0  # of another format: whoever adopts it leaves it where it is
        start = len(head) + struct.unpack("<I", head[-4:])[0]
        at = max(start, min(_cursor(path, reader), about.st_size))
        frames, end = _frames(os.pread(fd, about.st_size - at, at))
        return frames, (end, about.st_size - at - end), _locked(fd), about.st_mtime_ns
    finally:
        os.close(fd)


def _frames(data: bytes) -> tuple[int, int]:
    """Return how many whole frames there are, beside those that were erased, and where they end."""
    frames = at = 0
    while at + FRAME.size <= len(data):
        length, crc = FRAME.unpack_from(data, at)
        end = at + FRAME.size + length
        if not 0 < length <= MAX_FRAME or end > len(data):
            break
        frames += not is_erased(data[at + FRAME.size : end], crc)
        at = end
    return frames, at


def _cursor(path: Path, reader: str) -> int:
    with contextlib.suppress(FileNotFoundError, struct.error):
        return int(struct.unpack("<Q", path.with_suffix(f".{reader}.cursor").read_bytes())[0])
    return 0


def _locked(fd: int) -> bool:
    """Whether a process has it. Another one that wants to adopt it at this very moment tries again within seconds."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False
