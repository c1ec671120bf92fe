# SPDX-License-Identifier: Apache-2.0
"""The module for browsers, as a static file: cached, and asked for again by its fingerprint."""

from __future__ import annotations

import functools
import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .answers import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE: Final = Path(__file__).with_name("otel-revenue.js")
_HOUR_AND_A_DAY: Final = "public, max-age=3600, stale-while-revalidate=86400"


@functools.cache
def _content() -> tuple[bytes, bytes, str]:
    plain = FILE.read_bytes()
    return plain, gzip.compress(plain, mtime=0), f'"{hashlib.sha256(plain).hexdigest()[:16]}"'


def serve(method: str, headers: Mapping[str, str]) -> Answer:
    """Answer a GET or HEAD."""
    if method not in ("GET", "HEAD"):
        return Answer(405, (("allow", "GET, HEAD"),), b"")
    plain, packed, tag = _content()
    kept = (("etag", tag), ("cache-control", _HOUR_AND_A_DAY), ("vary", "accept-encoding"))
    if tag in headers.get("if-none-match", ""):
        return Answer(304, kept, b"")
    zipped = "gzip" in headers.get("accept-encoding", "")
    said = (
        ("content-type", "text/javascript; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("access-control-allow-origin", "*"),  # a public file; browsers ask for it where the page is of another origin
        *((("content-encoding", "gzip"),) if zipped else ()),
    )
    body = packed if zipped else plain
    length = (("content-length", str(len(body))),)
    return Answer(200, (*said, *kept, *length), b"" if method == "HEAD" else body)
