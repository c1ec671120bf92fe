# SPDX-License-Identifier: Apache-2.0
"""The spool's promises, one by one: what was appended is read, whatever happens to processes, bytes and disks."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.delivery import segment as segments
from otel_revenue.delivery.segment import FRAME, MAX_FRAME
from otel_revenue.delivery.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


def _all(spool: Spool, reader: str = "otlp", limit: int = 512) -> list[bytes]:
    found: list[bytes] = []
    while (batch := spool.read(reader, limit)) is not None:
        found += batch.frames
        spool.commit(reader, batch)
    return found


def _dead(folder: Path, frames: list[bytes], **more: object) -> Path:
    """A segment that a process left behind."""
    spool = Spool(folder, token="dead", **more)  # type: ignore[arg-type]
    for frame in frames:
        spool.append(frame)
    (path,) = [s.path for s in spool._segments]
    spool.close()
    return path


FRAMES = st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=40)


@given(frames=FRAMES, limit=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_frames_come_back_in_order(frames: list[bytes], limit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """
    What is appended is read, byte by byte, in order, over as many segments as it took.
    """
    spool = Spool(tmp_path_factory.mktemp("spool"), token="a", head=b"head", segment_bytes=4096)
    for frame in frames:
        spool.append(frame)
    found = _all(spool, limit=limit)
    spool.close()

    assert frames == found


def test_the_head_goes_with_the_frames(tmp_path: Path) -> None:
    """
    Frames of a dead process are handed out with that process's head.
    """
    _dead(tmp_path, [b"x"], head=b"before")
    spool = Spool(tmp_path, token="b", head=b"now")
    spool.append(b"y")
    spool.adopt()
    first = spool.read("otlp")
    assert first is not None
    spool.commit("otlp", first)
    second = spool.read("otlp")
    spool.close()

    assert second is not None
    assert [(b"before", [b"x"]), (b"now", [b"y"])] == [(first.head, first.frames), (second.head, second.frames)]


def test_a_part_of_a_batch_is_committed(tmp_path: Path) -> None:
    """
    What was done of a batch is not handed out again; what was not, is.
    """
    spool = Spool(tmp_path, token="a")
    for frame in (b"1", b"22", b"333"):
        spool.append(frame)
    batch = spool.read("otlp")
    assert batch is not None
    spool.commit("otlp", batch, 0)
    spool.commit("otlp", batch, 2)
    rest = _all(spool)
    spool.close()

    assert [b"333"] == rest


def test_readers_are_independent(tmp_path: Path) -> None:
    """
    Each reader gets every frame; a segment goes only when all have passed it, and its cursors with it.
    """
    spool = Spool(tmp_path, token="a", readers=("otlp", "webhook"), segment_bytes=4096)
    frames = [bytes([n]) * 1500 for n in range(9)]
    for frame in frames:
        spool.append(frame)
    first = _all(spool, "otlp")
    kept = len(list(tmp_path.glob("*.seg")))
    second = _all(spool, "webhook")
    left = len(list(tmp_path.glob("*.seg")))
    spool.close()

    assert (frames, frames, 3, 1, []) == (first, second, kept, left, list(tmp_path.iterdir()))


def test_progress_survives_a_restart(tmp_path: Path) -> None:
    """
    A reader goes on where it was in an adopted segment; another begins at the beginning.
    """
    spool = Spool(tmp_path, token="a", readers=("otlp", "webhook"))
    for frame in (b"1", b"2", b"3"):
        spool.append(frame)
    batch = spool.read("otlp", 2)
    assert batch is not None
    spool.commit("otlp", batch)
    spool.close()
    after = Spool(tmp_path, token="b", readers=("otlp", "webhook"))
    after.adopt()
    found = (_all(after, "otlp"), _all(after, "webhook"))
    after.close()

    assert ([b"3"], [b"1", b"2", b"3"]) == found


def test_a_restart_under_the_same_token_loses_nothing(tmp_path: Path) -> None:
    """
    A pid comes again (in a container at every start): the files of the dead namesake are adopted, none is overwritten.
    """
    for frame in (b"1", b"2"):
        _dead(tmp_path, [frame])
    spool = Spool(tmp_path, token="dead")
    spool.append(b"3")
    adopted = spool.adopt()
    found = sorted(_all(spool))
    spool.close()

    assert (2, [b"1", b"2", b"3"]) == (adopted, found)


def test_a_torn_tail_is_counted(tmp_path: Path) -> None:
    """
    A frame that its process died in is no frame; those before it are read, and its bytes are counted once.
    """
    path = _dead(tmp_path, [b"whole", b"torn away"])
    os.truncate(path, path.stat().st_size - 4)
    spool = Spool(tmp_path, token="b", readers=("otlp", "webhook"))
    spool.adopt()
    found = (_all(spool), _all(spool, "webhook"))
    spool.close()

    assert ([b"whole"], [b"whole"], FRAME.size + 5, []) == (*found, spool.lost_bytes, list(tmp_path.iterdir()))


def test_a_damaged_frame_costs_itself_alone(tmp_path: Path) -> None:
    """
    Bits that turned in the middle of a file lose the one frame they are in, counted; what follows is read.
    """
    path = _dead(tmp_path, [b"first", b"damaged", b"last"])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"damaged", b"dXmaged"))
    spool = Spool(tmp_path, token="b")
    spool.adopt()
    found = _all(spool)
    spool.close()

    assert ([b"first", b"last"], FRAME.size + 7) == (found, spool.lost_bytes)


def test_a_damaged_length_is_counted_with_all_that_follows(tmp_path: Path) -> None:
    """
    Where a length makes no sense nothing behind it can be found: all of it is counted, and the file does not come again.
    """
    path = _dead(tmp_path, [b"first", b"second", b"third"])
    data = path.read_bytes()
    at = data.index(b"second") - FRAME.size
    path.write_bytes(data[:at] + struct.pack("<I", MAX_FRAME + 1) + data[at + 4 :])
    spool = Spool(tmp_path, token="b")
    spool.adopt()
    found = _all(spool)
    spool.close()

    assert ([b"first"], len(data) - at, []) == (found, spool.lost_bytes, list(tmp_path.iterdir()))


def test_zeros_of_a_power_cut_are_no_frames(tmp_path: Path) -> None:
    """
    A file system may leave zeros where bytes were to come: they are not thousands of empty events.
    """
    path = _dead(tmp_path, [b"first"])
    with path.open("ab") as file:
        file.write(bytes(4096))
    spool = Spool(tmp_path, token="b")
    spool.adopt()
    found = _all(spool)
    spool.close()

    assert ([b"first"], 4096) == (found, spool.lost_bytes)


@given(garbage=st.binary(max_size=400), keep=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_file_is_survived(garbage: bytes, keep: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    """
    Whatever bytes stand in a file of the folder, adoption and reading end, and our own frames go through.
    """
    folder = tmp_path_factory.mktemp("spool")
    path = _dead(folder, [b"x" * 50])
    path.write_bytes(path.read_bytes() + garbage if keep else garbage)
    spool = Spool(folder, token="b")
    spool.adopt()
    spool.adopt()
    spool.append(b"ours")
    found = _all(spool)
    spool.close()

    assert b"ours" in found
    assert (b"x" * 50 in found) == keep


def test_a_file_of_a_later_format_is_left_alone(tmp_path: Path) -> None:
    """
    After a downgrade the files of the newer version are not destroyed; they are counted once.
    """
    path = tmp_path / "new.seg"
    path.write_bytes(b"OTRSPOOL2\nwhatever")
    spool = Spool(tmp_path, token="b")
    for _ in range(3):
        spool.adopt()
    spool.close()

    assert (True, 18) == (path.exists(), spool.lost_bytes)


def test_a_damaged_cursor_repeats_and_does_not_lose(tmp_path: Path) -> None:
    """
    A cursor that cannot be read means: from the beginning.
    """
    path = _dead(tmp_path, [b"1", b"2"])
    path.with_suffix(".otlp.cursor").write_bytes(b"\x01")
    spool = Spool(tmp_path, token="b")
    spool.adopt()
    found = _all(spool)
    spool.close()

    assert [b"1", b"2"] == found


def test_at_the_limit_the_oldest_goes_counted(tmp_path: Path) -> None:
    """
    Above its size the spool gives up its oldest file, says how many unread bytes that cost, and keeps the newest.
    """
    spool = Spool(tmp_path, token="a", max_bytes=16384)
    frames = [n.to_bytes(2, "big") * 500 for n in range(40)]
    for frame in frames:
        spool.append(frame)
    size = spool.size
    found = _all(spool)
    spool.close()

    lost = len(frames) - len(found)
    assert (frames[lost:], lost * (1000 + FRAME.size), True) == (found, spool.dropped_bytes, size <= 16384 + 4096)
    assert lost > 0


def test_the_limit_is_of_the_whole_folder(tmp_path: Path) -> None:
    """
    Several processes share the limit: one gives up its oldest when the folder is too large, and never another one's.
    """
    other = Spool(tmp_path, token="other", max_bytes=16384)
    for _ in range(12):
        other.append(b"o" * 1000)
    spool = Spool(tmp_path, token="a", max_bytes=16384)
    for n in range(12):
        spool.append(n.to_bytes(2, "big") * 500)
    held = sum(path.stat().st_size for path in tmp_path.glob("*.seg"))
    found = (len(_all(other)), len(_all(spool)))
    spool.close()
    other.close()

    assert (12, True) == (found[0], 0 < found[1] < 12)
    assert (0, True) == (other.dropped_bytes, spool.dropped_bytes > 0)
    assert held <= 16384 + 2 * 4096 + 1024


def test_what_a_dead_process_left_is_the_oldest(tmp_path: Path) -> None:
    """
    At the limit an adopted file goes before our own.
    """
    _dead(tmp_path, [b"old" * 1000])
    spool = Spool(tmp_path, token="b", max_bytes=16384)
    for _ in range(4):
        spool.append(b"new" * 1300)
    spool.adopt()
    for _ in range(2):
        spool.append(b"new" * 1300)
    found = _all(spool)
    spool.close()

    assert {b"new" * 1300} == set(found)


@pytest.mark.parametrize("frame", [b"", b"x" * (MAX_FRAME + 1)])
def test_a_frame_that_could_not_be_read_is_not_written(frame: bytes, tmp_path: Path) -> None:
    """
    A frame that reading would take for damage is refused at once.
    """
    spool = Spool(tmp_path, token="a")
    with pytest.raises(OSError, match="frame"):
        spool.append(frame)
    spool.append(b"next")
    found = _all(spool)
    spool.close()

    assert [b"next"] == found


def test_the_largest_frame_is_read(tmp_path: Path) -> None:
    """
    A frame larger than a reading window comes back whole, wherever it stands.
    """
    big = os.urandom(3 * 1024 * 1024)
    spool = Spool(tmp_path, token="a", segment_bytes=64 * 1024 * 1024)
    for frame in (b"1", big, b"2", big[::-1], b"3"):
        spool.append(frame)
    found = _all(spool)
    spool.close()

    assert [b"1", big, b"2", big[::-1], b"3"] == found


@pytest.mark.parametrize("truncates", [True, False], ids=["mends itself", "cannot be mended"])
def test_a_disk_that_fills_in_the_middle_of_a_frame(
    truncates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A frame written in part raises, is never read, and costs none of those before and after it.
    """
    spool = Spool(tmp_path, token="a")
    spool.append(b"before")
    write, truncate = os.write, os.ftruncate

    def fails(*_: object) -> None:
        raise OSError(5, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", lambda fd, data: write(fd, data[:5]))
        patch.setattr("os.ftruncate", truncate if truncates else fails)
        with pytest.raises(OSError, match="part"):
            spool.append(b"in the middle")
    spool.append(b"after")
    found = _all(spool)
    spool.close()

    assert ([b"before", b"after"], 0 if truncates else 5) == (found, spool.lost_bytes)


def test_a_head_that_is_written_in_part_leaves_no_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a full disk no half a file is left, and the next append, when there is space, works.
    """
    spool = Spool(tmp_path, token="a", head=b"head")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr("os.write", lambda fd, data: write(fd, data[:5]))
        with pytest.raises(OSError, match="part"):
            spool.append(b"x")
    left = list(tmp_path.iterdir())
    spool.append(b"y")
    found = _all(spool)
    spool.close()

    assert ([], [b"y"]) == (left, found)


FULL = """
import resource, sys
from pathlib import Path
from otel_revenue.delivery.spool import Spool

spool = Spool(Path(sys.argv[1]), token="full", segment_bytes=1 << 20)
spool.append(b"x" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
taken = 1
for _ in range(20):
    try:
        spool.append(b"x" * 1000)
        taken += 1
    except OSError:
        pass
print(taken)
"""


def test_a_limit_of_the_system_is_an_error_and_no_loss(tmp_path: Path) -> None:
    """
    With the system itself refusing more bytes, what append took is there, and what it did not take it said.
    """
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    spool = Spool(tmp_path, token="b")
    spool.adopt()
    found = _all(spool)
    spool.close()

    assert (int(done.stdout), 0) == (len(found), spool.lost_bytes)
    assert 1 < len(found) <= 20


def test_a_folder_that_cannot_be_used_is_an_os_error(tmp_path: Path) -> None:
    """
    A file where the folder should be is told to the caller at once.
    """
    (tmp_path / "spool").write_text("")
    with pytest.raises(OSError, match="spool"):
        Spool(tmp_path / "spool", token="a")


def test_a_folder_that_vanished_is_an_os_error(tmp_path: Path) -> None:
    """
    An append into a folder that somebody removed says so.
    """
    spool = Spool(tmp_path / "spool", token="a")
    (tmp_path / "spool").rmdir()
    with pytest.raises(OSError, match="spool"):
        spool.append(b"x")


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """
    Folder 0700, files 0600, the cursors too.
    """
    spool = Spool(tmp_path / "spool", token="a")
    spool.append(b"x")
    spool.append(b"y")
    batch = spool.read("otlp", 1)
    assert batch is not None
    spool.commit("otlp", batch)
    modes = {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "spool").iterdir()}
    spool.close()

    assert ("0o700", {"0o600"}, 2) == (
        oct((tmp_path / "spool").stat().st_mode & 0o777),
        modes,
        len(list((tmp_path / "spool").iterdir())),
    )


def test_fsync_waits_for_the_disk_at_each_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With fsync each append is synced, and so are a new file and its name; without it none is.
    """
    synced: list[str] = []
    monkeypatch.setattr(segments, "_sync", lambda fd: synced.append("data"))
    monkeypatch.setattr("os.fsync", lambda fd: synced.append("file"))
    for fsync in (False, True):
        spool = Spool(tmp_path / str(fsync), token="a", fsync=fsync)
        spool.append(b"x")
        spool.append(b"y")
        spool.close()

    assert ["file", "file", "data", "data"] == synced


def test_leftovers_of_a_file_in_the_making_are_removed(tmp_path: Path) -> None:
    """
    What a process left before it was a segment goes after a while, never at once: it may be in the making.
    """
    for name, age in (("old.new", 3600), ("young.new", 0)):
        (tmp_path / name).write_bytes(b"")
        at = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (at, at))
    spool = Spool(tmp_path, token="a")
    spool.adopt()
    spool.close()

    assert ["young.new"] == [path.name for path in tmp_path.iterdir()]


def test_a_file_of_damage_alone_goes(tmp_path: Path) -> None:
    """
    A file in which nothing can be read is counted and removed, and does not stand in the way of the next.
    """
    path = _dead(tmp_path, [b"damaged"])
    path.write_bytes(path.read_bytes().replace(b"damaged", b"dXmaged"))
    spool = Spool(tmp_path, token="b")
    spool.adopt()
    spool.append(b"ours")
    found = _all(spool)
    spool.close()

    assert ([b"ours"], FRAME.size + 7, []) == (found, spool.lost_bytes, list(tmp_path.iterdir()))


def test_a_late_commit_does_not_go_back(tmp_path: Path) -> None:
    """
    A batch that is given back after a later one does not bring frames again that are done.
    """
    spool = Spool(tmp_path, token="a")
    for frame in (b"1", b"2", b"3"):
        spool.append(frame)
    early, late = spool.read("otlp", 1), spool.read("otlp", 2)
    assert early is not None
    assert late is not None
    spool.commit("otlp", late)
    spool.commit("otlp", early)
    rest = _all(spool)
    spool.close()

    assert [b"3"] == rest
