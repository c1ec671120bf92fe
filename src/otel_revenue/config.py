# SPDX-License-Identifier: Apache-2.0
"""
Settings: frozen, checked, and the only reader of the environment and of `otel-revenue.yaml`.

Read once, at start, in this order: argument, environment, file, default. A wrong value is a *problem*: a text that names
key, shape and remedy. Problems are loud in the log at start; the application starts all the same, with the default.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX: Final = "OTEL_REVENUE_"
CONFIG_FILE: Final = "otel-revenue.yaml"

Parser = "Callable[[str], Any]"


def setting(env: str, *, default: Any, parse: Callable[[str], Any], meaning: str, shape: str, example: str) -> Any:
    """
    Declare one setting.

    Args:
        env: name of the environment variable; the key in `otel-revenue.yaml` is the same without prefix, in lower case.
        default: the parsed value when nothing is set.
        parse: text to value; raises ValueError.
        meaning: what it does, for the settings table.
        shape: what a value must look like, for the error text.
        example: a good value, for the error text.
    """
    return field(
        default=default,
        metadata={"env": env, "parse": parse, "meaning": meaning, "shape": shape, "example": example},
    )


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return parse


_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text.strip())
    if not match or int(match[1]) == 0:
        raise ValueError
    return int(match[1]) * _UNITS[match[2]]


_SIZES: Final = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,15})\s*(KiB|MiB|GiB|)", text.strip())
    if not match:
        raise ValueError
    value = int(match[1]) * _SIZES[match[2]]
    if value < 1024**2:
        raise ValueError
    return value


def _flag(text: str) -> bool:
    # The OTel specification: "true" (any case) is true, everything else false; ours refuses what is neither.
    value = {"true": True, "1": True, "false": False, "0": False, "": False}.get(text.strip().lower())
    if value is None:
        raise ValueError
    return value


def _one_of(*values: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip().lower() not in values:
            raise ValueError
        return text.strip().lower()

    return parse


def _sources(pattern: str) -> Callable[[str], tuple[str, ...]]:
    compiled = re.compile(pattern)

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        if not names or not all(compiled.fullmatch(name) for name in names):
            raise ValueError
        return names

    return parse


_KEY: Final = r"[^,\[\]]{1,40}"


def _store(text: str) -> str:
    value = text.strip()
    if not value or ("://" in value and not value.startswith("sqlite:///")) or value == "sqlite:///":
        raise ValueError
    return value


@dataclass(frozen=True)
class Settings:
    """Every setting of otel-revenue. Build it with `load`, or by keyword in tests."""

    store: str = setting(
        "OTEL_REVENUE_STORE",
        default="",
        parse=_store,
        meaning="Where ledger, outbox and spool live: a folder, `sqlite:///path` or `:memory:`. In a container, a volume. "
        "Default: `otel-revenue/<service.name>/` in the user's state folder (`$XDG_STATE_HOME` or `~/.local/state`).",
        shape="a folder, sqlite:///path or :memory:",
        example="/var/lib/otel-revenue",
    )
    store_busy: float = setting(
        "OTEL_REVENUE_STORE_BUSY",
        default=0.25,
        parse=_seconds(0.01, 5),
        meaning="Seconds for which a request waits for a locked store; beyond it the facts are kept aside on disk and joined later.",
        shape="seconds from 0.01 to 5",
        example="0.25",
    )
    store_max_bytes: int = setting(
        "OTEL_REVENUE_STORE_MAX_BYTES",
        default=1024**3,
        parse=_size,
        meaning="Size at which the oldest payments that nothing waits for leave the ledger. Waiting events never do.",
        shape="a size of 1MiB or more, in bytes, KiB, MiB or GiB",
        example="1GiB",
    )
    retention: int = setting(
        "OTEL_REVENUE_RETENTION",
        default=400 * 86400,
        parse=_duration,
        meaning="How long the ledger remembers a payment after its last news. Below 30 days a manual resend in Stripe's "
        "dashboard can count a payment twice.",
        shape="a number and a unit (s, m, h, d)",
        example="400d",
    )
    hold: float = setting(
        "OTEL_REVENUE_HOLD",
        default=90.0,
        parse=_seconds(0, 3600),
        meaning="Seconds for which a payment whose join is uncertain waits for the fact that settles it.",
        shape="seconds from 0 to 3600",
        example="90",
    )
    enrich_hold: float = setting(
        "OTEL_REVENUE_ENRICH_HOLD",
        default=10.0,
        parse=_seconds(0, 3600),
        meaning="Seconds for which a payment that is certain, but known only from its PaymentIntent or charge, waits for the "
        "Checkout Session with order, country and items.",
        shape="seconds from 0 to 3600",
        example="10",
    )
    emit_zero: bool = setting(
        "OTEL_REVENUE_EMIT_ZERO",
        default=False,
        parse=_flag,
        meaning="Whether orders of zero (100 % discount, invoices settled by credit) are recorded as `order.paid`.",
        shape="true or false",
        example="false",
    )
    order_id_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_ORDER_ID_FROM",
        default=("bind", "metadata.order_id", "client_reference_id", "session.id"),
        parse=_sources(rf"bind|client_reference_id|session\.id|payment_intent\.id|invoice\.id|metadata\.{_KEY}"),
        meaning="Where `order_id` comes from; the first source that has one wins. `bind` is `otel_revenue.bind(order_id=...)`.",
        shape="a comma-separated list of bind, metadata.KEY, client_reference_id, session.id, payment_intent.id, invoice.id",
        example="metadata.order_id,client_reference_id,session.id",
    )
    tier_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_TIER_FROM",
        default=("bind", "metadata.tier", "line.metadata.tier", "price.metadata.tier", "product.metadata.tier"),
        parse=_sources(
            rf"bind|metadata\.{_KEY}|line\.metadata\.{_KEY}|price\.metadata\.{_KEY}|product\.metadata\.{_KEY}"
            r"|price\.lookup_key|price\.id|price\.nickname"
        ),
        meaning="Where `tier` comes from; the first source that has one wins.",
        shape="a comma-separated list of bind, metadata.KEY, line.metadata.KEY, price.metadata.KEY, product.metadata.KEY, "
        "price.lookup_key, price.nickname, price.id",
        example="metadata.tier,price.lookup_key",
    )
    country_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_COUNTRY_FROM",
        default=(
            "session.billing",
            "session.shipping",
            "payment_intent.shipping",
            "charge.billing",
            "invoice.billing",
            "invoice.shipping",
            "bind",
            "metadata.country",
            "card_issuer",
        ),
        parse=_sources(
            rf"bind|card_issuer|(?:session|invoice)\.(?:billing|shipping)|payment_intent\.shipping|charge\.billing|metadata\.{_KEY}"
        ),
        meaning="Where `country` comes from; the first source that has one wins. `country_source` says of which kind it was.",
        shape="a comma-separated list of session.billing, session.shipping, payment_intent.shipping, charge.billing, invoice.billing, "
        "invoice.shipping, bind, metadata.KEY, card_issuer",
        example="session.billing,session.shipping,metadata.country",
    )
    sku_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_SKU_FROM",
        default=("line.metadata.sku", "price.lookup_key", "price.metadata.sku", "product.metadata.sku", "price.id"),
        parse=_sources(
            rf"line\.metadata\.{_KEY}|price\.metadata\.{_KEY}|product\.metadata\.{_KEY}|price\.lookup_key|price\.id|product\.id"
        ),
        meaning="Where the SKU of a line comes from; the first source that has one wins, line by line.",
        shape="a comma-separated list of line.metadata.KEY, price.lookup_key, price.metadata.KEY, product.metadata.KEY, price.id, product.id",
        example="line.metadata.sku,price.lookup_key,price.id",
    )
    metadata_injection: bool = setting(
        "OTEL_REVENUE_METADATA_INJECTION",
        default=True,
        parse=_flag,
        meaning="Whether the trace context of a checkout is left in Stripe's metadata (one key, `otel_traceparent`).",
        shape="true or false",
        example="true",
    )
    event_signal: str = setting(
        "OTEL_REVENUE_EVENT_SIGNAL",
        default="logs/dup",
        parse=_one_of("logs/dup", "logs", "spans"),
        meaning="How events leave: as log events (`logs`), as span events (`spans`), or both with the same `event_id` (`logs/dup`).",
        shape="logs/dup, logs or spans",
        example="logs/dup",
    )
    delivery: str = setting(
        "OTEL_REVENUE_DELIVERY",
        default="auto",
        parse=_one_of("auto", "durable", "sdk"),
        meaning="`durable`: our own sender over OTLP, from disk, until acknowledged. `sdk`: through the application's own "
        "LoggerProvider. `auto`: durable where logs go out by OTLP, sdk where `OTEL_LOGS_EXPORTER` names something else.",
        shape="auto, durable or sdk",
        example="durable",
    )
    spool_max_bytes: int = setting(
        "OTEL_REVENUE_SPOOL_MAX_BYTES",
        default=256 * 1024**2,
        parse=_size,
        meaning="Size of the spool (events that are not money) at which its oldest part goes, counted.",
        shape="a size of 1MiB or more, in bytes, KiB, MiB or GiB",
        example="256MiB",
    )
    linger: float = setting(
        "OTEL_REVENUE_LINGER",
        default=0.05,
        parse=_seconds(0, 60),
        meaning="Seconds for which delivery gathers events into one request.",
        shape="seconds from 0 to 60",
        example="0.05",
    )
    flush_timeout: float = setting(
        "OTEL_REVENUE_FLUSH_TIMEOUT",
        default=5.0,
        parse=_seconds(0, 60),
        meaning="Bound on the flush at shutdown, in seconds. What is not delivered by then stays on disk for the next start.",
        shape="seconds from 0 to 60",
        example="5",
    )


KEYS: Final = {f.name: f for f in dataclasses.fields(Settings)}


def load(
    environ: Mapping[str, str] | None = None, arguments: Mapping[str, Any] | None = None, *, file: Path | None = None
) -> tuple[Settings, list[str]]:
    """
    Read the settings; never raises for a wrong value.

    Args:
        environ: variables; the process's own when None.
        arguments: values given in code, by setting name; text is parsed, anything else taken as it is.
        file: path of the YAML file; `OTEL_REVENUE_CONFIG` or `otel-revenue.yaml` in the working folder when None.

    Returns:
        the settings, with defaults in place of wrong values, and the problems in the reader's words.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, raw in _from_file(environ, file, problems).items():
        _take(values, problems, key, raw, where=f"{key} in {CONFIG_FILE}")
    for key, info in KEYS.items():
        name = info.metadata["env"]
        if environ.get(name, "").strip():
            _take(values, problems, key, environ[name], where=name)
    problems.extend(_unknown_variables(environ))
    for key, raw in (arguments or {}).items():
        _take(values, problems, key, raw, where=f"argument {key}")
    return Settings(**values), problems


def checked(environ: Mapping[str, str]) -> Settings:
    """
    Read the settings and refuse wrong ones.

    Raises:
        ConfigError: naming every problem at once.
    """
    settings, problems = load(environ)
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def _take(values: dict[str, Any], problems: list[str], key: str, raw: Any, *, where: str) -> None:
    info = KEYS.get(key)
    if info is None:
        near = difflib.get_close_matches(key, KEYS, n=1)
        problems.append(f"{where}: there is no such setting{f'; did you mean {near[0]}?' if near else ''}")
        return
    try:
        if isinstance(raw, (list, tuple)):
            raw = ",".join(str(item) for item in raw)
        values[key] = info.metadata["parse"](str(raw))
    except ValueError:
        shown = f"={_shown(raw)}" if key != "store" else ""
        problems.append(
            f"{where}{shown}: expected {info.metadata['shape']}, for example {info.metadata['example']}; "
            f"going on with {values.get(key, info.default)!r}"
        )


def _shown(raw: Any) -> str:
    text = str(raw)
    return f'"{text[:40]}{"..." if len(text) > 40 else ""}"'


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = {f.metadata["env"] for f in KEYS.values()} | {"OTEL_REVENUE_CONFIG"}
    problems = []
    for name in environ:
        # Variables of the project's own test-suite and tools live below a prefix of their own.
        if name.startswith(PREFIX) and name not in known and not name.startswith("OTEL_REVENUE_TEST_"):
            near = difflib.get_close_matches(name, known, n=1)
            problems.append(f"{name}: there is no such setting{f'; did you mean {near[0]}?' if near else ''}")
    return problems


def _from_file(environ: Mapping[str, str], file: Path | None, problems: list[str]) -> dict[str, Any]:
    named = environ.get("OTEL_REVENUE_CONFIG", "").strip()
    path = file or Path(named or CONFIG_FILE)
    if not path.is_file():
        if named or file:
            problems.append(f"OTEL_REVENUE_CONFIG: there is no file {path}")
        return {}
    try:
        return _read_yaml(path)
    except (ConfigError, MissingExtra, OSError) as error:
        problems.append(str(error))
        return {}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise MissingExtra(f'{path} is there, but PyYAML is not: pip install "otel-revenue[yaml]"') from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path}: not readable as YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path}: expected keys and values at the top level, for example 'hold: 90'")
    return content


def default_folder(service_name: str, environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder for ledger and spool when none is set: per service, in the user's state folder."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_STATE_HOME") or ""
    root = Path(base) if base.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / ".local" / "state"
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", service_name)[:80] or "unknown_service"
    return root / "otel-revenue" / (safe if safe.strip(".") else "unknown_service")
