# SPDX-License-Identifier: Apache-2.0
"""
Write `otel_revenue/instrumentation/stripe/paths.py`: the words that occur in paths of Stripe's API.

They are read from the URL templates in the source of the stripe library. Words of endpoints that a later release
dropped stay: older releases are in use.

    python tools/stripe_paths.py             add the words of the installed library
    python tools/stripe_paths.py DIR ...     and of other copies (folders that hold a package `stripe`)
    python tools/stripe_paths.py --check     fail when the installed library has words that the file lacks
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src/otel_revenue/instrumentation/stripe/paths.py"
_TEMPLATE = re.compile(r"""["'](/(?:v1|v2|oauth)(?:/[^"'\s]*)?)["']""")
_WORD = re.compile(r"[a-z][a-z0-9_]{1,63}")
_HEAD = '''# SPDX-License-Identifier: Apache-2.0
"""Words in paths of Stripe's API. Written by `tools/stripe_paths.py`; do not edit."""

from __future__ import annotations

from typing import Final

WORDS: Final = frozenset(
    """
{words}
    """.split()
)
'''


def words_of(text: str) -> set[str]:
    """Return the literal segments of every URL template in *text*; `{parameters}` are none."""
    return {
        segment
        for template in _TEMPLATE.findall(text)
        for segment in template.split("?")[0].split("/")
        if _WORD.fullmatch(segment)
    }


def scan(package: Path) -> set[str]:
    """Return the words in all modules of the stripe package at *package*."""
    found: set[str] = set()
    for module in sorted(package.rglob("*.py")):
        found |= words_of(module.read_text(encoding="utf-8"))
    return found


def committed(target: Path) -> set[str]:
    """Return the words that the file holds now."""
    if not target.exists():
        return set()
    return set(target.read_text(encoding="utf-8").split('"""')[3].split())


def render(words: set[str]) -> str:
    """Return the text of the file: the words sorted, in lines of bounded width."""
    lines: list[str] = []
    for word in sorted(words):
        if lines and len(lines[-1]) + len(word) < 110:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return _HEAD.format(words="\n".join(lines))


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    spec = importlib.util.find_spec("stripe")
    if spec is None or spec.origin is None:
        print("stripe is not installed")
        return 2
    found = scan(Path(spec.origin).parent)
    for folder in options.folders:
        found |= scan(folder / "stripe")
    known = committed(TARGET)
    if options.check:
        print("\n".join(f"missing: {word}" for word in sorted(found - known)) or f"{len(known)} words, none missing")
        return 1 if found - known else 0
    TARGET.write_text(render(known | found), encoding="utf-8")
    print(f"{len(known | found)} words, {len(found - known)} new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
