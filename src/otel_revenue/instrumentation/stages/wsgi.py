# SPDX-License-Identifier: Apache-2.0
"""
The edge to WSGI, for applications that are neither Flask's nor Django's: the chunks of an answer are looked at as they go by.

Where no field of the answer is wanted the server gets the application's own iterable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard

from .values import MAX_ANSWER, SEEN, Asked, is_small_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .stages import Pending, Stages


def looked_at(stages: Stages, environ: dict[str, Any], start_response: Callable[..., Any]) -> Answer | None:
    """Return what looks at the answer of a mapped route, None for every other request."""
    method = environ["REQUEST_METHOD"]
    candidates = stages.of(method, None) if stages.active and SEEN not in environ else ()
    if not candidates:
        return None
    environ[SEEN] = True
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")  # PEP 3333

    def header(name: str) -> str | None:
        found: str | None = environ.get(f"HTTP_{name.upper().replace('-', '_')}")
        return found

    pending = stages.begin(candidates, Asked(method, path, environ.get("QUERY_STRING", ""), header))
    return None if pending is None else Answer(start_response, pending)


class Answer:
    """One answer, as the application gives it to the server."""

    def __init__(self, start_response: Callable[..., Any], pending: Pending) -> None:
        self._start = start_response
        self._pending = pending
        self._status = 0
        self._kept: list[bytes] = []
        self._size = 0
        self._done = False

    def start_response(self, status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        """Stand for the server's `start_response`."""
        with guard("stages.answer"):
            self._status = int(status[:3])
            said = {name.lower(): value for name, value in headers}
            small = is_small_json(*map(said.get, ("content-type", "content-encoding", "content-length")))
            if not (small and self._pending.wants_body(self._status)):
                self._finish(None)
        return self._start(status, headers, *more)

    def watched(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Return the application's iterable, or one that looks at its chunks."""
        if not self._done and isinstance(chunks, (list, tuple)) and self._status:  # nothing is left to be seen
            with guard("stages.answer"):
                self._finish(b"".join(chunks))
        return chunks if self._done or not self._pending.may_want_body else _Chunks(chunks, self)

    def see(self, chunk: bytes) -> None:
        """Look at one chunk."""
        self._size += len(chunk)
        self._kept.append(chunk)
        if self._size > MAX_ANSWER:
            self._finish(None)

    def end(self) -> None:
        """Hear that the last chunk has gone by."""
        self._finish(b"".join(self._kept))

    @property
    def done(self) -> bool:
        """Whether there is nothing more to look for."""
        return self._done

    def _finish(self, body: bytes | None) -> None:
        if not self._done:
            self._done = True
            self._kept = []
            self._pending.answered(self._status, lambda: body)


class _Chunks:
    """The application's chunks, as they are."""

    def __init__(self, chunks: Iterable[bytes], answer: Answer) -> None:
        self._chunks = chunks
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if not self._answer.done:
                with guard("stages.answer"):
                    self._answer.see(chunk)
            yield chunk
        with guard("stages.answer"):
            self._answer.end()

    def close(self) -> None:
        """As PEP 3333 wants it."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
