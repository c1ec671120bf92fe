# SPDX-License-Identifier: Apache-2.0
"""Whose post it is: a page of ours or somebody else's, a person or a machine. Pure; from headers alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MACHINE: Final = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|headless|lighthouse|phantomjs|puppeteer|playwright|selenium|webdriver|preview"
    r"|monitor|pingdom|uptime|statuscake|curl/|wget/|python|okhttp|go-http|java/|facebookexternalhit|scrapy|httpclient",
    re.IGNORECASE,
).search
"""Words by which programs that open pages call themselves. (CUBOT makes telephones.)"""

_MAX_AGENT: Final = 512


def from_our_pages(headers: Mapping[str, str], origins: Collection[str]) -> bool:
    """
    Tell whether a page of the application itself, or of one of *origins*, sent the post.

    A browser says so in headers that no page can write: `Sec-Fetch-Site`, and `Origin` where it is too old for that. Who
    sends neither is no browser.
    """
    origin = headers.get("origin", "").lower()
    if origin in origins:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site.lower() == "same-origin"
    host = headers.get("host", "").lower()
    return bool(host) and origin in (f"https://{host}", f"http://{host}")


def is_machine(headers: Mapping[str, str]) -> bool:
    """Tell whether the page was opened ahead of time (prefetch, prerender), or by a program that says what it is."""
    purpose = headers.get("sec-purpose", "") + headers.get("purpose", "") + headers.get("x-moz", "")
    agent = headers.get("user-agent", "")
    return "prefetch" in purpose.lower() or not agent or _MACHINE(agent[:_MAX_AGENT]) is not None
