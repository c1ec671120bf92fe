# SPDX-License-Identifier: Apache-2.0
"""The patterns of the Collector's allow-list, as Python reads them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.cli.collector import _patterns
from support.personal import KEPT, MASKED

RE2 = {r"\p{L}\p{N}_": r"\w", r"\p{L}\p{N}": r"\w", r"\p{L}": r"[^\W\d_]", r"\x{A0}\x{2013}": "\u00a0\u2013"}
"""What RE2 writes otherwise."""


def as_python(pattern: str) -> re.Pattern[str]:
    for there, here in RE2.items():
        pattern = pattern.replace(there, here)
    return re.compile(pattern)


BLOCKED = [as_python(pattern) for pattern in _patterns.BLOCKED]


@given(st.from_regex(_patterns.PLAIN, fullmatch=True))
def test_what_is_not_searched_would_not_be_found(text: str) -> None:
    """A text that is too plain to be searched has nothing in it that a search finds."""
    assert not [pattern.pattern for pattern in BLOCKED if pattern.search(text)]


@pytest.mark.parametrize(("personal", "around"), [(personal, around) for _, personal, around in MASKED])
def test_nothing_personal_is_plain(personal: str, around: str) -> None:
    """Of the texts in which the application masks personal data none is passed over."""
    assert not re.match(_patterns.PLAIN, around.replace("{}", personal))


def test_many_ids_and_labels_are_plain() -> None:
    """The short cut is worth its line: ordinary labels, ids, names of events and lists of SKUs take it."""
    usual = ["pro", "order-1042", "poster-a2", "checkout.start", '["poster-a2","frame-oak"]', "pricing-page"]

    assert [] == [text for text in usual if not re.match(_patterns.PLAIN, text)]
    assert [text for text in KEPT if re.match(_patterns.PLAIN, text)]
