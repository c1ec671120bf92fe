"""The careless application on FastAPI."""

from __future__ import annotations

import work
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.get("/do/{way}")
def do(way: str) -> str:
    work.WAYS[way]()
    return "done"
