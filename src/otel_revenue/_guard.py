# SPDX-License-Identifier: Apache-2.0
"""
The one place that swallows our own errors.

It stands where the application calls us (a patched function, a middleware, a callback of a library, our thread's
loop) and nowhere else: code below it raises as usual. The application's own call always runs outside it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("otel_revenue")

reraise = False
"""Set by a fixture of the test-suite, by nothing else: a test must not pass over a hidden bug."""

failures: Counter[str] = Counter()
"""How often each step failed since the process started; read by the metric `otel_revenue.failures`."""

_logged: set[tuple[str, str, str]] = set()
_lock = threading.Lock()


@contextmanager
def guard(step: str) -> Iterator[None]:
    """
    Keep a failure of ours away from the application.

    *step* is a constant of the code ("stripe.webhook"), never data.
    Exit, Ctrl-C and cancellation are not `Exception`: they pass.
    """
    try:
        yield
    except Exception as error:
        if reraise:
            raise
        report(step, error)


def report(step: str, error: BaseException) -> None:
    """Count a failure, and log it once per step and place: class, file and line, never the text (Stripe's messages quote e-mails)."""
    place = _place(error)
    key = (step, type(error).__name__, place)
    with _lock:
        failures[step] += 1
        if key in _logged:
            return
        _logged.add(key)
    logger.error(
        "otel-revenue: %s failed (%s at %s). The application is not affected; further failures of this kind are counted "
        "in the metric otel_revenue.failures and not logged again.",
        step,
        type(error).__name__,
        place,
    )


def warn_once(key: str, message: str, *args: object) -> None:
    """Log *message* as a warning the first time that *key* (a constant of the code) is seen in this process."""
    with _lock:
        if (key, "", "") in _logged:
            return
        _logged.add((key, "", ""))
    logger.warning(message, *args)


def reset() -> None:
    """Forget what was counted and logged; for a forked child and for tests."""
    with _lock:
        failures.clear()
        _logged.clear()


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    place = "unknown"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
