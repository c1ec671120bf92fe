# SPDX-License-Identifier: Apache-2.0
"""Length limits that keep joins true."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otel_revenue.privacy.clip import LIMIT, clip_id, clip_list, clip_text

ANY_TEXT = st.text(st.characters(codec=None), max_size=600)


@given(ANY_TEXT)
def test_text_stays_below_255_in_characters_and_bytes(text):
    """
    Cut text is below 255 characters and bytes, is valid UTF-8 without NUL, and a beginning of what it was.
    """
    cut = clip_text(text)
    plain = text.encode("utf-8", "replace").decode().replace("\0", "?")

    assert (True, True, True) == (
        len(cut) <= LIMIT,
        len(cut.encode()) <= LIMIT,
        plain.startswith(cut) and "\0" not in cut,
    )


@pytest.mark.parametrize("char", ["a", "é", "€", "😀"])
def test_text_is_cut_as_late_as_possible_and_never_inside_a_character(char):
    """
    Whatever the width of a character, as many stay as fit, and none is broken.
    """
    assert char * (LIMIT // len(char.encode())) == clip_text(char * 300)


@given(ANY_TEXT, ANY_TEXT)
def test_ids_stay_equal_or_different(one, other):
    """
    Equal ids leave equal, different ones different, in less than 255 bytes, however long or strange they are.
    """
    left, right = clip_id(one), clip_id(other)

    assert (one == other, True, True) == (left == right, len(left.encode()) <= LIMIT, "\0" not in left)


@given(
    st.text("ab\ud800\udfff\0?", min_size=250, max_size=260), st.text("ab\ud800\udfff\0?", min_size=250, max_size=260)
)
def test_ids_that_differ_in_what_cannot_leave_stay_different(one, other):
    """
    Two ids that differ only in a lone surrogate, in NUL, or beyond the limit, do not become one.
    """
    assume(one != other)

    assert clip_id(one) != clip_id(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a\ud800", "a\udfff"),
        ("a\ud800", "a?"),
        ("a\0", "a?"),
        ("a\0", "a"),
        ("x" * 255, "x" * 256),
        ("é" * 128, "é" * 127 + "e"),
    ],
)
def test_ids_that_could_become_one_do_not(one, other):
    """
    Lone surrogates, NUL and what is beyond the limit make an id its hash, and no two the same; neither can be seen in it.
    """
    left, right = clip_id(one), clip_id(other)

    assert (True, True, False) == (left != right, left.startswith("sha256:"), "\0" in left or "?" in left)


@pytest.mark.parametrize("size", [1, 253, 254])
def test_an_id_that_fits_is_unchanged(size):
    """
    An id of at most 254 bytes leaves as it is.
    """
    assert "x" * size == clip_id("x" * size)


@given(st.lists(ANY_TEXT, max_size=40))
def test_a_list_fits_and_counts_what_was_cut(items):
    """
    The items that stay are the first ones, whole, and together below 255 bytes; the rest is counted.
    """
    kept, cut = clip_list(items)

    assert (True, len(items), [clip_id(item) for item in items[: len(kept)]]) == (
        len(",".join(kept).encode()) <= LIMIT, len(kept) + cut, kept,
    )  # fmt: skip
