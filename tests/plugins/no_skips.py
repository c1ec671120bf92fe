# SPDX-License-Identifier: Apache-2.0
"""With CI=true, a skipped test is a failure: CI has everything that the tests need, so a skip there hides a hole."""

from __future__ import annotations

import os

import pytest


class NoSkips:
    """Remember what was skipped; make the run fail for it at the end. Expected failures are no skips."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped:
            terminalreporter.section("skipped, which CI does not accept", red=True)
            for nodeid in sorted(set(self.skipped)):
                terminalreporter.write_line(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    # Workers of pytest-xdist report to the main process, which alone decides.
    if os.environ.get("CI", "").lower() in {"true", "1"} and not hasattr(config, "workerinput"):
        config.pluginmanager.register(NoSkips(), "no-skips")
