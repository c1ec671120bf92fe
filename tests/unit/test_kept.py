# SPDX-License-Identifier: Apache-2.0
"""What the store could not take waits on disk, or in memory where that is full, and is passed on whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_revenue.delivery.spool import Spool
from otel_revenue.errors import StoreBusy
from otel_revenue.ledger.store import NewRow
from otel_revenue.runtime.kept import READER, Kept

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ROW = NewRow("id-1", "checkout.start", b"\x00\xffrecord", 17)


def _busy(_: object) -> None:
    raise StoreBusy("held")


def _never(_: object) -> None:
    raise AssertionError


def test_an_event_that_nothing_could_take_is_passed_on_as_it_was(tmp_path: Path) -> None:
    """Its record comes back byte for byte, from disk, in another process's hands as well."""
    first = Kept(Spool(tmp_path, token="a", readers=(READER,), fsync=True))
    first.event(ROW)
    refused = first.pass_on(_never, _never, _busy)
    first.close()
    rows: list[NewRow] = []
    done = Kept(Spool(tmp_path, token="b", readers=(READER,), fsync=True)).pass_on(_never, _never, rows.append)

    assert (False, True, [ROW]) == (refused, done, rows)


def test_memory_goes_to_disk_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory only when the process ends in peace is written down, and is the next one's."""
    spool = Spool(tmp_path, token="a", readers=(READER,), fsync=True)
    kept = Kept(spool)
    with monkeypatch.context() as full:
        full.setattr(spool, "append", lambda frame: (_ for _ in ()).throw(OSError(28, "full")))
        kept.event(ROW)
    kept.close()
    rows: list[NewRow] = []
    Kept(Spool(tmp_path, token="b", readers=(READER,), fsync=True)).pass_on(_never, _never, rows.append)

    assert [ROW] == rows


def test_memory_goes_to_disk_as_soon_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory since the disk was full is written down when it takes it again, though the store still fails."""
    spool = Spool(tmp_path, token="a", readers=(READER,), fsync=True)
    kept = Kept(spool)
    with monkeypatch.context() as full:
        full.setattr(spool, "append", lambda frame: (_ for _ in ()).throw(OSError(28, "full")))
        kept.event(ROW)
        kept.pass_on(_never, _never, _busy)
        before = spool.waiting(READER)
    kept.pass_on(_never, _never, _busy)

    assert (0, True, True, 0) == (before, spool.waiting(READER) > 0, kept.waiting, len(kept._memory))
