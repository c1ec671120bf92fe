# SPDX-License-Identifier: Apache-2.0
"""The module as it is shipped and served."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import pytest

from otel_revenue.browser import _allowed, limits, module
from otel_revenue.privacy.clip import LIMIT

SHIPPED = module.FILE.read_text(encoding="utf-8")
MAX_GZIPPED = 4000
ROOT = Path(__file__).resolve().parents[3]


def test_it_is_small():
    """
    A visitor fetches no more than four thousand bytes.
    """
    sent = module.serve("GET", {"accept-encoding": "gzip, br"}).body

    assert (True, SHIPPED) == (len(sent) <= MAX_GZIPPED, gzip.decompress(sent).decode())


def test_the_documents_say_its_size():
    """
    The size in docs/browser.md is that of the file, to a tenth of a kilobyte: zlib's versions differ by some bytes.
    """
    said = re.search(r"([0-9.]+) kB gzipped", (ROOT / "docs" / "browser.md").read_text(encoding="utf-8"))[1]

    assert 0.1 > abs(len(module.serve("GET", {"accept-encoding": "gzip"}).body) / 1000 - float(said))


def test_it_depends_on_nothing_and_sets_no_cookie():
    """
    One file: it imports nothing, evaluates no text, and touches no cookie and no storage that outlives the tab.
    """
    assert [] == re.findall(
        r"\bimport\s*[({*\"']|\brequire\(|\beval\(|new Function|cookie|localStorage|indexedDB", SHIPPED
    )


def test_its_names_and_limits_are_those_of_the_route():
    """
    What the module sends is what the route takes: events, attributes, sizes.
    """
    events = dict(re.findall(r'^  "([a-z_.]+)": "([a-z_ ]+)",$', SHIPPED, re.MULTILINE))
    numbers = {name: int(number) for name, number in re.findall(r"(MAX_[A-Z]+) = ([0-9]+)", SHIPPED)}

    assert {name: sorted(attributes) for name, attributes in _allowed.ALLOWED.items()} == {
        name: sorted(attributes.split()) for name, attributes in events.items()
    }
    assert (LIMIT, limits.MAX_EVENTS, limits.MAX_BODY) == (
        numbers["MAX_TEXT"],
        numbers["MAX_EVENTS"],
        numbers["MAX_BODY"],
    )


@pytest.mark.parametrize("encoding", ["", "gzip, deflate, br"])
def test_it_is_served_to_be_kept(encoding):
    """
    It comes with type, fingerprint and an hour of rest; who has it already gets 304 without a body.
    """
    first = module.serve("GET", {"accept-encoding": encoding})
    headers = dict(first.headers)
    again = module.serve("GET", {"accept-encoding": encoding, "if-none-match": headers["etag"]})
    body = zlib.decompress(first.body, 31) if encoding else first.body

    assert (200, "text/javascript; charset=utf-8", "nosniff", "accept-encoding", SHIPPED) == (
        first.status, headers["content-type"], headers["x-content-type-options"], headers["vary"], body.decode(),
    )  # fmt: skip
    assert (304, b"", headers["etag"], True) == (
        again.status, again.body, dict(again.headers)["etag"], "max-age=3600" in dict(again.headers)["cache-control"],
    )  # fmt: skip


def test_only_its_head_is_sent_where_only_that_is_asked_for():
    """
    HEAD says what GET would, without the body; other methods are refused.
    """
    get, head = (module.serve(method, {}) for method in ("GET", "HEAD"))

    assert (get.headers, b"", 405) == (head.headers, head.body, module.serve("POST", {}).status)
