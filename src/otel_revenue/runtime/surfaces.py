# SPDX-License-Identifier: Apache-2.0
"""
The surface that a request came from: a campaign, another site, a route. Short words, few of them, and nobody's identity.

No URL is kept, and no click id is looked at (`gclid`, `fbclid` and the like name a person's click).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from otel_revenue.signals.record import clean_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OTHER: Final = "other"
_MOST: Final = 200
_LONGEST: Final = 40
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9 ._/-]*")
_NUMBERS: Final = re.compile(r"[0-9]{6}|(?=[a-z]*[0-9])[0-9a-z]{16}")
"""What a click or a person is called by, and no campaign."""
_HOST: Final = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}")
_PAYMENT: Final = re.compile(r"(?:.*\.)?stripe\.com")


class Few:
    """Lets a number of different words through, and calls further ones `other`: whoever makes them up cannot make a metric grow."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: set[str] = set()

    def kept(self, word: str) -> str:
        """Return the word, or `other`."""
        if word in self._known:
            return word
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(word)
        return word


def of_campaign(query: Mapping[str, str]) -> str | None:
    """Return `utm_source`, with `utm_medium` where there is one: `newsletter/email`."""
    source = _word(query.get("utm_source"))
    medium = _word(query.get("utm_medium"))
    return source and (f"{source}/{medium}" if medium else source)


def of_referrer(referrer: str | None, own_hosts: Iterable[str | None]) -> str | None:
    """Return the host of another site, without `www.`; none for the own ones, for an address in numbers and for Stripe's pages."""
    try:
        host = urlsplit(referrer or "").hostname or ""
        own = {(urlsplit(f"//{name or ''}").hostname or "").removeprefix("www.") for name in own_hosts}
    except ValueError:
        return None
    bare = host.removeprefix("www.")
    foreign = bare not in own and _HOST.fullmatch(bare) and not _PAYMENT.fullmatch(bare)
    return bare if foreign and len(bare) <= 2 * _LONGEST else None


def _word(text: str | None) -> str | None:
    word = (text or "").strip().lower()
    if not 0 < len(word) <= _LONGEST or not _WORD.fullmatch(word) or _NUMBERS.search(word):
        return None
    return None if clean_id(word) is None else word
