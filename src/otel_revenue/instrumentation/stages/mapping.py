# SPDX-License-Identifier: Apache-2.0
"""
Reads `stages:`, which says what route is what event. Pure.

    stages:
      - route: POST /designs/{id}/approve
        event: design.approved
        status: 2xx
        attributes:
          design_id: path.id
          tier: [header.x-tier, query.tier]

What is wrong is told, all of it, with the remedy; an entry that is wrong is left out, and the others stand.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .routes import Template
from .values import converted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Fields = Mapping[str, tuple[str, str]]
    """Attribute to (kind, pattern), as in the schema's table."""

ANSWER: Final = "answer"
_PLACES: Final = ("path", "query", "header", ANSWER, "value")
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_KEYS: Final = ("route", "event", "status", "attributes")
_OURS: Final = frozenset(
    "event_id schema_version telemetry.source elapsed_ms requested_attributes country_source replayed skus_cut surface_source "
    "surface_last".split()
)
"""Attributes that say how we came to know something: nobody else's to set."""
_SECRET: Final = re.compile(r"auth|cookie|token|secret|password|session|api-?key", re.IGNORECASE)
_SUCCESS: Final = frozenset(range(200, 300))


class Source(NamedTuple):
    """Where a value comes from: a place (`path`, `query`, `header`, `answer`, `value`) and the key in it; for `value` the value."""

    place: str
    key: str


@dataclass(frozen=True, eq=False)  # each entry is one of its own
class Stage:
    """
    One route that is one event.

    Attributes:
        event: the event's name.
        method, template: the route.
        statuses: HTTP statuses of an answer with which the stage is reached.
        before: attributes whose sources are known when the request comes, in the order in which sources are tried.
        after: those that the answer tells.
        answer_first: those of both whose answer is listed first.
        kinds: kind of each attribute, as the schema has it.
    """

    event: str
    method: str
    template: Template
    statuses: frozenset[int]
    before: Mapping[str, tuple[Source, ...]]
    after: Mapping[str, tuple[Source, ...]]
    answer_first: frozenset[str]
    kinds: Mapping[str, str]

    @property
    def route(self) -> str:
        """Method and template, for people."""
        return f"{self.method} {self.template.text}"


def parse(raw: Sequence[Mapping[str, Any]], events: Mapping[str, Fields]) -> tuple[list[Stage], list[str]]:
    """
    Return the stages, and the problems in the reader's words.

    Args:
        raw: the entries of `stages:`.
        events: the events that an application may record, with their attributes.
    """
    stages: list[Stage] = []
    problems: list[str] = []
    for number, entry in enumerate(raw, 1):
        where = f"stages, entry {number} ({_shown(entry.get('route', '?'))})"
        try:
            stage = _stage(entry, events)
            if any(_is_twice(stage, other) for other in stages):
                raise ValueError(f"another entry says that this is {stage.event}: it would be counted twice")  # noqa: TRY301 - told like the others
            stages.append(stage)
        except ValueError as error:
            problems.append(f"{where}: {error}; the entry is left out")
    return stages, problems


def _stage(entry: Mapping[str, Any], events: Mapping[str, Fields]) -> Stage:
    for key in entry:
        if key not in _KEYS:
            raise ValueError(f"there is no key {_shown(key)}; known are {', '.join(_KEYS)}")
    method, template = _route(entry.get("route"))
    event = entry.get("event")
    if not isinstance(event, str) or event not in events:
        raise ValueError(f"there is no event {_shown(event)} that an application may record{_near(event, events)}")
    fields = events[event]
    attributes = entry.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise ValueError("attributes must be names and sources, for example 'design_id: path.id'")  # noqa: TRY004 - see parse
    sources = {name: _sources(name, said, fields, template) for name, said in attributes.items()}
    if "subtotal" in sources and "currency" not in sources:
        raise ValueError("a subtotal needs its currency: name a source of currency too, for example value.EUR")
    return Stage(
        event=event,
        method=method,
        template=template,
        statuses=_statuses(entry.get("status")),
        before=_placed(sources, answer=False),
        after=_placed(sources, answer=True),
        answer_first=frozenset(name for name, found in sources.items() if found[0].place == ANSWER != found[-1].place),
        kinds={name: fields[name][0] for name in sources},
    )


def _is_twice(stage: Stage, other: Stage) -> bool:
    same = (stage.event, stage.method, stage.template.shape) == (other.event, other.method, other.template.shape)
    return same and not stage.statuses.isdisjoint(other.statuses)


def _placed(sources: Mapping[str, tuple[Source, ...]], *, answer: bool) -> dict[str, tuple[Source, ...]]:
    kept = {name: tuple(s for s in found if (s.place == ANSWER) is answer) for name, found in sources.items()}
    return {name: found for name, found in kept.items() if found}


def _route(said: object) -> tuple[str, Template]:
    method, _, text = said.strip().partition(" ") if isinstance(said, str) else ("", "", "")
    if method.upper() not in _METHODS:
        raise ValueError(
            f"route must be a method ({', '.join(_METHODS)}) and a template, for example 'POST /designs/{{id}}'"
        )
    try:
        return method.upper(), Template(text.strip())
    except ValueError:
        raise ValueError(
            f"{_shown(text)} is no route template: it begins with a slash, and each placeholder has a name and a segment of its own"
        ) from None


def _statuses(said: object) -> frozenset[int]:
    if said is None:
        return _SUCCESS
    found: set[int] = set()
    for item in _listed(said):
        text = str(item).strip().lower()
        if re.fullmatch("[1-5]xx", text):
            found.update(range(int(text[0]) * 100, int(text[0]) * 100 + 100))
        elif re.fullmatch("[1-5][0-9][0-9]", text):
            found.add(int(text))
        else:
            raise ValueError(f"status {_shown(item)} must be a number, a class such as 2xx, or a list of them")
    return frozenset(found)


def _sources(name: str, said: object, fields: Fields, template: Template) -> tuple[Source, ...]:
    if name not in fields or name in _OURS:
        raise ValueError(f"the event has no attribute {_shown(name)} that can be mapped{_near(name, fields)}")
    kind, pattern = fields[name]
    if kind == "major" and name != "subtotal":
        raise ValueError(f"map the integer, {name}_minor, instead of {name}")
    found = tuple(_source(name, item, kind, template) for item in _listed(said))
    if sum((a.place == ANSWER) is not (b.place == ANSWER) for a, b in pairwise(found)) > 1:
        raise ValueError(f"{name}: list the sources of the answer first or last, not between others")
    for constant in (source.key for source in found if source.place == "value"):
        cased = (constant, constant.upper())  # a country or a currency may be written small
        if converted(constant, kind) is None or not any(
            re.fullmatch(pattern or ".+", text, re.DOTALL) for text in cased
        ):
            raise ValueError(f"{name}: {_shown(constant)} is no value that it can have")
    return found


def _listed(said: object) -> Iterator[object]:
    yield from said if isinstance(said, list) and said else [said]


def _source(name: str, said: object, kind: str, template: Template) -> Source:
    place, _, key = said.strip().partition(".") if isinstance(said, str) else ("", "", "")
    if place not in _PLACES or not key or (place == ANSWER and "" in key.split(".")):
        raise ValueError(
            f"{name}: {_shown(said)} is no source; give path.NAME, query.NAME, header.NAME, answer.FIELD or value.TEXT"
        )
    if place == "path" and key not in template.names:
        raise ValueError(f"{name}: the route has no placeholder {_shown(key)}{_near(key, template.names)}")
    if place == "header" and _SECRET.search(key):
        raise ValueError(f"{name}: the header {_shown(key)} may hold a secret: it cannot be a source")
    if kind == "ids" and place != ANSWER:
        raise ValueError(f"{name}: a list can come from the answer alone")
    return Source(place, key.lower() if place == "header" else key)


def _near(word: object, known: Any) -> str:
    near = difflib.get_close_matches(str(word), [name for name in known if name not in _OURS], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: object) -> str:
    text = "".join(c if c.isprintable() else "?" for c in str(value)[:61])
    return f'"{text[:60]}..."' if len(text) > 60 else f'"{text}"'
