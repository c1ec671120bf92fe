# SPDX-License-Identifier: Apache-2.0
"""
Detectors of personal data and secrets inside text.

The second net behind the allow-list: fields that we emit hold ids and labels, but the shop writes them. Standard library
only, and linear in the length of the text: each detector sits behind a cheap gate, since nearly all text is clean.

What no detector finds: names, and numbers that a person would take for an order number (`4155550132`). They are kept out by
the schema, which has no field for them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from . import addresses, numbers, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    Mask = Callable[[str, str], str]

MAX_SCANNED: Final = 4096
"""Longer text is cut before it is scanned; what is cut off never leaves, as strings stay below 255."""

TAIL: Final = 400
"""Of text that was cut, the end may be the beginning of something that no detector knows by its half."""

_WIDER: Final = 4096
"""By how much text may grow when its characters are made plain ("…" is three), before it is cut."""

_NOT_DIGITS: Final = bytes(code for code in range(256) if not 48 <= code <= 57)
_NUMBER: Final = re.compile(r"[0-9][0-9 .\-/()]{5,}[0-9]")

_SECRET: Final = ("secret", tokens.mask)
_EMAIL: Final = ("email", addresses.mask_email)
_IP: Final = ("ip", addresses.mask_ip)
_NUMBERS: Final = (("iban", numbers.mask_iban), ("card", numbers.mask_card), ("phone", numbers.mask_phone))


def scrub(value: str) -> str:
    """
    Return *value* with what looks like an e-mail or IP address, secret, card, bank account or phone number replaced by `[kind]`.

    Text that is clean comes back as it is. Text beyond `MAX_SCANNED` characters is cut. Never raises, whatever the text:
    lone surrogates and control characters pass through.
    """
    if len(value) <= MAX_SCANNED and value.isascii() and not _suspects(value):
        return value  # nearly always
    return _scrub(value)[0]


def scan(text: str, count: Callable[[str], None]) -> str:
    """Do the same to text of any length, and tell *count* each kind that was found. Whoever calls bounds the length."""
    if text.isascii() and not _suspects(text):
        return text
    masked, found = _scrub(text, len(text) + _WIDER)
    for kind in found or (("cut",) if masked != text else ()):
        count(kind)
    return masked


def kinds(value: str) -> tuple[str, ...]:
    """Return which detectors hit, for counting by kind."""
    return _scrub(value)[1]


def _scrub(value: str, most: int = MAX_SCANNED) -> tuple[str, tuple[str, ...]]:
    text, cut = value, False
    if len(text) > most:
        text, cut = text[:most], True
    if not text.isascii():
        # NFKC makes full-width letters, digits and the at sign plain; one character can become many.
        text = unicodedata.normalize("NFKC", text)
        if len(text) > most:
            text, cut = text[:most], True
        text = text.translate(_FOLDING)
    suspects = _suspects(text)
    if not suspects and not cut:
        return value, ()
    found: list[str] = []
    masked = text
    for kind, mask in suspects:
        after = mask(masked, f"[{kind}]")
        if after != masked:
            found.append(kind)
        masked = after
    if cut:
        return masked[:-TAIL], tuple(found)
    return (masked if found else value), tuple(found)


def _suspects(text: str) -> list[tuple[str, Mask]]:
    """Return the detectors whose gate the text opens, in the order in which they mask."""
    found: list[tuple[str, Mask]] = []
    if tokens.suspected(text):
        found.append(_SECRET)
    if "@" in text or "%" in text or "u0040" in text:
        found.append(_EMAIL)
    if ("." in text and text.count(".") > 2) or (":" in text and text.count(":") > 1):
        found.append(_IP)
    # Counting digits by deletion is several times faster than a search, and most text has few.
    if len(text.encode("utf-8", "replace").translate(None, _NOT_DIGITS)) > 6 and _NUMBER.search(text):
        found += _NUMBERS
    return found


class _Folding(dict[int, "int | str | None"]):
    """Table for `str.translate`: digits of all scripts, dashes, spaces and invisible characters, as ASCII would have them."""

    def __missing__(self, code: int) -> int | str | None:
        if code < 128:
            return code
        char = chr(code)
        category = unicodedata.category(char)
        if category == "Nd":
            return str(unicodedata.decimal(char))
        return {"Pd": "-", "Zs": " ", "Cf": None}.get(category, code)


_FOLDING: Final = _Folding()
