"""The files of collector-config/ as `otel-revenue collector check` reads them, and variables that make them complete."""

from __future__ import annotations

from typing import Final

from otel_revenue.cli.collector import _variables
from otel_revenue.cli.collector._layers import Layer, scalars
from otel_revenue.cli.collector.check import read

from .collector import BASE, CONFIG

_OTHERS: Final = {"builder-config.yaml", "kustomization.yaml", "compose.yaml"}
_OPTIONAL: Final = sorted({path.name for path in CONFIG.glob("*.yaml")} - _OTHERS - set(BASE))
BACKENDS: Final = tuple(sorted(path.relative_to(CONFIG).as_posix() for path in (CONFIG / "backends").glob("*.yaml")))
OTLP: Final = (*BASE, "backends/otlp.yaml")
LAYERS: Final = {
    name: Layer(name, found.content, found.required)
    for name in (*BASE, *_OPTIONAL, *BACKENDS)
    for found in (read(str(CONFIG / name)),)
}


def environment(*files: str) -> dict[str, str]:
    """Return a value for every variable that the files want, with the backend of `OTLP` as that of record."""
    layers = [LAYERS[file] for file in files]
    wanted = {name for layer in layers for _, text in scalars(layer.content) for name in _variables.needed(text)}
    names = wanted.union(*(layer.required for layer in layers))
    values = {name: "{}" if name.endswith("_HEADERS") else "http://backend:4318" for name in names}
    return values | {"REVENUE_RECORD": "otlp_http/otlp_record"}
