"""Messages on a narrow terminal: broken between words, and never where copying would suffer from it."""

from __future__ import annotations

import os

import pytest
from program import Program

from cms_cli.terminal.wrap import wrapped


@pytest.mark.parametrize(
    "lines",
    [
        ["Store one with `cms auth login`, or name", "a file with --token-file"],
        ["Say where:", '--map "a=Order Number" --map "b=Order Total"'],
        ["Unpack it, as in:", "unzip -p FILE | cms sale --from-csv -"],
        ["       If the last lines are no rows,", "       say --footer-lines 2; else"],
        ["/a/path/that/is/longer/than/the/terminal:", "no such file"],
        ["it is short"],
        ["or try", '--map click_id="Note Attributes[click_id]"', "and say the unit"],
        ['sales of 5"-pipes.csv: no column for', "amount"],
        ["山田太郎山田太郎 山田太郎山田太郎", "山田太郎"],
    ],
)
def test_a_message_is_broken_between_words(lines: list[str]) -> None:
    """A line ends between words; commands, flags with values and quoted text stay whole."""
    text = " ".join([lines[0], *(line.lstrip() for line in lines[1:])])
    assert wrapped(text, 40).split("\n") == lines


def test_a_label_takes_room_and_a_message_is_no_command() -> None:
    """The first line leaves room for its label, and is broken even where it begins with the name of a command."""
    lines = ["cms sale has no flag", "--x and more words"]
    assert wrapped(" ".join(lines), 30, "error:").split("\n") == lines
    lines = ['"new sales.csv": there', 'is no column "Order Total"']
    assert wrapped(" ".join(lines), 30, "error:").split("\n") == lines


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_an_error_on_a_narrow_terminal_has_whole_words(program: Program) -> None:
    """On a terminal of 60 columns the hint is broken between words; in a pipe it is one line."""
    command = ("lead", "--event-name", "signup", "--customer-external-id", "u1")
    hint = program(*command).stderr.splitlines()[1]
    lines = program.on_terminal(*command, size=(24, 60)).text.splitlines()
    assert len(hint) > 60
    assert max(map(len, lines)) <= 60
    assert " ".join(lines[1:]) == hint
