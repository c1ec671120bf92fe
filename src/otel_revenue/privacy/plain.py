# SPDX-License-Identifier: Apache-2.0
"""
Ids that are clean by their form alone.

Most ids of a shop, and all of Stripe's, have one of three forms in which no detector of `privacy.values` finds anything. To
know the form costs a fraction of asking the detectors. It is a shortcut, never a second opinion: what is plain here comes back
from `scrub` as it is.
"""

from __future__ import annotations

import re
from typing import Final

# Lower-case words and numbers of at most six digits: too short for a number of a person, no mark of an address, no capital.
_WORDS: Final = re.compile(r"[0-9-]{0,6}(?:[a-z]+(?:-[0-9-]{0,6}|[0-9][0-9-]{0,5}))*[a-z]*").fullmatch
_STRIPE: Final = re.compile(
    r"(?:cs_(?:live|test)|pi|ch|py|pm|in|ii|il|inpay|si|sub|cus|price|prod|re|dp|acct|evt|txn|seti|po)_[A-Za-z0-9]{4,120}"
).fullmatch
_SEVEN_DIGITS: Final = re.compile(r"[0-9]{7}").search
# One that begins with 00 may be read as a telephone number's.
_UUID: Final = re.compile(r"(?!00)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_NUMBER: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?").fullmatch
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{5,18}(?:Z|[+-][0-9:]{4,6})?)?").fullmatch


def is_plain(text: str) -> bool:
    """Say whether *text* is an id that needs no search: short ASCII letters, digits, `-` and `_` in a form that is known."""
    if _WORDS(text):
        # Beginnings of secrets that are made of such letters alone.
        return "xox" not in text and "earer" not in text and 0 < len(text) < 200
    return _UUID(text) is not None or is_stripe_id(text)


def is_stripe_id(text: str) -> bool:
    """Say whether *text* is an id of a Stripe object by its form alone."""
    return _STRIPE(text) is not None and not _SEVEN_DIGITS(text)


def is_identifier(text: str) -> bool:
    """Say whether *text* is an id of Stripe's, a UUID, a short number or a time by its form alone."""
    return any(form(text) is not None for form in (_UUID, _NUMBER, _TIME)) or is_stripe_id(text)
