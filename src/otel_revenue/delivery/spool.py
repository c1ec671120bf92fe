# SPDX-License-Identifier: Apache-2.0
"""
Append-only files of frames: what must survive the process, but not cost a transaction.

One process appends to its own segments. That survives `kill -9`; with `fsync` also a power cut. A segment is locked while its
process lives; a process that finds one whose lock is free adopts it. A torn tail (the process died in the middle of a
write) ends its segment, counted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .segment import Segment, adopt, create

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ABANDONED_S: Final = 60.0


@dataclass(frozen=True)
class Batch:
    """Frames of one segment. Give it back to `Spool.commit` when they are done with. `last`: nothing stood behind them then."""

    frames: Sequence[bytes]
    head: bytes
    segment: Path
    end: int
    ends: Sequence[int] = ()
    last: bool = False


class Spool:
    """
    The frames of one kind in one folder.

    Args:
        folder: made if it is not there (0700; files 0600).
        token: the beginning of the names of this process's files, for people.
        head: bytes kept at the beginning of each segment (the encoded resource), handed out with its frames.
        readers: names of all who read; a segment goes when each of them has passed it.
        max_bytes: at this size of the whole folder, whosever the files are, this process's oldest goes, counted in `dropped_bytes`.
        fsync: wait for the disk at each append.

    Attributes:
        dropped_bytes: what went unread, because of `max_bytes`.
        lost_bytes: what could not be read: torn or damaged.

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
        self._foreign: set[Path] = set()
        self.dropped_bytes = 0
        self.lost_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._number = 0
        # A pid comes again, in a container at every start: names must not.
        self._instance = secrets.token_hex(6)

    def append(self, frame: bytes, *, sync: bool = True) -> None:
        """
        Append one frame; it survives the process when this returns. *sync*: where the spool waits for the disk, so does this.

        Raises:
            OSError: it was not written.
        """
        with self._lock:
            current = self._current
            if current is None or current.closed or current.size >= self._segment_bytes:
                current = self._rotate()
            current.append(frame, sync=sync and self._fsync)

    def read(self, reader: str, limit: int = 512) -> Batch | None:
        """Return the next frames for *reader* from the oldest segment that has some; None when there are none."""
        with self._lock:
            for segment in list(self._segments):
                batch = self._read(segment, reader, limit)
                if batch is not None:
                    return batch
                if segment.closed:
                    self._remove_if_passed(segment)
        return None

    def commit(self, reader: str, batch: Batch, count: int | None = None) -> None:
        """Write down that *reader* is done with *batch*, or with its first *count* frames."""
        end = batch.end if count is None or count >= len(batch.frames) else batch.ends[count - 1]
        with self._lock:
            segment = next((s for s in self._segments if s.path == batch.segment), None)
            if segment is not None and count != 0:
                segment.move(reader, end)
                if segment.closed:
                    self._remove_if_passed(segment)

    def adopt(self) -> int:
        """Take over segments of dead processes; returns how many."""
        found: list[Segment] = []
        with self._lock:
            known = {s.path for s in self._segments} | self._foreign
            for path in sorted(self._folder.glob("*.seg")):
                if path in known:
                    continue
                result = adopt(path, self._readers)
                if result.segment is not None:
                    found.append(result.segment)
                elif result.unreadable:
                    self._foreign.add(path)
                    self.lost_bytes += result.unreadable
            self._tidy()
            if found:
                found.sort(key=lambda s: os.fstat(s.fd).st_mtime_ns)
                self._segments[:0] = found
                self._limit()
        return len(found)

    @property
    def size(self) -> int:
        """Bytes of the segments that this process holds."""
        return sum(s.size for s in list(self._segments))

    def waiting(self, reader: str) -> int:
        """Return how many bytes *reader* has not passed."""
        return sum(max(0, s.size - s.cursor(reader)) for s in list(self._segments))

    def close(self) -> None:
        """Let go of the files; what is unread is adopted by the next process."""
        with self._lock:
            for segment in self._segments:
                if self._passed(segment):
                    segment.remove()
                else:
                    segment.release()
            self._segments.clear()
            self._current = None

    def abandon(self) -> None:
        """In a forked child: close the inherited descriptors, which would keep the parent's locks alive, and begin anew."""
        for segment in self._segments:
            segment.release()
        self._begin()

    def _read(self, segment: Segment, reader: str, limit: int) -> Batch | None:
        while (at := segment.cursor(reader)) < segment.size:
            found = segment.read(at, limit)
            self.lost_bytes += found.lost
            if found.frames:
                last = found.end >= segment.size and segment is self._segments[-1]
                return Batch(found.frames, segment.head, segment.path, found.end, found.ends, last)
            segment.cursors[reader] = found.end
        return None

    def _rotate(self) -> Segment:
        if self._current is not None:
            self._current.closed = True
            self._current = None
        self._number += 1
        path = self._folder / f"{self._token}.{self._instance}.{self._number:06d}.seg"
        segment = create(path, self._head, sync=self._fsync)
        self._segments.append(segment)
        self._current = segment
        self._limit()
        return segment

    def _limit(self) -> None:
        total = self._folder_bytes()
        for segment in list(self._segments):
            if total <= self._max_bytes:
                return
            if segment is not self._current:
                total -= segment.size
                self.dropped_bytes += segment.size - min(segment.cursor(r) for r in self._readers)
                self._segments.remove(segment)
                segment.remove()

    def _folder_bytes(self) -> int:
        """What the segments of all processes take: each removes its own alone, so the folder may be above its limit by one for each."""
        own = {segment.path.name: segment.size for segment in self._segments}
        total = sum(own.values())
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".seg") and entry.name not in own:
                    with contextlib.suppress(OSError):  # gone meanwhile
                        total += entry.stat().st_size
        return total

    def _passed(self, segment: Segment) -> bool:
        return all(segment.cursor(reader) >= segment.size for reader in self._readers)

    def _remove_if_passed(self, segment: Segment) -> None:
        if self._passed(segment):
            self._segments.remove(segment)
            segment.remove()

    def _tidy(self) -> None:
        """Remove files that a process left before they were segments."""
        for path in self._folder.glob("*.new"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()
