# SPDX-License-Identifier: Apache-2.0
"""The entry point: reads settings, says once what it will do, and puts the hooks in place. Opens nothing, starts nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_revenue import config
from otel_revenue._guard import guard, logger
from otel_revenue.redaction.install import Installed
from otel_revenue.redaction.policies import redactor
from otel_revenue.runtime import Runtime, active
from otel_revenue.runtime.plan import make_plan
from otel_revenue.signals.record import clean_id
from otel_revenue.version import __version__

from .stripe import versions
from .web import Servers

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_revenue.ledger.join import Rules
    from otel_revenue.ledger.model import Outcome

    from .stages.mapped import Mapped
    from .stripe.hooks import Hooks
    from .stripe.lookup.parts import LookupOf


class RevenueInstrumentor(BaseInstrumentor):  # type: ignore[misc,unused-ignore]
    """
    Instruments Stripe's library and the web server's life cycle.

    Arguments of `instrument()`: `tracer_provider`, `meter_provider`, `logger_provider` (the global ones by default), and
    any setting by name (`hold=30`, `store="/var/lib/otel-revenue"`).
    """

    _runtime: Runtime | None = None
    _hooks: Hooks | None = None
    _servers: Servers | None = None
    _mapped: Mapped | None = None
    _privacy: Installed | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: which versions of stripe are supported is said by ourselves, in one line, instead of by silence."""
        return ()

    @property
    def runtime(self) -> Runtime | None:
        """The running parts while instrumented, None otherwise."""
        return self._runtime

    def instrument(self, **kwargs: Any) -> Any:
        """Instrument the application, once; where that was done already, say which arguments are left aside."""
        given = sorted(kwargs.keys() - {"skip_dep_check", "raise_exception_on_conflict"})
        if given and self.is_instrumented_by_opentelemetry:
            logger.warning(
                "otel-revenue: the application is instrumented already (by opentelemetry-instrument?): %s of instrument() %s no "
                "effect. Set OTEL_REVENUE_* variables instead, or call uninstrument() first.",
                ", ".join(given),
                "has" if len(given) == 1 else "have",
            )
        return super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        # An exception here would keep all later instrumentations from the application.
        with guard("instrument"):
            self._install(**kwargs)

    def _uninstrument(self, **_: Any) -> None:
        with guard("uninstrument"):
            if self._hooks is not None:
                self._hooks.remove()
            if self._servers is not None:
                self._servers.remove()
            if self._mapped is not None:
                self._mapped.remove()
            if self._runtime is not None:
                self._runtime.stop()
            if self._privacy is not None:
                self._privacy.remove()
            active.unset(self._runtime)
            self._runtime = self._hooks = self._servers = self._mapped = self._privacy = None

    def _install(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: Any = None,
        skip_dep_check: bool = False,
        raise_exception_on_conflict: bool = False,
        **arguments: Any,
    ) -> None:
        del skip_dep_check, raise_exception_on_conflict
        settings, problems = config.load(os.environ, arguments)
        for problem in problems:
            logger.error("otel-revenue: %s", problem)
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            logger.info("otel-revenue: OTEL_SDK_DISABLED is true: dormant")
            return
        support = versions.support(versions.installed_version())
        if not support.active:
            logger.warning("otel-revenue: %s", support.text)
            return
        traces = tracer_provider or trace.get_tracer_provider()
        plan = make_plan(settings, os.environ, traces, logger_provider)
        for problem in plan.problems:
            logger.warning("otel-revenue: %s", problem)
        lookup = None
        if settings.stripe_lookup:
            from .stripe.lookup.parts import LookupOf

            lookup = LookupOf(settings, clean_id, lambda: runtime)

        def rules() -> Rules:
            from .stripe import joins  # with the ledger behind it: when a process opens that

            return joins.rules(
                settings.hold,
                settings.enrich_hold,
                settings.stripe_lookup_hold if lookup else 0,
                settings.order_id_from,
            )

        def described(outcome: Outcome) -> tuple[str, dict[str, Any]]:
            from .stripe import order  # when there is something to describe

            return order.described(outcome, settings)

        runtime = Runtime(
            settings,
            plan,
            rules,
            described,
            tracer_provider=traces,
            meter_provider=meter_provider or metrics.get_meter_provider(),
            version=__version__,
            beside=None if lookup is None else lookup.open,
        )
        self._runtime = runtime
        privacy = self._privacy = Installed(redactor(settings), tracer_provider, logger_provider, meter_provider)
        privacy.find()
        active.set_(runtime)
        self._observe(runtime, lookup)

        def start() -> None:
            privacy.find()  # the application may have set its providers since
            runtime.start()

        self._servers = Servers(start, runtime.wind_down)
        self._servers.install()
        if settings.stages or settings.events:
            from .stages.mapped import mapped

            self._mapped = mapped(settings, runtime)
        logger.info("otel-revenue %s: %s; %s; privacy: %s", __version__, plan.summary, support.text, settings.privacy)

    def _observe(self, runtime: Runtime, lookup: LookupOf | None) -> None:
        """Hook into the stripe library when it is imported; what reads its objects is not loaded before."""

        def imported(_: object) -> None:
            with guard("stripe.import"):
                if self._runtime is runtime:
                    from .stripe import hooks
                    from .stripe.listener import StripeListener

                    self._hooks = hooks.install(StripeListener(runtime, lookup), tracer=runtime.tracer)

        wrapt.register_post_import_hook(imported, "stripe")
