# SPDX-License-Identifier: Apache-2.0
"""The look-up of one application: its clients, and the thread of each of its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_revenue.instrumentation.stripe.readers import reader_factory

from .clients import Clients

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.config import Settings
    from otel_revenue.instrumentation.stripe.thin_events import Thin
    from otel_revenue.runtime import Runtime
    from otel_revenue.runtime.process import Process

    from .lookup import Lookup


class LookupOf:
    """
    What survives a fork, and opens the rest where it is needed.

    Args:
        settings: the checked settings.
        clean: returns text as it may be stored, None where it must not be.
        runtime: returns the application's runtime, which does not exist yet when this is made.
    """

    def __init__(self, settings: Settings, clean: Callable[[str], str | None], runtime: Callable[[], Runtime]) -> None:
        self.clients = Clients()
        self._settings = settings
        self._make_reader = reader_factory(settings, clean)
        self._runtime = runtime

    def open(self, process: Process) -> Lookup:
        """Return what asks for one process; called by the runtime when it opens that process's parts."""
        from .lookup import Lookup

        return Lookup(process, self.clients, self._settings, self._make_reader, lambda: self._runtime().instruments)

    def fetch_later(self, thin: Thin) -> bool:
        """Keep a thin event until its object is fetched; returns whether there was room."""
        from .lookup import Lookup

        beside = self._runtime().beside()
        return isinstance(beside, Lookup) and beside.fetch_later(thin)
