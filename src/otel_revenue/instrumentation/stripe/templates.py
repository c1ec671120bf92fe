# SPDX-License-Identifier: Apache-2.0
"""From the path of a Stripe request to a template of few values, without ids. Pure."""

from __future__ import annotations

from typing import Final

from .paths import WORDS

_ID: Final = "{id}"
_MAX_SEGMENTS: Final = 12


def url_template(url: object) -> str:
    """
    Return the path of *url* with everything that is not a word of Stripe's API replaced by `{id}`.

    `/v1/checkout/sessions/cs_test_1/line_items?limit=3` becomes `/v1/checkout/sessions/{id}/line_items`. An id that a
    merchant chose (of a coupon, a product) may be anything, an e-mail address too: unknown means out.
    """
    if not isinstance(url, str):
        return _ID
    words = path_of(url).strip("/").split("/")
    kept = [word if word in WORDS else _ID for word in words[:_MAX_SEGMENTS]]
    return "/" + "/".join(kept)


def path_of(url: str) -> str:
    """Return the path alone: no scheme, no host, no query, no fragment."""
    if "://" in url:
        url = "/" + url.partition("://")[2].partition("/")[2]
    return url.partition("?")[0].partition("#")[0]
