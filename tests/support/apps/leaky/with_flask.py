"""The careless application on Flask."""

from __future__ import annotations

import work
from flask import Flask

app = Flask(__name__)


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.get("/do/<way>")
def do(way: str) -> str:
    work.WAYS[way]()
    return "done"
