"""The example shop, as it is, with two pages for people in front of its routes, under a strict Content Security Policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.staticfiles import StaticFiles
from shop import app  # of examples/shop_fastapi

from otel_revenue.browser import asgi_app

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


@app.middleware("http")
async def strict(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
    )
    return response


app.mount("/otel-revenue", asgi_app())
app.mount("/", StaticFiles(directory=Path(__file__).with_name("pages"), html=True))
