# SPDX-License-Identifier: Apache-2.0
"""What the store could not take: facts, notes, events; synced to disk where that works, else in memory, until the worker passes them on."""

from __future__ import annotations

import base64
import contextlib
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_revenue.errors import StoreError
from otel_revenue.ledger.model import Facts
from otel_revenue.ledger.store import NewRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.delivery.spool import Spool

FOLDER: Final = "facts"
READER: Final = "ledger"
_IN_MEMORY: Final = 10_000


class Note(NamedTuple):
    """What could not be read. `source`, `kind` and `reason` are constants of the code, `ids` well-formed ids of Stripe's."""

    at_ns: int
    source: str
    kind: str
    reason: str
    ids: tuple[str, ...]


class Kept:
    """
    Facts, notes and events in the order in which they came.

    Args:
        spool: where they are kept, synced at each append; None where there is no folder.

    Attributes:
        lost: how many found no place: neither on disk nor in the bounded memory.
    """

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self._memory: deque[bytes] = deque()
        self.lost = 0

    def facts(self, facts: Facts) -> None:
        """Keep facts."""
        self._keep(facts.to_json().encode())

    def note(self, note: Note) -> None:
        """Keep a note."""
        self._keep(json.dumps({"note": note}, separators=(",", ":")).encode())

    def event(self, row: NewRow) -> None:
        """Keep an event without money."""
        frozen = [row.event_id, row.event_name, base64.b64encode(row.record).decode(), row.recorded_ns]
        self._keep(json.dumps({"event": frozen}, separators=(",", ":")).encode())

    def pass_on(
        self, take: Callable[[Facts], None], write: Callable[[Note], None], add: Callable[[NewRow], None]
    ) -> bool:
        """
        Give everything kept to the store; returns whether nothing is left.

        What cannot be read, or fails for another reason than the store, is dropped after a note of it was written: it
        would fail for ever.
        """
        try:
            if self._spool is not None:
                self._spool.adopt()
                while (batch := self._spool.read(READER, 50)) is not None:
                    for frame in batch.frames:
                        _pass(frame, take, write, add)
                    self._spool.commit(READER, batch)
            while self._memory:
                _pass(self._memory[0], take, write, add)
                self._memory.popleft()
        except StoreError:
            self._write_down()
            return False
        return True

    @property
    def waiting(self) -> bool:
        """Whether this process has kept something that is not passed on yet."""
        return bool(self._memory) or (self._spool is not None and self._spool.waiting(READER) > 0)

    @property
    def unprotected(self) -> int:
        """How many are in memory alone: neither the store nor the disk takes them, and they end with the process."""
        return len(self._memory)

    @property
    def lost_bytes(self) -> int:
        """Bytes on disk that were lost: unreadable, or beyond the limit."""
        return 0 if self._spool is None else self._spool.lost_bytes + self._spool.dropped_bytes

    def close(self) -> None:
        """Let go of the files; what is left is passed on by the next process, and of what is in memory all that the disk takes now."""
        self._write_down()
        if self._spool is not None:
            self._spool.close()

    def abandon(self) -> None:
        """In a forked child."""
        if self._spool is not None:
            self._spool.abandon()

    def _write_down(self) -> None:
        """Put on disk what is in memory only, where the disk takes it by now: the store may fail for long."""
        if self._spool is not None:
            with contextlib.suppress(OSError):
                while self._memory:
                    self._spool.append(self._memory[0])
                    self._memory.popleft()

    def _keep(self, frame: bytes) -> None:
        if self._spool is not None:
            try:
                self._spool.append(frame)
                return
            except OSError:
                pass
        if len(self._memory) < _IN_MEMORY:
            self._memory.append(frame)
        else:
            self.lost += 1


def _pass(
    frame: bytes, take: Callable[[Facts], None], write: Callable[[Note], None], add: Callable[[NewRow], None]
) -> None:
    ids: tuple[str, ...] = ()
    try:
        raw: Any = json.loads(frame)
        if "note" in raw:
            note = raw["note"]
            write(Note(note[0], note[1], note[2], note[3], tuple(note[4])))
            return
        if "event" in raw:
            event_id, name, record, recorded_ns = raw["event"]
            add(NewRow(event_id, name, base64.b64decode(record), recorded_ns))
            return
        facts = Facts.from_json(frame.decode())
        ids = tuple(alias.id for alias in facts.aliases)
        take(facts)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one bad frame must not keep the others from the ledger
        write(Note(0, "kept", "other", f"failed_{type(error).__name__}", ids))
