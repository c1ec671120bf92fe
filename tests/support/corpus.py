# SPDX-License-Identifier: Apache-2.0
"""
The corpus by which the detectors are measured, all of it invented: what must be masked, what must stay, what must not take long.

Kinds of what must stay are those of telemetry: ids, versions, log lines, ... Cards are the schemes' own test numbers, or made with a right
check digit, as IBANs are; addresses are of the ranges and names reserved for documentation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parents[1] / "corpus"


class Planted(NamedTuple):
    """A personal `value` of a `kind` in the `text` of the attribute `key`."""

    kind: str
    key: str
    value: str
    text: str


class Harmless(NamedTuple):
    """A `text` of the attribute `key` in which nothing is anybody's."""

    kind: str
    key: str
    text: str


def masked() -> list[Planted]:
    """Return what must be masked."""
    return [Planted(**row) for row in _rows("masked")]


def kept() -> list[Harmless]:
    """Return what must stay as it is."""
    return [Harmless(**row) for row in _rows("kept")]


def hostile() -> dict[str, str]:
    """Return pieces whose repetition is hard for one pattern or another, by what they are made for."""
    found: dict[str, str] = json.loads((FOLDER / "hostile.json").read_text(encoding="utf-8"))
    return found


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
