"""The browser's route in small applications: mounted in FastAPI, and around Flask."""

from __future__ import annotations

from fastapi import FastAPI
from flask import Flask

from otel_revenue.browser import asgi_app, wsgi_app

mounted = FastAPI()
mounted.mount("/otel-revenue", asgi_app())
wrapped = Flask("shop")
wrapped.wsgi_app = wsgi_app(wrapped.wsgi_app)  # type: ignore[method-assign]


@mounted.get("/healthz")
@wrapped.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}
