# SPDX-License-Identifier: Apache-2.0
"""Which cells there are, and which versions each of them asks for. Nothing here installs or runs anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Minor = tuple[int, int]
"""A Python, as (3, 11)."""

STRIPE: Final = ("8.0.0", "8.11.1", "11.0.0", "11.6.0", "12.5.2", "15.0.0", "15.5.0", "newest")
"""Both ends of each generation that a change of the library's shapes divides; `newest` is what the registry has today."""

PROMISED: Final = ("auto", "grpc", "yaml", "postgres", "local", "testing", "demo")
"""The extras whose lower bounds are meant for users; those of `dev` are not."""

STRIPE_TESTS: Final = (
    "tests/integration/test_stripe_hooks_versions.py::test_each_release_passes_the_whole_suite",
    "tests/e2e/test_stripe_generations.py",
)
FAKE_TESTS: Final = ("tests/integration/test_fake_stripe_versions.py",)
PYTHON_TESTS: Final = ("tests/unit", "tests/contract")
LIBRARY_TESTS: Final = (
    "tests/unit/analytics", "tests/unit/schema", "tests/unit/signals",
    "tests/contract/test_destinations.py", "tests/contract/test_otlp_delivery.py", "tests/contract/test_store.py",
    "tests/integration/test_instrumentor.py", "tests/integration/test_local_backend.py", "tests/integration/test_stripe_hooks.py",
)  # fmt: skip
"""Where we touch OpenTelemetry, pydantic, wrapt, requests, gRPC, psycopg, DuckDB, Starlette and stripe."""
SHOP_TESTS: Final = (
    "tests/integration/test_traces.py",
    "tests/e2e/test_asks_the_api.py",
    "tests/e2e/test_zero_code.py",
)
"""Their shops are written for stripe 12.5 and newer."""
LOWEST_SHOP_TESTS: Final = ("tests/e2e/test_stripe_generations.py",)
LOWEST_STRIPE: Final = "11.0.0"
"""The lower bound of `[testing]`; applications may have 8.0."""
NEWEST_TESTS: Final = ("tests/contract/test_otlp_settings.py",)
"""Compares our reading of the settings with what the exporter keeps in private attributes, which older ones name otherwise."""

OTEL_BINDS: Final = (
    "fastapi",
    "googleapis-common-protos",
    "grpcio",
    "importlib-metadata",
    "importlib_metadata",
    "protobuf",
    "starlette",
    "wrapt",
)
"""What a release of OpenTelemetry binds to versions of its time, or is bound by: free where that release is not today's."""


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One environment, and the tests that are run in it.

    Attributes:
        name: as in `make matrix CELLS=...`.
        about: what it shows, for people.
        python: which Python; None where there is none for it here.
        versions: `pinned` (constraints.txt), `lowest` (every lower bound), `otel` (those of OpenTelemetry alone, the rest pinned)
            or `newest` (no constraint).
        tests: paths for pytest.
        stripe: a release of stripe that stands in front of the environment's own.
        missing: why it cannot be run.
    """

    name: str
    about: str
    python: Minor | None
    versions: str
    tests: tuple[str, ...]
    stripe: str = ""
    missing: str = ""


def cells(declared: Iterable[Minor], found: Mapping[Minor, str], default: Minor) -> list[Cell]:
    """
    Return all cells, in the order of the table.

    Args:
        declared: the Pythons that pyproject.toml names.
        found: the Pythons that can be run here, and where they are; newer ones than the declared ones are tried, too.
        default: the Python for cells that are about something else.
    """
    made = [_python(minor, found) for minor in sorted({*declared, *found})]
    made += [
        Cell(
            f"stripe-{release if release == 'newest' else release.rpartition('.')[0]}",
            "hooks, and a shop from checkout to order.paid"
            + (", FakeStripe's flows" if _fake_supports(release) else ""),
            default,
            "pinned",
            STRIPE_TESTS + (FAKE_TESTS if _fake_supports(release) else ()),
            stripe=release,
        )
        for release in STRIPE
    ]
    about = "instrumentor, signals, delivery, stores, reports, shop"
    shop, lowest, newest = (
        LIBRARY_TESTS + SHOP_TESTS,
        LIBRARY_TESTS + LOWEST_SHOP_TESTS,
        LIBRARY_TESTS + SHOP_TESTS + NEWEST_TESTS,
    )
    return [
        *made,
        Cell("otel-oldest", f"oldest OpenTelemetry, the rest of today: {about}", default, "otel", shop),
        Cell(
            "lowest", f"every lower bound at once: {about}", min(found, default=None), "lowest", lowest, LOWEST_STRIPE
        ),
        Cell("newest", f"newest of everything: {about}", default, "newest", newest),
    ]


def _python(minor: Minor, found: Mapping[Minor, str]) -> Cell:
    name = f"python{minor[0]}.{minor[1]}"
    made = partial(
        Cell, name.replace("python", "python-"), "unit and contract tests", versions="pinned", tests=PYTHON_TESTS
    )
    if minor in found:
        return made(python=minor)
    return made(python=None, missing=f"there is no {name} on PATH or in ~/.pyenv/versions")


def _fake_supports(release: str) -> bool:
    return release == "newest" or int(release.partition(".")[0]) >= 11


def cut(every: Sequence[Cell], wanted: str) -> list[Cell]:
    """
    Return the cells that *wanted* names: names or beginnings of names; `ci` is the smaller cut.

    Raises:
        ValueError: one of the words names no cell.
    """
    words = wanted.split()
    if words == ["ci"]:
        here = [c for c in every if c.name.startswith("python-") and not c.missing]
        words = ["stripe-8.0", "lowest", *(c.name for c in here[-1:]), *(c.name for c in every if c.missing)]
    unknown = [word for word in words if not any(_named(cell, word) for cell in every)]
    if unknown:
        raise ValueError(f"no cell is called {', '.join(unknown)}; there are {', '.join(c.name for c in every)}")
    return [cell for cell in every if not words or any(_named(cell, word) for word in words)]


def _named(cell: Cell, word: str) -> bool:
    return cell.name == word or cell.name.startswith(f"{word}-") or cell.name.startswith(f"{word}.")


# -- versions ----------------------------------------------------------------------------------------------------------

_BOUND = re.compile(r"\s*([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*>=\s*([0-9][0-9A-Za-z.]*)")


def lower_bounds(project: Mapping[str, Any]) -> dict[str, str]:
    """Return the lower bound by package of all that users install, and of the instrumentations beside them in `dev`."""
    extras = project["optional-dependencies"]
    promised = [*project["dependencies"], *(line for extra in PROMISED for line in extras[extra])]
    family = [line for line in extras["dev"] if line.startswith("opentelemetry-")]
    return {m[1]: m[2] for line in [*promised, *family] if (m := _BOUND.match(line))}


def constraints(versions: str, project: Mapping[str, Any], pinned: str) -> str:
    """Return the text of the constraints file for a kind of environment; *pinned* is the text of constraints.txt."""
    if versions == "newest":
        return ""
    if versions == "pinned":
        return pinned
    lowest = lower_bounds(project)
    if versions == "lowest":
        return "".join(f"{name}=={version}\n" for name, version in lowest.items())
    lines = [line for line in pinned.splitlines() if not line.startswith("opentelemetry-")]
    kept = [line for line in lines if re.split(r"[=<>; ]", line)[0] not in OTEL_BINDS]
    family = [f"{name}=={version}" for name, version in lowest.items() if name.startswith("opentelemetry-")]
    return "\n".join([*kept, *family]) + "\n"


def declared_pythons(project: Mapping[str, Any]) -> list[Minor]:
    """Return the Pythons that the classifiers name."""
    found = [re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line) for line in project["classifiers"]]
    return [(3, int(match[1])) for match in found if match]
