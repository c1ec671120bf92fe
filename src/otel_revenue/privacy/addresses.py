# SPDX-License-Identifier: Apache-2.0
"""Addresses of people and their machines in text: e-mail (also percent-encoded) and IP."""

from __future__ import annotations

import re
from typing import Final

_AT: Final = re.compile(r"@|%(?:25){0,3}40|\\{1,4}u0040")
# Letters, digits and marks that an address may hold around its at sign; bounded, so that no input makes it slow.
_LOCAL: Final = re.compile(r"(?:\"[^\"]{1,62}\"|(?:[^\W_]|[.!#$&'*+/=?^_`{|}~%-]){1,64})\Z")
# Without the slash: "/@studio" names an account.
_LOCAL_ENDS: Final = frozenset(".!#$&'*+=?^_`{|}~%-\"")
_LABEL: Final = r"[^\W_](?:[^\W_]|-){0,62}"
_LAST: Final = r"[^\W\d_](?:[^\W_]|-){0,62}"  # begins with a letter: "lib@1.2.3" is a version, "icon@2x" a file
_DOMAIN: Final = re.compile(
    rf"\s?(?:\[[0-9A-Za-z]{{0,40}}[:.][0-9A-Za-z:.]{{1,44}}\]|(?:{_LABEL}\.){{1,20}}{_LAST}|{_LAST})"
)

_FILE: Final = re.compile(r"[1-9]x\.(?:png|jpe?g|gif|webp|avif|svg)(?![A-Za-z0-9.-])")  # "icon@2x.png"

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"(?<![A-Za-z0-9_.\-])(?:{_OCTET}\.){{3}}{_OCTET}(?![A-Za-z0-9_\-]|\.[0-9])")
_IPV6: Final = re.compile(r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f:]{5,39}(?:\.[0-9]{1,3}){0,3}(?![0-9A-Za-z_:])")


def mask_email(text: str, mark: str) -> str:
    """Replace e-mail addresses by *mark*."""
    parts: list[str] = []
    rest = 0
    for at in _AT.finditer(text):
        before = text[at.start() - 1 : at.start()]
        if at.start() < rest or not (before.isalnum() or before in _LOCAL_ENDS):
            continue
        # From the at sign outwards, in bounded windows: the usual pattern is quadratic on hostile text.
        local = _LOCAL.search(text, max(rest, at.start() - 64), at.start())
        if local is None:
            continue
        domain = _DOMAIN.match(text, at.end(), min(len(text), at.end() + 320))
        if domain is None or _FILE.match(text, at.end()):
            continue
        parts += [text[rest : local.start()], mark]
        rest = domain.end()
    return "".join([*parts, text[rest:]]) if parts else text


def mask_ip(text: str, mark: str) -> str:
    """
    Replace IPv4 and IPv6 addresses by *mark*.

    Four single digits are taken for a version: `2.0.1.0`. The loopback and unspecified addresses are nobody's, nor are whole networks,
    which are versions as a rule: `Chrome/120.0.0.0`.
    """
    if text.count(".") >= 3:
        text = _IPV4.sub(lambda m: m.group() if _is_nobodys(m.group()) else mark, text)
    if text.count(":") >= 2:
        text = _IPV6.sub(lambda m: mark if _is_ipv6(m.group()) else m.group(), text)
    return text


def _is_nobodys(ip: str) -> bool:
    return len(ip) == 7 or ip.startswith("127.") or ip.endswith(".0.0")


def _is_ipv6(text: str) -> bool:
    import ipaddress

    if text.count(":") < 2 or not any(c.isdigit() for c in text):
        return False
    try:
        return not ipaddress.IPv6Address(text).is_loopback
    except ValueError:
        return False
