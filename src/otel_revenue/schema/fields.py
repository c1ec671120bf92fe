# SPDX-License-Identifier: Apache-2.0
"""How an attribute is declared: with its meaning, sensitivity, unit and example, or the class is not built."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from . import lint
from .kinds import TYPES, AttributeInfo, Kind, Sensitivity

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

__all__ = ["AttributeInfo", "Kind", "RevenueEvent", "Sensitivity", "attribute", "attributes_of"]


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
    browser: bool = False,
    default: Callable[[], Any] | None = None,
) -> Any:
    """
    Declare one attribute of an event.

    Args:
        meaning: one or two sentences that a stranger understands.
        sensitivity: what it would mean if a value became public.
        kind: how a value is checked and cleaned.
        example: a value as it is on the wire, used in the docs and in tests.
        wire: name on the wire where it is not the field's own (`stripe.invoice.id`).
        unit: of a number: `ms`, `{item}`, `minor units of currency`; empty for everything else.
        pattern: regular expression that a `Kind.CODE` must match in full.
        metric_label: few values, so it may label a counter.
        required: an event without it is not recorded.
        browser: a visitor's browser may say it, where it may send the event at all. Whoever says it may be lying.
        default: what makes the value of an object that is not given one.
    """
    info = AttributeInfo(
        meaning=meaning,
        sensitivity=sensitivity,
        kind=kind,
        example=example,
        wire=wire,
        unit=unit,
        pattern=pattern,
        metric_label=metric_label,
        required=required,
        browser=browser,
    )
    start: dict[str, Any] = {"default_factory": default} if default else {"default": ... if required else None}
    field = Field(**start, description=meaning, examples=[example], alias=wire or None, **_bounds(kind, pattern))
    field.metadata.append(info)
    return field


def _bounds(kind: Kind, pattern: str) -> dict[str, Any]:
    if kind in (Kind.ID, Kind.LABEL):
        return {"min_length": 1, "max_length": 254}
    if kind is Kind.CODE:
        return {"max_length": 254, "pattern": f"^(?:{pattern})$"}
    if kind in (Kind.COUNT, Kind.MINOR):
        return {"ge": 0, "le": 2**63 - 1, "strict": True}
    if kind is Kind.MAJOR:
        return {"ge": 0, "allow_inf_nan": False}
    return {"strict": True} if kind is Kind.FLAG else {"min_length": 1}


class RevenueEvent(BaseModel):
    """Base of all events: refuses, while the class is built, a field that does not say what it means."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    event_name: ClassVar[str] = ""
    stage: ClassVar[bool] = False
    """Whether the application records it itself. The others are recorded on Stripe's word alone."""
    from_browser: ClassVar[bool] = False
    """Whether a visitor's browser may send it: never where it is about money."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        wrong = []
        for name, field in cls.model_fields.items():
            info = _info(field)
            if info is None:
                raise TypeError(
                    f"{cls.__name__}.{name} is a plain field: declare it with attribute(meaning, sensitivity, kind, example=...), "
                    "so that whoever reads the schema knows what leaves the application"
                )
            info.wire = info.wire or name
            if not _typed(field.annotation, info):
                wrong.append(
                    f"{info.wire}: annotate it as {getattr(TYPES[info.kind], '__name__', 'list[str]')}"
                    f"{'' if info.required else ' | None'}"
                )
        wrong += lint.problems(attributes_of(cls).values())
        if wrong:
            raise TypeError(f"{cls.__name__} cannot be declared so:\n" + "\n".join(f"  {line}" for line in wrong))


def attributes_of(event: type[RevenueEvent]) -> dict[str, AttributeInfo]:
    """Return the declarations of an event by their names on the wire, in the order of the class."""
    return {info.wire: info for field in event.model_fields.values() if (info := _info(field)) is not None}


def _info(field: FieldInfo) -> AttributeInfo | None:
    return next((m for m in field.metadata if isinstance(m, AttributeInfo)), None)


def _typed(annotation: Any, info: AttributeInfo) -> bool:
    expected = TYPES[info.kind]
    if info.required or get_origin(annotation) not in (Union, UnionType):
        return bool(annotation == expected) and info.required
    return set(get_args(annotation)) == {expected, NoneType}
