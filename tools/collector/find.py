# SPDX-License-Identifier: Apache-2.0
"""A Collector that is there already."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES: Final = ("otelcol-revenue", "otelcol-contrib")


class Unusable(Exception):
    """The Collector that was named cannot be used."""


def found(environ: Mapping[str, str], least: str) -> Path | None:
    """
    Return $OTELCOL, else a Collector of the search path that is *least* or newer; None where there is none.

    Raises:
        Unusable: $OTELCOL names one that is older, or none at all.
    """
    named = environ.get("OTELCOL")
    if named:
        program = Path(named).resolve()
        if not usable(program, least):
            raise Unusable(
                f"OTELCOL={named} is no Collector of version {least} or newer: it says {version_text(program)!r}"
            )
        return program
    on_path = (shutil.which(name, path=environ.get("PATH")) for name in NAMES)
    return next((Path(program) for program in on_path if program and usable(Path(program), least)), None)


def usable(program: Path, least: str) -> bool:
    """Return whether it runs and is new enough."""
    version = re.search(r"(\d+)\.(\d+)\.(\d+)", version_text(program))
    return version is not None and tuple(map(int, version.groups())) >= tuple(map(int, least.split(".")))


def version_text(program: Path) -> str:
    """Return what `--version` says; empty where it does not run."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
