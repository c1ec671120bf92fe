"""What stays of an exception."""

from __future__ import annotations

import traceback

import pytest

from otel_revenue.privacy.exceptions import mask_message, mask_stacktrace

SECRET = "Xanthippe Quux"


def _printed(raise_it: object) -> str:
    try:
        raise_it()  # type: ignore[operator]
    except BaseException:
        return traceback.format_exc()
    return ""


def _plain() -> None:
    raise ValueError("no such customer: " + SECRET)


def _chained() -> None:
    try:
        _plain()
    except ValueError as error:
        raise KeyError(SECRET) from error


def _several_lines() -> None:
    raise RuntimeError(f"cannot ship:\n{SECRET}\n  File nowhere\nCustomer: {SECRET}\n\n{SECRET.split(maxsplit=1)[0]}")


def _typed_source() -> None:
    compile(f"{SECRET} = ", "<string>", "exec")


def _while_handling() -> None:
    try:
        _plain()
    except ValueError:
        _several_lines()


@pytest.mark.parametrize("raise_it", [_plain, _chained, _several_lines, _typed_source, _while_handling])
def test_no_message_stays(raise_it: object) -> None:
    """Of a printed stack trace no line of any message stays, and neither does source that somebody typed."""
    masked = mask_stacktrace(_printed(raise_it))

    assert "Xanthippe" not in masked
    assert "Quux" not in masked


def test_what_helps_stays() -> None:
    """Types, files, lines, functions and lines of source are left: enough to find the place."""
    masked = mask_stacktrace(_printed(_chained))

    assert ["ValueError: [message]", "KeyError: [message]"] == [
        line for line in masked.splitlines() if "[message]" in line
    ]
    assert 'in _plain\n    raise ValueError("no such customer: " + SECRET)' in masked
    assert "The above exception was the direct cause of the following exception:" in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ValueError: Jane", "ValueError: [message]"),
        ("stripe.error.CardError: Jane", "stripe.error.CardError: [message]"),
        ("Jane Doe was declined", "[message]"),
        ("", ""),
        ("ValueError: [message]", "ValueError: [message]"),
        ("[message]", "[message]"),
    ],
)
def test_a_message_leaves_its_type(text: str, masked: str) -> None:
    """A message leaves the type that it begins with, and nothing of its text."""
    found = mask_message(text)

    assert masked == found


@pytest.mark.parametrize("raise_it", [_plain, _chained, _several_lines, _while_handling])
def test_masked_twice_is_masked_once(raise_it: object) -> None:
    """What was masked stays as it is: processors may be installed twice."""
    once = mask_stacktrace(_printed(raise_it))

    assert once == mask_stacktrace(once)
