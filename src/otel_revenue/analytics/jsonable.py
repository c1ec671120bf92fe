# SPDX-License-Identifier: Apache-2.0
"""Frozen values to JSON's types and back, by their annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def to_json(value: Any) -> Any:
    """Return JSON's types; a value with an `aside()` adds what that gives, for readers: it is not read back."""
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    result = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    aside = getattr(value, "aside", None)
    return result if aside is None else result | aside()


def from_json(wanted: type[_Value], content: Any) -> _Value:
    """
    Return the value that `to_json` described.

    Raises:
        ValueError: it is not one.
    """
    try:
        return typing.cast("_Value", _read(wanted, content))
    except (TypeError, KeyError, AttributeError):
        raise ValueError(f"this is not a {wanted.__name__}") from None


def _read(hint: Any, content: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return None if content is None else _read(typing.get_args(hint)[0], content)
    if origin is tuple:
        return tuple(_read(typing.get_args(hint)[0], item) for item in content)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return typing.cast("Any", hint)(
            **{f.name: _read(hints[f.name], content[f.name]) for f in dataclasses.fields(hint)}
        )
    if type(content) is not (origin or hint):
        raise TypeError(f"expected {hint}")
    return content
