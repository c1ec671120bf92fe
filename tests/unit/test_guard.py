# SPDX-License-Identifier: Apache-2.0
"""The one place that swallows our own errors: what it swallows, what it says, and that it never makes things worse."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_revenue import _guard
from otel_revenue._guard import guard, report, warn_once

TEXT = "card_declined for ada@example.com"


class Recorder(logging.Handler):
    """Keeps records; calls *then* while it handles one."""

    def __init__(self, then=lambda: None):
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.then = then

    def emit(self, record):
        self.records.append(record)
        self.then()


@pytest.fixture
def listen():
    """Return a function that puts a handler on our logger for the length of the test."""
    ours = logging.getLogger("otel_revenue")
    handlers = []

    def add(then=lambda: None) -> Recorder:
        handlers.append(Recorder(then))
        ours.addHandler(handlers[-1])
        return handlers[-1]

    yield add
    for handler in handlers:
        ours.removeHandler(handler)


def fail(step="test.step", error=ValueError):
    with guard(step):
        raise error(TEXT)


@pytest.mark.swallow
def test_our_failure_stays_with_us_and_is_counted(listen):
    """
    An exception below the guard does not reach the application, and is counted by its step.
    """
    listen()
    fail()
    fail()
    fail("test.other")

    assert {"test.step": 2, "test.other": 1} == dict(_guard.failures)


@pytest.mark.swallow
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_exits_and_cancellation_pass(error):
    """
    Ctrl-C, exit and cancellation are the application's: the guard is no obstacle to them.
    """
    with pytest.raises(error):
        fail(error=error)

    assert {} == dict(_guard.failures)


@pytest.mark.swallow
@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError, ImportError, StopIteration, UnicodeError])
def test_every_exception_is_swallowed(listen, error):
    """
    Whatever class of exception, it is kept from the application.
    """
    listen()
    fail(error=error)

    assert 1 == _guard.failures["test.step"]


def test_in_tests_the_guard_hides_nothing():
    """
    The suite's fixture lets the guard re-raise: no test passes over a hidden failure.
    """
    with pytest.raises(ValueError, match="card_declined"):
        fail()


@pytest.mark.swallow
def test_the_line_names_class_file_and_line_and_never_the_text(listen):
    """
    The log says where it failed and that the application is unaffected; the error's own text is not in it.
    """
    heard = listen()
    fail()
    said = heard.records[0].getMessage()
    line = fail.__code__.co_firstlineno + 2

    assert (True, True, False, None, "ERROR") == (
        said.startswith(f"otel-revenue: test.step failed (ValueError at test_guard.py:{line})"),
        "The application is not affected" in said,
        "ada" in said + str(vars(heard.records[0])),
        heard.records[0].exc_info,
        heard.records[0].levelname,
    )


@pytest.mark.swallow
def test_each_kind_is_said_once(listen):
    """
    The same failure at the same place is logged once, however often it happens; another one is logged too.
    """
    heard = listen()
    for _ in range(100):
        fail()
    fail(error=KeyError)

    assert (2, 101) == (len(heard.records), _guard.failures["test.step"])


@pytest.mark.swallow
def test_a_warning_is_said_once_per_key(listen):
    """
    A warning with a key is logged the first time only.
    """
    heard = listen()
    for _ in range(3):
        warn_once("test.key", "otel-revenue: %s", "beware")
    warn_once("test.other", "otel-revenue: also")

    assert ["otel-revenue: beware", "otel-revenue: also"] == [r.getMessage() for r in heard.records]


@pytest.mark.swallow
def test_our_line_goes_out_with_instrumentation_suppressed(listen):
    """
    While a line of ours is handled, instrumentation is off in this context, and on again afterwards.
    """
    seen = []
    listen(lambda: seen.append(is_instrumentation_enabled()))
    fail()

    assert ([False], True) == (seen, is_instrumentation_enabled())


@pytest.mark.swallow
def test_a_handler_that_comes_back_to_us_does_not_loop(listen):
    """
    A handler that records into something of ours, which fails in turn, ends after one line: no loop, no recursion error.
    """
    places = [compile(f"def f{i}():\n    raise ValueError", f"place{i}.py", "exec") for i in range(50)]

    def fail_elsewhere():
        names: dict[str, object] = {}
        exec(places[len(heard.records)], names)
        with guard("test.handler"):
            names[f"f{len(heard.records)}"]()

    heard = listen(fail_elsewhere)
    fail()

    assert (1, 1) == (len(heard.records), _guard.failures["test.handler"])


@pytest.mark.swallow
def test_a_handler_that_raises_does_not_reach_the_application(listen):
    """
    A broken log handler of the application does not turn our swallowed failure into a raised one.
    """

    def broken():
        raise OSError("disk full")

    heard = listen(broken)
    fail()

    assert (1, 1) == (len(heard.records), _guard.failures["test.step"])


@pytest.mark.swallow
def test_a_line_names_the_place_that_logged_it(listen):
    """
    The record's file and function are the caller's, not the guard's.
    """
    heard = listen()
    _guard.logger.warning("otel-revenue: here")

    assert ("test_guard.py", "test_a_line_names_the_place_that_logged_it") == (
        heard.records[0].filename,
        heard.records[0].funcName,
    )


@pytest.mark.swallow
def test_a_failure_near_the_end_of_the_stack_is_swallowed(listen):
    """
    Where the stack is all but used up, reporting fails too, and still nothing reaches the application.
    """
    listen()

    def deeper(n):
        with guard("test.deep"):
            deeper(n + 1)

    deeper(0)

    assert _guard.failures["test.deep"] >= 1


@pytest.mark.swallow
def test_counting_holds_under_threads(listen):
    """
    Failures of many threads are all counted, and logged once.
    """
    heard = listen()
    threads = [threading.Thread(target=lambda: [fail() for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1600, 1) == (_guard.failures["test.step"], len(heard.records))


def test_a_child_forked_during_a_report_is_not_stuck():
    """
    A child that was forked while another thread reported a failure can report its own.
    """
    code = textwrap.dedent("""
        import os, threading, sys
        from otel_revenue import _guard
        held, done = threading.Event(), threading.Event()
        def hold():
            with _guard._lock:
                held.set()
                done.wait(20)
        threading.Thread(target=hold, daemon=True).start()
        held.wait(20)
        pid = os.fork()
        if pid == 0:
            _guard.report("child", ValueError("x"))
            os._exit(0 if _guard.failures["child"] == 1 else 3)
        import time, signal
        for _ in range(200):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                done.set()
                sys.exit(os.waitstatus_to_exitcode(status))
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        sys.exit(9)
    """)
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False, env=dict(os.environ)
    )

    assert (0, True) == (child.returncode, b"child failed (ValueError at unknown)" in child.stderr)


@pytest.mark.swallow
def test_reset_forgets_counts_and_lines(listen):
    """
    After a reset the same failure is counted from one and said again.
    """
    heard = listen()
    fail()
    _guard.reset()
    fail()

    assert (2, 1) == (len(heard.records), _guard.failures["test.step"])


def test_report_takes_an_error_that_was_never_raised():
    """
    An error without a traceback is reported with an unknown place.
    """
    report("test.step", ValueError(TEXT))

    assert 1 == _guard.failures["test.step"]
