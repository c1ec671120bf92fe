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

_LOCAL: Final = r"(?:\"[^\"]+\"|[^\s@<>()\[\]\"',;:=&?/\\|]+)"
_DOMAIN: Final = r"(?:(?:[\p{L}\p{N}_\-]+\.)*\p{L}[\p{L}\p{N}\-]*|\[[0-9A-Za-z:.]+\])"
EMAIL: Final = rf"{_LOCAL}(?:@|＠|%(?:25){{0,3}}40){_DOMAIN}"
_CREDENTIAL: Final = r"[A-Za-z0-9._~+/\-]"
SECRET: Final = (
    r"(?:\b|_)(?:sk|rk|pk|ek)_(?:live|test)_[A-Za-z0-9]{4,}|\bwhsec_[A-Za-z0-9+/=_-]{4,}"
    r"|\b[a-z]{2,10}_[A-Za-z0-9_]{3,160}_secret_[A-Za-z0-9%_-]{4,}|\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bxox[abeoprs]-[A-Za-z0-9-]{8,}"
    rf"|(?i:bearer|basic)(?:\s|%20|\+)(?:{_CREDENTIAL}{{16,}}=*|{_CREDENTIAL}{{8,}}={{1,2}}|{_CREDENTIAL}*[0-9]{_CREDENTIAL}{{3,}})"
)
PHONE: Final = (
    r"(?:\B\+|%2[Bb])\s?[1-9(][0-9 ().\-/]{5,40}[0-9]|\b00 ?[1-9](?:[ ().\-/]{0,2}[0-9]){8,13}\b"
    r"|(?:^|[^A-Za-z0-9_\-./+])(?:\([0-9]{2,5}\)\s?[0-9]{2,5}(?:[ \-./]?[0-9]{2,6}){1,3}|0[1-9](?:[ .\-][0-9]{2}){4}"
    r"|0[1-9][0-9]{1,3}[ /\-](?:[0-9]{5,8}|[0-9]{3,4}(?:[ \-][0-9]{2,6}){1,3})"
    r"|(?:1[ .\-])?[2-9][0-9]{2}[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}|0(?:1[567][0-9]{8,9}|7[0-9]{9}|[67][0-9]{8}))(?:$|[^A-Za-z0-9_\-])"
)
IBAN: Final = r"\b[A-Z]{2}[0-9]{2}[ \-]?[A-Z0-9]{4}(?:[ \-]?[0-9]{4}){2,5}(?:[ \-]?[A-Z0-9]{1,4}){0,4}\b"
_OCTETS: Final = "|".join(
    r"\.".join(r"[0-9]{2,3}" if place == wide else r"[0-9]{1,3}" for place in range(4)) for wide in range(4)
)
IPV4: Final = rf"\b(?:{_OCTETS})\b"
"""Not four single digits, which are a version: 2.0.1.0."""
IPV6: Final = r"\b(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}\b|[0-9A-Fa-f:]*::[0-9A-Fa-f:]+"
CARD: Final = r"\b(?:(?:[456]|2[2-7]|3[457])(?:[ .\-/\x{A0}\x{2013}]{0,2}[0-9]){13,17}|3[0689][0-9]{12})\b"

BLOCKED: Final = (EMAIL, SECRET, IBAN, CARD, PHONE, IPV4, IPV6)

PLAIN: Final = r"^[\[\]\",.a-wyz\-]*[0-9]{0,6}[\[\]\",.a-wyz\-]*$"
"""
Most labels, ids and lists of SKUs: too plain for any of `BLOCKED`, which a search would cost ten times as much.

No capital (account numbers, keys), no `_` (Stripe's keys), no space (credentials), no `x` (`xoxb-`), no `@`, `%`, `+` or `:`, and
one short run of digits.
"""

MACHINE: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._:/+\[\]\-]{0,254}$"
SCOPE_NAME: Final = r"^[A-Za-z0-9_./:\-]{0,200}$"
SCOPE_VERSION: Final = r"^[A-Za-z0-9_.+\-]{0,64}$"
SEVERITY: Final = r"^[A-Za-z0-9]{0,16}$"
SAMPLING: Final = r"^ot=(?:th|rv):[0-9a-f]{1,14}(?:;(?:th|rv):[0-9a-f]{1,14})?$"
"""Of a trace's state what OpenTelemetry's sampling writes, so that counts can still be made of samples."""
METRIC_NAME: Final = r"^[A-Za-z][A-Za-z0-9_./\-]{0,254}$"
LONG_NUMBER: Final = r"[0-9]{7}"
"""In a name: a telephone number, a card or a customer rather than a version."""
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
    return r"^order\.[a-z][a-z0-9_.]{0,159}$", rf"^(?:{others})\.[a-z][a-z0-9_.]{{0,159}}$"
