"""The flush at the lifespan's end and the one at exit are one ending, with one bound."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from otel_revenue.runtime import life as module
from otel_revenue.runtime.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable


class Ending:
    """A process at a clock of its own; a flush takes `needs` seconds, or all that it is given."""

    def __init__(self, needs: float) -> None:
        self.pid = os.getpid()
        self.now = 100.0
        self.needs = needs
        self.given: list[float] = []

    def flush(self, timeout_s: float) -> bool:
        self.given.append(timeout_s)
        self.now += min(self.needs, timeout_s)
        return self.needs <= timeout_s

    def stop(self, timeout_s: float) -> None:
        self.flush(timeout_s)

    def runtime(self, patch: pytest.MonkeyPatch) -> Runtime:
        patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        runtime = Runtime.__new__(Runtime)
        runtime._flush_timeout_s = 5.0
        runtime._tracer_provider = SimpleNamespace()  # type: ignore[assignment]
        runtime._process = self  # type: ignore[assignment]
        runtime._stopped, runtime._spent_s = True, 0.0
        return runtime


def _wind_down(runtime: Runtime) -> None:
    runtime.wind_down()


def _wind_down_and_start(runtime: Runtime) -> None:
    runtime.wind_down()
    runtime.start()


@pytest.mark.parametrize(
    ("needs", "before", "given"),
    [
        pytest.param(60, _wind_down, [5, 0], id="the receiver hangs: the whole bound is spent before the exit"),
        pytest.param(1, _wind_down, [5, 4], id="what was not spent is left for the exit"),
        pytest.param(60, _wind_down_and_start, [5, 5], id="it serves again: another ending, another bound"),
        pytest.param(60, lambda runtime: None, [5], id="no lifespan: the exit has all of it"),
    ],
)
def test_an_ending_has_one_bound(
    needs: float, before: Callable[[Runtime], None], given: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the flush at the end of serving takes is not taken again at exit."""
    ending = Ending(needs)
    runtime = ending.runtime(monkeypatch)
    before(runtime)
    runtime._at_exit()

    assert given == ending.given
