# SPDX-License-Identifier: Apache-2.0
"""SQL as data: files with one named, commented statement each."""

from __future__ import annotations

import re
from pathlib import Path


def read(file: str) -> dict[str, str]:
    """Return the statements of a file of this folder, by the name in the line `-- name: …` above each."""
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
