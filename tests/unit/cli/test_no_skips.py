# SPDX-License-Identifier: Apache-2.0
"""CI's rule that a skipped test is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins"
SKIPS = "import pytest\n\ndef test_one():\n    pytest.skip('no such part')\n\ndef test_two():\n    pass\n"
MODULE_SKIPS = "import pytest\npytest.importorskip('no_such_module')\n"
EXPECTED_FAILURE = "import pytest\n\n@pytest.mark.xfail\ndef test_one():\n    raise ValueError\n"


def _exit_code(tmp_path, source, ci, *arguments):
    (tmp_path / "test_it.py").write_text(source)
    (tmp_path / "test_other.py").write_text("def test_fine():\n    pass\n")
    environ = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no_skips", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=tmp_path, env={**environ, "CI": ci, "PYTHONPATH": str(PLUGIN)}, capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("source", [SKIPS, MODULE_SKIPS], ids=["in a test", "whole module"])
def test_a_skip_fails_the_run_in_ci(tmp_path, source, arguments):
    """
    With CI=true nothing is skipped in silence.
    """
    assert 1 == _exit_code(tmp_path, source, "true", *arguments)


def test_a_skip_is_fine_at_home(tmp_path):
    """
    A developer without some part can run the rest.
    """
    assert 0 == _exit_code(tmp_path, SKIPS, "")


def test_an_expected_failure_is_no_skip(tmp_path):
    """
    What is marked to fail has run.
    """
    assert 0 == _exit_code(tmp_path, EXPECTED_FAILURE, "true")
