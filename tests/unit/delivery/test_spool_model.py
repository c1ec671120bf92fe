# SPDX-License-Identifier: Apache-2.0
"""Any sequence of appends, reads, commits, crashes and adoptions, compared with plain lists."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from otel_revenue.delivery.spool import Batch, Spool

READERS = ("otlp", "webhook")


class Spools(RuleBasedStateMachine):
    """
    Up to three processes on one folder. The model: per reader, the frames that nobody has committed.

    A crash loses what was handed out and not committed, never what was appended: it comes again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.spools: dict[int, Spool] = {}
        self.batches: dict[tuple[int, str], Batch] = {}
        self.open: dict[str, set[bytes]] = {reader: set() for reader in READERS}
        self.appended = 0

    def _spool(self, n: int) -> Spool:
        if n not in self.spools:
            # The same token every time: a pid that comes again.
            self.spools[n] = Spool(self.folder, token=f"p{n}", head=b"h", readers=READERS, segment_bytes=4096)
        return self.spools[n]

    @rule(n=st.integers(0, 2), size=st.integers(0, 2500))
    def append(self, n: int, size: int) -> None:
        frame = b"%d:" % self.appended + b"x" * size
        self.appended += 1
        self._spool(n).append(frame)
        for frames in self.open.values():
            frames.add(frame)

    @rule(n=st.integers(0, 2), reader=st.sampled_from(READERS), limit=st.integers(1, 5))
    def read(self, n: int, reader: str, limit: int) -> None:
        batch = self._spool(n).read(reader, limit)
        if batch is None:
            self.batches.pop((n, reader), None)
            return
        self.batches[n, reader] = batch

        assert 0 < len(batch.frames) <= limit
        assert set(batch.frames) <= self.open[reader], "what was committed came again"

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def commit(self, data: Any) -> None:
        n, reader = data.draw(st.sampled_from(sorted(self.batches)))
        batch = self.batches.pop((n, reader))
        count = data.draw(st.integers(0, len(batch.frames)))
        self.spools[n].commit(reader, batch, count)
        self.open[reader] -= set(batch.frames[:count])

    @rule(n=st.integers(0, 2))
    def crash(self, n: int) -> None:
        spool = self.spools.pop(n, None)
        if spool is not None:
            spool.abandon()  # the descriptors go, nothing is tidied: as after kill -9
        for reader in READERS:
            self.batches.pop((n, reader), None)

    @rule(n=st.integers(0, 2))
    def close(self, n: int) -> None:
        spool = self.spools.pop(n, None)
        if spool is not None:
            spool.close()
        for reader in READERS:
            self.batches.pop((n, reader), None)

    @rule(n=st.integers(0, 2))
    def adopt(self, n: int) -> None:
        self._spool(n).adopt()

    @invariant()
    def nothing_is_lost(self) -> None:
        assert 0 == sum(spool.lost_bytes + spool.dropped_bytes for spool in self.spools.values())

    def teardown(self) -> None:
        for n in list(self.spools):
            self.crash(n)
        last = Spool(self.folder, token="last", readers=READERS)
        last.adopt()
        for reader in READERS:
            found: list[bytes] = []
            while (batch := last.read(reader)) is not None:
                found += batch.frames
                last.commit(reader, batch)
            assert (len(found), self.open[reader]) == (len(set(found)), set(found))
        last.close()
        left = list(self.folder.iterdir())
        shutil.rmtree(self.folder)
        assert [] == left


TestSpools = Spools.TestCase
TestSpools.__doc__ = "Whatever happens in whatever order, each reader gets each frame until it has committed it."
TestSpools.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
