# SPDX-License-Identifier: Apache-2.0
"""`${env:NAME:-default}` as the Collector reads it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The Collector takes the first closing brace, and the last opening one before it.
_INNERMOST: Final = re.compile(r"\$\{(?:env:)?(?P<name>[A-Za-z_]\w*)(?P<given>:-(?P<default>(?:(?!\$\{)[^}])*))?\}")
_DOLLAR: Final = "\0"
_DEEPEST: Final = 100
"""A variable may name another, and itself."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with its variables put in; one that is neither set nor has a default becomes nothing."""
    text = text.replace("$$", _DOLLAR)
    for _ in range(_DEEPEST):
        text, found = _INNERMOST.subn(lambda m: _value(m, environ).replace("$$", _DOLLAR), text)
        if not found:
            break
    return text.replace(_DOLLAR, "$")


def needed(text: str) -> Iterator[str]:
    """Return the variables without which the text is useless: no default, or one that names the variable, which is a message."""
    text = text.replace("$$", _DOLLAR)
    while True:
        inner = list(_INNERMOST.finditer(text))
        if not inner:
            return
        for match in inner:
            if match["given"] is None or match["name"] in match["default"]:
                yield match["name"]
        text = _INNERMOST.sub("", text)


def cut_short(text: str) -> bool:
    """Whether a default has a brace in it, at whose end the Collector takes the variable to end."""
    return re.search(r"\$\{(?:env:)?\w+:-[^${}]*\{", text.replace("$$", _DOLLAR)) is not None


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    return environ.get(match["name"], match["default"] or "")
