# SPDX-License-Identifier: Apache-2.0
"""What an import adds to a process that has the OTel SDK."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from .figures import Line, Table

if TYPE_CHECKING:
    from pathlib import Path

_SDK: Final = "import opentelemetry.sdk.trace, opentelemetry.sdk.metrics, opentelemetry.sdk._logs"
_CODE: Final = """
import json, sys, threading, time
{sdk}
before = time.process_time()
{adds}
taken = time.process_time() - before
print(json.dumps([taken * 1000, threading.active_count(), "stripe" in sys.modules]))
"""
_AUTO: Final = "import opentelemetry.instrumentation.instrumentor, opentelemetry.instrumentation.utils, wrapt"
_OURS: Final = "from otel_revenue.instrumentation import RevenueInstrumentor"
_ADDED: Final = {
    "otel-revenue": (_SDK, _OURS),
    "  where opentelemetry-instrument runs": (f"{_SDK}; {_AUTO}", _OURS),
    "  the same, and instrumented": (f"{_SDK}; {_AUTO}", f"{_OURS}; RevenueInstrumentor().instrument(store='store')"),
    "posthog": (_SDK, "import posthog"),
    "stripe": (_SDK, "import stripe"),
}


def importing(folder: Path, *, rounds: int) -> list[Table]:
    """Time the import in fresh processes, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in _ADDED}
    threads, brings_stripe = 1, False
    for number in range(rounds + 1):
        for name in random.sample(list(_ADDED), len(_ADDED)):
            code = _CODE.format(sdk=_ADDED[name][0], adds=_ADDED[name][1])
            run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
            milliseconds, alive, has_stripe = json.loads(run.stdout)
            if name == "otel-revenue":
                threads, brings_stripe = max(threads, alive), brings_stripe or has_stripe
            if number:  # the first one may have to compile
                taken[name].append(milliseconds)
    ours = sorted(taken["otel-revenue"])
    return [
        Table(
            "Import on top of the OTel SDK (CPU time, so that other work on the machine does not count)",
            "ms",
            [Line(name, values) for name, values in taken.items()],
            goal="≤ 60 ms; no thread, no import of stripe",
            met=ours[len(ours) // 2] <= 60 and threads == 1 and not brings_stripe,
            notes=(f"threads after it: {threads}; stripe imported: {'yes' if brings_stripe else 'no'}",),
        )
    ]
