# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SLF001 - the library has no public way to call as one of its clients does
"""
With whose settings Stripe is asked: those of the application's own client that made the last successful call.

Keys stay where the library has them, in memory: never on disk, never in a log line, never in a repr.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_revenue.instrumentation.stripe.calls import ApiCall

_MOST: Final = 64
"""Clients remembered; a platform's own key serves accounts beyond them."""


@dataclass(frozen=True, slots=True)
class Client:
    """
    What makes a call.

    Attributes:
        requestor: a requestor of the library, for us alone: with the key and the addresses of the application's.
        mark: a digest of the key, to know it again.
    """

    requestor: Any = field(repr=False)
    mark: str = field(repr=False)


class Clients:
    """The application's clients, by connected account and mode. Written by its threads, read by ours."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Any, str]] = {}

    def __repr__(self) -> str:
        return f"<{len(self._known)} clients>"

    def remember(self, call: ApiCall) -> None:
        """Note who made a call that succeeded."""
        options = call.options if isinstance(call.options, Mapping) else {}
        key = options.get("api_key") or getattr(call.requestor, "api_key", None)
        if not isinstance(key, str) or not key:
            return
        name = (call.account, _mode(key))
        self._known.pop(name, None)  # the newest stands last
        self._known[name] = (call.requestor, key)
        if len(self._known) > _MOST:
            self._known.pop(next(iter(self._known)), None)

    def find(self, account: str, *, livemode: bool | None) -> Client | None:
        """
        Return what can ask about objects of *account* ("" for the platform's own), None when no key is known.

        The client that spoke for the account comes first, then the platform's, any other of its mode, and the library's
        module-level key.
        """
        for requestor, key, own in self._candidates(account, livemode=livemode):
            library = importlib.import_module("stripe._requestor_options")  # what was imported loads its parts lazily
            options = library.RequestorOptions(**{**requestor._options.to_dict(), "api_key": key})
            if not own:  # the same key, for another account
                options.stripe_account = account or None
                options.stripe_context = None
            fresh = type(requestor)(options=options, client=requestor._client)
            return Client(fresh, hashlib.blake2b(key.encode(), digest_size=8).hexdigest())
        return None

    def _candidates(self, account: str, *, livemode: bool | None) -> Iterator[tuple[Any, str, bool]]:
        mode = {True: "live", False: "test", None: ""}[livemode]
        newest = [
            (of, requestor, key)
            for (of, kind), (requestor, key) in reversed(list(self._known.items()))
            if "" in (mode, kind) or mode == kind
        ]
        for wanted in (account, ""):
            yield from ((r, key, of == account) for of, r, key in newest if of == wanted)
        yield from ((r, key, False) for _, r, key in newest)
        stripe = sys.modules.get("stripe")
        key = getattr(stripe, "api_key", None)
        if isinstance(key, str) and key and ("" in (mode, _mode(key)) or mode == _mode(key)):
            library = importlib.import_module("stripe._api_requestor")
            yield library._APIRequestor._global_instance(), key, not account


def _mode(key: str) -> str:
    """Return `live` or `test`, "" for a key that does not say."""
    head = key[:12]
    return "live" if "_live_" in head else "test" if "_test_" in head else ""
