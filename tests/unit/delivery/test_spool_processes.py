# SPDX-License-Identifier: Apache-2.0
"""The spool under real processes: killed, forked, and several at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otel_revenue.delivery.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


def _all(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    while (batch := spool.read("otlp")) is not None:
        found += batch.frames
        spool.commit("otlp", batch)
    return found


WRITER = """
import os, sys
from pathlib import Path
from otel_revenue.delivery.spool import Spool

spool = Spool(Path(sys.argv[1]), token="same", segment_bytes=4096)
for n in range(10**9):
    spool.append(b"%d:" % n + b"x" * (n % 700))
    os.write(1, b"%d\\n" % n)  # acknowledged: append has returned
"""


def test_every_acknowledged_frame_survives_kill_9(tmp_path: Path) -> None:
    """
    A process killed in the middle of its writing loses no frame for which append had returned, time after time.
    """
    acknowledged: list[int] = []
    for least in (10, 100, 400):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(least)]
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.read().splitlines()
        acknowledged.append(1 + max(int(line) for line in lines if line.strip()))
    spool = Spool(tmp_path, token="same")
    spool.adopt()
    found = [int(frame.partition(b":")[0]) for frame in _all(spool)]
    spool.close()

    missing = [n for count in acknowledged for n in range(count)]
    for n in found:
        if n in missing:
            missing.remove(n)
    assert [] == missing
    assert len(found) <= sum(acknowledged) + len(acknowledged)


ADOPTER = """
import sys
from pathlib import Path
from otel_revenue.delivery.spool import Spool

spool = Spool(Path(sys.argv[1]), token="adopter")
sys.stdin.readline()  # all start at once
spool.adopt()
found = []
while (batch := spool.read("otlp")) is not None:
    found += [frame.decode() for frame in batch.frames]
    spool.commit("otlp", batch)
print(" ".join(found), flush=True)
sys.stdin.readline()  # nobody dies before all have looked
"""


def test_a_dead_process_is_adopted_by_exactly_one(tmp_path: Path) -> None:
    """
    Of several processes that find the files of a dead one at the same moment, each file goes to one of them.
    """
    for n in range(12):
        spool = Spool(tmp_path, token="dead")
        spool.append(b"f%d" % n)
        spool.close()
    command = [sys.executable, "-c", ADOPTER, str(tmp_path)]
    adopters = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found: list[str] = []
    try:
        for adopter in adopters:
            assert adopter.stdin is not None
            adopter.stdin.write("go\n")
            adopter.stdin.flush()
        for adopter in adopters:
            assert adopter.stdout is not None
            found += adopter.stdout.readline().split()
    finally:
        for adopter in adopters:
            adopter.communicate("end\n", timeout=30)

    assert sorted(f"f{n}" for n in range(12)) == sorted(found)


def test_the_files_of_a_living_process_are_its_own(tmp_path: Path) -> None:
    """
    What is locked by a process that lives is not adopted, from its first moment on.
    """
    living = Spool(tmp_path, token="a", segment_bytes=4096)
    other = Spool(tmp_path, token="b")
    adopted = []
    for _ in range(20):
        living.append(b"x" * 1000)
        adopted.append(other.adopt())
    found = len(_all(living))
    living.close()
    other.close()

    assert (0, 20) == (sum(adopted), found)


def test_a_forked_child_begins_anew(tmp_path: Path) -> None:
    """
    A child that has abandoned what it inherited writes files of its own, and does not keep its parent's lock alive.
    """
    spool = Spool(tmp_path, token="a")
    spool.append(b"of the parent")
    ready, write = os.pipe()
    wait, release = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            spool.abandon()
            spool.append(b"of the child")
            os.write(write, b"x")
            os.read(wait, 1)
        finally:
            os._exit(0)
    os.read(ready, 1)
    spool.close()  # the parent is gone, the child lives
    after = Spool(tmp_path, token="b")
    after.adopt()
    while_child_lives = _all(after)
    os.write(release, b"x")
    os.waitpid(child, 0)
    after.adopt()
    when_child_is_dead = _all(after)
    after.close()

    assert ([b"of the parent"], [b"of the child"]) == (while_child_lives, when_child_is_dead)


def test_a_lock_that_was_held_at_the_fork_does_not_stop_the_child(tmp_path: Path) -> None:
    """
    A thread of the parent may be appending at the moment of the fork: the child can append all the same.
    """
    spool = Spool(tmp_path, token="a")
    spool.append(b"x")
    with spool._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            try:
                spool.abandon()
                spool.append(b"y")
                os._exit(0)
            finally:
                os._exit(1)
    _, status = os.waitpid(child, 0)
    spool.close()

    assert 0 == status


@pytest.mark.parametrize("when", ["after close", "before anything"])
def test_close_is_no_end(when: str, tmp_path: Path) -> None:
    """
    An event that comes after the spool was closed is still written, and found by the next process.
    """
    spool = Spool(tmp_path, token="a")
    if when == "after close":
        spool.append(b"early")
    spool.close()
    spool.append(b"late")
    spool.close()
    after = Spool(tmp_path, token="b")
    after.adopt()
    found = sorted(_all(after))
    after.close()

    assert ([b"early", b"late"] if when == "after close" else [b"late"]) == found
