# SPDX-License-Identifier: Apache-2.0
"""The demo's processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from otel_revenue.cli._demo_parts import Part, PartFailed, run_whole, signals_raise, stopping
from otel_revenue.cli._demo_scene import announced

SERVER = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""


def _part(tmp_path, code):
    log = tmp_path / "part.log"
    return Part(
        "the part",
        [sys.executable, "-c", code],
        environ=dict(os.environ),
        log=log,
        cwd=tmp_path,
        address=lambda: announced(log),
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
    part = _part(tmp_path, SERVER)

    def fails():
        with stopping([part]):
            part.start()
            part.wait_ready()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()

    assert part._process.poll() is not None


def test_a_part_that_ignores_a_polite_request_is_killed(tmp_path, monkeypatch):
    """
    A part that does not end on SIGTERM is ended all the same.
    """
    monkeypatch.setattr("otel_revenue.cli._demo_parts.STOP_S", 0.3)
    part = _part(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVER)
    with stopping([part]):
        part.start()
        part.wait_ready()

    assert -signal.SIGKILL == part._process.poll()


def test_a_second_interruption_does_not_leave_parts_behind(tmp_path, monkeypatch):
    """
    Whoever presses Ctrl-C again while parts are being ended still gets all of them ended.
    """
    parts = [_part(tmp_path, SERVER), _part(tmp_path, SERVER)]
    stop = Part.stop

    def interrupted(part):
        os.kill(os.getpid(), signal.SIGINT)
        stop(part)

    monkeypatch.setattr(Part, "stop", interrupted)
    with stopping(parts):
        for part in parts:
            part.start()

    assert [True, True] == [part._process.poll() is not None for part in parts]


def test_sigterm_ends_what_was_begun():
    """
    SIGTERM leaves the block in order, with the shell's exit code for it; afterwards it is what it was.
    """
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left, signals_raise():
        os.kill(os.getpid(), signal.SIGTERM)

    assert (128 + signal.SIGTERM, before) == (left.value.code, signal.getsignal(signal.SIGTERM))


def test_a_signal_waits_until_the_loop_is_made(monkeypatch):
    """
    SIGTERM while the event loop is being made ends the run in order, when the loop is whole; the handlers are what they were.
    """
    make, made = asyncio.new_event_loop, []

    def interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        made.append(make())
        return made[0]

    async def play():
        await asyncio.sleep(60)

    with pytest.raises(SystemExit) as left, signals_raise():
        monkeypatch.setattr(asyncio.events, "new_event_loop", interrupted)
        run_whole(play())

    assert (128 + signal.SIGTERM, [True]) == (left.value.code, [loop.is_closed() for loop in made])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_nohup_is_respected():
    """
    A signal that the user has switched off ends nothing.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_raise():
            os.kill(os.getpid(), signal.SIGHUP)
            inside = signal.getsignal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert signal.SIG_IGN == inside


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
def test_a_part_that_never_answers_is_reported(tmp_path):
    """
    The demo does not wait for ever.
    """
    part = _part(tmp_path, "import time; time.sleep(60)")
    with stopping([part]):
        part.start()
        with pytest.raises(PartFailed, match=r"did not answer within 0 s\. It wrote nothing\."):
            part.wait_ready(within_s=0.3)


def test_the_log_is_shown_without_what_only_repeats(tmp_path):
    """
    When telemetry and books differ, the shop's warnings are shown, not its access log.
    """
    part = _part(tmp_path, "")
    part._log.write_text("INFO: GET / 200\nWARNING: disk is full\n")

    assert " Its last lines (part.log):\n  | WARNING: disk is full" == part.tail(but="INFO:")


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
                    log=folder / "log", cwd=folder, address=lambda: None)
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
