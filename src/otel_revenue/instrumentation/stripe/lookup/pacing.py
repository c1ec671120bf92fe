# SPDX-License-Identifier: Apache-2.0
"""When may be asked: how often in all, how long after a failure, how often for one question. Pure; times are seconds of any clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

K = TypeVar("K", bound="Hashable")

_LONGEST_S: Final = 60.0
_TIMES: Final = 6
"""How often one question is put while the payment waits."""


class Bucket:
    """A token bucket: *rate* calls a second, and no more than one second's worth (one at least) at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._tokens = self._most
        self._at_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait for a token; takes it when that is 0."""
        passed = max(0.0, now_s - self._at_s)
        self._tokens = min(self._most, self._tokens + passed * self._rate)
        self._at_s = now_s
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate
        self._tokens -= 1.0
        return 0.0


class Backoff:
    """After a failure nothing is asked for 1 s, then 2, 4, … up to a minute, or as long as Stripe says."""

    def __init__(self) -> None:
        self._failures = 0
        self._until_s = 0.0

    def failed(self, now_s: float, retry_after_s: float = 0.0) -> None:
        """Note a failure that is not the question's: 429, 5xx, no connection."""
        self._failures += 1
        own_s = float(2 ** min(self._failures - 1, 6))
        self._until_s = now_s + min(_LONGEST_S, max(own_s, retry_after_s))

    def answered(self) -> None:
        """Note that Stripe answers."""
        self._failures = 0
        self._until_s = 0.0

    def left_s(self, now_s: float) -> float:
        """Return for how long nothing is to be asked."""
        return max(0.0, self._until_s - now_s)


@dataclass
class _Turn:
    next_s: float
    times: int = 0


@dataclass
class Turns(Generic[K]):
    """
    When each question is due: after a patience (the webhook that settles it is under way, as a rule), then after twice that, …

    `times` bounds how often a question is put; None: until it is dropped.
    """

    patience_s: float
    times: int | None = _TIMES
    _turns: dict[K, _Turn] = field(default_factory=dict)

    def due_in_s(self, key: K, now_s: float, *, at_once: bool = False) -> float | None:
        """Return in how many seconds the question is due (0: now), None when it was put often enough."""
        turn = self._turns.setdefault(key, _Turn(now_s if at_once else now_s + self.patience_s))
        if self.times is not None and turn.times >= self.times:
            return None
        return max(0.0, turn.next_s - now_s)

    def put(self, key: K, now_s: float, wait_s: float | None = None) -> int:
        """Note that the question was put and is still open, and is due again after *wait_s*; returns how often that was."""
        turn = self._turns.setdefault(key, _Turn(now_s))
        turn.times += 1
        turn.next_s = now_s + (
            min(_LONGEST_S, self.patience_s * 2 ** min(turn.times, 10)) if wait_s is None else wait_s
        )
        return turn.times

    def forget(self, key: K) -> None:
        """Forget a question that is no longer open."""
        self._turns.pop(key, None)

    def keep_only(self, keys: Collection[K]) -> None:
        """Forget the questions that are no longer open."""
        for key in self._turns.keys() - set(keys):
            del self._turns[key]
