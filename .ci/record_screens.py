"""Records the first five minutes with `cms`: docs/first-minutes.md and a picture of each screen.

    python .ci/record_screens.py

Every command really runs, on a pseudo-terminal of 80 columns, with its own home folder; nothing leaves the machine.
Rich draws the pictures from the text that the terminal received.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "first-minutes.md"
PICTURES = ROOT / "docs" / "screens"
COLUMNS = 80

sys.path.insert(0, str(ROOT / "tests"))


class Step(NamedTuple):
    """A command, the text about it, and the answers to its questions."""

    name: str
    about: str
    command: str
    typed: tuple[tuple[str, str], ...] = ()


STEPS = (
    Step("start", "`cms` by itself shows how to begin.", "cms"),
    Step(
        "lead",
        "Send one lead to the sandbox, a stand-in for the service on your machine. You need no account.",
        "cms lead --click-id c1 --event-name signup --customer-external-id u1 --sandbox",
    ),
    Step(
        "refused",
        "The sandbox checks what the service checks. No deferred lead was sent before this one.",
        "cms lead --event-name trial --customer-external-id u2 --sandbox",
    ),
    Step(
        "replay",
        "Replay a file of sales. Every row is checked first, and you are asked before any is sent.",
        "cms sale --from-csv sales.csv --sandbox",
        (("[y/N]", "y\n"),),
    ),
    Step("again", "Run the same command again: nothing is sent twice.", "cms sale --from-csv sales.csv --sandbox"),
    Step("events", "Show what the sandbox received.", "cms sandbox events --limit 8"),
    Step("report", "Show the leads, sales and revenue of each click.", "cms sandbox report --limit 3"),
    Step("runs", "List your replays. Interrupted ones can be resumed.", "cms runs list"),
)


def screen(raw: str) -> str:
    """Return the text left on the terminal; cms only erases whole lines and rewrites them."""
    lines, row = [""], 0
    for piece in re.findall(r"\x1b\[\?\d+[hl]|\x1b\[\d*A|\x1b\[2?K|\r\n|\r|\n|\x1b\[[\d;]*m|[^\x1b\r\n]+", raw):
        if piece.endswith("\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.endswith("A") and piece.startswith("\x1b["):
            row -= int(piece[2:-1] or 1)
        elif piece.endswith("K") and piece.startswith("\x1b["):
            lines[row] = ""
        elif piece != "\r" and not piece.startswith("\x1b[?"):
            lines[row] += piece
    return "\n".join(lines).rstrip()


def picture(command: str, text: str, name: str) -> str:
    """Draw a command and its output as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(text))
    return console.export_svg(title="cms", unique_id=f"cms-{name}")


def main() -> None:
    """Record every step, and write the page and its pictures."""
    from program import Program  # noqa: PLC0415 - needs the path set above

    PICTURES.mkdir(exist_ok=True)
    parts = [
        "# The first five minutes\n",
        "Recorded by `.ci/record_screens.py` from the real program. You need no account for this.\n",
    ]
    with tempfile.TemporaryDirectory() as home:
        program = Program(Path(home))
        shutil.copy(ROOT / "examples" / "sales.csv", home)
        for step in STEPS:
            _, *arguments = shlex.split(step.command)
            seen = program.on_terminal(*arguments, size=(24, COLUMNS), typed=step.typed)
            text = screen(seen.raw).replace(home, "~")
            (PICTURES / f"{step.name}.svg").write_text(picture(step.command, text, step.name), encoding="utf-8")
            parts.append(
                f"{step.about}\n\n```console\n$ {step.command}\n```\n\n![{step.command}](screens/{step.name}.svg)\n"
            )
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
