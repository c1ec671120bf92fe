# SPDX-License-Identifier: Apache-2.0
"""
Numbers that belong to a person: cards, bank accounts, telephones.

A pattern finds candidates, linear in the text; what a pattern cannot say (Luhn, checksums, lengths by scheme and country)
is checked by code on a bounded candidate. Order numbers, timestamps and UUIDs are numbers too: a candidate counts only where
it could be written so by a person, whole groups of digits, never a window inside of a longer group.

Sources: ISO/IEC 7812 and the schemes' published ranges; ISO 13616 and SWIFT's IBAN registry; ITU-T E.164.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Final

_DIGITS: Final = re.compile(r"[0-9]+")
_CARD: Final = re.compile(r"[0-9](?:[ .\-/]{0,3}[0-9]){12,}")
_SCHEMES: Final = tuple(
    (re.compile(prefix), lengths)
    for prefix, lengths in (
        (r"4", (13, 16, 19)),  # Visa
        (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
        (r"3[47]", (15,)),  # American Express
        (r"30[0-5]|3[689]", (14, 16, 19)),  # Diners Club
        (r"35(?:2[89]|[3-8])", (16, 17, 18, 19)),  # JCB
        (r"6011|64[4-9]|65|62|81", (16, 17, 18, 19)),  # Discover, UnionPay
        (r"50[0-9]|5[6-8]|6(?:0|1|3|6|7)", (16, 18, 19)),  # Maestro, RuPay, Elo and others
    )
)
_PREFIX: Final = 4
"""Digits that tell the scheme."""
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_IBAN_HEAD: Final = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})[0-9]{2}(?=[ \-]?[A-Za-z0-9])")
_IBAN_LENGTHS: Final[dict[str, int]] = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FO FI GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ XK LT LU MN",
        21: "HR LV LI CH",
        22: "BH BG CR GE DE IE ME RS GB VA",
        23: "GI IL IQ AE OM SO TL",
        24: "AD CZ MD PK RO SA SK ES SE TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MR MC SM",
        28: "AL AZ BY CY DO SV GT HU LB NI PL",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}

_PLUS: Final = re.compile(
    r"(?:(?<![A-Za-z0-9+])(?:\+|%2[Bb])\s?|(?<![A-Za-z0-9_.,+\-])00\s?(?=[1-9]))[1-9(][0-9 ().\-/]{5,40}"
)
_NATIONAL: Final = re.compile(
    r"(?<![A-Za-z0-9_\-./+])(?:"
    r"\([0-9]{2,5}\)\s?[0-9]{2,5}(?:[ \-./]?[0-9]{2,6}){1,3}"  # (030) 1234-5678, (415) 555-0132
    r"|0[1-9](?:[ .\-][0-9]{2}){4}"  # 01 23 45 67 89
    r"|0[1-9][0-9]{1,3}[ /\-][0-9]{3,8}(?:[ \-][0-9]{2,6}){0,3}"  # 030 12345678, 0171/1234567
    r"|(?:1[ .\-])?[2-9][0-9]{2}[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}"  # 415-555-0132
    r"|0(?:1[567][0-9]{8,9}|7[0-9]{9}|[67][0-9]{8})"  # mobile numbers without marks: Germany, United Kingdom, France
    r")(?![A-Za-z0-9_\-])"
)


def mask_card(text: str, mark: str) -> str:
    """Replace payment card numbers by *mark*: right prefix and length of a scheme, right Luhn digit, in groups or not."""
    return _CARD.sub(lambda m: _card_within(text, m, mark), text)


def _card_within(text: str, match: re.Match[str], mark: str) -> str:
    run, start = match.group(), match.start()
    groups = [m.span() for m in _DIGITS.finditer(run)]
    digits = "".join(run[begin:stop] for begin, stop in groups)
    # Where each group begins among the digits; a card number begins and ends with a group.
    begins = [0, *itertools.accumulate(stop - begin for begin, stop in groups)]
    ends = {at: last for last, at in enumerate(begins[1:])}
    parts, rest, first = [], 0, 0
    while first < len(groups):
        last = _card_from(digits, begins[first], ends)
        if last is None or _is_of_an_id(text, start + groups[first][0], start + groups[last][1]):
            first += 1
            continue
        parts += [run[rest : groups[first][0]], mark]
        rest, first = groups[last][1], last + 1
    return "".join([*parts, run[rest:]])


def _is_of_an_id(text: str, start: int, end: int) -> bool:
    """Whether digits are inside of a longer word, or of a UUID."""
    if text[start - 1 : start].isalnum() and text[end : end + 1].isalnum():
        return True
    return "-" in text[start:end] and _in_uuid(text, start, end)


def _in_uuid(text: str, start: int, end: int) -> bool:
    return any(m.start() < end and start < m.end() for m in _UUID.finditer(text, max(0, start - 36), end + 36))


def _card_from(digits: str, at: int, ends: dict[int, int]) -> int | None:
    """Return the last of the groups which, from *at* on, are a card number; None when there is none."""
    if digits[at] not in "23456":
        return None
    for length in _lengths(digits[at : at + _PREFIX]):
        last = ends.get(at + length)
        if last is not None and _checks(digits[at : at + length]):
            return last
    return None


def is_card(digits: str) -> bool:
    """Say whether *digits* have the prefix, the length and the check digit of a payment card."""
    return len(digits) in _lengths(digits[:_PREFIX]) and _checks(digits)


@lru_cache(maxsize=10**_PREFIX)
def _lengths(prefix: str) -> list[int]:
    return sorted({length for begins, lengths in _SCHEMES if begins.match(prefix) for length in lengths})


def _checks(digits: str) -> bool:
    if len(set(digits)) == 1 or _luhn(digits):
        return False
    # Of 13 digits there are few cards and many articles (EAN-13).
    return len(digits) != 13 or _ean13(digits) != 0


def _luhn(digits: str) -> int:
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = ord(c) - 48
        total += n if i % 2 == 0 else (n * 2 - 9 if n > 4 else n * 2)
    return total % 10


def _ean13(digits: str) -> int:
    return sum((ord(c) - 48) * (3 if i % 2 else 1) for i, c in enumerate(digits)) % 10


def mask_iban(text: str, mark: str) -> str:
    """Replace bank account numbers by *mark*: a country of the registry, its length, the right check digits."""
    parts: list[str] = []
    rest = 0
    for head in _IBAN_HEAD.finditer(text):
        length = _IBAN_LENGTHS.get(head[1].upper())
        if length is None or head.start() < rest:
            continue
        end, bare = _compact(text, head.start(), length)
        if len(bare) != length or text[end : end + 1].isalnum() or _mod97(bare) != 1:
            continue
        if "-" not in text[head.start() : end] or not _in_uuid(text, head.start(), end):
            parts += [text[rest : head.start()], mark]
            rest = end
    return "".join([*parts, text[rest:]]) if parts else text


def _compact(text: str, start: int, length: int) -> tuple[int, str]:
    """Return *length* letters and digits from *start* on, without the single marks between them, and where they end."""
    bare, i = "", start
    while i < len(text) and len(bare) < length:
        c = text[i]
        if c.isascii() and c.isalnum():
            bare += c
        elif c not in " -" or text[i - 1] in " -":
            break
        i += 1
    return i, bare


def _mod97(bare: str) -> int:
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97


def mask_phone(text: str, mark: str) -> str:
    """Replace telephone numbers by *mark*: international ones, and national ones whose writing tells them from order numbers."""
    text = _PLUS.sub(lambda m: _international(text, m, mark), text)
    return _NATIONAL.sub(lambda m: mark if 9 <= _digits(m.group()) <= 15 else m.group(), text)


def _international(text: str, match: re.Match[str], mark: str) -> str:
    run = match.group()
    if _UUID.match(text, match.start()):
        return run
    bare = run[2:] if run.startswith("00") else run[3:] if run.startswith("%") else run
    least = 9 if run.startswith("00") and run.isdigit() else 7  # zero-padded order numbers are shorter
    ends = [m.end() for m in _DIGITS.finditer(bare)]
    for end in reversed(ends):
        size = _digits(bare[:end])
        if size < least:
            break
        last = match.end() - len(bare) + end
        if size <= 15 and (size >= 9 or not text[last : last + 1].isalnum()):
            return mark + bare[end:]
    return run


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))
