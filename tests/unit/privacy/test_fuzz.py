"""What holds of the masking whatever comes: by hypothesis, and by a short run of the fuzzer where this Python has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import corpus, masking

ROOT = Path(__file__).parents[3]
ATHERIS = os.environ.get("OTEL_REVENUE_TEST_ATHERIS", "")
FOUND = (  # by the fuzzer
    b"Y\x02\x00\x07a1:b2",  # a secret in a route, taken for a plain word
    # what grows when it is made plain, and was cut for it
    "\0\3\0\0½½½½½½½½½½½½½½½½½½½½ ﬁ … ™".encode(),
    b"h\x01\x00\x07ef8f5814bb392ed8",  # a card beside words that begin or end in digits
)

_pieces = st.sampled_from([row.text for row in corpus.masked()] + list(corpus.hostile().values()))
_texts = st.lists(_pieces | st.text(max_size=12), max_size=4).map("".join)


@given(
    st.binary(min_size=4, max_size=4),
    _texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60),
)
@example(FOUND[0][:4], FOUND[0][4:])
@example(FOUND[1][:4], FOUND[1][4:])
@example(FOUND[2][:4], FOUND[2][4:])
def test_nothing_personal_passes_whatever_it_stands_in(head: bytes, text: bytes) -> None:
    """Whatever text of whatever bytes something personal stands in, under either profile and any key, it does not leave."""
    masking.check(head + text)


@pytest.mark.parametrize("position", [0, 0xFFFF])
@pytest.mark.parametrize("name", corpus.hostile())
def test_nothing_personal_hides_in_hostile_text(name: str, position: int) -> None:
    """Nor in text that is made to be hard, at its beginning or inside of it."""
    text = (corpus.hostile()[name] * 600)[:600].encode("utf-8", "surrogatepass")
    for plant in range(len(masking.PLANTS)):
        masking.check(bytes([0, plant]) + position.to_bytes(2, "big") + text)


if ATHERIS:

    def test_the_fuzzer_finds_nothing_in_a_short_run(tmp_path: Path) -> None:
        """A short run of `make fuzz` ends well."""
        path = os.pathsep.join([ATHERIS, str(ROOT / "src"), str(ROOT / "tests")])
        command = [sys.executable, "tests/fuzz/masking.py", str(tmp_path / "inputs"), "-runs=1500", "-seed=1"]
        run = subprocess.run(
            [*command, f"-artifact_prefix={tmp_path}/"],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip

        assert run.returncode == 0, run.stderr[-2000:]
