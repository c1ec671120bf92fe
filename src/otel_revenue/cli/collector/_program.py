# SPDX-License-Identifier: Apache-2.0
"""The Collector's program: where it is, and what its own `validate` says."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES: Final = ("otelcol-revenue", "otelcol-contrib", "otelcol")
_TIMEOUT_S: Final = 60
_SECRET: Final = re.compile("KEY|TOKEN|HEADER|PASS|SECRET|AUTH|CREDENTIAL")


def find(environ: Mapping[str, str]) -> str | None:
    """Return the Collector that OTELCOL names, else the first one on the PATH."""
    stated = environ.get("OTELCOL")
    if stated:
        return shutil.which(stated, path=environ.get("PATH")) or stated
    return next((path for name in NAMES if (path := shutil.which(name, path=environ.get("PATH")))), None)


def validate(program: str, files: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return what the Collector has against the configuration, in one line; "" where it has nothing."""
    words = [program, "validate", *(word for file in files for word in ("--config", file))]
    try:
        done = subprocess.run(  # noqa: S603 - the program that OTELCOL or the PATH names, as a service manager would start it
            words,
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"it cannot be run ({type(error).__name__})"
    if done.returncode == 0:
        return ""
    return masked(" ".join((done.stderr or done.stdout).split()), environ)[:1000]


def masked(text: str, environ: Mapping[str, str]) -> str:
    """Put names in the place of the variables' values: the Collector quotes what it cannot use, and that may hold a key."""
    for name, value in sorted(environ.items(), key=lambda item: -len(item[1])):
        parts = [value, *(re.split(r"[^\w.+/=~-]+", value) if _SECRET.search(name) else ())]
        for part in sorted(parts, key=len, reverse=True):
            if len(part) > 4:
                text = text.replace(part, f"${{{name}}}")
    return text
