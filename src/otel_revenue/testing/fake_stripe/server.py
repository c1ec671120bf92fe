# SPDX-License-Identifier: Apache-2.0
"""HTTP on loopback: the API, Stripe's page for buyers, and the control of the fake."""

from __future__ import annotations

import asyncio
import html
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from . import control
from .body import TooLarge, read
from .buyer import Buyer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from .fake import FakeStripe


def application(fake: FakeStripe) -> Starlette:
    """Return the ASGI application of *fake*."""

    async def api(request: Request) -> Response:
        try:
            body = await read(request)
        except TooLarge as error:
            refused = fake.api.refuse(request.method, request.url.path, str(error), 413)
            return Response(refused.body, refused.status, {**refused.headers, "Connection": "close"})
        if fake.latency > 0:
            await asyncio.sleep(fake.latency)
        answer = await run_in_threadpool(
            fake.api.handle,
            request.method,
            request.url.path,
            request.url.query,
            body,
            {name.lower(): value for name, value in request.headers.items()},
        )
        return Response(answer.body, answer.status, answer.headers)

    async def page(request: Request) -> Response:
        return await _page(fake, request)

    async def link(request: Request) -> Response:
        found = fake.link_at(str(request.url.path))
        if found is None:
            return HTMLResponse("<!doctype html><title>No such link</title>", 404)
        return RedirectResponse(f"{fake.url}/c/pay/{fake.open_link(found)}", 303)

    async def thanks(_request: Request) -> Response:
        return HTMLResponse("<!doctype html><title>Thanks for your payment</title>")

    return Starlette(
        routes=[
            Route("/c/pay/{session}", page, methods=["GET", "POST"]),
            Route("/pay/{link}", link, methods=["GET"]),
            Route("/thanks", thanks, methods=["GET"]),
            *control.routes(fake),
            Route("/{rest:path}", api, methods=["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]),
        ]
    )


async def _page(fake: FakeStripe, request: Request) -> Response:
    session = fake.session(request.path_params["session"])
    if session is None:
        return HTMLResponse("<!doctype html><title>No such session</title>", 404)
    note = ""
    if request.method == "POST":
        try:
            text = (await read(request)).decode(errors="replace")
            form = {name: values[-1] for name, values in parse_qs(text).items()}
            buyer = Buyer.read({k: v for k, v in form.items() if k not in ("method", "decline") and v})
            paid = fake.pay(
                session["id"], method=form.get("method", "card"), buyer=buyer, decline=form.get("decline", "")
            )
        except ValueError as error:
            return HTMLResponse(f"<!doctype html><title>{html.escape(str(error))}</title>", 400)
        session = fake.session(session["id"]) or session
        if paid == "complete":
            target = session["success_url"] or session["return_url"] or f"{fake.url}/thanks"
            return RedirectResponse(target.replace("{CHECKOUT_SESSION_ID}", session["id"]), 303)
        note = "<p role=alert>Your card was declined.</p>"
    return HTMLResponse(_form(session, note))


def _form(session: Mapping[str, Any], note: str) -> str:
    if session["status"] != "open":
        return "<!doctype html><title>Checkout</title><p>This page has expired or was used already.</p>"
    methods = "".join(f"<option>{html.escape(kind)}</option>" for kind in session["payment_method_types"])
    total = html.escape(f"{session['amount_total'] or 0} {(session['currency'] or '').upper()} (minor units)")
    fields = "".join(
        f'<p><label>{name} <input name="{name}" value="{html.escape(str(getattr(Buyer(), name)))}"></label></p>'
        for name in ("email", "name", "phone", "country")
    )
    cancel = session["cancel_url"]
    back = f'<p><a href="{html.escape(cancel)}">Back</a></p>' if cancel else ""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Checkout</title>"
        f"<h1>Pay {total}</h1>{note}<form method=post>{fields}"
        f"<p><label>method <select name=method>{methods}<option>declined_card</option></select></label></p>"
        f"<button type=submit>Pay</button></form>{back}</html>"
    )


class Server:
    """uvicorn in a thread, on a socket that listens before the thread runs: the address is known at once."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        # The protocol is named: only then does asyncio switch Nagle's algorithm off, which costs 40 ms an answer.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self._socket.listen(128)
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False, timeout_graceful_shutdown=1)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="fake-stripe", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._uvicorn.run(sockets=[self._socket])

    def stop(self) -> None:
        """End the thread and close the socket."""
        self._uvicorn.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()
