# SPDX-License-Identifier: Apache-2.0
"""What the documents say is true: snippets run or parse, names exist, links lead somewhere."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import json
import re
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_revenue import cli, config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "examples")
    for path in (folder.glob("*.md") if folder != ROOT / "examples" else folder.rglob("*.md"))
)
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.DOTALL | re.MULTILINE
)


def snippets(*languages: str) -> list:
    """Return (page, snippet) of every fenced block in one of the languages."""
    return [
        pytest.param(page, match["body"], id=f"{page}:{text[: match.start()].count(chr(10)) + 2}")
        for page, text in TEXTS.items()
        for match in FENCE.finditer(text)
        if match["language"] in languages
    ]


def named(pattern: str, *, outside: tuple[str, ...] = ()) -> list:
    """Return (page, match) of every place that a pattern finds, once per page."""
    found = dict.fromkeys(
        (page, hit) for page, text in TEXTS.items() if page not in outside for hit in re.findall(pattern, text)
    )
    return [pytest.param(page, hit, id=f"{page}:{hit}") for page, hit in found]


def test_there_are_documents():
    """
    The pages that the product promises are there.
    """
    promised = {
        "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/dashboard.md", "docs/privacy.md", "docs/settings.md",
        "docs/analytics-events.md",
    }  # fmt: skip

    assert (set(), True) == (
        promised - set(TEXTS),
        (ROOT / "LICENSE").read_text(encoding="utf-8").lstrip().startswith("Apache License"),
    )


# -- snippets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "code"), snippets("python"))
def test_python_compiles(page, code):
    """
    Every Python snippet is Python.
    """
    assert ast.parse(code, filename=page)


STANDS_ALONE = [
    snippet
    for snippet in snippets("python")
    if not re.search(r"^from shop import|^pytest_plugins|^def test_", snippet.values[1], re.MULTILINE)
]
"""Snippets that are no file of somebody's application or test-suite."""


@pytest.mark.parametrize(("page", "code"), STANDS_ALONE)
def test_python_runs(page, code):
    """
    Every Python snippet that stands alone runs as it is, with an `order` at hand, and leaves no failure of ours.
    """
    order = SimpleNamespace(id="order-1042", tier="pro")
    code = re.sub(r"=\.\.\.", "=None", code)

    assert exec(compile(code, page, "exec"), {"order": order}) is None


@pytest.mark.parametrize(("page", "code"), snippets("python"))
def test_names_imported_in_snippets_exist(page, code):
    """
    What a snippet imports from us is there.
    """
    missing = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("otel_revenue"):
            module = importlib.import_module(node.module)
            missing += [alias.name for alias in node.names if not hasattr(module, alias.name)]

    assert [] == missing


@pytest.mark.parametrize(("page", "code"), snippets("sh", "bash", "shell"))
def test_shell_parses(page, code):
    """
    Every shell snippet is accepted by bash's parser.
    """
    parsed = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True, check=False)

    assert (0, "") == (parsed.returncode, parsed.stderr)


@pytest.mark.parametrize(("page", "code"), snippets("json"))
def test_json_parses(page, code):
    """
    Every JSON snippet is JSON.
    """
    assert json.loads(code) is not None


@pytest.mark.parametrize(("page", "code"), snippets("yaml", "yml"))
def test_yaml_is_read_as_settings_or_parses(page, code):
    """
    Every YAML snippet is YAML; one that holds our settings holds good ones.
    """
    import yaml

    content = yaml.safe_load(code)
    ours = isinstance(content, dict) and set(content) & set(config.KEYS)

    assert [] == (config.load({}, content)[1] if ours else [])


def test_no_fence_is_without_language():
    """
    Every fenced block says its language, so that none escapes these tests.
    """
    assert [] == [
        (page, m["body"][:40]) for page, text in TEXTS.items() for m in FENCE.finditer(text) if not m["language"]
    ]


# -- names -----------------------------------------------------------------------------------------------------------------


def calls() -> list:
    """Return (page, words) of every call of our command in shell snippets and inline code."""
    found = {}
    for page, text in TEXTS.items():
        lines = [
            line for m in FENCE.finditer(text) if m["language"] in ("sh", "bash") for line in m["body"].splitlines()
        ]
        lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
        for line in lines:
            for part in re.split(r"\|\||&&|[|;&]", line.partition(" #")[0]):
                words = part.replace("[", " ").replace("]", " ").split()
                while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                    words.pop(0)
                if words[:1] == ["otel-revenue"] and len(words) > 1 and _meant(words[1]):
                    found[page, " ".join(words[1:])] = None
    return [pytest.param(page, words, id=f"{page}:{words}") for page, words in found]


def _meant(word: str) -> bool:
    """Tell a command, also a misspelt one, from the beginning of a log line."""
    return word.startswith("-") or bool(difflib.get_close_matches(word, cli.COMMANDS, n=1, cutoff=0.5))


@pytest.mark.parametrize(("page", "words"), calls())
def test_every_call_of_our_command_is_understood(page, words):
    """
    Each call of `otel-revenue` in a document names a command that exists, with arguments that it takes.
    """
    command, *arguments = shlex.split(words)
    if command.startswith("-"):
        assert command in ("--help", "--version")
        return
    parser = argparse.ArgumentParser(prog=command, exit_on_error=False)
    importlib.import_module(f"otel_revenue.cli.{command}").configure(parser)
    filled = ["1" if word.isupper() and word.isalpha() and command != "schema" else word for word in arguments]

    assert (True, True) == (command in cli.COMMANDS, parser.parse_args(filled) is not None)


def test_every_command_is_in_the_readme():
    """
    The README names every command.
    """
    assert [] == [name for name in cli.COMMANDS if f"`otel-revenue {name}`" not in TEXTS["README.md"]]


@pytest.mark.parametrize(("page", "name"), named(r"\bOTEL_REVENUE_[A-Z_]+\b"))
def test_every_setting_exists(page, name):
    """
    Each variable of ours that a document names is a setting.
    """
    known = {field.metadata["env"] for field in config.KEYS.values()} | {"OTEL_REVENUE_CONFIG"}

    assert name in known or name.startswith("OTEL_REVENUE_TEST_")


ASSIGNED = r"\b(OTEL_REVENUE_[A-Z_]+=[^\s`]+)"


@pytest.mark.parametrize(("page", "assignment"), named(ASSIGNED))
def test_every_value_of_a_setting_is_good(page, assignment):
    """
    Each value that a document gives to a setting is accepted.
    """
    name, _, value = assignment.partition("=")

    assert [] == config.load({name: value.strip("\"'")})[1]


METRICS = set(
    re.findall(
        r'"(otel_revenue\.[a-z_.]+)"',
        "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src/otel_revenue/signals").glob("*.py")),
    )
)


@pytest.mark.parametrize(
    ("page", "name"),
    named(r"`(otel_revenue\.(?:events|outbox|spool|store|delivery|payments|facts|metadata|failures)[a-z_.]*)`"),
)
def test_every_metric_exists(page, name):
    """
    Each metric of ours that a document names is recorded.
    """
    assert name in METRICS


@pytest.mark.parametrize(("page", "target"), named(r"\bmake ([a-z][a-z-]+)\b"))
def test_every_make_target_exists(page, target):
    """
    Each `make` target that a document names is in the Makefile. Words after "make" in prose are none.
    """
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    in_code = f"`make {target}" in TEXTS[page] or re.search(rf"^\s*make {target}\b", TEXTS[page], re.MULTILINE)

    assert not in_code or re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "path"),
    named(r"`((?:src|tests|tools|docs|schema|examples|benchmarks|collector-config|dashboards)/[\w./-]+)`"),
)
def test_every_path_exists(page, path):
    """
    Each file or folder that a document names, from the root or from the package on, is there.
    """
    assert (ROOT / path).exists() or (ROOT / "src" / "otel_revenue" / path).exists()


@pytest.mark.parametrize(("page", "extra"), named(r"otel-revenue\[([a-z,]+)\]"))
def test_every_extra_exists(page, extra):
    """
    Each extra that a document tells to install is declared.
    """
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert [] == [name for name in extra.split(",") if not re.search(rf"^{name} = \[", project, re.MULTILINE)]


# -- links -----------------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), named(r"\]\(([^)\s]+)\)"))
def test_every_link_leads_somewhere(page, target):
    """
    Each link inside of the repository leads to a file that is there, and to a heading that it has.
    """
    path, _, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target):
        assert target.startswith("https://")
        return
    found = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
    inside = found.is_relative_to(ROOT) and found.exists()

    assert (True, True) == (inside, not anchor or anchor in anchors(found.read_text(encoding="utf-8")))


def test_every_page_of_docs_is_linked():
    """
    No page in `docs/` is an orphan: each is linked from another page.
    """
    linked = {
        (ROOT / page).parent.joinpath(target.partition("#")[0]).resolve()
        for page, text in TEXTS.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:", target)
    }

    assert [] == [path.name for path in PAGES if path.parent.name == "docs" and path not in linked]


def test_pages_that_set_something_up_end_with_a_check():
    """
    Every page of `docs/` has a *Verify* and an *If it does not work*.
    """
    headings = ("## Verify", "## If it does not work")

    assert [] == [
        page for page, text in TEXTS.items() if page.startswith("docs/") and not all(h in text for h in headings)
    ]


def test_what_the_documents_say_of_python_is_what_the_project_says():
    """
    The oldest Python of README and CONTRIBUTING is that of the package.
    """
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest = re.search(r'requires-python = ">=([0-9.]+)"', project)[1]

    assert [] == [page for page in ("README.md", "CONTRIBUTING.md") if f"Python {oldest}" not in TEXTS[page]]
