# SPDX-License-Identifier: Apache-2.0
"""
Append-only files of frames: what must survive the process, but not cost a transaction.

One process appends to its own segment: length, CRC-32, bytes, in one `write`. That survives `kill -9`; with `fsync` also a
power cut. The file is locked while its process lives; a process that finds one whose lock is free adopts it. A torn tail
(the process died in the middle of a write) ends its segment, counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FRAME: Final = struct.Struct("<II")
_MAGIC: Final = b"OTRSPOOL1\n"
_MAX_FRAME: Final = 16 * 1024 * 1024
_READ: Final = 1024 * 1024


@dataclass
class _Segment:
    path: Path
    fd: int
    head: bytes
    start: int
    """Where the frames begin."""
    size: int
    own: bool
    closed: bool
    """No more frames will come: rotated, or its process is dead."""
    cursors: dict[str, int] = field(default_factory=dict)

    def cursor(self, reader: str) -> int:
        return self.cursors.get(reader, self.start)


@dataclass(frozen=True)
class Batch:
    """Frames of one segment. Give it back to `Spool.commit` when they are done with."""

    frames: Sequence[bytes]
    head: bytes
    segment: Path
    end: int


class Spool:
    """
    The frames of one kind in one folder.

    Args:
        folder: made if it is not there (0700; files 0600).
        token: names this process's files; unique among live processes.
        head: bytes kept at the beginning of each segment (the encoded resource), handed out with its frames.
        readers: names of all who read; a segment goes when each of them has passed it.
        max_bytes: at this size the oldest segment goes, counted in `dropped_bytes`.
        fsync: wait for the disk at each append.

    Raises:
        OSError: from the constructor and `append`, when the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str,
        head: bytes = b"",
        readers: Sequence[str] = ("otlp",),
        max_bytes: int = 256 * 1024**2,
        segment_bytes: int = 4 * 1024**2,
        fsync: bool = False,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._token = token
        self._head = head
        self._readers = tuple(readers)
        self._max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max(4096, max_bytes // 4))
        self._fsync = fsync
        self._lock = threading.Lock()
        self._segments: list[_Segment] = []
        self._current: _Segment | None = None
        self._number = 0
        self.dropped_bytes = 0
        self.lost_bytes = 0

    def append(self, frame: bytes) -> None:
        """
        Append one frame; it survives the process when this returns.

        Raises:
            OSError: it was not written.
        """
        data = _FRAME.pack(len(frame), zlib.crc32(frame)) + frame
        with self._lock:
            current = self._current
            if current is None or current.size >= self._segment_bytes:
                current = self._rotate()
            written = os.write(current.fd, data)
            current.size += written
            if written != len(data):
                # A full disk takes a part; what follows must not be read as its rest.
                current.closed = True
                self._current = None
                raise OSError(28, "the frame was written in part")
            if self._fsync:
                os.fdatasync(current.fd)

    def read(self, reader: str, limit: int = 512) -> Batch | None:
        """Return the next frames for *reader* from the oldest segment that has some; None when there are none."""
        with self._lock:
            for segment in list(self._segments):
                frames, end = self._frames(segment, segment.cursor(reader), limit)
                if frames:
                    return Batch(frames, segment.head, segment.path, end)
                if segment.closed:
                    self._finish(segment, reader)
        return None

    def commit(self, reader: str, batch: Batch) -> None:
        """Write down that *reader* is done with *batch*."""
        with self._lock:
            segment = next((s for s in self._segments if s.path == batch.segment), None)
            if segment is None:
                return
            segment.cursors[reader] = batch.end
            if segment.closed and batch.end >= segment.size:
                self._finish(segment, reader)
                return
            with contextlib.suppress(OSError):  # without it the frames are sent again, and deduped by their id
                self._cursor_path(segment, reader).write_bytes(struct.pack("<Q", batch.end))

    def adopt(self) -> int:
        """Take over segments of dead processes; returns how many."""
        found = 0
        with self._lock:
            known = {s.path for s in self._segments}
            for path in sorted(self._folder.glob("*.seg")):
                if path in known or path.name.startswith(f"{self._token}."):
                    continue
                segment = self._adopted(path)
                if segment is not None:
                    self._segments.append(segment)
                    found += 1
            if found:
                self._limit()
        return found

    @property
    def size(self) -> int:
        """Bytes of the segments that this process holds."""
        return sum(s.size for s in self._segments)

    def waiting(self, reader: str) -> int:
        """Return how many bytes *reader* has not passed."""
        return sum(max(0, s.size - s.cursor(reader)) for s in list(self._segments))

    def close(self) -> None:
        """Let go of the files; what is unread is adopted by the next process."""
        with self._lock:
            for segment in self._segments:
                empty = segment.own and segment.size == segment.start
                if empty:
                    segment.path.unlink(missing_ok=True)
                os.close(segment.fd)
            self._segments.clear()
            self._current = None

    def abandon(self) -> None:
        """In a forked child: close the inherited descriptors, which would keep the parent's locks alive."""
        for segment in self._segments:
            with contextlib.suppress(OSError):
                os.close(segment.fd)
        self._segments = []
        self._current = None

    def _rotate(self) -> _Segment:
        if self._current is not None:
            self._current.closed = True
        self._number += 1
        path = self._folder / f"{self._token}.{self._number:06d}.seg"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            start = os.write(fd, _MAGIC + struct.pack("<I", len(self._head)) + self._head)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        segment = _Segment(path, fd, self._head, start, start, own=True, closed=False)
        self._segments.append(segment)
        self._current = segment
        self._limit()
        return segment

    def _limit(self) -> None:
        total = sum(s.size for s in self._segments)
        for segment in list(self._segments):
            if total <= self._max_bytes:
                return
            if segment is not self._current:
                total -= segment.size
                self.dropped_bytes += segment.size - max((segment.cursor(r) for r in self._readers), default=0)
                self._remove(segment)

    def _frames(self, segment: _Segment, at: int, limit: int) -> tuple[list[bytes], int]:
        data = os.pread(segment.fd, _READ, at)
        if (
            len(data) >= _FRAME.size
            and (need := _FRAME.unpack_from(data)[0] + _FRAME.size) > len(data)
            and need <= _MAX_FRAME
        ):
            data = os.pread(segment.fd, need, at)  # one frame larger than a read
        frames: list[bytes] = []
        offset = 0
        while len(frames) < limit and offset + _FRAME.size <= len(data):
            length, crc = _FRAME.unpack_from(data, offset)
            frame = data[offset + _FRAME.size : offset + _FRAME.size + length]
            if len(frame) != length or zlib.crc32(frame) != crc:
                break
            frames.append(frame)
            offset += _FRAME.size + length
        return frames, at + offset

    def _finish(self, segment: _Segment, reader: str) -> None:
        """*reader* has read all that can be read of a closed segment: what is left is torn."""
        at = segment.cursor(reader)
        if at < segment.size:
            self.lost_bytes += segment.size - at
        segment.cursors[reader] = max(segment.size, at)
        if all(segment.cursor(r) >= segment.size for r in self._readers):
            self._remove(segment)

    def _remove(self, segment: _Segment) -> None:
        self._segments.remove(segment)
        for path in (segment.path, *(self._cursor_path(segment, r) for r in self._readers)):
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(segment.fd)

    def _cursor_path(self, segment: _Segment, reader: str) -> Path:
        return segment.path.with_suffix(f".{reader}.cursor")

    def _adopted(self, path: Path) -> _Segment | None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(fd).st_size
            head = os.pread(fd, len(_MAGIC) + 4, 0)
            if not path.exists() or len(head) < len(_MAGIC) + 4 or not head.startswith(_MAGIC):
                if size and path.exists():
                    self.lost_bytes += size
                path.unlink(missing_ok=True)
                raise OSError("not a segment")
            length = struct.unpack("<I", head[-4:])[0]
            start = len(head) + length
            segment = _Segment(path, fd, os.pread(fd, length, len(head)), start, size, own=False, closed=True)
        except OSError:
            os.close(fd)
            return None
        for reader in self._readers:
            with contextlib.suppress(OSError, struct.error):
                (at,) = struct.unpack("<Q", self._cursor_path(segment, reader).read_bytes())
                segment.cursors[reader] = max(start, min(at, size))
        return segment


@contextlib.contextmanager
def frames_of(spool: Spool, reader: str) -> Iterator[Batch | None]:
    """Give out one batch, committed when the block ends without an error."""
    batch = spool.read(reader)
    yield batch
    if batch is not None:
        spool.commit(reader, batch)
