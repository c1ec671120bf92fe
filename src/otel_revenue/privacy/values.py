# SPDX-License-Identifier: Apache-2.0
"""
Detectors of personal data and secrets inside text.

The second net behind the allow-list: fields that we emit hold ids and labels, but the shop writes them. Standard library
only, and linear in the length of the text: each detector sits behind a cheap gate, candidates are found by patterns
without nested repeats, and what a pattern cannot say (Luhn, checksums) is checked by code on a bounded candidate.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SCANNED: Final = 4096
"""Longer text is cut before it is scanned; what is cut off never leaves, as strings stay below 255."""

_AT = re.compile(r"@|%40|\uff20", re.IGNORECASE)
# Letters, digits and marks that an address may hold around its at sign; bounded, so that no input makes it slow.
_LOCAL = re.compile(r"(?:[^\W_]|[.!#$&'*+/=?^_`{|}~%-]){1,64}\Z")
_DOMAIN = re.compile(r"\s?(?:\[?[^\W_](?:[^\W_]|-){0,62}(?:\.(?:[^\W_]|-){1,63}){1,8})\]?|\s?[^\W_](?:[^\W_]|-){0,62}")

_SECRET = re.compile(
    r"(?:\b|(?<=_))(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,250}"
    r"|\bwhsec_[A-Za-z0-9+/=]{8,250}"
    r"|\b(?:pi|seti|cs|in|sub)_[A-Za-z0-9_]{4,120}_secret_[A-Za-z0-9]{4,250}"
    r"|\beyJ[A-Za-z0-9_-]{6,1000}\.[A-Za-z0-9_-]{6,2000}\.?[A-Za-z0-9_-]{0,1000}"
    r"|\b(?:[Bb]earer|[Bb]asic|BEARER|BASIC)\s[A-Za-z0-9._~+/=-]{8,1000}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,255}|\bgithub_pat_[A-Za-z0-9_]{20,255}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{8,255}"
)
_SECRET_GATE = re.compile(
    r"_(?:live|test)_|whsec_|_secret_|eyJ|[Bb]earer|[Bb]asic|BEARER|BASIC|AKIA|ASIA|gh[pousr]_|github_|xox"
)

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_IBAN_GATE = re.compile(r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]")

_DIGITS = re.compile(r"[0-9](?:[ .\-/]?[0-9]){12,40}")
_DIGIT_GATE = re.compile(r"[0-9](?:[ .\-/]{0,1}[0-9]){6}")
_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[47]|30[0-5]|3[68]|35|6(?:011|4[4-9]|5|2)|50|5[6-9]|6[0-9]")

_PHONE_GATE = re.compile(r"[0-9][0-9 ().\-/]{4,}[0-9]")
_PHONE_PLUS = re.compile(
    r"(?<![A-Za-z0-9+])(?:\+|00)\s?[1-9][0-9]{0,3}(?:[ .\-/]?\(?[0-9]{1,5}\)?){2,6}(?![A-Za-z0-9])"
)
_PHONE_NATIONAL = re.compile(
    r"(?<![A-Za-z0-9_\-./+])(?:\([0-9]{2,5}\)\s?[0-9]{2,4}[ \-./][0-9]{3,6}"  # (030) 1234-5678, (415) 555-0132
    r"|0[0-9]{2,4}[ /][0-9]{3,8}(?:[ -][0-9]{2,6}){0,3}"  # 030 12345678, 0171/1234567
    r"|[2-9][0-9]{2}[.-][0-9]{3}[.-][0-9]{4})(?![A-Za-z0-9_\-])"  # 415-555-0132
)


def scrub(value: str) -> str:
    """
    Return *value* with what looks like an e-mail address, secret, card number, IBAN or phone number replaced by `[kind]`.

    Never raises, whatever the text: lone surrogates and control characters pass through.
    """
    if len(value) > MAX_SCANNED:
        value = value[:MAX_SCANNED]
    for kind, mask in _MASKS:
        value = mask(value, f"[{kind}]")
    return value


def kinds(value: str) -> tuple[str, ...]:
    """Return which detectors hit, for counting by kind."""
    found = []
    value = value[:MAX_SCANNED]
    for kind, mask in _MASKS:
        masked = mask(value, f"[{kind}]")
        if masked != value:
            found.append(kind)
        value = masked
    return tuple(found)


def _secret(value: str, mark: str) -> str:
    return _SECRET.sub(mark, value) if _SECRET_GATE.search(value) else value


def _email(value: str, mark: str) -> str:
    if "@" not in value and "%40" not in value and "\uff20" not in value:
        return value
    parts: list[str] = []
    rest = 0
    for at in _AT.finditer(value):
        if at.start() < rest:
            continue
        # From the at sign outwards, in bounded windows: the usual pattern is quadratic on hostile text.
        start = max(rest, at.start() - 64)
        local = _LOCAL.search(value, start, at.start())
        domain = _DOMAIN.match(value, at.end(), min(len(value), at.end() + 320))
        if local is None or domain is None:
            continue
        parts += [value[rest : local.start()], mark]
        rest = domain.end()
    return "".join([*parts, value[rest:]]) if parts else value


def _iban(value: str, mark: str) -> str:
    if len(value) < 15 or not _IBAN_GATE.search(value):
        return value
    return _IBAN.sub(lambda m: _iban_within(m.group(), mark), value)


def _iban_within(text: str, mark: str) -> str:
    # Spaced text may run on after the number: the longest beginning that has a right checksum is it.
    ends = [i for i in range(len(text), 14, -1) if i == len(text) or not text[i].isalnum() or not text[i - 1].isalnum()]
    for end in ends:
        bare = text[:end].replace(" ", "").replace("-", "").upper()
        if 15 <= len(bare) <= 34 and _mod97(bare) == 1:
            return mark + text[end:]
    return text


def _mod97(bare: str) -> int:
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97


def _card(value: str, mark: str) -> str:
    if len(value) < 13 or not _DIGIT_GATE.search(value):
        return value
    return _DIGITS.sub(lambda m: _card_within(value, m, mark), value)


def _card_within(value: str, match: re.Match[str], mark: str) -> str:
    text = match.group()
    before, after = value[match.start() - 1 : match.start()], value[match.end() : match.end() + 1]
    if before and (before.isalnum() or before == "_") and after and (after.isalnum() or after == "_"):
        return text  # inside a longer word: an id, a hash
    places = [i for i, c in enumerate(text) if c.isdigit()]
    digits = "".join(text[i] for i in places)
    for begin in range(len(digits) - 12):
        for size in (16, 15, 14, 13, 19, 18, 17):
            window = digits[begin : begin + size]
            if len(window) == size and _CARD_PREFIX.match(window) and _luhn(window):
                return text[: places[begin]] + mark + text[places[begin + size - 1] + 1 :]
    return text


def _luhn(digits: str) -> bool:
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = ord(c) - 48
        total += n if i % 2 == 0 else (n * 2 - 9 if n > 4 else n * 2)
    return total % 10 == 0 and len(set(digits)) > 1


def _phone(value: str, mark: str) -> str:
    if len(value) < 7 or not _PHONE_GATE.search(value):
        return value
    value = _PHONE_PLUS.sub(lambda m: mark if 7 <= sum(map(str.isdigit, m.group())) <= 17 else m.group(), value)
    return _PHONE_NATIONAL.sub(mark, value)


_MASKS: Final[tuple[tuple[str, Callable[[str, str], str]], ...]] = (
    ("secret", _secret),
    ("email", _email),
    ("iban", _iban),
    ("card", _card),
    ("phone", _phone),
)
