# SPDX-License-Identifier: Apache-2.0
"""
What personal data and secrets look like, for the Collector: RE2, which looks neither ahead nor back.

The application's own detectors (`otel_revenue.privacy`) also check what a pattern cannot say; these are the second net, and rather
mask too much.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD: Final = r"[^\s@<>()\[\]\"',;:=&?/\\|]"
EMAIL: Final = rf"{_WORD}{{1,64}}(?:@|＠|%(?:25){{0,3}}40){_WORD}{{1,255}}"
SECRET: Final = (
    r"(?:sk|rk|pk|ek)_(?:live|test)_[A-Za-z0-9]{4,}|whsec_[A-Za-z0-9+/=_-]{4,}|[a-z]{2,10}_[A-Za-z0-9_]{3,160}_secret_[A-Za-z0-9%_-]{4,}"
    r"|eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_[A-Za-z0-9_]{20,}|xox[abeoprs]-[A-Za-z0-9-]{8,}|(?i:bearer|basic)(?:\s|%20|\+)[A-Za-z0-9._~+/-]{8,}=*"
)
PHONE: Final = (
    r"(?:\+|%2[Bb])\s?[1-9(][0-9 ().\-/]{5,40}[0-9]|\([0-9]{2,5}\)\s?[0-9]{2,5}(?:[ \-./]?[0-9]{2,6}){1,3}"
    r"|\b[2-9][0-9]{2}[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}\b"
)
IBAN: Final = r"\b[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]{4}){3,7}(?:[ \-]?[A-Z0-9]{1,3})?\b"
_OCTETS: Final = "|".join(
    r"\.".join(r"[0-9]{2,3}" if place == wide else r"[0-9]{1,3}" for place in range(4)) for wide in range(4)
)
IPV4: Final = rf"\b(?:{_OCTETS})\b"
"""Not four single digits, which are a version: 2.0.1.0."""
IPV6: Final = r"\b(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}\b|[0-9A-Fa-f:]*::[0-9A-Fa-f:]+"
CARD: Final = (
    r"\b(?:3[47][0-9]{2}[ \-]?[0-9]{6}[ \-]?[0-9]{5}"
    r"|(?:[456][0-9]{3}|2[2-7][0-9]{2}|3[0568][0-9]{2})(?:[ \-]?[0-9]{4}){2}[ \-]?[0-9]{2,7})\b"
)

BLOCKED: Final = (EMAIL, SECRET, IBAN, CARD, PHONE, IPV4, IPV6)

MACHINE: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._:/+\[\]\-]{0,254}$"
SCOPE_NAME: Final = r"^[A-Za-z0-9_./:\-]{0,200}$"
SCOPE_VERSION: Final = r"^[A-Za-z0-9_.+\-]{0,64}$"
SEVERITY: Final = r"^[A-Za-z0-9]{0,16}$"
METRIC_NAME: Final = r"^[A-Za-z][A-Za-z0-9_./\-]{0,254}$"
UNIT: Final = r"^[A-Za-z0-9_/%{}.*^\- ]{0,63}$"
LIST_OF_TEXTS: Final = r"^\[(?:\"[^\"\\]+\",)*\"[^\"\\]+\"\]$"


def quoted(text: str) -> str:
    """Return *text* as a string literal of OTTL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def one_of(names: Iterable[str]) -> str:
    """Return the pattern of exactly these names."""
    return f"^(?:{'|'.join(re.escape(name) for name in sorted(names))})$"


def of_families(names: Iterable[str]) -> tuple[str, str]:
    """
    Return the patterns of events about money (`order.*`) and of all others.

    By family, not by name: an application that is newer than this file may send events which it does not know, and they
    must not be acknowledged into nothing. Their attributes pass as far as they are known.
    """
    families = sorted({name.partition(".")[0] for name in names})
    others = "|".join(family for family in families if family != "order")
    return r"^order\.[a-z][a-z0-9_.]{0,63}$", rf"^(?:{others})\.[a-z][a-z0-9_.]{{0,63}}$"
