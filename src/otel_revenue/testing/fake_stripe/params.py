# SPDX-License-Identifier: Apache-2.0
"""
Reading decoded parameters, with Stripe's errors for what is missing, unknown, or of the wrong shape.

Source of the limits: Stripe documentation, "Metadata": 50 keys, keys of 40 characters, values of 500.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .allowed import NESTED
from .failure import invalid, missing_parameter, unknown_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Obj = dict[str, Any]

_CURRENCY: Final = re.compile(r"[A-Za-z]{3}")
_INTEGER: Final = re.compile(r"-?\d{1,18}")
MOST_KEYS, LONGEST_KEY, LONGEST_VALUE = 50, 40, 500
# The first version in which `payment_method_types` can no longer be given (2026-09-30.endive).
_NO_METHOD_TYPES: Final = "2026-09-30"


def check_names(params: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """
    Refuse parameters that are not in *allowed*, at the top and inside the hashes of `NESTED`.

    Raises:
        StripeFailure: `parameter_unknown`.
    """
    known = frozenset(allowed)
    for name, value in params.items():
        if name not in known:
            raise unknown_parameter(name)
        _check_nested(name, name, value)


def _check_nested(name: str, path: str, value: Any) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check_nested(name, f"{path}[{index}]", item)
    elif isinstance(value, dict) and name in NESTED:
        for key, item in value.items():
            if key not in NESTED[name]:
                raise unknown_parameter(f"{path}[{key}]")
            _check_nested(key, f"{path}[{key}]", item)


def refuse_method_types(params: Mapping[str, Any], version: str | None) -> None:
    """
    Refuse `payment_method_types` for those who ask in a version that does not take it any more.

    Source: Stripe changelog, 2026-09-30.endive, "Removes the payment method types parameter". A request that names no
    version (the Stripe CLI's) is let through.
    """
    if "payment_method_types" in params and version is not None and version[:10] >= _NO_METHOD_TYPES:
        raise invalid(
            "`payment_method_types` is no longer supported in this API version. Use `allowed_payment_method_types` or "
            "`excluded_payment_method_types`, or leave it out.",
            code="payment_method_types_no_longer_supported",
            param="payment_method_types",
            executed=False,
        )


def required(params: Mapping[str, Any], name: str, path: str = "") -> Any:
    """Return a parameter that must be there and not be empty; *path* is its full name for the error."""
    value = params.get(name)
    if value is None or value == "":
        raise missing_parameter(path or name)
    return value


def text(params: Mapping[str, Any], name: str) -> str | None:
    """Return a text, None when it is missing or empty."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise invalid("Invalid string: expected text.", code="parameter_invalid_string", param=name, executed=False)
    return value


def integer(params: Mapping[str, Any], name: str, *, least: int | None = None) -> int | None:
    """Return an integer, None when it is missing or empty."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name, executed=False)
    number = int(value)
    if least is not None and number < least:
        raise invalid(
            f"This value must be greater than or equal to {least}.",
            code="parameter_invalid_integer",
            param=name,
            executed=False,
        )
    return number


def boolean(params: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Return a flag."""
    value = params.get(name)
    if value is None or value == "":
        return default
    # stripe-python 11 writes Python's True.
    word = value.lower() if isinstance(value, str) else ""
    if word not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name, executed=False)
    return word == "true"


def one_of(params: Mapping[str, Any], name: str, choices: Iterable[str]) -> str | None:
    """Return a text out of *choices*, None when it is missing."""
    value = text(params, name)
    known = tuple(choices)
    if value is not None and value not in known:
        raise invalid(f"Invalid {name}: must be one of {', '.join(known)}", param=name, executed=False)
    return value


def currency(params: Mapping[str, Any], name: str = "currency", path: str = "") -> str:
    """Return a currency's code in lower case, as Stripe writes it."""
    value = required(params, name, path)
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise invalid(f"Invalid currency: {value}", param=path or name, executed=False)
    return value.lower()


def amount(params: Mapping[str, Any], name: str = "amount", *, least: int = 1) -> int:
    """Return an amount in minor units that must be there."""
    required(params, name)
    number = integer(params, name)
    assert number is not None
    if number < least:
        raise invalid(
            f"Invalid {'positive integer' if least else 'non-negative integer'}",
            code="parameter_invalid_integer",
            param=name,
            executed=False,
        )
    if number > 999_999_999_999:
        raise invalid("Amount must be no more than 12 digits", code="amount_too_large", param=name, executed=False)
    return number


def hash_of(params: Mapping[str, Any], name: str) -> Obj:
    """Return a hash, empty when it is missing."""
    value = params.get(name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid("Invalid object", param=name, executed=False)
    return value


def list_of(params: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list, empty when it is missing."""
    value = params.get(name)
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise invalid("Invalid array", param=name, executed=False)
    return value


def hashes_of(params: Mapping[str, Any], name: str) -> list[Obj]:
    """Return a list of hashes, empty when it is missing."""
    items = list_of(params, name)
    if not all(isinstance(item, dict) for item in items):
        raise invalid("Invalid array of hashes", param=name, executed=False)
    return items


def metadata(params: Mapping[str, Any], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the metadata that an object has after *params*: new keys added, empty values unset, `metadata=` unsets all.

    Raises:
        StripeFailure: a limit is passed; the key or value that passed it is in the text, as with Stripe.
    """
    given = params.get("metadata")
    if given is None:
        return dict(before or {})
    if given == "":
        return {}
    if not isinstance(given, dict):
        raise invalid("Invalid object", param="metadata", executed=False)
    merged = dict(before or {})
    for key, value in given.items():
        _check_pair(key, value)
        if value == "":
            merged.pop(key, None)
        else:
            merged[key] = value
    if len(merged) > MOST_KEYS:
        raise invalid(
            f"Metadata can have up to {MOST_KEYS} keys, but you passed in {len(merged)}.",
            code="metadata_too_many_keys",
            param="metadata",
            executed=False,
        )
    return merged


def _check_pair(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise invalid(
            "Metadata keys cannot contain square brackets, and values must be strings.",
            param=f"metadata[{key}]",
            executed=False,
        )
    if len(key) > LONGEST_KEY:
        raise invalid(
            f"Metadata keys can have up to {LONGEST_KEY} characters, but you passed in a key that is {len(key)} characters."
            f" Invalid key: {key}",
            param="metadata",
            executed=False,
        )
    if len(value) > LONGEST_VALUE:
        raise invalid(
            f"Metadata values can have up to {LONGEST_VALUE} characters, but you passed in a value that is {len(value)}"
            f" characters. Invalid value: {value}",
            param=f"metadata[{key}]",
            executed=False,
        )
