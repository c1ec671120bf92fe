# SPDX-License-Identifier: Apache-2.0
"""A funnel event: what it costs the caller's thread, and the process until it is delivered."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING, Final

from . import contenders, sink
from .figures import Line, Table, ratio
from .turns import Player, players

if TYPE_CHECKING:
    from pathlib import Path

OURS: Final = contenders.Revenue.name
OTEL: Final = contenders.OtelLog.name
BOTH: Final = contenders.OtelLogAndSpanEvent.name
POSTHOG: Final = contenders.PostHog.name
NOTHING: Final = contenders.Nothing.name

_CALLS: Final = 100
_REST_S: Final = 0.03
_WARM: Final = 3


def caller(folder: Path, *, rounds: int) -> list[Table]:
    """Time single calls: a chunk of 100 per contender and round, inside a recording span and outside of any."""
    names = [OURS, OTEL, BOTH, POSTHOG]
    taken: dict[tuple[str, bool], list[float]] = {}
    slow: dict[tuple[str, bool], list[float]] = {}
    with sink.running() as receiver, players(names, receiver.url, folder) as everyone:
        for number in range(rounds + _WARM):
            turns = [(player, span) for player in everyone for span in (True, False)]
            random.shuffle(turns)
            for player, span in turns:
                times = sorted(player.ask("chunk", calls=_CALLS, span=span))
                time.sleep(_REST_S)
                if number >= _WARM:  # the first ones fill caches and open connections
                    taken.setdefault((player.name, span), []).append(statistics.median(times) / 1000)
                    slow.setdefault((player.name, span), []).append(times[-2] / 1000)
        lost = _lost(everyone, receiver)
    return [_caller_table(names, taken, slow, span=span, lost=lost) for span in (True, False)]


def _caller_table(
    names: list[str],
    taken: dict[tuple[str, bool], list[float]],
    slow: dict[tuple[str, bool], list[float]],
    *,
    span: bool,
    lost: dict[str, int],
) -> Table:
    reference = taken[OTEL, span]
    lines = [
        Line(
            name,
            taken[name, span],
            None if name == OTEL else ratio(taken[name, span], reference),
            f"p99 {statistics.median(slow[name, span]):.0f}" + (f", {lost[name]} LOST" if lost[name] else ""),
        )
        for name in names
    ]
    where = "inside a recording SERVER span" if span else "outside of a span"
    return Table(
        f"Funnel event, caller's thread, {where} (8 attributes; p50 of a call)",
        "µs",
        lines,
        goal="otel-revenue ≤ 1.1 × a bare OTel log",
        met=ratio(taken[OURS, span], reference) <= 1.1,
        notes=(
            "otel-revenue: validated, masked, on disk against kill -9" + (", log event and span event" if span else ""),
            "the others: in memory, as they were given",
        ),
    )


def cpu(folder: Path, *, rounds: int, chunks: int) -> list[Table]:
    """Sum the CPU of a contender's process until its events were delivered, less what the harness itself costs."""
    names = [NOTHING, OURS, OTEL, POSTHOG]
    taken: dict[str, list[float]] = {name: [] for name in names}
    with sink.running() as receiver, players(names, receiver.url, folder) as everyone:
        for player in everyone:
            player.ask("burst", chunks=_WARM, calls=_CALLS, pause_s=0.02)
        for _ in range(rounds):
            for player in random.sample(everyone, len(everyone)):
                seconds = player.ask("burst", chunks=chunks, calls=_CALLS, pause_s=0.02)
                taken[player.name].append(seconds / (chunks * _CALLS) * 1e6)
        lost = _lost(everyone, receiver)
    bare = statistics.median(taken[NOTHING])
    net = {name: [max(0.01, value - bare) for value in values] for name, values in taken.items()}
    lines = [
        Line(
            name,
            net[name],
            None if name == OTEL else ratio(net[name], net[OTEL]),
            f"{lost[name]} LOST" if lost[name] else "all delivered",
        )
        for name in (OURS, OTEL, POSTHOG)
    ]
    return [
        Table(
            "CPU of the process per delivered event (chunks of 100 with 20 ms between)",
            "µs",
            lines,
            goal="otel-revenue ≤ 0.3 × the OTel log pipeline",
            met=ratio(net[OURS], net[OTEL]) <= 0.3,
            notes=(f"the harness's own {bare:.1f} µs are taken off",),
        )
    ]


def _lost(everyone: list[Player], receiver: sink.Sink) -> dict[str, int]:
    recorded = {player.name: player.ask("flush") for player in everyone}
    delivered = receiver.counts()
    return {name: 0 if name == NOTHING else number - delivered.get(name, 0) for name, number in recorded.items()}
