# SPDX-License-Identifier: Apache-2.0
"""
The trace context of a checkout, left in Stripe's metadata. Pure; the application's objects are never changed.

Rules (docs.stripe.com/metadata, docs.stripe.com/api/idempotent_requests):
- 50 keys at most in each metadata: one more and Stripe refuses the call, so then nothing is added.
- Metadata given as "" asks Stripe to unset all keys: it is left alone.
- Parameters that differ under one idempotency key are refused: with a key of the application's own nothing is added.
- `payment_intent_data` is allowed in payment mode only, `subscription_data` in subscription mode only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from .templates import path_of

KEY: Final = "otel_traceparent"
"""The one key that is added. Its value is a W3C `traceparent`, nothing else: who sees the Dashboard sees it."""

MAX_KEYS: Final = 50

Reason = Literal[
    "injected", "idempotency_key", "too_many_keys", "user_key", "unset", "not_a_mapping", "other_call", "no_trace"
]
"""What became of one call, for counting."""

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_PLAIN: Final = ("metadata",)
_BY_MODE: Final = {
    "payment": ("payment_intent_data", "metadata"),
    "subscription": ("subscription_data", "metadata"),
}
_CALLS: Final = ("/v1/checkout/sessions", "/v1/payment_intents", "/v1/subscriptions")
_BRACKETS = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def inject(method: str, url: str, params: object, options: object, traceparent: str) -> tuple[object, Reason]:
    """
    Return parameters with the trace context in their metadata, and what became of it.

    The very same *params* come back when nothing is added. Where one level refuses (too many keys, a key of the user's)
    another may still take it; the reason is then `injected`.

    Args:
        method: HTTP method, any case.
        url: path of the request.
        params: as passed to the library; None counts as empty.
        options: request options of the library, with or without `idempotency_key` and `headers`.
        traceparent: W3C trace context of the request that creates the object; "" outside a trace.
    """
    path = path_of(url).rstrip("/")
    if method.upper() != "POST" or path not in _CALLS:
        return params, "other_call"
    if not _TRACEPARENT.fullmatch(traceparent):
        return params, "no_trace"
    if idempotency_key_given(options):
        return params, "idempotency_key"
    given = {} if params is None else params
    if not isinstance(given, Mapping):
        return params, "not_a_mapping"
    verdicts = {level: _verdict(given, level) for level in _levels(path, given)}
    # Bracket keys of the first level: they join what the user has, in whatever form, only in the encoded body.
    added = {_bracketed(level): traceparent for level, verdict in verdicts.items() if verdict == "injected"}
    if not added:
        return params, next(iter(verdicts.values()))
    return dict([*given.items(), *added.items()]), "injected"  # as the encoder reads it


def idempotency_key_given(options: object) -> bool:
    """Tell whether the application chose an idempotency key itself, as an option or as a header."""
    if not isinstance(options, Mapping):
        return False
    if options.get("idempotency_key"):
        return True
    headers = options.get("headers")
    return isinstance(headers, Mapping) and any(
        isinstance(name, str) and name.lower() == "idempotency-key" for name in headers
    )


def _levels(path: str, params: Mapping[Any, Any]) -> list[tuple[str, ...]]:
    levels: list[tuple[str, ...]] = [_PLAIN]
    mode = params.get("mode")
    if path == "/v1/checkout/sessions" and isinstance(mode, str) and mode in _BY_MODE:
        levels.append(_BY_MODE[mode])
    return levels


def _bracketed(level: tuple[str, ...]) -> str:
    return level[0] + "".join(f"[{part}]" for part in (*level[1:], KEY))


def _verdict(params: Mapping[Any, Any], level: tuple[str, ...]) -> Reason:
    """Say whether the metadata at *level* can take one key more."""
    keys: set[str] = set()
    for name, value in params.items():
        path = _split(name)
        if path[: len(level)] == level and len(path) > len(level):
            keys.add(path[len(level)])
        elif path and path == level[: len(path)]:
            found = _keys(value, level[len(path) :])
            if isinstance(found, str):
                return found
            keys |= found
    if KEY in keys:
        return "user_key"
    return "injected" if len(keys) < MAX_KEYS else "too_many_keys"


def _keys(value: object, rest: tuple[str, ...]) -> set[str] | Reason:
    """Return the metadata keys below *value*, which stands *rest* above the metadata; or why it is left alone."""
    if value is None:
        return set() if rest else "unset"  # Stripe's encoder leaves None out: a parent that is None does not exist
    if isinstance(value, str) and not value and not rest:
        return "unset"
    fields = _fields(value)
    if fields is None:
        return "not_a_mapping"
    if not rest:
        return {str(key) for key in fields}
    return _keys(fields[rest[0]], rest[1:]) if rest[0] in fields else set()


def _fields(value: object) -> Mapping[Any, Any] | None:
    """Return what Stripe's encoder writes as nested keys: a dict, or one of its own objects unless it stands for its id."""
    if hasattr(value, "id") or hasattr(value, "stripe_id"):
        return None
    fields = value if isinstance(value, dict) else getattr(value, "_data", None)
    return fields if isinstance(fields, dict) else None


def _split(name: object) -> tuple[str, ...]:
    match = _BRACKETS.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        return ()
    return (match[1], *match[2][1:-1].split("][")) if match[2] else (match[1],)
