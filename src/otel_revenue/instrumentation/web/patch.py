# SPDX-License-Identifier: Apache-2.0
"""One method of somebody else's class, replaced when its module is imported, and put back."""

from __future__ import annotations

import inspect
import sys
import weakref
from typing import TYPE_CHECKING, Any

import wrapt

from otel_revenue._guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

_waiting: dict[str, list[weakref.ref[MethodPatch]]] = {}
"""By module. An import hook cannot be taken back: one for each module, however often we are installed."""


class MethodPatch:
    """
    Args:
        module, cls, method: where the method is. Nothing is imported for its sake, and a class of another shape is left alone.
        wrap: makes the replacement from the original; a coroutine function from a coroutine function, as servers look.
    """

    def __init__(self, module: str, cls: str, method: str, wrap: Wrap) -> None:
        self._module = module
        self._cls_name = cls
        self._method = method
        self._wrap = wrap
        self._cls: Any = None
        self._original: Any = None
        self._removed = False

    def install(self) -> None:
        """Patch now, or when the module is imported."""
        if self._module not in _waiting:
            _waiting[self._module] = []
            wrapt.register_post_import_hook(_imported, self._module)
        _waiting[self._module].append(weakref.ref(self))
        module = sys.modules.get(self._module)
        if module is not None:
            self.apply(module)

    def apply(self, module: Any) -> None:
        """Patch the class in *module*; one that is still being imported does not have it yet, and is met again by the hook."""
        cls = getattr(module, self._cls_name, None)
        if self._removed or self._cls is not None or self._method not in vars(cls or object):
            return
        original = inspect.getattr_static(cls, self._method)
        if not inspect.isfunction(original):
            return
        replacement = self._wrap(original)
        replacement.__name__ = self._method
        replacement.__qualname__ = original.__qualname__
        replacement.__wrapped__ = original  # type: ignore[attr-defined]
        setattr(cls, self._method, replacement)
        self._cls, self._original = cls, original

    def remove(self) -> None:
        """Put the original back; where somebody patched over ours, it stays and must let everything pass."""
        self._removed = True
        if self._cls is None:
            return
        current = inspect.getattr_static(self._cls, self._method)
        if getattr(current, "__wrapped__", None) is self._original:
            setattr(self._cls, self._method, self._original)


def _imported(module: Any) -> None:
    with guard("web.import"):  # somebody's import must not fail because of us
        for reference in _waiting.get(module.__name__, ()):
            patch = reference()
            if patch is not None:
                patch.apply(module)
