# SPDX-License-Identifier: Apache-2.0
"""
The one place that swallows our own errors.

It stands where the application calls us (a patched function, a middleware, a callback of a library, our thread's
loop), and around what must not take a payment with it (what is read from tracing or from `bind`, what is shown on
spans): elsewhere code raises as usual. The application's own call always runs outside it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    Adapter = logging.LoggerAdapter[logging.Logger]
else:
    Adapter = logging.LoggerAdapter


class QuietLogger(Adapter):
    """
    Our logger, as seen from inside of somebody else's application.

    A line of ours goes out with instrumentation suppressed, so that a handler that sends log records over the network makes
    no spans of it; while it is handled, further lines of ours in the same thread are dropped, so that a handler which comes
    back to us does not loop; and a handler that raises does not reach the application.
    """

    _thread = threading.local()

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log as usual, or not at all."""
        if not self.isEnabledFor(level) or getattr(self._thread, "busy", False):
            return
        self._thread.busy = True
        try:
            with _suppressed():
                self.logger.log(level, msg, *args, **{**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1})
        except Exception:
            if reraise:
                raise
        finally:
            self._thread.busy = False


def _suppressed() -> AbstractContextManager[None]:
    try:
        from opentelemetry.instrumentation.utils import suppress_instrumentation
    except ImportError:  # while the interpreter ends
        return nullcontext()
    return suppress_instrumentation()


logger = QuietLogger(logging.getLogger("otel_revenue"), {})

reraise = False
"""Set by fixtures, of this test-suite and of `testing.plugin`, by nothing else: a test must not pass over a hidden bug."""

failures: Counter[str] = Counter()
"""How often each step failed since the process started; read by the metric `otel_revenue.failures`."""

_logged: set[tuple[str, str, str]] = set()
_lock = threading.RLock()  # a finaliser may fail, and report it, in the middle of a report


class guard:  # noqa: N801 - reads as the statement that it is; a class, since a generator costs three times as much
    """
    Keep a failure of ours away from the application: `with guard("stripe.webhook"): ...`.

    *step* is a constant of the code, never data.
    Exit, Ctrl-C and cancellation are not `Exception`: they pass.
    """

    __slots__ = ("_step",)

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or reraise or not isinstance(error, Exception):
            return False
        report(self._step, error)
        return True


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


def _forget_lock() -> None:
    global _lock  # noqa: PLW0603 - this module is the one guard of a process
    _lock = threading.RLock()  # of the parent's threads none is here to release it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    place = "unknown"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119 - a path of another system raises nothing
        trace = trace.tb_next
    return place
