# SPDX-License-Identifier: Apache-2.0
"""Whose post it is, from its headers."""

from __future__ import annotations

import pytest

from otel_revenue.browser.who import from_our_pages, is_machine

LISTED = ("https://www.shop.example",)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://shop.example", "host": "10.0.0.3:8000"}, True),  # behind a proxy
        ({"sec-fetch-site": "same-site", "origin": "https://blog.shop.example"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example", "host": "shop.example"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://shop.example", "host": "shop.example"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://www.shop.example"}, True),  # listed
        ({"origin": "https://WWW.shop.example"}, True),
        ({"origin": "https://www.shop.example.evil.example", "host": "shop.example"}, False),
        ({"origin": "https://shop.example", "host": "shop.example"}, True),  # Safari before 16.4
        ({"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"}, True),
        ({"origin": "http://127.0.0.1:8001", "host": "127.0.0.1:8000"}, False),
        ({"origin": "null", "host": "shop.example"}, False),
        ({"origin": "null", "host": "null"}, False),
        ({"origin": "https://", "host": ""}, False),
        ({"origin": "https://[", "host": "shop.example"}, False),
        ({"host": "shop.example"}, False),
        ({}, False),
    ],
)  # fmt: skip
def test_only_our_pages_may_post(headers, ours):
    """
    Same origin, or listed; another origin, a sandboxed page, and who says nothing of it are not ours.
    """
    assert ours == from_our_pages(headers, LISTED)


@pytest.mark.parametrize(
    ("headers", "machine"),
    [
        ({"user-agent": CHROME}, False),
        ({"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile Safari/604.1"}, False),
        ({"user-agent": "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36"}, False),
        ({"user-agent": "Mozilla/5.0 (Linux; Android 13; CUBOT) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36"}, False),
        ({"user-agent": CHROME.replace("Chrome/", "HeadlessChrome/")}, True),
        ({"user-agent": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, True),
        ({"user-agent": "Mozilla/5.0 (compatible; bingbot/2.0)"}, True),
        ({"user-agent": "facebookexternalhit/1.1"}, True),
        ({"user-agent": "curl/8.5.0"}, True),
        ({"user-agent": "python-requests/2.32"}, True),
        ({}, True),
        ({"user-agent": "x" * 100_000 + "bot"}, False),
        ({"user-agent": CHROME, "sec-purpose": "prefetch;prerender"}, True),
        ({"user-agent": CHROME, "purpose": "prefetch"}, True),
    ],
)  # fmt: skip
def test_machines_are_known_by_what_they_say(headers, machine):
    """
    Crawlers, headless browsers, tools and pages opened ahead of time are machines; people's browsers are not.
    """
    assert machine == is_machine(headers)
