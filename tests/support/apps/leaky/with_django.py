"""The careless application on Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

import work
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def do(request: HttpRequest, way: str) -> HttpResponse:
    work.WAYS[way]()
    return HttpResponse("done")


urlpatterns = [path("healthz", healthz), path("do/<str:way>", do)]
app = get_asgi_application()
