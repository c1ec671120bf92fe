"""The matrix of versions: which cells there are, what is asked for in each, how a run is judged, what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools.matrix import page
from tools.matrix.__main__ import main, tomllib
from tools.matrix.cells import STRIPE, cells, constraints, cut, declared_pythons, lower_bounds
from tools.matrix.environments import find_pythons, reason
from tools.matrix.running import FAILED, MISSING, PASSED, Place, Result, judge, run

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = (ROOT / "constraints.txt").read_text(encoding="utf-8")
FOUND = {(3, 10): "/x/python3.10", (3, 11): "/x/python3.11", (3, 15): "/x/python3.15"}
EVERY = cells([(3, 10), (3, 11), (3, 12)], FOUND, (3, 11))


def test_every_declared_python_has_a_cell_also_one_that_is_not_here():
    """
    A Python that the package names and the machine lacks is in the table with the reason; newer ones at hand are tried.
    """
    pythons = {cell.name: (cell.python, cell.missing) for cell in EVERY if cell.name.startswith("python-")}

    assert pythons == {
        "python-3.10": ((3, 10), ""),
        "python-3.11": ((3, 11), ""),
        "python-3.12": (None, "there is no python3.12 on PATH or in ~/.pyenv/versions"),
        "python-3.15": ((3, 15), ""),
    }


def test_what_is_missing_is_told_and_fails_nothing():
    """
    A cell without its Python is reported by name; it is neither passed nor failed.
    """
    (cell,) = [cell for cell in EVERY if cell.missing]
    result = run(cell, Place(ROOT, PROJECT, Path("/nowhere"), FOUND))

    assert (
        MISSING,
        ["missing: python-3.12 (there is no python3.12 on PATH or in ~/.pyenv/versions)", "cells: 0 passed, 0 failed"],
    ) == (
        result.outcome,
        page.summary([result]),
    )


def test_stripe_is_tried_at_both_ends_of_what_we_observe():
    """
    The oldest release that is observed and the newest one are cells; FakeStripe's flows are played from 11 on.
    """
    from otel_revenue.instrumentation.stripe.versions import OLDEST

    fake = [cell.stripe for cell in EVERY if any("fake_stripe" in path for path in cell.tests)]

    assert (f"{OLDEST[0]}.{OLDEST[1]}.0", "newest") == (STRIPE[0], STRIPE[-1])
    assert [release for release in STRIPE if not release.startswith("8.")] == fake


def test_every_test_that_a_cell_names_is_there():
    """
    A file that is moved does not turn a cell into nothing.
    """
    assert [] == [path for cell in EVERY for path in cell.tests if not (ROOT / path.partition("::")[0]).exists()]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        pytest.param("lowest", ["lowest"], id="one"),
        pytest.param("python", ["python-3.10", "python-3.11", "python-3.12", "python-3.15"], id="a kind"),
        pytest.param("stripe-15 newest", ["stripe-15.0", "stripe-15.5", "newest"], id="a generation, and one more"),
        pytest.param("ci", ["python-3.12", "python-3.15", "stripe-8.0", "lowest"], id="the cut of CI names what is missing"),
    ],
)  # fmt: skip
def test_a_cut_is_named(wanted, names):
    """
    Cells are chosen by name or by the beginning of it.
    """
    assert names == [cell.name for cell in cut(EVERY, wanted)]


def test_a_wrong_name_is_refused(capsys):
    """
    A cell that does not exist is no empty run: it is named, with those that there are.
    """
    code = main(["stripe-7", "--list"])

    assert (2, True) == (
        code,
        capsys.readouterr().err.startswith("no cell is called stripe-7; there are python-3.10, "),
    )


def test_the_lowest_versions_are_the_lower_bounds_of_the_package():
    """
    Each dependency that users install is held at its lower bound, and nothing else is.
    """
    bounds = dict(re.findall(r"(\S+)==(\S+)", constraints("lowest", PROJECT, PINNED)))
    needed = [line for line in PROJECT["dependencies"] if f"{line.split()[0]} >= {bounds[line.split()[0]]}," in line]

    assert PROJECT["dependencies"] == needed
    assert {"duckdb", "stripe", "grpcio", "fastapi"} <= set(bounds)
    assert {"pytest", "mypy", "django"}.isdisjoint(bounds)


def test_the_oldest_opentelemetry_stands_among_todays_versions():
    """
    OpenTelemetry's packages are at their lower bounds, what they bind is free, everything else is as pinned.
    """
    text = constraints("otel", PROJECT, PINNED)
    lowest = lower_bounds(PROJECT)

    assert f"opentelemetry-sdk=={lowest['opentelemetry-sdk']}\n" in text
    assert [] == re.findall(r"^(?:protobuf|wrapt|grpcio)==", text, re.MULTILINE)
    assert re.findall(r"^pydantic==.*$", PINNED, re.MULTILINE) == re.findall(r"^pydantic==.*$", text, re.MULTILINE)


def test_the_other_environments():
    """
    `pinned` is constraints.txt, `newest` is without any constraint.
    """
    assert (PINNED, "") == (constraints("pinned", PROJECT, PINNED), constraints("newest", PROJECT, PINNED))


@pytest.mark.parametrize(
    ("code", "output", "judged"),
    [
        pytest.param(0, "....\n12 passed in 3.1s\n", (PASSED, 12, ""), id="passed"),
        pytest.param(
            1, "FAILED a.py::test_x - E\n1 failed, 2 passed in 3s\n", (FAILED, 2, "1 failed, the first: a.py::test_x"), id="failed"
        ),
        pytest.param(5, "no tests ran in 0.1s\n", (FAILED, 0, "pytest ended with 5"), id="no test"),
        pytest.param(0, "no tests ran in 0.1s\n", (FAILED, 0, "pytest ended with 0"), id="no test, and content"),
        pytest.param(0, "3 passed, 1 skipped in 1s\n", (FAILED, 3, "1 skipped"), id="skipped"),
        pytest.param(2, "ERROR tests/a.py - ImportError\n1 error in 1s\n", (FAILED, 0, "1 failed, the first: tests/a.py"), id="not collected"),
        pytest.param(None, "....", (FAILED, 0, "not done after 1800 s"), id="hangs"),
        pytest.param(-11, "....", (FAILED, 0, "pytest ended with -11"), id="crashed"),
    ],
)  # fmt: skip
def test_a_run_is_judged(code, output, judged):
    """
    Only a run that passed tests, skipped none and ended well has passed; else the reason is told.
    """
    assert judged == judge(code, output)


VERSIONS = {"python": "3.11.7", "stripe": "16.1.0", "opentelemetry": "1.45.1"}


def test_rows_of_other_runs_stay():
    """
    A partial run replaces its own rows; cells that never ran say so, those that are no more go, the rest is untouched.
    """
    old = (
        f"# Versions\n\n{page.BEGIN}\n\n| `lowest` | old |\n| `newest` | kept |\n| `gone` | x |\n\n{page.END}\n\nEnd.\n"
    )
    lowest = next(cell for cell in EVERY if cell.name == "lowest")
    missing = next(cell for cell in EVERY if cell.missing)
    results = [Result(lowest, PASSED, 7, 1.6, VERSIONS), Result(missing, MISSING, note="not here")]
    known = [cell for cell in EVERY if cell.name in ("python-3.12", "stripe-8.0", "lowest", "newest")]
    new = page.page(old, known, results, "2026-11-24")

    assert new == (
        f"# Versions\n\n{page.BEGIN}\n\n| cell | Python | stripe | OpenTelemetry | tests | seconds | result | on |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| `python-3.12` |  |  |  |  |  | missing: not here | 2026-11-24 |\n"
        "| `stripe-8.0` |  |  |  |  |  | not run |  |\n"
        "| `lowest` | 3.11.7 | 16.1.0 | 1.45.1 | 7 | 2 | passed | 2026-11-24 |\n"
        f"| `newest` | kept |\n\n{page.END}\n\nEnd.\n"
    )


def test_a_page_without_its_markers_is_refused():
    """
    The table is not put where nobody asked for it.
    """
    with pytest.raises(ValueError, match="there must be one"):
        page.page("# Versions\n", EVERY, [], "2026-11-24")


def test_pythons_are_found_by_asking_them(tmp_path, monkeypatch):
    """
    A program that calls itself a Python and is none, or another one, is not taken for it.
    """
    for name, said in {"python3.21": "exit 127", "python3.22": "echo 3 9", "python3.23": "echo 3 23"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{said}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))

    assert {(3, 23): str(tmp_path / "python3.23")} == find_pythons((3, 20))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: no\n\nThe conflict is caused by:\n    a depends on b<2\n    c wants b>=2\n\nTo fix this\n", "a depends on b<2; c wants b>=2"),
        ("Collecting x\nERROR: No matching distribution found for x==9\n", "ERROR: No matching distribution found for x==9"),
        ("killed\n", "killed"),
        ("", ""),
    ],
    ids=["conflict", "no such version", "other words", "no words"],
)  # fmt: skip
def test_an_environment_that_cannot_be_made_says_why(output, said):
    """
    Of pip's many lines the one that helps is told.
    """
    assert said == reason(output)


def test_the_list_names_every_cell():
    """
    `--list` installs nothing, runs nothing and names all cells.
    """
    command = [sys.executable, "-m", "tools.matrix", "--list"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    names = [line.split()[0] for line in ran.stdout.splitlines()]

    assert {f"python-3.{minor}" for _, minor in declared_pythons(PROJECT)} <= set(names)
    assert [cell.name for cell in EVERY if not cell.name.startswith("python-")] == [
        n for n in names if not n.startswith("python-")
    ]
