# SPDX-License-Identifier: Apache-2.0
"""
Applies a policy to values of any type and size: text, numbers, bytes, lists, maps.

What fails is masked as a whole and counted, never passed on. What is clean comes back as the same object: nearly everything is.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from . import exceptions, numbers, structure
from .keys import kind_of
from .policy import OFF, STRICT, Action, Policy, digest
from .values import TAIL, kinds, scan

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SCANNED: Final = 64 * 1024
"""Text beyond it is cut before it is searched, characters."""

_SHORT: Final = 128
_CLEAN_KNOWN: Final = 1024
_DEEPEST: Final = 16
_KEYS_KNOWN: Final = 4096
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/{}<>+*()-]{0,256}").fullmatch
_LITERAL: Final = re.compile(r"'(?:[^']|'')*(?:'|\Z)")
_GONE: Final = object()


class Redactor:
    """
    Masks values by a policy.

    Args:
        policy: what happens to which key.
        count: told the kind of each value that was masked (`email`, `card`, ...), never the value.
    """

    def __init__(self, policy: Policy, count: Callable[[str], None]) -> None:
        self._policy = policy
        self._count = count
        self._clean: set[str] = set()
        self._judged: dict[str, tuple[Action, str, str]] = {}
        self.active = policy.profile != OFF or bool(policy.drop or policy.mask or policy.hashed)

    @property
    def strict(self) -> bool:
        """Whether only what is known to be harmless may leave."""
        return self._policy.profile == STRICT

    def attributes(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return *attributes* as they may leave: the same object where nothing had to change."""
        changed: dict[str, Any] | None = None
        for key, value in attributes.items():
            action, kind, name = self._judged.get(key) or self._judge(key)
            clean = value if action is Action.KEEP else self._value(action, kind, value)
            if clean is value and name is key:
                continue
            if changed is None:
                changed = dict(attributes)
            if clean is _GONE or name is not key:
                del changed[key]
            if clean is not _GONE:
                changed[name] = clean
        return attributes if changed is None else changed

    def text(self, text: str) -> str:
        """Return text that is read by people (a span's name, a log's body) as it may leave."""
        try:
            return self._text(text)
        except Exception:  # noqa: BLE001 - whatever a detector fails with: the value does not leave
            self._count("failed")
            return "[masked]"

    def body(self, body: Any) -> Any:
        """Return a log record's body as it may leave; `strict` keeps none."""
        if body is None:
            return None
        if self.strict:
            self._count("unknown")
            return "[masked]"
        return self._guarded(body)

    def whole(self, value: Any) -> Any:
        """Return what stands for a value of which nothing may leave, whatever is in it."""
        if self._policy.profile == OFF:
            return value
        self._count("whole")
        return "[masked]"

    def message(self, text: str) -> str:
        """Return the message of an exception or of a failed span: its type alone."""
        if not self.active or self._policy.profile == OFF:
            return text
        masked = exceptions.mask_message(text)
        if masked != text:
            self._count("message")
        return masked

    # -- one value ----------------------------------------------------------------------------------------------------

    def _judge(self, key: str) -> tuple[Action, str, str]:
        action, kind = self._policy.judge(key)
        name = key if action is Action.KEEP else self.text(key)  # an application may make keys out of data
        found = (action, kind, key if name == key else name)
        if len(self._judged) < _KEYS_KNOWN:
            self._judged[key] = found
        return found

    def _value(self, action: Action, kind: str, value: Any) -> Any:
        if value is None or value.__class__ is bool:
            return value
        if action is Action.SEARCH:
            return self._guarded(value)
        if action is Action.NUMBER or action is Action.PLAIN:
            number = isinstance(value, (int, float))
            return value if number or (action is Action.PLAIN and _is_plain(value)) else self._guarded(value)
        if value == f"[{kind}]":  # masked before
            return value
        if action is Action.DROP:
            self._count(kind)
            return _GONE
        if action is Action.MASK:
            self._count(kind)
            return f"[{kind}]"
        return self._special(action, value)

    def _special(self, action: Action, value: Any) -> Any:
        text = value if isinstance(value, str) else str(value)
        if action is Action.HASH:
            return self._hashed(text)
        if action is Action.MESSAGE:
            return self.message(text)
        if action is Action.STACK:
            masked = exceptions.mask_stacktrace(text[:MAX_SCANNED])
            if masked != text:
                self._count("message")
            return masked
        return self._without_literals(text[:MAX_SCANNED])

    def _without_literals(self, statement: str) -> str:
        try:
            return scan(_LITERAL.sub("'?'", statement), self._count)
        except Exception:  # noqa: BLE001 - whatever a detector fails with: the value does not leave
            self._count("failed")
            return "[masked]"

    def _hashed(self, text: str) -> str:
        if text.startswith("hmac:"):
            return text
        self._count("hashed")
        return digest(self._policy.hash_keys[0], text) if self._policy.hash_keys else "[masked]"

    def _guarded(self, value: Any) -> Any:
        try:
            return self._text(value) if value.__class__ is str else self._searched(value, 0)
        except Exception:  # noqa: BLE001 - whatever a detector fails with: the value does not leave
            self._count("failed")
            return "[masked]"

    def _searched(self, value: Any, depth: int) -> Any:
        if isinstance(value, (bool, float)) or value is None:
            return value
        if isinstance(value, int):
            return self._number(value)
        if isinstance(value, str):
            return self._text(value)
        if depth >= _DEEPEST:
            self._count("deep")
            return "[masked]"
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(bytes(value))
        if isinstance(value, Mapping):
            return self._map(value, depth)
        if isinstance(value, Sequence):
            clean = [self._searched(item, depth + 1) for item in value]
            return value if all(map(operator.is_, clean, value)) else clean
        return self._text(str(value))

    def _number(self, value: int) -> Any:
        if -(10**12) < value < 10**12 or not numbers.is_card(str(abs(value))):
            return value
        self._count("card")
        return "[card]"

    def _bytes(self, value: bytes) -> Any:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            self._count("bytes")
            return "[bytes]"
        masked = self._text(text)
        return value if masked is text else masked

    def _map(self, value: Mapping[Any, Any], depth: int) -> Any:
        """An object inside of a value is data, not telemetry: `structure` says which of its members stay."""
        clean: dict[str, Any] = {}
        changed = False
        for key, member in value.items():
            name = self._text(str(key))
            clean[name] = self._member(name, member, depth + 1)
            changed = changed or clean[name] is not member or name != key
        return clean if changed else value

    def _member(self, name: str, value: Any, depth: int) -> Any:
        if isinstance(value, (list, tuple)) and depth < _DEEPEST:
            clean = [self._member(name, item, depth + 1) for item in value]
            return value if all(map(operator.is_, clean, value)) else clean
        if isinstance(value, Mapping) or value is None or isinstance(value, bool):
            return self._searched(value, depth)
        kind = structure.kind_of_member(name, value) if isinstance(value, str) else kind_of(name)
        if not kind:
            return self._searched(value, depth)
        self._count(kind)
        return f"[{kind}]"

    # -- text ---------------------------------------------------------------------------------------------------------

    def _text(self, text: str) -> str:
        if text in self._clean or self._policy.profile == OFF:
            return text
        masked = text
        if len(text) > MAX_SCANNED:
            self._count("cut")
            masked = text[:MAX_SCANNED]
        if exceptions.has_traceback(masked):
            before, trace = exceptions.split_traceback(masked)
            masked = self._structured(before) + exceptions.mask_stacktrace(trace)
        else:
            masked = self._structured(masked)
        masked = scan(masked, self._count)
        if len(text) > MAX_SCANNED:
            masked = masked[:-TAIL]  # it may end in the first half of an address, which no detector knows
        if masked != text:
            return masked
        # Hosts, agents and routes come again and again.
        if len(text) <= _SHORT:
            if len(self._clean) >= _CLEAN_KNOWN:
                self._clean = set()
            self._clean.add(text)
        return text

    def _structured(self, text: str) -> str:
        if "=" not in text and ":" not in text:
            return text
        if '"' in text or "'" in text:
            text = structure.mask_members(text, self._count)
        if "=" in text:
            text = structure.mask_parameters(text, self._count)
        return structure.mask_headers(text, self._count)


def _is_plain(value: Any) -> bool:
    """Whether a value of an identifier is one: a version is no address, but a route may hold a secret."""
    return isinstance(value, str) and _PLAIN(value) is not None and set(kinds(value)) <= {"ip"}
