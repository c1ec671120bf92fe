# SPDX-License-Identifier: Apache-2.0
"""Detectors of personal data: what they mask, what they leave, and how much work hostile text makes."""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_revenue.privacy import addresses, numbers, tokens, values
from otel_revenue.privacy.values import MAX_SCANNED, kinds, scrub
from support.corpus import hostile
from support.personal import KEPT, MASKED

ANY_TEXT = st.text(st.characters(codec=None))
NEAR_TEXT = st.text("@.+-_ /()%0123456789abDE\u00a0\uff20\ud800\0", max_size=300)


@pytest.mark.parametrize(("kind", "personal", "around"), MASKED)
def test_personal_data_is_masked(kind, personal, around):
    """
    Personal data and secrets are replaced by their kind, and nothing else of the text is touched.
    """
    text = around.format(personal)

    assert (around.format(f"[{kind}]"), (kind,)) == (scrub(text), kinds(text))


@pytest.mark.parametrize("text", KEPT)
def test_ids_times_versions_and_labels_stay(text):
    """
    What joins, counts or names a product is left as it is: a false alarm costs an order its id.
    """
    assert (text, ()) == (scrub(text), kinds(text))


@pytest.mark.parametrize("kind", ["email", "card", "phone", "iban", "secret", "ip"])
def test_every_detector_has_examples(kind):
    """
    No detector without examples.
    """
    assert Counter(k for k, _, _ in MASKED)[kind] >= 3


def test_several_kinds_in_one_text():
    """
    One text may hold several kinds, and all of them go.
    """
    text = "ada@example.com, +49 171 1234567, 4242 4242 4242 4242, DE89370400440532013000"

    assert ("[email], [phone], [card], [iban]", ("email", "iban", "card", "phone")) == (scrub(text), kinds(text))


@given(st.uuids(), st.sampled_from(["", "order-", "j_"]))
@example(UUID("f250c07c-ad72-4eb5-d845-314b197aa316"), "")  # the right check digits of Andorra
@example(UUID("00699536-8546-bb5b-0805-53892bfc6232"), "")  # begins like an international call
def test_uuids_stay(uuid, prefix):
    """
    No UUID is taken for anything else.
    """
    text = f"{prefix}{uuid}"

    assert text == scrub(text)


@given(st.integers(1_000_000_000, 2_000_000_000), st.sampled_from([1, 1000, 10**6, 10**9]))
def test_timestamps_stay(seconds, unit):
    """
    No time since the epoch, in whatever unit, is taken for a card or a telephone.
    """
    text = str(seconds * unit)

    assert text == scrub(text)


@given(st.datetimes())
def test_iso_times_stay(time):
    """
    No written date is taken for a number of a person.
    """
    text = time.isoformat()

    assert text == scrub(text)


@given(st.integers(0, 10**15 - 1), st.sampled_from(["", " ", "-"]))
def test_every_card_of_visa_is_masked(number, mark):
    """
    Every number with a scheme's prefix and a right check digit is masked, in groups or not.
    """
    digits = f"4{number:015d}"[:15]
    check = next(c for c in "0123456789" if numbers._luhn(digits + c) == 0)
    card = mark.join(re.findall("....", digits + check))

    assert "a [card] b" == scrub(f"a {card} b")


@given(st.integers(0, 10**15 - 1), st.integers(0, 9))
def test_a_wrong_check_digit_is_no_card(number, digit):
    """
    Sixteen digits with a wrong check digit are an order number.
    """
    digits = f"4{number:015d}"[:15] + str(digit)

    assert ("[card]" if numbers._luhn(digits) == 0 and len(set(digits)) > 1 else digits) == scrub(digits)


@given(ANY_TEXT | NEAR_TEXT)
def test_no_text_raises_and_nothing_is_found_twice(text):
    """
    Whatever the text, it is scrubbed without an error, and scrubbing what was scrubbed finds nothing more.
    """
    once = scrub(text)

    assert once == scrub(once)


@given(NEAR_TEXT, NEAR_TEXT)
def test_an_address_never_survives_its_surroundings(before, after):
    """
    Whatever stands around an e-mail address, the address does not come out.
    """
    assert "ada.lovelace@example.com" not in scrub(f"{before} ada.lovelace@example.com {after}")


@pytest.mark.parametrize("lead", [0, 1, 60, 3000, *range(MAX_SCANNED - 32, MAX_SCANNED - 11), MAX_SCANNED])
def test_nothing_is_hidden_by_the_cut(lead):
    """
    Where long text is cut, no half of an address or number stays behind.
    """
    masked = scrub("eyJ" + "x" * lead + ".abcdefgh ada.lovelace@example.com")

    assert (False, False) == ("lovelace" in masked, "example" in masked)


def test_text_that_unfolds_beyond_the_limit_is_cut():
    """
    Characters that become many when they are made plain hide nothing behind the limit.
    """
    assert "ada" not in scrub("\ufdfa" * 4000 + " ada@example.com")


HOSTILE = hostile()


def _steps(text: str) -> int:
    """Return how many functions of ours run, and how many of C they call, while *text* is scrubbed."""
    ours = {module.__file__ for module in (values, addresses, numbers, tokens)}
    steps = 0

    def count(frame, event, arg):
        nonlocal steps
        if event in ("call", "c_call") and frame.f_code.co_filename in ours:
            steps += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        scrub(text)
    finally:
        sys.setprofile(before)
    return steps


@pytest.mark.parametrize("name", HOSTILE)
def test_work_is_bounded_whatever_the_length(name):
    """
    Hostile text of 64 KiB makes no more steps than its first 4 KiB do: the scan is capped.
    """
    piece = HOSTILE[name]
    short = (piece * MAX_SCANNED)[: MAX_SCANNED + 1]
    long = (piece * 65536)[:65536]

    assert _steps(long) <= _steps(short) + 50


@pytest.mark.parametrize("name", HOSTILE)
def test_steps_grow_with_the_text_and_no_faster(name):
    """
    Below the cap, four times the text makes at most about four times the steps.
    """
    piece = HOSTILE[name]
    one, four = _steps((piece * 1000)[:1000]), _steps((piece * 4000)[:4000])

    assert four <= 4.5 * one + 200


PATTERNS = [
    (f"{module.__name__.rpartition('.')[2]}.{name}", value)
    for module in (values, addresses, numbers, tokens)
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
]


@pytest.mark.parametrize("pattern", [p for _, p in PATTERNS], ids=[n for n, _ in PATTERNS])
def test_no_pattern_repeats_a_repeat_without_bound(pattern):
    """
    No pattern holds a repeat without bound inside of another one: such patterns are exponential on hostile text.
    """
    assert _nested_repeats(_parse(pattern.pattern)) is False


def _parse(pattern: str):
    return importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse").parse(pattern)


def _nested_repeats(parsed, *, inside: bool = False) -> bool:
    if isinstance(parsed, tuple) and len(parsed) == 2 and str(parsed[0]) in ("MAX_REPEAT", "MIN_REPEAT"):
        _, most, body = parsed[1]
        unbounded = int(most) > 1000
        return (unbounded and inside) or _nested_repeats(body, inside=inside or unbounded)
    parts = getattr(parsed, "data", parsed)
    return isinstance(parts, (list, tuple)) and any(_nested_repeats(part, inside=inside) for part in parts)


def test_the_check_of_patterns_sees_a_bad_one():
    """
    The check above knows a pattern that is exponential.
    """
    assert (True, False) == (_nested_repeats(_parse(r"x(?:a+b?)*")), _nested_repeats(_parse(r"x(?:a{1,3}b)*")))
