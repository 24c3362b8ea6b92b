"""The topics of `cms help`: exit codes, environment variables and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cms_cli.config.keys import CONFIG_VARIABLE, KEYS
from cms_cli.config.settings import Settings
from cms_cli.exit_codes import MEANINGS, PRECEDENCE
from cms_cli.terminal.help import styled, write_heading, write_rows

_OTHERS = {
    CONFIG_VARIABLE: "Another config file.",
    "NO_COLOR": "No colour.",
    "FORCE_COLOR": "Colour also where stdout or stderr is no terminal.",
    "COLUMNS": "A width less than the terminal's own.",
    "HTTPS_PROXY, ALL_PROXY, NO_PROXY": "Proxies, as for other programs.",
    "REQUESTS_CA_BUNDLE": "A file with further certificate authorities.",
    "CMS_DEBUG": "With 1, a traceback for what is a bug of cms.",
}


def exit_codes(formatter: Any, settings: Settings) -> None:
    """Write the meaning of each exit code, and their precedence."""
    del settings
    write_heading(formatter, "Exit codes")
    write_rows(formatter, [(styled(str(int(code)), "cyan"), meaning) for code, meaning in MEANINGS.items()])
    formatter.write_paragraph()
    formatter.write_text(f"Where several hold, the first of {', '.join(str(int(code)) for code in PRECEDENCE)}.")


def environment(formatter: Any, settings: Settings) -> None:
    """Write the environment variables with their meanings."""
    del settings
    write_heading(formatter, "Environment variables")
    known = {key.variable: key.help for key in KEYS.values() if key.variable}
    write_rows(formatter, [(styled(name, "cyan"), about) for name, about in {**known, **_OTHERS}.items()])
    formatter.write_paragraph()
    formatter.write_text(
        "A flag takes precedence over a variable, and a variable over the config file. Empty means not set."
    )


def files(formatter: Any, settings: Settings) -> None:
    """Write the paths of the program's files."""
    state = settings.state_dir
    found: dict[str, tuple[Path, str]] = {
        "Config": (settings.config_path.value, "settings and tokens; readable by you only"),
        "Journal": (state / "journal.sqlite3", "what was sent and is to be sent; keep it"),
        "Sandbox": (state / "sandbox", "events and replays of --sandbox; cms sandbox reset clears it"),
    }
    write_heading(formatter, "Files")
    for name, (path, about) in found.items():
        formatter.write(f"  {styled(name, 'bold')}: {about}\n    {path}\n")
    formatter.write_paragraph()
    formatter.write_text("--config and --state-dir name other places, and so do CMS_CONFIG and CMS_STATE_DIR.")


TOPICS = {"exit-codes": exit_codes, "environment": environment, "files": files}
"""The writer of each topic, by its name."""
