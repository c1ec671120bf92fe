# SPDX-License-Identifier: Apache-2.0
"""What an answer means: pure rules, over everything that a far end can say."""

from __future__ import annotations

from email.utils import formatdate

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.delivery.outcome import (
    MAX_BACKOFF_S,
    MAX_RETRY_AFTER_S,
    Delivered,
    Held,
    Later,
    Refused,
    backoff_s,
    from_grpc,
    from_http,
    from_partial_success,
    parse_retry_after,
)

NOW = 1_800_000_000.0


@settings(deadline=None)
@given(st.integers(100, 999), st.none() | st.text(max_size=40))
def test_every_status_has_an_outcome(status: int, retry_after: str | None) -> None:
    """
    Only a 2xx is an acknowledgement, only a 4xx sets an event aside, and no header makes the rule raise.
    """
    outcome = from_http(status, retry_after, NOW)

    assert (200 <= status < 300) == isinstance(outcome, Delivered)
    assert not isinstance(outcome, Refused) or 400 <= status < 500


@pytest.mark.parametrize("code", [code.name for code in grpc.StatusCode])
def test_every_grpc_code_has_an_outcome(code: str) -> None:
    """
    Only OK is an acknowledgement; what the specification calls retryable is never set aside.
    """
    outcome = from_grpc(code)
    retryable = {
        "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS",
    }  # fmt: skip

    assert (code == "OK", code not in retryable) == (
        isinstance(outcome, Delivered),
        not isinstance(outcome, Later) or code in ("UNKNOWN", "INTERNAL"),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("99999999999999999999", MAX_RETRY_AFTER_S),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        (formatdate(NOW + 60, usegmt=True), 60.0),
        (formatdate(NOW - 60, usegmt=True), 0.0),
        (formatdate(NOW + 10**6, usegmt=True), MAX_RETRY_AFTER_S),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    """
    Both forms of RFC 9110 are read, bounded on both sides; anything else is as if it were not there.
    """
    assert seconds == parse_retry_after(text, NOW)


@settings(deadline=None)
@given(st.text(max_size=60), st.floats(0, 4e9))
def test_retry_after_never_raises(text: str, now_s: float) -> None:
    """
    Whatever the header says, the wait is none or within its bounds.
    """
    seconds = parse_retry_after(text, now_s)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


@settings(deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1), st.none() | st.floats(0, MAX_RETRY_AFTER_S))
def test_back_off_is_bounded_and_obeys_the_far_end(attempt: int, jitter: float, retry_after: float | None) -> None:
    """
    The wait is never 0, never above its bound unless the far end asks for more, and never shorter than it asks.
    """
    wait = backoff_s(attempt, jitter, retry_after)

    assert 0.75 <= wait <= max(MAX_BACKOFF_S, retry_after or 0)
    assert wait >= (retry_after or 0)


@pytest.mark.parametrize(
    ("rejected", "sent", "outcome"),
    [
        (0, 3, Delivered()),
        (-1, 3, Delivered()),
        (1, 3, Refused("partial success: 1 of 3 rejected")),
        (3, 3, Refused("partial success: rejected", each=True)),
        (9, 3, Refused("partial success: rejected", each=True)),
        (1, 1, Refused("partial success: rejected", each=True)),
    ],
)
def test_a_partial_success_is_no_acknowledgement(rejected: int, sent: int, outcome: object) -> None:
    """
    What was rejected is looked for; a single one is found at once.
    """
    assert outcome == from_partial_success(rejected, sent)


def test_a_retry_info_is_bounded() -> None:
    """
    A far end that asks for a year gets an hour; one that asks for less than nothing gets nothing.
    """
    assert (3600.0, 0.0) == tuple(
        getattr(from_grpc("RESOURCE_EXHAUSTED", s), "retry_after_s", None) for s in (1e8, -5.0)
    )


def test_held_names_no_content() -> None:
    """
    Reasons are status and kind alone.
    """
    assert Held("http 401") == from_http(401, "secret", NOW)
