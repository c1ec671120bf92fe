# SPDX-License-Identifier: Apache-2.0
"""One fault from beginning to end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .causes import SHARE
from .result import Result, count
from .scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

    from .table import Fault


def play(
    fault: Fault, folder: Path, payments: int, *, patience_s: float = 60.0, thorough: bool = True, seed: int = 7
) -> Result:
    """
    Let *payments* be paid, most of them while *fault* lasts, and count what became of them.

    Args:
        folder: empty; what is in it afterwards shows what happened.
        patience_s: for how long the processes are given time to deliver before they are ended, and the next one starts.
        thorough: wait for the leases of processes that were killed.
    """
    begin = time.monotonic()
    scene = Scene(folder, payments, apps=fault.apps, seed=seed, environ=fault.environ)
    try:
        scene.pay((1 - SHARE) / 2)
        with fault.during(scene):
            scene.pay(SHARE)
        scene.pay(1)
        scene.settle(patience_s, lambda: fault.aside and _only_poisoned(scene), thorough=thorough)
        return count(scene, fault, time.monotonic() - begin)
    finally:
        scene.close()


def _only_poisoned(scene: Scene) -> bool:
    from .table import EVERY

    return all(int(order.removeprefix("o-")) % EVERY == 0 for _, order in scene.missing()) and scene.drained
