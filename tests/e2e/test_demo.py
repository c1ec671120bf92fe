# SPDX-License-Identifier: Apache-2.0
"""The demo as users call it: a process of its own, elsewhere, in a hostile environment."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = str(Path(sys.executable).with_name("otel-revenue"))
SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop_fastapi" / "shop.py"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")

AGREE = re.compile(r"Telemetry and Stripe's books agree to the cent: (\d+) payments, (.+)\.$", re.MULTILINE)
# What is in a developer's shell, and a home that nobody can write.
HOSTILE = {
    "HOME": "/dev/null/home",
    "XDG_STATE_HOME": "/dev/null/state",
    "STRIPE_API_KEY": "sk_live_of_the_company",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_SDK_DISABLED": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "WEB_CONCURRENCY": "3",
}


class Demo:
    """One running demo; what it prints is in `text`."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self._out = folder / "out"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [PROGRAM, "demo", "--buyers", "8", "--pace", "0", *words],
                cwd=folder,
                env={**os.environ, **HOSTILE, "TMPDIR": str(self.temporary)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        return self._out.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> str:
        end = time.monotonic() + 90
        while text not in self.text:
            assert time.monotonic() < end, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.05)
        return self.text

    def end(self, number: int | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(100)

    @property
    def leftovers(self) -> list[str]:
        """Addresses that still answer, and what is in the folder for temporary files."""
        return [url for url in ADDRESS.findall(self.text) if _answers(url)] + os.listdir(self.temporary)  # noqa: PTH208 - names


def _answers(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.ConnectionError:
        return False
    return True


@contextmanager
def playing(folder: Path, *words: str) -> Iterator[Demo]:
    demo = Demo(folder, *words)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.terminate()
            demo.process.wait(60)


def test_telemetry_and_books_agree_in_two_demos_at_the_same_time(tmp_path: Path) -> None:
    """
    Side by side, from another directory, with a home that cannot be written and foreign settings in the shell: the report,
    the comparison, a trace with its payment; exit code 0; no control codes; nothing stays behind.
    """
    with playing(tmp_path / "a") as one, playing(tmp_path / "b", "--seed", "8") as two:
        codes = [demo.end() for demo in (one, two)]

    for demo in (one, two):
        agreed = AGREE.search(demo.text)

        assert agreed is not None, demo.text
        # 8 buyers, one of each fate: card, card after a decline, bank debit, and one who bought twice.
        assert "5" == agreed[1]
        assert "\x1b" not in demo.text
        assert re.search(r"● order\.paid +[\d.,]+ [A-Z]{3} ", demo.text), demo.text
        assert re.search(r"checkout\.payment .*[\d.,]+ [A-Z]{3} .*⇢ trace", demo.text), demo.text
        assert re.search(r"Stripe sent (\d+) events in \d+ webhooks: \1 of them more than once", demo.text), demo.text
        # A card that was declined for good, one that paid then, and a page that ran out.
        assert "Recovered: 1 of 2 orders with a decline were paid afterwards; 1 still may be." in demo.text, demo.text
        assert "Expired: 1 order, 0 of them" in demo.text
        assert "TEST MODE" in demo.text
        assert [] == demo.leftovers
    assert [0, 0] == codes
    assert AGREE.findall(one.text) != AGREE.findall(two.text)


def test_serving_answers_until_ctrl_c(tmp_path: Path) -> None:
    """
    With --serve the printed commands work: an order is put, paid, and in the report; Ctrl-C ends all with the demo's answer.
    """
    with playing(tmp_path / "a", "--serve") as demo:
        text = demo.wait_for("the database (DuckDB)")
        commands = [line.strip() for line in text.splitlines() if " report --database " in line]
        shop = next(line for line in text.splitlines() if " shop  " in line)
        order = requests.post(
            f"{_url(shop)}/checkout", json={"tier": "pro", "lines": [{"sku": "poster-a1"}]}, timeout=20
        ).json()
        paid = requests.post(order["checkout_url"], data={"method": "card"}, timeout=20)
        report = next(command for command in commands if "--test-mode" in command)
        number = _until(6, lambda: _payments(report))
        last = shlex.split(next(command for command in commands if "--order last" in command))
        # Spans take a moment longer than the payment: until then, the last order whose trace is whole is shown.
        shown = _until(True, lambda: order["order_id"] in _run(last))
        code = demo.end(signal.SIGINT)

    assert (order["order_id"], 6) == (paid.json()["id"], number)
    assert shown
    assert (0, []) == (code, demo.leftovers)


def _url(line: str) -> str:
    found = ADDRESS.search(line)
    assert found is not None, line
    return found[0]


def _run(words: list[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, cwd="/").stdout


def _payments(command: str) -> int:
    rows = json.loads(_run([*shlex.split(command), "--json"]))["currencies"]
    return sum(row["payments"] for row in rows)


def _until(wanted: int, count) -> int:
    end = time.monotonic() + 60
    while (number := count()) != wanted and time.monotonic() < end:
        time.sleep(0.2)
    return number


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("moment", ["✓ local backend", "✓ shop"])
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, moment: str, number: int, code: int) -> None:
    """
    Ctrl-C, an orchestrator's SIGTERM or a closed terminal, while parts start or while buyers buy: the shell's exit code,
    no process, no folder.
    """
    with playing(tmp_path / "a", "--buyers", "60", "--pace", "1") as demo:
        demo.wait_for(moment)
        left = demo.end(number)

    assert (code, []) == (left, demo.leftovers), demo.text
    assert "Traceback" not in demo.text


DIES = """
import os, sys
sys.path.insert(0, {folder!r})
from shop import app

@app.middleware("http")
async def dies(request, call_next):
    if request.url.path == "/webhooks/stripe":
        print("the disk is on fire", file=sys.stderr, flush=True)
        os._exit(7)
    return await call_next(request)
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "raise SystemExit('no configuration')",
            "the shop ended with exit code 1. Its last lines (shop.log):\n  | no conf",
        ),
        (DIES.format(folder=str(SHOP.parent)), "the shop ended with exit code 7. Its last lines (shop.log):\n"),
    ],
    ids=["at its start", "among its customers"],
)
def test_a_part_that_dies_ends_the_demo(tmp_path: Path, source: str, said: str) -> None:
    """
    Whenever a part dies, the user reads which, and the end of its log; the others are ended; exit code 1.
    """
    shop = tmp_path / "other_shop.py"
    shop.write_text(source)
    with playing(tmp_path / "a", "--shop", str(shop)) as demo:
        code = demo.end()

    assert said in demo.text
    assert (1, []) == (code, demo.leftovers), demo.text
    assert "Traceback" not in demo.text


def test_what_is_kept_can_be_asked_afterwards(tmp_path: Path) -> None:
    """
    With --keep, logs and database stay, and the printed command reads them; the next run is not mixed with it.
    """
    kept = tmp_path / "kept"
    with playing(tmp_path / "a", "--keep", str(kept)) as demo:
        code = demo.end()
    command = next(line.strip() for line in demo.text.splitlines() if " report --test-mode --database " in line)
    with playing(tmp_path / "b", "--keep", str(kept)) as again:
        refused = again.end()

    assert (0, 5, 2) == (code, _payments(command), refused)
    assert {"backend.log", "local.duckdb", "shop.log", "store", "stripe.log"} <= {path.name for path in kept.iterdir()}
    assert [] == demo.leftovers + again.leftovers


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    """
    `otel-revenue demo | head -1`: no traceback, no leftovers.
    """
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    demo = subprocess.Popen(
        [PROGRAM, "demo", "--buyers", "8", "--pace", "0"],
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    demo.stdout.readline()
    demo.stdout.close()
    complaint = demo.stderr.read()
    demo.wait(100)
    demo.stderr.close()

    assert ("", []) == (complaint, list(temporary.iterdir()))
