# SPDX-License-Identifier: Apache-2.0
"""
What stays of an exception: its type and where it was raised.

Messages are written for the one who reads them, with the value that was wrong: "No such customer: 'Jane Doe'". No detector knows
such a value, so messages do not leave; the class, files, lines, functions and lines of source code do.
"""

from __future__ import annotations

import re
from typing import Final

MESSAGE: Final = "[message]"

_TYPE: Final = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]{0,99}\.){0,10}[A-Za-z_][A-Za-z0-9_]{0,99}(?=:|\Z)")
_BEGIN: Final = "Traceback (most recent call last)"
_MESSAGE_NEXT, _TYPE_NEXT, _SOURCE_NEXT = range(3)
_FRAME: Final = re.compile(r"[\s|+-]*File \"(?P<file>[^\"\r\n]{1,4096})\", line [0-9]{1,9}(?:, in [^\r\n]{0,1024})?\Z")
_MARKS: Final = (
    r"(?:Exception Group )?Traceback \(most recent call last\):?",
    r"During handling of the above exception, another exception occurred:",
    r"The above exception was the direct cause of the following exception:",
    r"\[Previous line repeated [0-9]{1,9} more times?\]",
)
_MARK: Final = re.compile(rf"[\s|+-]*(?:{'|'.join(_MARKS)})\Z")
_RAISED: Final = re.compile(
    r"(?P<margin>[\s|+-]*)(?P<type>(?:[A-Za-z_][A-Za-z0-9_]{0,99}\.){0,10}[A-Z_][A-Za-z0-9_]{0,99})(?::[^\r\n]*)?\Z"
)


def mask_message(text: str) -> str:
    """Return the type that a message begins with (`ValueError: ...`), and a mark for the rest; the mark alone where it begins with none."""
    if not text:
        return text
    found = _TYPE.match(text)
    if found is None or not text.startswith(":", found.end()):
        return MESSAGE
    return f"{found.group()}: {MESSAGE}"


def has_traceback(text: str) -> bool:
    """Whether *text* holds a printed stack trace."""
    return _BEGIN in text


def split_traceback(text: str) -> tuple[str, str]:
    """Return what stands before the first stack trace in *text*, and the rest."""
    at = text.rfind("\n", 0, text.find(_BEGIN)) + 1
    return text[:at], text[at:]


def mask_stacktrace(text: str) -> str:
    """Return the frames of a stack trace, with the source below each, and the types that were raised, without their messages."""
    kept: list[str] = []
    state = _TYPE_NEXT
    for line in text.splitlines():
        frame = _FRAME.match(line)
        if frame is not None:
            # Source that is not in a file may be what somebody typed: that of `literal_eval`, of a template.
            state = _TYPE_NEXT if frame["file"].startswith("<") else _SOURCE_NEXT
        elif _MARK.match(line):
            state = _TYPE_NEXT
        elif not (state == _SOURCE_NEXT and line[:4].strip(" |+") == ""):
            raised = _RAISED.match(line) if state else None
            # Further lines belong to the message, and a message may look like anything.
            state = _MESSAGE_NEXT if raised is not None or not line.startswith(" ") else state
            if raised is None:
                continue
            line = raised["margin"] + raised["type"] + (f": {MESSAGE}" if ":" in line else "")  # noqa: PLW2901 - the line, masked
        kept.append(line)
    return "\n".join(kept) + ("\n" if kept and text.endswith("\n") else "")
