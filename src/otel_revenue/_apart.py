# SPDX-License-Identifier: Apache-2.0
"""
Generators in a context of their own.

A generator shares the context of whoever asks for its next item. What it makes current (a span, an order) would be current for
its consumer between two items, would stay so where two generators take turns, and would be gone at the next item where each is
asked for in another thread, as servers do that stream an answer.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator


class _Steps:
    """The steps of a generator, or those of something that is awaited, each taken in *context*."""

    def __init__(self, steps: Any, context: Context) -> None:
        self._steps = steps
        self._context = context

    def __iter__(self) -> _Steps:
        return self

    __await__ = __iter__

    def __next__(self) -> Any:
        return self._context.run(next, self._steps)

    def send(self, value: Any) -> Any:
        return self._context.run(self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        return self._context.run(self._steps.throw, *error)

    def close(self) -> None:
        self._context.run(self._steps.close)


def apart(function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Generator[Any, Any, Any]]:
    """Return *function* whose generators run in a copy of the context of whoever asks for the first item."""

    def yielded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _Steps(function(*args, **kwargs), copy_context()))

    return yielded


def apart_async(function: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncIterator[Any]]:
    """As `apart`, for an async generator; the one inside is closed with the one outside, not when it is collected as garbage."""

    async def yielded(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        context, generator = copy_context(), function(*args, **kwargs)
        try:
            while True:
                try:
                    item = await _Steps(generator.__anext__(), context)
                except StopAsyncIteration:
                    return
                yield item
        finally:
            await _Steps(generator.aclose(), context)

    return yielded
