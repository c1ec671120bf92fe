# SPDX-License-Identifier: Apache-2.0
"""The files of a configuration, put together as the Collector does: maps merge, lists and scalars are replaced. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from . import _variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Path = tuple[str, ...]

SIDES: Final = ("receivers", "processors", "exporters")


@dataclass(frozen=True)
class Layer:
    """One file. `required` are the variables that its head calls so."""

    file: str
    content: Mapping[str, Any] = field(repr=False)
    required: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, and what to do. `grave`: events are lost, leak, or the Collector does not start."""

    grave: bool
    file: str
    key: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Pipeline:
    """One pipeline, its variables put in."""

    name: str
    receivers: tuple[str, ...]
    processors: tuple[str, ...]
    exporters: tuple[str, ...]

    @property
    def key(self) -> str:
        """Where it stands in the file."""
        return f"service::pipelines::{self.name}"


class Whole:
    """
    All layers as one configuration.

    Args:
        layers: in the order of the `--config` options.
        environ: of the Collector.
    """

    def __init__(self, layers: Sequence[Layer], environ: Mapping[str, str]) -> None:
        self.layers = layers
        self.environ = environ
        self.content: dict[str, Any] = {}
        self.restated: list[tuple[str, str, Path, Any]] = []
        """File, earlier file, path and value of what replaces something that was there."""
        self._files: dict[Path, str] = {}
        for layer in layers:
            self._merge(self.content, layer.content, (), layer.file)
        self.pipelines = tuple(self._pipelines())

    def part(self, section: str) -> dict[str, Any]:
        """Return the components of a section by name."""
        found = self.content.get(section)
        return found if isinstance(found, dict) else {}

    def settings(self, section: str, name: str) -> dict[str, Any]:
        """Return the settings of one component, its variables not put in."""
        found = self.part(section).get(name)
        return found if isinstance(found, dict) else {}

    def file(self, *path: str) -> str:
        """Return the file that a key is from; the last one for a key that is nowhere."""
        return self._files.get(path, self.layers[-1].file if self.layers else "")

    def said(self, value: Any) -> str:
        """Return a scalar as the Collector gets it, in lower case."""
        return self.expand(str(value)).strip().lower()

    def expand(self, text: str) -> str:
        """Put the variables in."""
        return _variables.expand(text, self.environ)

    def missing(self, text: str) -> list[str]:
        """Return the variables of a text that are not there."""
        return [name for name in _variables.needed(text) if not self.environ.get(name)]

    def behind(self, connector: str) -> list[Pipeline]:
        """Return the pipelines that a forward point leads to, through others of its kind, too."""
        found: dict[str, Pipeline] = {}
        open_points = [connector]
        while open_points:
            point = open_points.pop()
            for pipeline in self.pipelines:
                if point in pipeline.receivers and pipeline.name not in found:
                    found[pipeline.name] = pipeline
                    open_points += [e for e in pipeline.exporters if e.partition("/")[0] == "forward"]
        return list(found.values())

    def _merge(self, into: dict[str, Any], new: Mapping[str, Any], path: Path, file: str) -> None:
        for raw, value in new.items():
            key = str(raw)
            here = (*path, key)
            if key in into and not (_empty(into[key]) and _empty(value)):
                if isinstance(into[key], dict) and isinstance(value, dict):
                    self._merge(into[key], value, here, file)
                    continue
                if not _empty(into[key]):
                    self.restated.append((file, self._files[here], here, value))
            self._files[here] = file
            into[key] = {} if isinstance(value, dict) else value
            if isinstance(value, dict):
                self._merge(into[key], value, here, file)

    def _pipelines(self) -> Iterator[Pipeline]:
        service = self.part("service").get("pipelines")
        for name, body in (service if isinstance(service, dict) else {}).items():
            sides = body if isinstance(body, dict) else {}
            yield Pipeline(name, *(tuple(self._names(sides.get(side))) for side in SIDES))

    def _names(self, found: Any) -> Iterator[str]:
        for name in found if isinstance(found, list) else []:
            # An unset variable is told of as such, not as a component without a name.
            if not self.missing(str(name)):
                yield self.expand(str(name))


def scalars(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Return every text of a tree with its path: keys, too, where they hold variables."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if "${" in str(key):
                yield (*path, str(key)), str(key)
            yield from scalars(inner, (*path, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from scalars(inner, (*path, str(number)))
    elif isinstance(value, str):
        yield path, value


def fed_by(whole: Whole) -> dict[str, list[Pipeline]]:
    """Return for each component the pipelines that export to it."""
    found: dict[str, list[Pipeline]] = defaultdict(list)
    for pipeline in whole.pipelines:
        for name in pipeline.exporters:
            found[name].append(pipeline)
    return found


def _empty(value: Any) -> bool:
    return value is None or value == {}
