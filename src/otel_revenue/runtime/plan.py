# SPDX-License-Identifier: Apache-2.0
"""How and where events go: decided once, at start, from settings and environment. Pure but for the providers it looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_revenue import config
from otel_revenue._store_url import StoreUrl
from otel_revenue.delivery import otlp_settings
from otel_revenue.signals import resource as resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_revenue.config import Settings
    from otel_revenue.delivery.otlp_settings import OtlpSettings

DURABLE: Final = "durable"
SDK: Final = "sdk"


@dataclass(frozen=True)
class Plan:
    """
    What was decided.

    Attributes:
        logs: whether events leave as log events.
        span_events: whether they are put on live spans.
        delivery: `durable` (our own sender) or `sdk` (the application's pipeline).
        otlp: where our own sender sends to.
        resource: attributes of the resource that go along.
        folder: where spool and facts live; None: memory.
        ledger: the ledger's file; None: in a database, or memory.
        database: where ledger and outbox are shared by several hosts; None otherwise.
        problems: what is wrong or given up, for people, each with its remedy.
    """

    logs: bool
    span_events: bool
    delivery: str
    otlp: OtlpSettings
    resource: Mapping[str, Any]
    folder: Path | None
    ledger: Path | None
    database: StoreUrl | None = None
    logger_provider: Any = field(default=None, repr=False)
    problems: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line for people: where events go and what is kept where."""
        where = f"{self.database} (spool in {self.folder})" if self.database else "memory"
        if self.ledger is not None:
            where = str(self.folder)
        if not self.logs:
            return f"events leave as span events only; ledger in {where}"
        if self.delivery == SDK:
            return f"events leave through the application's LoggerProvider; ledger in {where}"
        return f"events go to {self.otlp.shown} ({self.otlp.protocol}) until acknowledged; ledger and outbox in {where}"


def make_plan(
    settings: Settings, environ: Mapping[str, str], tracer_provider: Any, logger_provider: Any = None
) -> Plan:
    """
    Decide how and where events go.

    Args:
        settings: the checked settings.
        environ: variables of the process.
        tracer_provider: the application's; its resource goes along with events.
        logger_provider: given in code by the application; None otherwise.
    """
    problems: list[str] = []
    exporters = [name.strip() for name in environ.get("OTEL_LOGS_EXPORTER", "").split(",") if name.strip()]
    delivery = _delivery(settings, exporters, logger_provider)
    logs = settings.event_signal != "spans"
    if logs and delivery == SDK:
        problems.append(_given_up(settings, exporters))
    if logs and delivery == SDK and exporters == ["none"]:
        logs = False
    attributes = getattr(getattr(tracer_provider, "resource", None), "attributes", None) or {}
    resource = resources.allowed(
        {**attributes, "service.name": resources.service_name(environ, attributes)},
        environ.get("OTEL_RESOURCE_ATTRIBUTES", ""),
    )
    ledger, folder = places(settings, str(resource["service.name"]), environ)
    otlp = otlp_settings.read(environ)
    if logs and delivery == DURABLE:
        problems.extend(otlp.problems)
    return Plan(
        logs=logs,
        span_events=settings.event_signal != "logs" or not logs,
        delivery=delivery,
        otlp=otlp,
        resource=resource,
        folder=folder,
        ledger=ledger,
        database=database(settings),
        logger_provider=logger_provider,
        problems=tuple(problems),
    )


def database(settings: Settings) -> StoreUrl | None:
    """Return the database that ledger and outbox are in; None where they are in a file or in memory."""
    return settings.store if isinstance(settings.store, StoreUrl) else None


def places(settings: Settings, service_name: str, environ: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    """Return the ledger's file (None: in a database, or memory) and the folder of spool and facts (None: memory)."""
    named = settings.store
    beside = Path(settings.spool).expanduser().absolute() if settings.spool else None
    if named == ":memory:":
        return None, None
    if database(settings) is not None:
        return None, beside or config.default_folder(service_name, environ)
    if named.startswith("sqlite:///"):
        ledger = Path(named[len("sqlite:///") :]).expanduser().absolute()
        return ledger, beside or ledger.parent
    folder = Path(named).expanduser().absolute() if named else config.default_folder(service_name, environ)
    return folder / "ledger.sqlite3", beside or folder


def _delivery(settings: Settings, exporters: list[str], logger_provider: Any) -> str:
    if settings.delivery in (DURABLE, SDK):
        return settings.delivery
    if logger_provider is not None:
        return SDK
    return DURABLE if not exporters or any(name.startswith("otlp") for name in exporters) else SDK


def _given_up(settings: Settings, exporters: list[str]) -> str:
    if exporters == ["none"]:
        return (
            "OTEL_LOGS_EXPORTER is none: events leave as span events only, and those of unsampled traces not at all. "
            "Set OTEL_REVENUE_DELIVERY=durable to deliver them over OTLP all the same."
        )
    why = (
        "OTEL_REVENUE_DELIVERY is sdk"
        if settings.delivery == SDK
        else f"logs go to {','.join(exporters) or 'your own LoggerProvider'}"
    )
    return (
        f"{why}: events leave through your LoggerProvider, whose queue is in memory: what it drops, or its exporter is "
        "refused, is lost. Set OTEL_REVENUE_DELIVERY=durable to deliver them over OTLP until acknowledged."
    )
