# SPDX-License-Identifier: Apache-2.0
"""
Route templates, in the spelling of any of the frameworks, and how they are compared. Pure.

`/designs/{id}` (Starlette, FastAPI), `/designs/<id>` (Flask), `designs/<str:id>/` and `^designs/(?P<id>[^/]+)/$` (Django) are
one route. Names of placeholders and a slash at the end make no difference.
"""

from __future__ import annotations

import re
from typing import Final

_PLACEHOLDER: Final = re.compile(
    r"\{(?P<brace>[A-Za-z_]\w*)(?::(?P<brace_kind>[^{}]*))?\}"
    r"|<(?:(?P<angle_kind>[^<>:]+):)?(?P<angle>[A-Za-z_]\w*)>"
    r"|\(\?P<(?P<group>[A-Za-z_]\w*)>(?:[^()]|\([^()]*\))*\)"
)
_SIDE_BY_SIDE: Final = re.compile(r"\{\}[^/]*\{\}")
_LEFT_OVER: Final = re.compile(r"[{}<>()*?\s]")


class Template:
    """
    One route template.

    Attributes:
        text: as it was written.
        names: of its placeholders, in order.
        shape: what two spellings of one route have in common.

    Raises:
        ValueError: it does not begin with a slash, a bracket is not closed, a name comes twice, or two placeholders stand in
            one segment.
    """

    __slots__ = ("_path", "names", "shape", "text")

    def __init__(self, text: str) -> None:
        rest = _PLACEHOLDER.sub("", text)
        found = list(_PLACEHOLDER.finditer(text))
        self.names = tuple(_name(match) for match in found)
        self.text = text
        self.shape = shape(text)
        if not text.startswith("/") or _LEFT_OVER.search(rest) or len(set(self.names)) < len(self.names):
            raise ValueError(text)
        # Of several in a row, or of several that take slashes, a hostile path could be divided in very many ways.
        if _SIDE_BY_SIDE.search(self.shape) or sum(_kind(match) == "path" for match in found) > 1:
            raise ValueError(text)
        self._path = re.compile(_regex(text.rstrip("/")) + "/?")

    def match(self, path: str) -> dict[str, str] | None:
        """Return the values of the placeholders in *path*, None where it is another route."""
        found = self._path.fullmatch(path)
        return None if found is None else found.groupdict()


def shape(route: str) -> str:
    """Return a framework's route without the names of its placeholders: "/designs/{}"; "" for the root."""
    bare = _PLACEHOLDER.sub("{}", route).removeprefix("^").removesuffix("$").removesuffix("\\Z")
    return f"/{bare.lstrip('/')}".rstrip("/")


def is_part_of(route: str, wanted: str) -> bool:
    """
    Tell whether a framework's *route* may be the one of the shape *wanted*.

    A router that is included or mounted below a prefix knows the end of the template alone.
    """
    return wanted.endswith(shape(route))


def _name(match: re.Match[str]) -> str:
    return match["brace"] or match["angle"] or match["group"]


def _kind(match: re.Match[str]) -> str | None:
    return match["brace_kind"] or match["angle_kind"]


def _regex(text: str) -> str:
    parts, end = [], 0
    for match in _PLACEHOLDER.finditer(text):
        value = ".+" if _kind(match) == "path" else "[^/]+"
        parts += [re.escape(text[end : match.start()]), f"(?P<{_name(match)}>{value})"]
        end = match.end()
    return "".join([*parts, re.escape(text[end:])])
