# SPDX-License-Identifier: Apache-2.0
"""
When what belongs to one process is opened, flushed and let go of.

Nothing is opened and no thread is started before the process that will use it does something: a server may fork after
the application was instrumented. What is opened belongs to one process; a forked child opens its own.
"""

from __future__ import annotations

import abc
import atexit
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Process


class Life(abc.ABC):
    """
    The life of one application's running parts.

    Args:
        flush_timeout_s: bound of a flush where none is given.
    """

    _tracer_provider: Any
    """The application's; its spans are flushed along."""

    _process: Process | None = None

    def __init__(self, flush_timeout_s: float) -> None:
        self._flush_timeout_s = flush_timeout_s
        self._opening = threading.Lock()
        self._stopped = False
        self._spent_s = 0.0
        os.register_at_fork(
            before=_held_weakly(self, lambda life: life.before_fork()),
            after_in_parent=_held_weakly(self, lambda life: life.after_fork()),
            after_in_child=_held_weakly(self, lambda life: life.forget_process()),
        )
        atexit.register(self._at_exit)

    @abc.abstractmethod
    def _make_process(self) -> Process:
        """Open what this process uses."""

    def start(self) -> None:
        """Open the store and begin to deliver what an earlier process left; called when the application begins to serve."""
        self._spent_s = 0.0
        if not self._stopped:
            self._open().wake()

    def flush(self, timeout_s: float | None = None) -> bool:
        """
        Deliver what waits now, within a bound (seconds; the setting `flush_timeout` by default).

        Returns:
            whether all of it was delivered or set aside. What was not stays on disk for the next start.
        """
        process = self._process
        bound_s = self._flush_timeout_s if timeout_s is None else timeout_s
        end = time.monotonic() + bound_s
        flush = getattr(self._tracer_provider, "force_flush", None)
        spans_gone = None if flush is None else _beside(lambda: flush(int(bound_s * 1000)))
        done = True if process is None or process.pid != os.getpid() else process.flush(bound_s)
        if spans_gone is not None:
            spans_gone.join(max(0.0, end - time.monotonic()))
        return done

    def wind_down(self) -> None:
        """Flush when the application has stopped serving; what this takes of the bound is not taken again at exit."""
        begun = time.monotonic()
        try:
            self.flush()
        finally:
            self._spent_s = time.monotonic() - begun

    def stop(self, timeout_s: float | None = None) -> None:
        """Flush within a bound, end the thread and close the store."""
        self._stopped = True
        process, self._process = self._process, None
        if process is not None and process.pid == os.getpid():
            process.stop(self._flush_timeout_s if timeout_s is None else timeout_s)
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        with guard("runtime.exit"):
            self.stop(max(0.0, self._flush_timeout_s - self._spent_s))

    def before_fork(self) -> None:
        """In the parent: let go of what a child must not have; opened again when it is next needed."""
        process = self._process
        if process is not None and process.pid == os.getpid():
            process.before_fork()

    def after_fork(self) -> None:
        """In the parent, when it has forked."""
        process = self._process
        if process is not None and process.pid == os.getpid():
            process.after_fork()

    def forget_process(self) -> None:
        """In a forked child: what the parent opened is the parent's."""
        self._opening = threading.Lock()
        self._spent_s = 0.0
        if self._process is not None:
            self._process.abandon()
            self._process = None

    def _open(self) -> Process:
        process = self._process
        if process is not None:
            return process
        with self._opening:
            if self._process is None:
                self._process = self._make_process()
            return self._process


def _held_weakly(life: Life, method: Callable[[Life], None]) -> Callable[[], None]:
    """Return a call of *method* that does not keep *life*: what is registered for a fork cannot be taken back."""
    reference = weakref.ref(life)

    def call() -> None:
        alive = reference()
        if alive is not None:
            with guard("runtime.fork"):
                method(alive)

    return call


def _beside(call: Callable[[], object]) -> threading.Thread | None:
    """Call something that ignores its own timeout (the SDK's flush does) in a thread, for whoever waits no longer than the bound."""

    def run() -> None:
        with guard("runtime.flush"):
            call()

    thread = threading.Thread(target=run, name="otel-revenue-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending
        return None
    return thread
