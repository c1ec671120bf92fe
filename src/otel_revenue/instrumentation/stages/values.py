# SPDX-License-Identifier: Apache-2.0
"""From a request and its answer to the values of a stage's attributes. Pure; what stands in them is anybody's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from otel_revenue.errors import BadMoney, SchemaError
from otel_revenue.schema.money import checked_currency
from otel_revenue.signals.bound import minor_units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .mapping import Source, Stage

_CRAWLER: Final = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|lighthouse|headless|facebookexternalhit|pingdom|uptime|statuscake",
    re.IGNORECASE,
)
"""Words by which programs that only look call themselves. Those of HTTP clients are not among them: a shop's own front end is one."""
_parse: Final = json.JSONDecoder(parse_float=Decimal).decode
MAX_ANSWER: Final = 16 * 1024
"""Bytes of a JSON answer that is looked into; a larger one passes unseen."""
_MAX_AGENT: Final = 512
_MAX_QUERY: Final = 8 * 1024
_MAX_TEXT: Final = 1000
"""The longest id is replaced by its hash at 255: what is much longer is none."""


SEEN: Final = "otel_revenue.stages"
"""Key in a request's environment: it is looked at once, by the outermost that does."""


@dataclass(frozen=True)
class Asked:
    """
    A request, as far as it is looked at.

    Attributes:
        method: upper case.
        path: below the application, decoded.
        query_string: raw.
        header: returns a header by its name in lower case.
    """

    method: str
    path: str
    query_string: str
    header: Callable[[str], str | None]

    def query(self) -> dict[str, str]:
        """Return the query parameters, of several with one name the first; none of a query that is unreasonably long."""
        if not self.query_string or len(self.query_string) > _MAX_QUERY:
            return {}
        return dict(reversed(parse_qsl(self.query_string)))

    def by_machine(self) -> bool:
        """Tell whether nobody looks: a page that a browser fetches ahead of time, a crawler, a probe that says what it is."""
        purpose = f"{self.header('sec-purpose')} {self.header('purpose')} {self.header('x-moz')}".lower()
        return "prefetch" in purpose or _CRAWLER.search((self.header("user-agent") or "")[:_MAX_AGENT]) is not None


def is_small_json(kind: str | None, encoding: str | None, length: str | None) -> bool:
    """Tell by the headers of an answer whether its body may be looked into: JSON, not compressed, not known to be large."""
    bare = (kind or "").partition(";")[0].strip().lower()
    return (
        (bare == "application/json" or (bare.startswith("application/") and bare.endswith("+json")))
        and (encoding or "identity") == "identity"
        and not (length and length.isdigit() and int(length) > MAX_ANSWER)
    )


def before(stage: Stage, asked: Asked, placeholders: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return what is known when the request comes, and the attributes whose values are none."""
    query = asked.query() if any(s.place == "query" for found in stage.before.values() for s in found) else {}

    def look(source: Source) -> str | None:
        if source.place == "path":
            return placeholders.get(source.key)
        if source.place == "query":
            return query.get(source.key)
        return asked.header(source.key) if source.place == "header" else source.key

    return _read(stage.before, stage.kinds, look)


def after(stage: Stage, body: bytes | None, known: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """
    Return what the answer tells of attributes that are not *known* yet or whose answer is listed first, and those whose values are none.

    *body* is a JSON answer, None for one of another kind, a large or a streamed one.
    """
    wanted = {name: found for name, found in stage.after.items() if name not in known or name in stage.answer_first}
    fields = _parsed(body) if wanted else None
    if not isinstance(fields, (dict, list)):
        return {}, []
    return _read(wanted, stage.kinds, lambda source: _at(fields, source.key))


def with_exact_money(values: dict[str, Any]) -> list[str]:
    """
    Replace `subtotal` (major units) by `subtotal_minor`, in place; returns the attributes that had to go.

    Exact or not at all: by decimals, with the currency's exponent.
    """
    refused = []
    if "currency" in values:
        try:
            values["currency"] = checked_currency(values["currency"])
        except BadMoney:
            del values["currency"]
            refused.append("currency")
    major = values.pop("subtotal", None)
    if major is not None and "subtotal_minor" not in values:
        try:
            values["subtotal_minor"] = minor_units(major, values.get("currency"))
        except SchemaError:
            refused.append("subtotal")
    if "subtotal_minor" in values and "currency" not in values:
        del values["subtotal_minor"]
        refused.append("subtotal_minor")
    return refused


def _read(
    sources: Mapping[str, Sequence[Source]], kinds: Mapping[str, str], look: Callable[[Source], Any]
) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    refused = []
    for name, candidates in sources.items():
        raw = next((found for source in candidates if (found := look(source)) not in (None, "")), None)
        if raw is None:
            continue
        value = converted(raw, kinds[name])
        if value is None:
            refused.append(name)
        else:
            values[name] = value.upper() if name == "country" and isinstance(value, str) else value
    return values, refused


def converted(raw: Any, kind: str) -> Any:
    """Return a value as the schema's gate takes it; None where it is none of that kind."""
    if isinstance(raw, str) and len(raw) > _MAX_TEXT:
        return None
    if kind == "major":
        return raw if isinstance(raw, (str, int, Decimal)) and not isinstance(raw, bool) else None
    if not isinstance(raw, str):
        return raw if isinstance(raw, (int, bool, list)) else None
    text = raw.strip()
    if kind in ("count", "minor"):
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
    if kind == "flag":
        return {"true": True, "false": False}.get(text.lower())
    return text or None


def _parsed(body: bytes | None) -> Any:
    if body is None or len(body) > MAX_ANSWER:
        return None
    try:
        return _parse(body.decode())
    except (ValueError, RecursionError):
        return None


def _at(value: Any, path: str) -> Any:
    """Return what stands at a path such as `order.id` or `items.0.sku`; None where nothing does."""
    for key in path.split("."):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
