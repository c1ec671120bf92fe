"""Route templates in the spellings of the frameworks."""

from __future__ import annotations

import re

import pytest

from otel_revenue.instrumentation.stages.routes import Template, is_part_of, shape

SPELLINGS = [
    "/designs/{id}/approve",
    "/designs/{design_id:int}/approve/",
    "/designs/<design_id>/approve",
    "/designs/<uuid:design_id>/approve",
    "designs/<str:design_id>/approve/",
    r"^designs/(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}))/approve/$",
]


@pytest.mark.parametrize("route", SPELLINGS)
def test_frameworks_spell_one_route_differently(route: str) -> None:
    """A route is the same one in the spelling of Starlette, Flask and Django, whatever its placeholders are called."""
    assert "/designs/{}/approve" == shape(route)


@pytest.mark.parametrize(
    ("route", "same"),
    [
        ("/designs/{x}/approve", True),
        ("/{x}/approve", True),
        ("/approve", True),
        ("", True),
        ("/", True),
        ("/designs/{x}", False),
        ("/designs/new/approve", False),
        ("/designs/{x}/{y}", False),
    ],
)
def test_a_router_below_a_prefix_knows_the_end(route: str, same: bool) -> None:
    """A framework's route is that of a template where it is its end, and no other one that the same path would fit."""
    assert same == is_part_of(route, Template("/designs/{id}/approve").shape)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/checkout", "/checkout", {}),
        ("/checkout", "/checkout/", {}),
        ("/", "/", {}),
        ("/designs/{id}", "/designs/d-1", {"id": "d-1"}),
        ("/designs/<id>/approve", "/designs/ü 1/approve", {"id": "ü 1"}),
        ("/files/{name:path}/done", "/files/a/b/done", {"name": "a/b"}),
        ("/a.b/{id}", "/a.b/1", {"id": "1"}),
        ("/a.b/{id}", "/axb/1", None),
        ("/designs/{id}", "/designs/", None),
        ("/designs/{id}", "/designs/d-1/approve", None),
        ("/designs/{id}", "/shop/designs/d-1", None),
        ("/designs/{id}", "/designs/d\n1", {"id": "d\n1"}),
    ],
)
def test_a_path_gives_the_placeholders(template: str, path: str, values: dict[str, str] | None) -> None:
    """A path of the route gives each placeholder its value; another one none."""
    assert values == Template(template).match(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "designs",
        "/designs/{id",
        "/designs/<id",
        "/{id}/{id}",
        "/a/*",
        "/designs/{}",
        "/a b",
        "/d/{1x}",
        "/{a}-{b}",
        "/{a:path}/x/{b:path}",
    ],
)
def test_a_malformed_template_is_refused(text: str) -> None:
    """A template that no framework would take is refused."""
    with pytest.raises(ValueError, match=re.escape(text) or "^$"):
        Template(text)
