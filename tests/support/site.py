"""A site of a few pages with the browser's module, and a far end for what it posts, on loopback."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from otel_revenue.browser import module

SCRIPT = '<script type="module" src="/otel-revenue/otel-revenue.js"></script>'


@dataclass
class Site:
    """
    `pages` by path, `/` for any other; `status` is answered to posts, None hangs up without an answer. `files` are
    scripts by path.

    `posts` are the requests as they came: headers and parsed body.
    """

    pages: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int | None = 202
    posts: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    def __enter__(self) -> Site:
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path.endswith("/otel-revenue.js"):
                    self.answer(200, module.FILE.read_bytes(), {"Content-Type": "text/javascript"})
                    return
                if path in site.files:
                    self.answer(200, site.files[path].encode(), {"Content-Type": "text/javascript"})
                    return
                page = site.pages.get(path, site.pages.get("/", ""))
                self.answer(200, page.encode(), {"Content-Type": "text/html; charset=utf-8", **site.headers})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if site.status is None:
                    self.close_connection = True
                    return
                if site.status == 202:
                    site.posts.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
                self.answer(site.status, b"{}", {"Content-Type": "application/json"})

            def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def records(self) -> list[dict[str, Any]]:
        """
        Every log record that was taken, once, with its attributes by name. A page that is left before the answer has come does not
        know that its event was taken, and the next page sends it again.
        """
        taken = [
            {**record, "attributes": {pair["key"]: _plain(pair["value"]) for pair in record["attributes"]}}
            for _, body in list(self.posts)
            for resource in body["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]
        return list({record["attributes"]["log.record.uid"]: record for record in reversed(taken)}.values())[::-1]

    def named(self, name: str) -> list[dict[str, Any]]:
        """The attributes of every event of that name."""
        return [record["attributes"] for record in self.records if record["eventName"] == name]


def _plain(value: dict[str, Any]) -> Any:
    ((kind, inner),) = value.items()
    return [_plain(item) for item in inner["values"]] if kind == "arrayValue" else inner
