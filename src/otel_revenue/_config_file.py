# SPDX-License-Identifier: Apache-2.0
"""Reads `otel-revenue.yaml`. Whatever is wrong with the file is told, never raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, *, expected: bool) -> tuple[dict[str, Any], list[str]]:
    """
    Return keys and values of the file, and the problems in the reader's words.

    Args:
        path: the file; none is no problem, unless *expected*.
        expected: somebody named the file.
    """
    try:
        if path.is_file():
            return _read_yaml(path), []
    except (ConfigError, MissingExtra) as error:
        return {}, [str(error)]
    except (OSError, ValueError) as error:
        return {}, [f"{path}: cannot be read ({type(error).__name__}); let the application's user read it"]
    return {}, [f"OTEL_REVENUE_CONFIG: there is no file {path}"] if expected else []


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise MissingExtra(f'{path} is there, but PyYAML is not: pip install "otel-revenue[yaml]"') from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError):  # wrong dates and bytes are ValueErrors
        raise ConfigError(f"{path}: not readable as YAML; expected lines such as 'hold: 90'") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path}: expected keys and values at the top level, for example 'hold: 90'")
    return content
