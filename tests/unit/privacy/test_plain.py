# SPDX-License-Identifier: Apache-2.0
"""The shortcut for ids: what is plain by its form is what the detectors leave alone."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_revenue.privacy import plain
from otel_revenue.privacy.clip import clip_id
from otel_revenue.privacy.plain import is_plain
from otel_revenue.privacy.values import kinds, scrub
from support.personal import MASKED

# What secrets, addresses and numbers are made of, beside what fills ids: put together they come near to every detector.
PIECES = st.sampled_from(
    [
        *"eyJ xox AKIA ASIA earer bearer basic sec secret sk_live_ rk_test_ whsec_ ghp_ github_pat_ cs_test_ cs_live_ pi_ ch_ ek_".split(),
        *"4242424242424242 00491711234567 0171123456 4155550132 DE89370400440532013000 127-0-0-1 012345 00 01 12 1234567 ::1".split(),
        *"order- design cart- a-b abcdef 0a1b2c3d -4a5b- -9a8b-".split(),
        *" -_.@%+/:0\n\0é",
    ]
)
NEAR = st.lists(PIECES | st.text("abcdefxyzJAKIS0123456789-_", max_size=8), max_size=8).map("".join)
FORMS = st.one_of(
    *(st.from_regex(form.__self__, fullmatch=True) for form in (plain._WORDS, plain._STRIPE, plain._UUID))
)
UUIDS = st.uuids().map(str)


@given(NEAR | FORMS | UUIDS)
@example("00123456-7890-4234-8345-123456789012")
@example("earer-0123456789abcdef0")
@example("xoxb-12345-abcdefgh")
@example("pi_4242424242424242")
@example("1-2-3-4-5-6-7-8-9")
def test_what_is_plain_is_what_the_detectors_leave_alone(text):
    """
    No text is taken for plain that a detector finds something in, that is to be cut, or that reads like prose.
    """
    if is_plain(text):
        assert (text, (), text, False) == (scrub(text), kinds(text), clip_id(text), any(map(str.isspace, text)))


@pytest.mark.parametrize(("kind", "personal", "around"), MASKED)
def test_no_personal_data_is_plain(kind, personal, around):
    """
    What the detectors are known to find is not taken for plain, neither alone nor in its surroundings.
    """
    assert (False, False) == (is_plain(personal), is_plain(around.format(personal)))


@pytest.mark.parametrize(
    "text",
    [
        "order-1042",
        "j-9e3779b9",
        "design-123456",
        str(uuid.UUID(int=0x6F1C2A3558F55A9C9D586F6E0C1F0D53)),
        "cs_test_a1B2c3D4e5F6g7H8i9J0",
        "pi_3OqJmY2eZvKYlo2C1aBcDeFg",
    ],
)
def test_usual_ids_are_plain(text):
    """
    Ids as shops and Stripe write them take the short way.
    """
    assert is_plain(text)


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "a" * 200, "order_1042", "ORDER-1", "1234567", "cs_test_1234567", "order-1\n"]
)
def test_other_forms_are_left_to_the_detectors(text):
    """
    Whatever has another form is no matter of the shortcut.
    """
    assert not is_plain(text)


@pytest.mark.parametrize(
    "text",
    ["a-1" * 60 + "!", "a" * 10_000 + "!", "-" * 10_000, "a-" * 5_000 + "_", "1" * 10_000, "cs_test_" + "a1" * 9_000],
)
def test_hostile_text_is_left_in_little_time(text):
    """
    Text that begins like an id and is none is given up in a walk or two over it: the test ends at all.
    """
    assert not is_plain(text)
