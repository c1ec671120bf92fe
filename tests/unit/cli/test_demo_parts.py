# SPDX-License-Identifier: Apache-2.0
"""The demo's processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from otel_revenue.cli._demo_parts import Part, PartFailed, free_port, stopping

SERVER = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"


def _part(tmp_path, *argv, port=1):
    return Part(
        "the part",
        [sys.executable, "-c", *argv],
        environ=dict(os.environ),
        log=tmp_path / "part.log",
        cwd=tmp_path,
        ready=f"http://127.0.0.1:{port}/",
    )


def _ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie has ended.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_part_is_ended_when_the_block_ends(tmp_path):
    """
    Whatever happens in the block, no process stays behind.
    """
    port = free_port()
    part = _part(tmp_path, SERVER, str(port), port=port)

    def fails():
        with stopping([part]):
            part.start()
            part.wait_ready()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()

    assert part._process.poll() is not None


def test_a_part_that_dies_shows_the_end_of_its_log(tmp_path):
    """
    When a part cannot start, the user reads why.
    """
    part = _part(tmp_path, "raise SystemExit('port is taken')")
    part.start()
    with pytest.raises(PartFailed) as failed:
        part.wait_ready()

    assert "the part ended with exit code 1. Its last lines (part.log):\n  | port is taken" == str(failed.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_killed_demo_leaves_nothing_behind(tmp_path):
    """
    kill -9 of the demo ends its parts too.
    """
    script = textwrap.dedent(f"""
        import os, sys, time
        from pathlib import Path
        from otel_revenue.cli._demo_parts import Part
        folder = Path({str(tmp_path)!r})
        part = Part("p", [sys.executable, "-c", "import time; time.sleep(600)"], environ=dict(os.environ),
                    log=folder / "log", cwd=folder, ready="")
        part.start()
        print(part._process.pid, flush=True)
        time.sleep(600)
    """)
    demo = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = int(demo.stdout.readline())
    # Only after exec has it asked to be ended with its parent.
    _wait(lambda: b"sleep(600)" in _cmdline(child) and b"prctl" not in _cmdline(child))
    demo.send_signal(signal.SIGKILL)
    demo.wait()
    demo.stdout.close()

    assert _wait(lambda: _ended(child))


def _cmdline(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _wait(condition):
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.025)
    return False
