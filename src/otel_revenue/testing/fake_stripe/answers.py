# SPDX-License-Identifier: Apache-2.0
"""What an answer shows: the asked version's shapes, `expand`, and lists page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import legacy
from . import params as read
from .billing_api import with_rest
from .failure import invalid, no_such

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .world import Obj, Scope

_DEEPEST = 4


def shown(scope: Scope, obj: Obj, params: Obj) -> Obj:
    """Return *obj* (an object or a list) as it is answered: a copy, in the request's version, expanded as asked."""
    version = scope.version or scope.world.api_version
    if obj["object"] == "list":
        answer: Obj = {**obj, "data": [legacy.as_of(version, scope, item) for item in obj["data"]]}
    else:
        answer = legacy.as_of(version, scope, obj)
    for path in read.list_of(params, "expand"):
        names = str(path).split(".")
        if len(names) > _DEEPEST:
            raise invalid("You cannot expand more than 4 levels of a property.", param="expand")
        _expand(scope, answer, names, str(path))
    return answer


def _expand(scope: Scope, node: Obj, names: Sequence[str], path: str) -> None:
    name, rest = names[0], names[1:]
    if name == "line_items" and node.get("object") in ("checkout.session", "payment_link"):
        node.setdefault("line_items", line_items(scope, node, {}))
    if name in ("payments", "confirmation_secret") and node.get("object") == "invoice":
        kept = scope.find(node["id"], "invoice")
        node.setdefault(name, with_rest(scope, kept or node)[name])
    if name not in node:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand", executed=False)
    value = node[name]
    if isinstance(value, str):
        found = scope.find(value)
        if found is None:
            raise invalid(f"This property cannot be expanded ({path}).", param="expand", executed=False)
        value = node[name] = legacy.as_of(scope.version or scope.world.api_version, scope, found)
    if not rest:
        return
    for child in value if isinstance(value, list) else [value]:
        if isinstance(child, dict):
            _expand(scope, child, rest, path)


def line_items(scope: Scope, owner: Obj, params: Obj) -> Obj:
    """Return the list of line items of a Session or Payment Link."""
    kept = scope.get(owner["object"], owner["id"])
    path = "checkout/sessions" if owner["object"] == "checkout.session" else "payment_links"
    items = scope.hidden(kept).get("items", [])
    return page([dict(item) for item in items], params, f"/v1/{path}/{owner['id']}/line_items")


def listing(scope: Scope, kind: str, url: str, params: Obj, wanted: Callable[[Obj], bool]) -> Obj:
    """Return the list of objects of *kind* that are *wanted*, newest first."""
    return page([obj for obj in reversed(scope.all(kind)) if wanted(obj) and _in_time(obj, params)], params, url)


def page(items: Sequence[Obj], params: Obj, url: str) -> Obj:
    """Return one page of *items*, as `limit`, `starting_after` and `ending_before` ask."""
    limit = read.integer(params, "limit", least=1) or 10
    if limit > 100:
        raise invalid("Invalid limit: must be no more than 100.", param="limit", executed=False)
    after, before = read.text(params, "starting_after"), read.text(params, "ending_before")
    rest = list(items)
    if after is not None:
        rest = rest[_place(rest, after, "starting_after") + 1 :]
    elif before is not None:
        rest = rest[: _place(rest, before, "ending_before")]
        return {"object": "list", "data": rest[-limit:], "has_more": len(rest) > limit, "url": url}
    return {"object": "list", "data": rest[:limit], "has_more": len(rest) > limit, "url": url}


def _place(items: Sequence[Obj], object_id: str, param: str) -> int:
    for index, item in enumerate(items):
        if item["id"] == object_id:
            return index
    raise no_such(str(items[0]["object"]) if items else "object", object_id, param)


def _in_time(obj: Obj, params: Obj) -> bool:
    asked = params.get("created")
    if asked is None or "created" not in obj:
        return True
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
    }
    if not isinstance(asked, dict):
        return bool(obj["created"] == read.integer(params, "created"))
    return all(tests[name](obj["created"], read.integer(asked, name) or 0) for name in asked if name in tests)


def matches(**wanted: Any) -> Callable[[Obj], bool]:
    """Return a filter: every field that is not asked for as None has that value."""
    asked = {name: value for name, value in wanted.items() if value is not None}
    return lambda obj: all(obj.get(name) == value for name, value in asked.items())
