# SPDX-License-Identifier: Apache-2.0
"""How each fault is brought about; each is a context in which payments are made, and says in `scene.happened` that it took place."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .far_end import slow, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .far_end import Mood
    from .scene import Scene

SHARE = 0.6
"""Of the payments, made while the fault lasts."""

_PAGE = 4096


@contextmanager
def nothing(scene: Scene) -> Iterator[None]:
    scene.happened = 1
    yield


# -- the application dies --------------------------------------------------------------------------------------------------


def _at_random(scene: Scene, number: int) -> None:
    """Send signals in the middle of requests: at most 3 ms after they began."""

    def end() -> None:
        time.sleep(scene.rng.uniform(0, 0.003))
        scene.happened += scene.app.end(number)

    scene.spread(SHARE, max(3, scene.payments // 500), lambda: threading.Thread(target=end).start())


@contextmanager
def kill(scene: Scene) -> Iterator[None]:
    _at_random(scene, signal.SIGKILL)
    yield


@contextmanager
def terminate(scene: Scene) -> Iterator[None]:
    _at_random(scene, signal.SIGTERM)
    yield


@contextmanager
def kill_delivery(scene: Scene) -> Iterator[None]:
    over = threading.Event()
    scene.far_end.mood = slow(0.2)

    def killer() -> None:
        for _ in range(max(2, scene.payments // 1000)):
            scene.far_end.busy.clear()
            while not scene.far_end.busy.wait(0.1):
                if over.is_set():
                    return
            time.sleep(scene.rng.uniform(0, 0.15))
            scene.happened += scene.app.end()

    thread = threading.Thread(target=killer)
    thread.start()
    yield
    scene.until(lambda: scene.happened)
    over.set()
    thread.join()
    scene.far_end.mood = None


@contextmanager
def fork(scene: Scene) -> Iterator[None]:
    count = max(2, scene.payments // 2000)

    def do() -> None:
        told = scene.app.ask("fork", commands=max(5, scene.payments // 20))
        scene.happened += "pid" in told

    scene.spread(SHARE, count, do)
    yield


@contextmanager
def several(scene: Scene) -> Iterator[None]:
    scene.happened = len({app.surely("ready")["pid"] for app in scene.apps}) - 1
    yield


# -- the far end -----------------------------------------------------------------------------------------------------------


def mood(bad: Mood) -> Callable[[Scene], AbstractContextManager[None]]:
    """The receiver behaves badly for a while."""

    @contextmanager
    def cause(scene: Scene) -> Iterator[None]:
        scene.far_end.mood = bad
        yield
        scene.until(lambda: scene.far_end.bad)
        scene.happened = scene.far_end.bad
        scene.far_end.mood = None

    return cause


def poison(bad: Mood) -> Callable[[Scene], AbstractContextManager[None]]:
    """The receiver refuses some events from now on, and for ever."""

    @contextmanager
    def cause(scene: Scene) -> Iterator[None]:
        scene.far_end.mood = bad
        yield
        scene.happened = scene.far_end.bad

    return cause


@contextmanager
def refused_and_retried(scene: Scene) -> Iterator[None]:
    with mood(status(400))(scene):
        yield
        # Until everything was refused one by one, which is the worst that can come of it.
        scene.until(lambda: scene.app.surely("flush", seconds=5)["drained"], 120)
    command = Path(sys.executable).with_name("otel-revenue")
    subprocess.run([command, "outbox", "retry", "--all", "--store", scene.store], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def closed_port(scene: Scene) -> Iterator[None]:
    scene.far_end.close()
    yield
    scene.happened = len(scene.missing())
    scene.far_end.open()


@contextmanager
def down_and_kill(scene: Scene) -> Iterator[None]:
    scene.far_end.close()
    yield
    scene.pay(1)
    scene.happened = int(len(scene.missing()) > 0 and scene.app.end())
    scene.far_end.open()


# -- the disk --------------------------------------------------------------------------------------------------------------


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    scene.app.surely("limit", size=0)
    scene.happened = 1
    yield
    scene.app.surely("limit", size=-1)


@contextmanager
def read_only(scene: Scene) -> Iterator[None]:
    files = [*scene.store.glob("ledger.sqlite3*"), scene.store]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in files}

    def lock_up() -> None:
        for path in files:
            path.chmod(modes[path] & ~0o222)
        scene.happened += scene.app.end()

    scene.spread(SHARE, 1, lock_up)
    yield
    for path in reversed(files):
        if path.exists():
            path.chmod(modes[path])


def _halfway(deed: Callable[[Scene], None], *, waiting: bool) -> Callable[[Scene], AbstractContextManager[None]]:
    """Do something to the store: in the middle of an outage, when there is much in it that is nowhere else; or when nothing waits."""

    @contextmanager
    def cause(scene: Scene) -> Iterator[None]:
        scene.far_end.mood = status(503) if waiting else None

        def do() -> None:
            if waiting:
                scene.until(lambda: scene.far_end.bad)
            else:
                scene.until(lambda: scene.app.surely("flush", seconds=1)["drained"] and not scene.missing())
            deed(scene)
            scene.happened += 1

        orders = scene.coming(SHARE)
        scene.points[orders.start + len(orders) // 2] = do
        yield
        scene.far_end.mood = None

    return cause


def _into_one_file(scene: Scene) -> None:
    """Empty the journal, as a process does that closes the ledger last: damage to the file is damage to all of it."""
    ledger = sqlite3.connect(scene.ledger, timeout=5)
    ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    ledger.close()


def _unlink(scene: Scene) -> None:
    for path in scene.store.glob("ledger.sqlite3*"):
        path.unlink()


def _cut(share: float) -> Callable[[Scene], None]:
    def cut(scene: Scene) -> None:
        _into_one_file(scene)
        os.truncate(scene.ledger, int(scene.ledger.stat().st_size * share) // _PAGE * _PAGE)

    return cut


def _scribble(scene: Scene) -> None:
    """Overwrite the page at which an index of the payments' ids begins."""
    _into_one_file(scene)
    ledger = sqlite3.connect(scene.ledger, timeout=5)
    (root,) = ledger.execute("SELECT rootpage FROM sqlite_master WHERE name = 'alias_payment'").fetchone()
    ledger.close()
    with scene.ledger.open("r+b") as file:
        file.seek((root - 1) * _PAGE)
        file.write(scene.rng.randbytes(_PAGE))


deleted = _halfway(_unlink, waiting=True)
folder_deleted = _halfway(lambda scene: shutil.rmtree(scene.store), waiting=True)
truncated = _halfway(_cut(0.5), waiting=False)
emptied = _halfway(_cut(0), waiting=False)
corrupted = _halfway(_scribble, waiting=True)


@contextmanager
def torn_spool(scene: Scene) -> Iterator[None]:
    scene.far_end.mood = status(503)

    def tear() -> None:
        if scene.app.end():
            for path in (scene.store / "spool").glob("*.seg"):
                with path.open("ab") as file:
                    file.write(struct.pack("<II", 500, 1) + b"half of a frame")
                scene.happened += 1

    scene.spread(SHARE, 3, tear)
    yield
    scene.far_end.mood = None


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(scene.ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdout.readline()
    scene.happened = 1
    timer = threading.Timer(5, holder.stdin.close)
    timer.start()
    yield
    timer.join()
    holder.wait(10)
    holder.stdout.close()


_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("holding", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


# -- time and versions -----------------------------------------------------------------------------------------------------


@contextmanager
def clock(scene: Scene) -> Iterator[None]:
    orders = scene.coming(SHARE)
    scene.far_end.mood = status(503)

    def jump(seconds: float, mood: Mood | None) -> Callable[[], None]:
        def do() -> None:
            scene.until(lambda: scene.far_end.bad)
            scene.app.surely("clock", seconds=seconds)
            scene.far_end.mood = mood
            scene.happened += 1

        return do

    day = 86400
    for share, seconds, bad in ((0.2, day, status(503)), (0.4, -day, None), (0.6, -day, status(503)), (0.8, 0, None)):
        scene.points[orders.start + int(len(orders) * share)] = jump(seconds, bad)
    yield


@contextmanager
def newer_layout(scene: Scene) -> Iterator[None]:
    def version(number: int) -> int:
        with sqlite3.connect(scene.ledger, timeout=5) as ledger:
            before = int(ledger.execute("PRAGMA user_version").fetchone()[0])
            ledger.execute(f"PRAGMA user_version = {number}")
        ledger.close()
        return before

    known: list[int] = []

    def migrate() -> None:
        known.append(version(99))
        scene.happened += scene.app.end()

    scene.spread(SHARE, 1, migrate)
    yield
    version(known[0])
    scene.app.end(signal.SIGTERM)  # the deployment that brings the newer version
