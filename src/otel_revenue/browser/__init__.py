# SPDX-License-Identifier: Apache-2.0
"""
What visitors do before they pay: the module for their browsers, and the route that takes what it tells.

    app.mount("/otel-revenue", asgi_app())      # FastAPI, Starlette
    application = wsgi_app(application)         # around any WSGI application

and in the pages `<script type="module" src="/otel-revenue/otel-revenue.js"></script>`. See docs/browser.md.
"""

from __future__ import annotations

from .asgi import asgi_app
from .wsgi import wsgi_app

__all__ = ["asgi_app", "wsgi_app"]
