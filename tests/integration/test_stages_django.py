"""Mapped routes in Django, sync and async: what is a stage, and which answers are looked into."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.test import AsyncClient, Client
from django.urls import path, re_path

from otel_revenue import flush

if TYPE_CHECKING:
    from support.instrumented import App

BODY = b'{"design_id": "d-1"}'


def start(request: Any, kind: str = "json") -> HttpResponse | StreamingHttpResponse:
    if kind == "broken":
        raise RuntimeError
    if kind == "moved":
        return redirect("/")
    if kind == "refused":
        return HttpResponse(BODY, status=422, content_type="application/json")
    if kind == "streamed":
        return StreamingHttpResponse(iter([BODY[:5], BODY[5:]]), content_type="application/json")
    if kind == "large":
        return JsonResponse({"design_id": "d-1", "x": "x" * 5_000_000})
    if kind == "html":
        return HttpResponse(BODY)
    return JsonResponse({"design_id": "d-1"})


def new(request: Any) -> HttpResponse:
    return HttpResponse(BODY, content_type="application/json")


async def start_async(request: Any, kind: str) -> HttpResponse | StreamingHttpResponse:
    return start(request, kind)


@pytest.fixture(scope="module", autouse=True)
def site() -> None:
    urls = ModuleType("urls_of_the_stages_test")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("designs/new", new),
        path("designs/<str:kind>", start),
        re_path(r"^later/(?P<kind>[a-z]+)/$", start_async),
    ]
    sys.modules[urls.__name__] = urls
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="x" * 50, ROOT_URLCONF=urls.__name__)
    django.setup()


@pytest.fixture
def app(app: App) -> App:
    app.instrument(
        stages=[
            {
                "route": f"POST {route}",
                "event": "design.started",
                "attributes": {"design_id": "answer.design_id", "tier": "path.k"},
            }
            for route in ("/designs/{k}", "/later/<k>")
        ]
    )
    return app


EXPECTED = {"json": "d-1", "streamed": None, "large": None, "html": None}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_is_a_stage_in_django(app: App, asynchronous: bool) -> None:
    """A wanted answer is, with its field where it is small JSON; a redirect, a refusal, an exception and another route are not."""
    kinds = [*EXPECTED, "broken", "moved", "refused"]
    if asynchronous:
        client = AsyncClient(raise_request_exception=False)

        async def ask() -> list[int]:
            return [(await client.post(f"/later/{kind}/?utm_source=news")).status_code for kind in kinds]

        statuses = asyncio.run(ask())
    else:
        plain = Client(raise_request_exception=False)
        statuses = [plain.post(f"/designs/{kind}?utm_source=news").status_code for kind in kinds]
        assert [200, 200] == [plain.get("/designs/json").status_code, plain.post("/designs/new").status_code]
    assert flush(45)
    found = {e.attributes["tier"]: e.attributes for e in app.receiver.named("design.started")}

    assert [200] * 4 + [500, 302, 422] == statuses
    assert EXPECTED == {kind: attributes.get("design_id") for kind, attributes in found.items()}
    assert {"news"} == {attributes["surface"] for attributes in found.values()}


def test_django_answers_pass_untouched(app: App) -> None:
    """What reaches the client is what the view has made, streamed, large or small."""
    client = Client()
    bodies = {kind: b"".join(client.post(f"/designs/{kind}")) for kind in EXPECTED}

    assert (BODY, BODY, BODY) == (bodies["json"], bodies["streamed"], bodies["html"])
    assert 5_000_000 < len(bodies["large"])
