"""
A fuzzer over the masking: `make fuzz`. Arguments are libFuzzer's; a finding is written to a file, and ends the run with an error.

Inputs begin as the texts of the corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["otel_revenue.privacy"]):
    from support import corpus, masking

_LONGEST = 8192


def seeds(folder: Path) -> None:
    """Write the texts of the corpus where the fuzzer begins."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [row.text for row in [*corpus.masked(), *corpus.kept()]]
    texts += [(piece * _LONGEST)[:_LONGEST] for piece in corpus.hostile().values()]
    for number, text in enumerate(texts):
        (folder / f"seed-{number:04d}").write_bytes(
            bytes([number % 256, number % 5, 0, 7]) + text.encode("utf-8", "surrogatepass")
        )


if __name__ == "__main__":
    seeds(Path(sys.argv[1]))
    atheris.Setup([*sys.argv, f"-max_len={_LONGEST}", "-timeout=10", "-rss_limit_mb=2048"], masking.check)
    atheris.Fuzz()
