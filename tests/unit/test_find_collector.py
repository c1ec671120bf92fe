# SPDX-License-Identifier: Apache-2.0
"""`make collector`: what is taken for a Collector, and that two builds at once are one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tools.collector import build, find

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "collector-config" / "builder-config.yaml"
LEAST = build.version_of(MANIFEST.read_text(encoding="utf-8"))

GO = """#!/bin/sh
case "$1" in
env) echo go1.26.8 ;;
install) printf '#!/bin/sh\\necho built >> "$BUILDS"; sleep 1; mkdir _build; echo program > _build/otelcol-revenue\\n' > "$GOBIN/builder"
    chmod +x "$GOBIN/builder" ;;
esac
"""
"""A Go whose builder notes that it was called and takes a moment."""


def program(path: Path, text: str) -> Path:
    """A program at *path* that says *text*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text.startswith("#!") else f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("says", "usable"),
    [
        (f"otelcol-contrib version {LEAST}", True),
        ("otelcol-contrib version 0.1000.0", True),
        ("otelcol-contrib version 0.155.0", False),
        ("something else", False),
        ("#!/bin/sh\nexit 1\n", False),
    ],
)
def test_a_collector_on_the_path_is_used_where_it_is_new_enough(tmp_path: Path, says: str, usable: bool) -> None:
    """Of the search path a Collector counts that runs and is of the version that the files need, or newer."""
    there = program(tmp_path / "otelcol-contrib", says)

    assert (there if usable else None) == find.found({"PATH": str(tmp_path)}, LEAST)


def test_one_that_is_named_is_used_or_complained_of(tmp_path: Path) -> None:
    """`$OTELCOL` goes before the search path, and is never passed over in silence."""
    new = program(tmp_path / "mine", f"mine version {LEAST}")
    old = program(tmp_path / "old", "old version 0.100.0")
    program(tmp_path / "otelcol-contrib", f"otelcol-contrib version {LEAST}")

    assert new == find.found({"PATH": str(tmp_path), "OTELCOL": str(new)}, LEAST)
    with pytest.raises(find.Unusable, match="old version"):
        find.found({"PATH": str(tmp_path), "OTELCOL": str(old)}, LEAST)


def test_two_builds_at_once_are_one(tmp_path: Path) -> None:
    """Who comes second waits for the first and builds nothing; both get a whole program."""
    program(tmp_path / "bin" / "go", GO)
    command = [sys.executable, "-m", "tools.collector", "--cache", str(tmp_path / "cache")]
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "BUILDS": str(tmp_path / "builds")}
    both = [subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate(timeout=60)[0].strip() for process in both}

    assert (["built"], 1) == ((tmp_path / "builds").read_text().split(), len(paths))
    assert ["program\n"] == [Path(path).read_text() for path in paths]


def test_a_build_that_fails_leaves_nothing_that_looks_built(tmp_path: Path) -> None:
    """After a failed build the next call builds again, and the first says why it failed."""
    program(tmp_path / "bin" / "go", "#!/bin/sh\n[ $1 = env ] && echo go1.26.8 && exit\necho no network; exit 1\n")
    command = [sys.executable, "-m", "tools.collector", "--cache", str(tmp_path / "cache")]
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert (2, "", True) == (done.returncode, done.stdout, "no network" in done.stderr)
    assert not list((tmp_path / "cache").rglob(build.PROGRAM))
