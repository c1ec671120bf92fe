# SPDX-License-Identifier: Apache-2.0
"""
Settings: frozen, checked, and the only reader of the environment and of `otel-revenue.yaml`.

Read once, at start, in this order: argument, environment, file, default. A wrong value is a *problem*: a text that names
key, shape and remedy. Problems are loud in the log at start; the application starts all the same, with the default.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ._config_file import read
from ._settings import Settings
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KEYS", "Settings", "checked", "default_folder", "load"]

PREFIX: Final = "OTEL_REVENUE_"
CONFIG_FILE: Final = "otel-revenue.yaml"
_MAX_ENTRIES: Final = 256 * 1024
"""Characters of a list of entries."""

KEYS: Final = {f.name: f for f in dataclasses.fields(Settings)}


def load(
    environ: Mapping[str, str] | None = None, arguments: Mapping[str, Any] | None = None, *, file: Path | None = None
) -> tuple[Settings, list[str]]:
    """
    Read the settings; never raises for a wrong value.

    Args:
        environ: variables; the process's own when None. One that is set to nothing counts as not set.
        arguments: values given in code, by setting name; in the variable's shape; numbers, truth values, paths and lists of names too.
        file: path of the YAML file; `OTEL_REVENUE_CONFIG` or `otel-revenue.yaml` in the working folder when None.

    Returns:
        the settings, with the next source's value in place of a wrong one, and the problems in the reader's words.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    named = environ.get("OTEL_REVENUE_CONFIG", "").strip()
    path = file or Path(named or CONFIG_FILE)
    content, wrong = read(path, expected=bool(named or file))
    problems.extend(wrong)
    for key, raw in content.items():
        _take(values, problems, key, raw, where=f"{_shown(key)} in {path.name}")
    for key, info in KEYS.items():
        name = info.metadata["env"]
        if environ.get(name, "").strip():
            _take(values, problems, key, environ[name], where=name)
    problems.extend(_unknown_variables(environ))
    for key, raw in (arguments or {}).items():
        _take(values, problems, key, raw, where=f"argument {_shown(key)}")
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
        near = difflib.get_close_matches(key.lower().removeprefix(PREFIX.lower()), KEYS, n=1)
        problems.append(f"{where}: there is no such setting{f'; did you mean {near[0]}?' if near else ''}")
        return
    if raw is None:  # `hold:` in YAML, or an optional argument that was not given
        return
    try:
        values[key] = info.metadata["parse"](_as_text(raw, several=isinstance(info.default, tuple)))
    except ValueError:
        # A store's URL may hold a password, here or in what we go on with; keys are secrets.
        secret = key in ("store", "privacy_hash_keys")
        going_on = (
            "its default" if key not in values else "the file's or variable's value" if secret else _plain(values[key])
        )
        problems.append(
            f"{where}{'' if secret else '=' + _quoted(raw)}: expected {info.metadata['shape']}, "
            f"for example {info.metadata['example']}; going on with {going_on}"
        )


def _as_text(raw: Any, *, several: bool) -> str:
    """Return a scalar, or where *several* are meant a list of them, as it would be written in a variable."""
    if several and isinstance(raw, (list, tuple)):
        if any(isinstance(item, dict) for item in raw):
            return _as_json(raw)
        if any(isinstance(item, str) and "," in item for item in raw):
            raise ValueError
        return ",".join(_as_text(item, several=False) for item in raw)
    if not isinstance(raw, (str, bool, int, float, os.PathLike)):
        raise ValueError  # noqa: TRY004 - the one exception of a wrong value
    text = os.fspath(raw) if isinstance(raw, os.PathLike) else raw
    return str(text) if isinstance(text, (str, bool, float)) or abs(text) < 2**63 else "a number too large"


def _as_json(raw: Sequence[Any]) -> str:
    """Return a list of entries as text; piece by piece, since references to references in a file may grow without bound."""
    text = ""
    try:
        for piece in json.JSONEncoder(default=str, skipkeys=True).iterencode(raw):
            text += piece
            if len(text) > _MAX_ENTRIES:
                raise ValueError
    except RecursionError:
        raise ValueError from None
    return text


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _quoted(raw: Any) -> str:
    if not isinstance(raw, (str, bool, int, float)):
        return f"<{type(raw).__name__}>"
    return f'"{_shown(_as_text(raw, several=False))}"'


def _shown(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text[:41])
    return f"{text[:40]}..." if len(text) > 40 else text


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = {f.metadata["env"].removeprefix(PREFIX) for f in KEYS.values()} | {"CONFIG"}
    problems = []
    for name in sorted(environ):
        bare = name.removeprefix(PREFIX)
        # Variables of the project's own test-suite and tools live below a prefix of their own.
        if name.startswith(PREFIX) and bare not in known and not bare.startswith("TEST_"):
            near = difflib.get_close_matches(bare, known, n=1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            problems.append(f"{_shown(name)}: there is no such setting{hint}")
    return problems


def default_folder(service_name: str, environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder for ledger and spool when none is set: per service, in the user's state folder."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_STATE_HOME") or ""
    root = Path(base) if base.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / ".local" / "state"
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", service_name)[:80] or "unknown_service"
    return root / "otel-revenue" / (safe if safe.strip(".") else "unknown_service")
