# SPDX-License-Identifier: Apache-2.0
"""
One file of the spool: a head, then frames (length, CRC-32, bytes), each appended in one `write`.

The file is locked while its process lives. It gets its name only when it is locked and its head is written, so that whoever
finds one finds a whole one. What cannot be read is passed over and counted: a frame whose checksum is wrong by
itself, a length that makes no sense together with all that follows.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FRAME: Final = struct.Struct("<II")
MAGIC: Final = b"OTRSPOOL1\n"
MAX_FRAME: Final = 16 * 1024 * 1024
_LENGTH: Final = struct.Struct("<I")
_CURSOR: Final = struct.Struct("<Q")
_WINDOW: Final = 64 * 1024
_BATCH: Final = 1024 * 1024

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


def is_erased(frame: bytes, crc: int) -> bool:
    """Whether a frame was taken out on an operator's word (`erasing`): passed over, and no loss."""
    return crc == 0 and not frame.strip(b"\0")


@dataclass(frozen=True, slots=True)
class Read:
    """Frames, where each of them ends, where reading goes on, and how many bytes were passed over for the first time."""

    frames: list[bytes]
    ends: list[int]
    end: int
    lost: int


@dataclass
class Segment:
    """An open and locked file. `size` is what counts of it; `closed`: no more frames will come."""

    path: Path
    fd: int
    head: bytes
    start: int
    size: int
    own: bool
    closed: bool
    cursors: dict[str, int] = field(default_factory=dict)
    _passed_over: set[int] = field(default_factory=set)

    def cursor(self, reader: str) -> int:
        """Return how far *reader* is."""
        return self.cursors.get(reader, self.start)

    def append(self, frame: bytes, *, sync: bool) -> None:
        """
        Append one frame; nothing of it is left where that fails.

        Raises:
            OSError: it was not written.
        """
        if not 0 < len(frame) <= MAX_FRAME:
            raise OSError(errno.EMSGSIZE, "a frame has 1 byte to 16 MiB")
        data = FRAME.pack(len(frame), zlib.crc32(frame)) + frame
        written = os.write(self.fd, data)
        if written != len(data):
            # A full disk takes a part; what follows must not be read as its rest.
            try:
                os.ftruncate(self.fd, self.size)
            except OSError:
                self.size += written
                self.closed = True
            raise OSError(errno.ENOSPC, "the frame was written in part")
        self.size += written
        if sync:
            _sync(self.fd)

    def read(self, at: int, limit: int) -> Read:
        """Read up to *limit* frames, or about a megabyte of them, from *at* on."""
        base, data, known, most = at, b"", at, at + _BATCH
        frames: list[bytes] = []
        ends: list[int] = []
        lost = 0
        unpack, crc32, head, size = FRAME.unpack_from, zlib.crc32, FRAME.size, self.size
        while at < size and len(frames) < limit:
            if at + head > known:
                if at >= most and frames:
                    break
                # A little at a time: each read lets the application's threads go on.
                base, data = at, self._window(at, _WINDOW)
                known = at + len(data)
                if at + head > known:
                    return Read(frames, ends, size, lost + self._pass_over(at, size))
            length, crc = unpack(data, at - base)
            begin = at + head
            end = begin + length
            if not 0 < length <= MAX_FRAME or end > size:
                return Read(frames, ends, size, lost + self._pass_over(at, size))
            if end > known:
                if at >= most and frames:
                    break
                base, data = at, self._window(at, max(_WINDOW, head + length))
                known = at + len(data)
                if end > known:
                    return Read(frames, ends, size, lost + self._pass_over(at, size))
            frame = data[begin - base : end - base]
            if crc32(frame) == crc:
                frames.append(frame)
                ends.append(end)
            else:
                lost += self._damaged(at, end, frame, crc)
            at = end
        return Read(frames, ends, at, lost)

    def move(self, reader: str, to: int) -> None:
        """Write down how far *reader* is. Where that fails frames are sent again, and deduped by their id."""
        self.cursors[reader] = max(to, self.cursor(reader))
        with contextlib.suppress(OSError):
            fd = os.open(self._cursor_file(reader), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, _CURSOR.pack(self.cursors[reader]), 0)
            finally:
                os.close(fd)

    def remove(self) -> None:
        """Remove the file and its cursors, and let go of it."""
        for path in (self.path, *self.path.parent.glob(f"{self.path.stem}.*.cursor")):
            with contextlib.suppress(OSError):
                path.unlink()
        self.release()

    def release(self) -> None:
        """Let go of the file: its lock is free when no process holds it any more."""
        with contextlib.suppress(OSError):
            os.close(self.fd)

    def _window(self, at: int, size: int) -> bytes:
        return os.pread(self.fd, max(0, min(size, self.size - at)), at)

    def _damaged(self, at: int, end: int, frame: bytes, crc: int) -> int:
        return 0 if is_erased(frame, crc) else self._pass_over(at, end)

    def _pass_over(self, at: int, end: int) -> int:
        if at in self._passed_over:
            return 0
        self._passed_over.add(at)
        return end - at

    def _cursor_file(self, reader: str) -> Path:
        return self.path.with_suffix(f".{reader}.cursor")

    def _load_cursor(self, reader: str) -> None:
        with contextlib.suppress(OSError, struct.error):
            (at,) = _CURSOR.unpack(self._cursor_file(reader).read_bytes())
            self.cursors[reader] = max(self.start, min(at, self.size))


def create(path: Path, head: bytes, *, sync: bool) -> Segment:
    """
    Create a segment that is this process's own.

    Raises:
        OSError: the folder cannot be written.
    """
    hidden = path.with_suffix(".new")
    fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    data = MAGIC + _LENGTH.pack(len(head)) + head
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, "the head was written in part")  # noqa: TRY301 - one way out
        if sync:
            os.fsync(fd)
        hidden.rename(path)
        if sync:
            _sync_folder(path.parent)
    except OSError:
        os.close(fd)
        for leftover in (hidden, path):
            leftover.unlink(missing_ok=True)
        raise
    return Segment(path, fd, head, len(data), len(data), own=True, closed=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a file: adopted as `segment`, or of another format (`unreadable` bytes), or neither: it is somebody's."""

    segment: Segment | None = None
    unreadable: int = 0


def adopt(path: Path, readers: Iterable[str]) -> Found:
    """Take over a segment whose process is dead. A file of another format is left where it is."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return Found()
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segment = _opened(path, fd) if path.exists() else None
        if segment is None:
            size = os.fstat(fd).st_size if path.exists() else 0
            os.close(fd)
            return Found(unreadable=size)
    except OSError:
        os.close(fd)
        return Found()
    for reader in readers:
        segment._load_cursor(reader)  # noqa: SLF001 - the other half of this module
    return Found(segment)


def _opened(path: Path, fd: int) -> Segment | None:
    size = os.fstat(fd).st_size
    begin = len(MAGIC) + _LENGTH.size
    data = os.pread(fd, begin, 0)
    if len(data) < begin or not data.startswith(MAGIC):
        return None
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    if begin + length > size:
        return None
    head = os.pread(fd, length, begin)
    return Segment(path, fd, head, begin + length, size, own=False, closed=True)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
