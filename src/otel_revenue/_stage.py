# SPDX-License-Identifier: Apache-2.0
"""`otel_revenue.stage`: one step of the funnel as a block, a function or a coroutine."""

from __future__ import annotations

import functools
import inspect
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from opentelemetry import trace
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Status, StatusCode

from ._apart import apart, apart_async
from ._guard import guard
from .errors import SchemaError
from .runtime import active
from .signals import bound, record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from .runtime import Runtime

F = TypeVar("F", bound="Callable[..., Any]")

_CONTEXT: Final = frozenset({*bound.NAMES, "subtotal"}) - {"surface_source"}


class stage:  # noqa: N801 - reads as the statement that it is
    """
    One step of the funnel: `with stage("design", order_id="o-1", design_id="d-7") as design: ...`.

    A span of that name, `design.started` when the block begins, and `design.approved` with `duration_ms` when it ends; when it
    raises, nothing is approved, and the span says which class of error it was. What is known of the order is bound, as by
    `bind`. Also `async with`, and a decorator of functions, coroutines and generators (in whose consumers nothing of it is
    current). Does nothing while the application is not instrumented.

    Args:
        name: `design`, or the first part of two events of your own, `<name>.started` and `<name>.approved`.
        attributes: of both events, by their name in the schema.

    A wrong name or value is counted and left out (metric `otel_revenue.failures`); it never raises into the application.
    """

    def __init__(self, name: str, /, **attributes: Any) -> None:
        self._name = name
        self._given = attributes
        self._attributes: dict[str, Any] = {}
        self._runtime: Runtime | None = None
        self._span: trace.Span = trace.INVALID_SPAN
        self._blocks: list[AbstractContextManager[Any]] = []
        self._begun = 0.0

    def set(self, **attributes: Any) -> None:
        """Add what is known by now: `design.set(order_id=order.id)`."""
        with guard("api.stage"):
            self._learn(attributes)

    def __enter__(self) -> stage:
        self._begun = time.perf_counter()
        self._runtime = runtime = active.get()
        if runtime is not None:
            with guard("api.stage"):
                if not {f"{self._name}.started", f"{self._name}.approved"} <= record.recordable().keys():
                    self._runtime = None
                    raise SchemaError(f"there are no events {self._name}.started and {self._name}.approved")
                self._span = runtime.tracer.start_span(self._name)
                self._enter(trace.use_span(self._span, record_exception=False, set_status_on_exception=False))
                self._learn(self._given)
                runtime.track(f"{self._name}.started", self._attributes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runtime is None:
            return
        try:
            with guard("api.stage"):
                if kind is None:
                    self._approve(self._runtime)
                else:
                    self._span.set_attribute(ERROR_TYPE, kind.__qualname__)
                    self._span.set_status(Status(StatusCode.ERROR))
        finally:
            with guard("api.stage"):
                while self._blocks:
                    self._blocks.pop().__exit__(None, None, None)
                self._span.end()

    async def __aenter__(self) -> stage:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        """Decorate: each call is a stage of its own."""
        return cast("F", functools.wraps(function)(_around(function, lambda: stage(self._name, **self._given))))

    def _enter(self, block: AbstractContextManager[Any]) -> None:
        block.__enter__()
        self._blocks.append(block)

    def _learn(self, attributes: Mapping[str, Any]) -> None:
        if self._runtime is None:
            return
        context = bound.checked({name: value for name, value in attributes.items() if name in _CONTEXT})
        self._attributes |= {name: value for name, value in attributes.items() if name not in _CONTEXT} | context
        if context:
            # For the rest of the request, and outside of one for this block.
            self._enter(bound.Binding(self._runtime.bind(context).values))

    def _approve(self, runtime: Runtime) -> None:
        name = f"{self._name}.approved"
        if "duration_ms" in record.recordable()[name]:
            self._attributes.setdefault("duration_ms", int((time.perf_counter() - self._begun) * 1000))
        runtime.track(name, self._attributes)


def _around(function: Callable[..., Any], fresh: Callable[[], stage]) -> Callable[..., Any]:
    """Return *function* in a block of its own for each call, as whatever kind of function it is."""
    if inspect.iscoroutinefunction(function):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with fresh():
                return await function(*args, **kwargs)

        return awaited
    if inspect.isasyncgenfunction(function):

        async def async_items(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            with fresh():
                async with aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        yield item

        return apart_async(async_items)
    if inspect.isgeneratorfunction(function):

        def items(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with fresh():
                return (yield from function(*args, **kwargs))

        return apart(items)

    def called(*args: Any, **kwargs: Any) -> Any:
        with fresh():
            return function(*args, **kwargs)

    return called
