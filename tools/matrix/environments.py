# SPDX-License-Identifier: Apache-2.0
"""Pythons that are at hand, and what is made of them below the cache folder: virtual environments, releases of stripe."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .cells import Minor

ASK = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
"""A Debian `python3` without `python3-venv` fails here, as do pyenv's placeholders for Pythons that are not selected."""
NEWEST_ASKED = 30


class Unavailable(Exception):
    """An environment could not be made; the text says why."""


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder that the Makefile uses, too."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-revenue"


def find_pythons(oldest: Minor) -> dict[Minor, str]:
    """Return each Python from *oldest* on that can be run here and makes virtual environments, by its version."""
    found: dict[Minor, str] = {}
    for number in range(oldest[1], NEWEST_ASKED):
        for candidate in _candidates(number):
            if _answers(candidate, number):
                found[3, number] = candidate
                break
    return found


def _candidates(number: int) -> Iterator[str]:
    name = f"python3.{number}"
    if on_path := shutil.which(name):
        yield on_path
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    versions = (path for path in root.glob(f"3.{number}.*") if re.fullmatch(r"[0-9.]+", path.name))
    for version in sorted(versions, key=lambda path: [int(n) for n in path.name.split(".")], reverse=True):
        yield str(version / "bin" / name)
    yield f"/usr/bin/{name}"


def _answers(candidate: str, number: int) -> bool:
    try:
        asked = subprocess.run([candidate, "-c", ASK], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return False
    return asked.returncode == 0 and asked.stdout.split() == ["3", str(number)]


def environment(python: str, constraints: str, root: Path, cache: Path, *, renew: bool) -> Path:
    """
    Return the Python of a virtual environment that holds us, editable, with everything of `dev`.

    Args:
        python: the interpreter to make it of.
        constraints: text of the constraints.
        root: the repository.
        cache: folder for environments; they are kept, by their ingredients.
        renew: make it anew, of the newest versions that fit.
    Raises:
        Unavailable: something could not be installed.
    """
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    ingredients = "\0".join([python, constraints, str(root), project])
    folder = cache / "environments" / hashlib.sha256(ingredients.encode()).hexdigest()[:16]
    made, interpreter = folder / ".made", folder / "bin" / "python"
    if made.exists() and not renew:
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([python, "-m", "venv", str(folder)])
    file = folder / "constraints.txt"
    file.write_text(constraints, encoding="utf-8")
    pip = [str(interpreter), "-m", "pip", "install", "--quiet"]
    # The pip that comes with an older Python tries release after release where OpenTelemetry's packages have to agree on one.
    _run([*pip, "--upgrade", "pip"])
    _run([*pip, "--constraint", str(file), "--editable", f"{root}[dev]"])
    made.touch()
    return interpreter


def stripe_release(interpreter: Path, release: str, cache: Path) -> Path:
    """
    Return a folder with that release of stripe and nothing else; `newest` is asked for anew each time.

    Raises:
        Unavailable: it could not be installed.
    """
    folder = cache / "stripe" / release
    stamp = folder / ".stamp"
    if release == "newest" or not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        wanted = "stripe" if release == "newest" else f"stripe=={release}"
        _run([str(interpreter), "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), wanted])
        stamp.touch()
    return folder


def _run(command: list[str]) -> None:
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environ, stdin=subprocess.DEVNULL, check=False)
    if ran.returncode:
        raise Unavailable(reason(ran.stderr + ran.stdout))


def reason(output: str) -> str:
    """Return pip's reason in one line: what is in conflict, else its first error."""
    conflict = re.search(r"The conflict is caused by:\n((?: {4}.*\n)+)", output)
    if conflict:
        return "; ".join(line.strip() for line in conflict[1].splitlines())[:400]
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")] or output.strip().splitlines()[-1:]
    return "".join(errors[:1])[:400]
