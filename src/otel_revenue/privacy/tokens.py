# SPDX-License-Identifier: Apache-2.0
"""Secrets in text: Stripe's keys and client secrets, JWTs, HTTP credentials, and the keys of a few other services."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

# Each alternative begins where a word begins, and repeats one class without a bound: linear, and nothing of a long one stays.
_KEY: Final = re.compile(
    r"(?:\b|(?<=_))(?:sk|rk|pk|ek)_(?:live|test)_[A-Za-z0-9]{4,}"
    r"|\bwhsec_[A-Za-z0-9+/=_-]{4,}"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{8,}"
)
_CLIENT_SECRET: Final = re.compile(r"\b[a-z]{2,10}_[A-Za-z0-9_]{3,160}?_secret_[A-Za-z0-9%_-]{4,}")
# The first letter stands alone: a pattern that begins with one class is searched for several times faster.
_CREDENTIALS: Final = re.compile(r"[Bb](asic|ASIC|earer|EARER)(?:\s|%20|\+)([A-Za-z0-9._~+/-]{8,}=*)")


def suspected(text: str) -> bool:
    """Tell cheaply whether a search is worth its time."""
    return _may_hold_key(text) or _may_hold_credentials(text)


def _may_hold_key(text: str) -> bool:
    return (
        "eyJ" in text
        or "xox" in text
        or "AKIA" in text
        or "ASIA" in text
        or ("_" in text and ("_live_" in text or "_test_" in text or "sec" in text or "gh" in text or "_pat_" in text))
    )


def _may_hold_credentials(text: str) -> bool:
    # Base64 mixes cases: "basic membership" is a tier, "Basic dXNlcjpwYXNz" is a user and a password.
    return "earer" in text or "EARER" in text or (("asic" in text or "ASIC" in text) and not text.islower())


def mask(text: str, mark: str) -> str:
    """Replace secrets by *mark*."""
    if _may_hold_key(text):
        text = _KEY.sub(mark, text)
        if "_secret_" in text:
            text = _CLIENT_SECRET.sub(mark, text)
    if _may_hold_credentials(text):
        text = _CREDENTIALS.sub(lambda m: mark if _is_credential(m[1].lower(), m[2]) else m.group(), text)
    return text


def _is_credential(scheme: str, value: str) -> bool:
    if scheme == "earer":
        return len(value) >= 16 or any(c.isdigit() for c in value)
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
