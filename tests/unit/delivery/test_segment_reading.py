# SPDX-License-Identifier: Apache-2.0
"""A segment is read a little at a time: nothing is left out at the seams, and a file that became shorter ends the reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.delivery import segment as module
from otel_revenue.delivery.segment import create

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WINDOW = module._WINDOW
SIZES = st.sampled_from([1, 7, 8, 400, WINDOW - 17, WINDOW - 9, WINDOW - 8, WINDOW - 7, WINDOW, 3 * WINDOW])


@given(st.lists(SIZES, max_size=30), st.integers(1, 40))
@settings(max_examples=40)
def test_frames_of_all_sizes_are_read_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    """
    Whatever the sizes, and however they lie to the window, every frame is read once and in order.
    """
    segment = create(tmp_path_factory.mktemp("spool") / "a.seg", b"head", sync=False)
    frames = [bytes([n % 251]) * size for n, size in enumerate(sizes)]
    for frame in frames:
        segment.append(frame, sync=False)
    found: list[bytes] = []
    at = segment.start
    while at < segment.size:
        part = segment.read(at, limit)
        found += part.frames
        at = part.end
    segment.release()

    assert (frames, segment.size) == (found, at)


def test_one_reading_takes_about_a_megabyte(tmp_path: Path) -> None:
    """
    Large frames are not gathered without bound: a request holds about a megabyte of them.
    """
    segment = create(tmp_path / "a.seg", b"", sync=False)
    for _ in range(40):
        segment.append(b"x" * 100_000, sync=False)
    part = segment.read(segment.start, 2048)
    segment.release()

    assert 1_000_000 <= sum(map(len, part.frames)) <= 1_300_000


def test_a_file_that_became_shorter_ends_the_reading(tmp_path: Path) -> None:
    """
    Where somebody has cut the file, what is left of it is read, and the rest is counted as lost: once.
    """
    segment = create(tmp_path / "a.seg", b"", sync=False)
    for _ in range(10):
        segment.append(b"x" * 92, sync=False)
    os.truncate(segment.path, segment.start + 350)
    part = segment.read(segment.start, 512)
    rest = segment.read(part.end, 512)
    segment.release()

    assert (3, segment.size, 700, [], 0) == (len(part.frames), part.end, part.lost, rest.frames, rest.lost)
