# SPDX-License-Identifier: Apache-2.0
"""The named statements of the .sql files beside this module: `-- name: x`, then one statement with its comment."""

from __future__ import annotations

import re
from pathlib import Path


def load(file: str) -> dict[str, str]:
    """Return the statements of one .sql file of this folder by name, in the file's order."""
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
