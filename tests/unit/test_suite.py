# SPDX-License-Identifier: Apache-2.0
"""The suite itself: no test sees the developer's settings or folders, and none passes over a hidden failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_revenue import _guard
from otel_revenue.config import default_folder

ROOT = Path(__file__).resolve().parents[2]


def test_settings_of_the_developer_are_gone():
    """
    No variable that otel-revenue, OpenTelemetry or stripe reads comes from the developer's shell.
    """
    ours = "OTEL_REVENUE_TEST_"

    assert [] == [n for n in os.environ if n.startswith(("OTEL_", "STRIPE_")) and not n.startswith(ours)]


def test_the_user_s_folders_are_not_touched(tmp_path_factory):
    """
    Home and state folder, and so the default store, lie below pytest's own folder.
    """
    base = tmp_path_factory.getbasetemp()

    assert [True] * 3 == [
        p.is_relative_to(base) for p in (Path.home(), Path(os.environ["XDG_STATE_HOME"]), default_folder("shop"))
    ]


def test_each_test_has_a_home_of_its_own():
    """
    What a test leaves in its home is not there for the next one.
    """
    assert [] == list(Path.home().iterdir())


def test_the_guard_re_raises():
    """
    Outside of tests about swallowing, a failure of ours fails the test.
    """
    assert (True, {}) == (_guard.reraise, dict(_guard.failures))


@pytest.mark.swallow
def test_a_test_about_swallowing_has_the_guard_of_production():
    """
    With the marker the guard swallows, as it does in an application.
    """
    assert _guard.reraise is False


def test_variables_set_in_the_shell_do_not_reach_a_test(tmp_path):
    """
    The suite gives the same result in a shell full of settings.
    """
    environ = {
        **os.environ,
        "OTEL_SDK_DISABLED": "true",
        "OTEL_REVENUE_HOLD": "7",
        "STRIPE_API_KEY": "sk_test_4eC39HqLyjWDarjtT1",
    }
    wanted = f"{Path(__file__).relative_to(ROOT)}::{test_settings_of_the_developer_are_gone.__name__}"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}", wanted],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip

    assert (0, "1 passed") == (ran.returncode, ran.stdout.splitlines()[-1].partition(" in")[0])
