# SPDX-License-Identifier: Apache-2.0
"""What can be said of an attribute: how a value is checked, and what it would mean if one became public."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Sensitivity(str, enum.Enum):
    """What it would mean if a value became public. There is no level for personal data: it cannot be declared."""

    TECHNICAL = "technical"
    """Ids and numbers of our own or of the telemetry; they say nothing about the business."""
    BUSINESS = "business"
    """Amounts, tiers, SKUs: confidential to the shop, about nobody in person."""
    PSEUDONYMOUS = "pseudonymous"
    """An id that leads to a person only together with the shop's or Stripe's own records."""


class Kind(str, enum.Enum):
    """How a value is checked, cleaned and encoded."""

    ID = "id"
    """Joins on it: never cut (an over-long one is replaced by its hash), never partly masked (left out instead)."""
    LABEL = "label"
    """Short text of the shop: masked where it looks like personal data, cut below 255."""
    CODE = "code"
    """One of a fixed set or form, given by `pattern`; anything else is left out."""
    COUNT = "count"
    """An integer, 0 to 2^63 - 1."""
    MINOR = "minor"
    """An integer in Stripe's minor unit of the currency beside it."""
    MAJOR = "major"
    """The same amount in major units, a double, for people and tools; never calculated with."""
    FLAG = "flag"
    """True or false."""
    IDS = "ids"
    """A list of short ids, together below 255 characters."""


TYPES: dict[Kind, Any] = {
    Kind.ID: str,
    Kind.LABEL: str,
    Kind.CODE: str,
    Kind.COUNT: int,
    Kind.MINOR: int,
    Kind.MAJOR: float,
    Kind.FLAG: bool,
    Kind.IDS: list[str],
}
"""The Python type of each kind's values."""


@dataclass(slots=True)
class AttributeInfo:
    """The declaration that rides on a field. `wire` is the attribute's name on the wire; the field's own where none is given."""

    meaning: str
    sensitivity: Sensitivity
    kind: Kind
    example: Any
    wire: str
    unit: str
    pattern: str
    metric_label: bool
    required: bool
    browser: bool = False
