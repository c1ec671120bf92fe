# SPDX-License-Identifier: Apache-2.0
"""How an attribute is declared: with its meaning, sensitivity and example, or the class is not built."""

from __future__ import annotations

import enum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


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


class AttributeInfo:
    """The declaration that rides on a field. `wire` is the attribute's name on the wire."""

    __slots__ = ("kind", "meaning", "metric_label", "pattern", "sensitivity", "unit", "wire")

    def __init__(
        self,
        meaning: str,
        sensitivity: Sensitivity,
        kind: Kind,
        wire: str,
        unit: str,
        pattern: str,
        *,
        metric_label: bool,
    ) -> None:
        self.meaning = meaning
        self.sensitivity = sensitivity
        self.kind = kind
        self.wire = wire
        self.unit = unit
        self.pattern = pattern
        self.metric_label = metric_label


def attribute(
    meaning: str,
    sensitivity: Sensitivity,
    kind: Kind,
    *,
    example: Any,
    wire: str = "",
    unit: str = "",
    pattern: str = "",
    metric_label: bool = False,
    required: bool = False,
) -> Any:
    """
    Declare one attribute of an event.

    Args:
        meaning: one or two sentences a stranger understands.
        sensitivity: what it would mean if a value became public.
        kind: how a value is checked and cleaned.
        example: a value as it is on the wire, used in the docs and in tests.
        wire: name on the wire where it is not the field's own (`stripe.invoice.id`).
        unit: `ms`, `minor units`, ...; empty where there is none.
        pattern: regular expression that a `Kind.CODE` must match in full.
        metric_label: few values, so it may label a counter.
        required: an event without it is not recorded.
    """
    info = AttributeInfo(meaning, sensitivity, kind, wire, unit, pattern, metric_label=metric_label)
    default: Any = ... if required else None
    bounds: dict[str, Any] = {}
    if kind in (Kind.ID, Kind.LABEL):
        bounds = {"max_length": 254}
    elif kind is Kind.CODE:
        bounds = {"max_length": 254, "pattern": f"^(?:{pattern})$"}
    elif kind in (Kind.COUNT, Kind.MINOR):
        bounds = {"ge": 0, "le": 2**63 - 1, "strict": True}
    elif kind is Kind.FLAG:
        bounds = {"strict": True}
    field = Field(default, description=meaning, examples=[example], alias=wire or None, **bounds)
    field.metadata.append(info)
    return field


def info_of(field: FieldInfo) -> AttributeInfo | None:
    """Return the declaration on *field*, None for a plain pydantic field."""
    return next((m for m in field.metadata if isinstance(m, AttributeInfo)), None)


class RevenueEvent(BaseModel):
    """Base of all events: refuses, while the class is built, a field that does not say what it means."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    event_name: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            info = info_of(field)
            if info is None:
                raise TypeError(
                    f"{cls.__name__}.{name} is a plain field: declare it with attribute(meaning, sensitivity, kind, example=...), "
                    "so that whoever reads the schema knows what leaves the application"
                )
            info.wire = info.wire or name


Text = Annotated[str, "text"]
