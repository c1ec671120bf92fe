# SPDX-License-Identifier: Apache-2.0
"""
Idempotency keys: the first result is given again; other parameters under the same key are an error.

Source: Stripe API reference, "Idempotent requests". A request that was refused before it did anything is not kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from .failure import StripeFailure, invalid

Obj = dict[str, Any]
LONGEST: Final = 255
"""Characters of a key."""


@dataclass(frozen=True)
class Kept:
    """The first result of a key: what was asked, what was answered, under which request id."""

    path: str
    fingerprint: str
    status: int
    body: bytes
    request_id: str


class Keys:
    """The keys of one fake Stripe, each for its account."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Kept] = {}

    def earlier(self, account: str, key: str, path: str, fingerprint: str) -> Kept | None:
        """
        Return the first result, None when the key is new.

        Raises:
            StripeFailure: the key is too long, or was used with other parameters or for another endpoint.
        """
        if len(key) > LONGEST:
            raise invalid(f"Idempotency keys can have up to {LONGEST} characters.", executed=False)
        kept = self._kept.get((account, key))
        if kept is None or kept.fingerprint == fingerprint:
            return kept
        same = "with the same parameters they were first used with"
        if kept.path != path:
            same = f"for the same endpoint they were first used for ('{kept.path}')"
        message = (
            f"Keys for idempotent requests can only be used {same}. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise StripeFailure(400, {"message": message, "type": "idempotency_error"}, executed=False)

    def keep(self, account: str, key: str, kept: Kept) -> None:
        """Remember the first result of a key."""
        self._kept.setdefault((account, key), kept)


def fingerprint(method: str, path: str, params: Obj) -> str:
    """Return what two requests have in common when they ask for the same."""
    text = json.dumps([method, path, params], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
