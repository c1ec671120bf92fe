"""
A shop's back office that leaves Stripe's webhooks to somebody else: a thread pool, a task after the answer, a forked worker.

Knows nothing of us. The webhook's answer says that the work was begun, not that it is done, save for a worker that is waited for.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import stripe
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
pool = ThreadPoolExecutor(2)
forked = multiprocessing.get_context("fork")


def handle(payload: bytes, signature: str) -> None:
    stripe.Webhook.construct_event(payload, signature, os.environ["STRIPE_WEBHOOK_SECRET"])


def work(payload: bytes, signature: str) -> None:
    """What a task queue's worker does: the task, and an end without `atexit`."""
    handle(payload, signature)
    os._exit(7)


def in_a_fork(payload: bytes, signature: str) -> int | None:
    worker = forked.Process(target=work, args=(payload, signature))
    worker.start()
    worker.join(60)
    return worker.exitcode


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/webhooks/{how}")
async def webhook(how: str, request: Request, tasks: BackgroundTasks) -> dict[str, int | None]:
    payload, signature = await request.body(), request.headers["Stripe-Signature"]
    code: int | None = None
    if how == "pool":
        pool.submit(handle, payload, signature)
    elif how == "after":
        tasks.add_task(handle, payload, signature)
    elif how == "fork":
        code = await run_in_threadpool(in_a_fork, payload, signature)
    else:
        handle(payload, signature)
    return {"code": code}
