"""Breaks messages between words, where a terminal would break them inside one."""

from __future__ import annotations

import re

from cms_cli.terminal.text import width

_NARROWEST = 20  # below this there are more breaks than words

# Units that could no longer be copied if a line break were added. A terminal that wraps a long one adds none.
_QUOTED = r"\"[^\"]*\""
_WORD = rf"(?:{_QUOTED}|\S)+"  # with the blanks that it has in quotation marks
_FLAG = rf"--[a-z][a-z-]*(?:[ =](?:{_QUOTED}|[^\s\"`-](?:{_QUOTED}|[^\s\"`])*))?"
_COMMAND = r"(?:[A-Z_]+=\S* )*(?:cms|jq|curl|pip|pipx|cat|tr|git|unzip|gunzip|bunzip2|unxz|unzstd|\{) .*"
_UNIT = re.compile(
    "|".join(
        (
            r"`[^`]*`\S*",  # a command in backticks
            rf"(?:(?<=: )|^){_COMMAND}",  # a command after a colon, or on a line of its own
            rf"{_FLAG}(?: {_FLAG})*(?:{_WORD})?",  # flags with their values
            _WORD,
        )
    )
)


def wrapped(text: str, columns: int, label: str = "") -> str:
    """Return a message with line breaks between words, so that no line is longer than the terminal.

    Commands, flags with their values, and what is quoted are never broken: a longer one has a line of its own. The
    indentation of a line is kept.

    Args:
        text: The message.
        columns: The width of the terminal.
        label: What will be written before the message: ``error:``.
    """
    if columns < _NARROWEST:
        return text
    first, *others = text.split("\n")
    return "\n".join([_filled(first, columns, label), *(_filled(line, columns) for line in others)])


def _filled(line: str, columns: int, label: str = "") -> str:
    before = width(label) + 1 if label else 0
    if before + width(line) <= columns:
        return line
    text = line.lstrip(" ")
    indent = " " * (len(line) - len(text))
    # A message may begin with the name of a program without being a command.
    found = re.match(_WORD, text) if label else None
    first = found[0] if found else ""
    lines = [first] if first else []
    for unit in _UNIT.findall(text, len(first)):
        longer = f"{lines[-1]} {unit}" if lines else ""
        if longer and width(longer) + (before if len(lines) == 1 else 0) <= columns:
            lines[-1] = longer
        else:
            lines.append(indent + unit)
    return "\n".join(lines)
