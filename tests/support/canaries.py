"""OTLP requests with an address of its own in every place and under every key, in every type that a value can have."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def listed(*values: AnyValue) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=values))


def mapped(**values: AnyValue) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=key, value=value) for key, value in values.items()]))


def keyed(key: str, value: AnyValue) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=key, value=value)]))


def of(example: Any) -> AnyValue:
    """Return a value as the application would encode it."""
    if isinstance(example, bool):
        return AnyValue(bool_value=example)
    if isinstance(example, int):
        return AnyValue(int_value=example)
    if isinstance(example, float):
        return AnyValue(double_value=example)
    return listed(*map(text, example)) if isinstance(example, list) else text(example)


def attributes(examples: Mapping[str, Any]) -> list[KeyValue]:
    """Return pairs as the application would encode them."""
    return [KeyValue(key=key, value=of(example)) for key, example in examples.items()]


SHAPES: dict[str, Callable[[str], AnyValue]] = {
    "text": text,
    "text-amid": lambda canary: text(f"order of {canary}, a gift"),
    "text-cut": lambda canary: text(
        "x" * 240 + " " + canary
    ),  # where it is cut before it is searched, half of it stays
    "encoded": lambda canary: text(canary.replace("@", "%40")),
    "bytes": lambda canary: AnyValue(bytes_value=canary.encode()),
    "list": lambda canary: listed(text("ok"), text(canary)),
    "list-mixed": lambda canary: listed(AnyValue(int_value=1), text(canary), AnyValue(bool_value=True)),
    "list-bytes": lambda canary: listed(AnyValue(bytes_value=canary.encode())),
    "list-nested": lambda canary: listed(listed(text(canary))),
    "list-map": lambda canary: listed(mapped(e=text(canary))),
    "map": lambda canary: mapped(e=text(canary)),
    "map-bytes": lambda canary: mapped(e=AnyValue(bytes_value=canary.encode())),
    "map-nested": lambda canary: mapped(a=mapped(b=listed(text(canary)))),
    "map-key": lambda canary: keyed(canary, text("ok")),
}
"""How an address can be hidden in a value."""

HARMLESS: dict[str, AnyValue] = {
    "empty": AnyValue(),
    "empty-text": text(""),
    "empty-bytes": AnyValue(bytes_value=b""),
    "empty-list": listed(),
    "empty-map": mapped(),
    "list-of-empty": listed(AnyValue()),
    "int": AnyValue(int_value=-(2**63)),
    "double": AnyValue(double_value=float("nan")),
    "bool": AnyValue(bool_value=True),
}
"""Values without an address, of types that a statement may fail on."""


_NAME = re.compile(rb"jane[0-9]+x")


@dataclass
class Canaries:
    """Addresses that are told apart, and what each was planted in."""

    planted: dict[str, str] = field(default_factory=dict)

    def one(self, place: str) -> str:
        """Return an address for *place*."""
        canary = f"jane{len(self.planted)}x@leak.example"
        self.planted[canary] = place
        return canary

    def values(self, key: str, place: str, leave_out: tuple[str, ...] = ()) -> Iterator[KeyValue]:
        """Return *key* with a value of each shape."""
        for shape, make in SHAPES.items():
            if shape not in leave_out:
                yield KeyValue(key=key, value=make(self.one(f"{place} {key} {shape}")))
        for value in HARMLESS.values():
            yield KeyValue(key=key, value=value)

    def found(self, *outputs: Any) -> list[str]:
        """Return where the addresses had been planted that are in these bytes, whole or in part."""
        seen = {match.decode() for output in outputs for match in _NAME.findall(bytes(output))}
        return sorted({place for canary, place in self.planted.items() if canary.partition("@")[0] in seen})
