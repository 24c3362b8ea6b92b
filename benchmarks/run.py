"""Measures `cms` against other programs, and prints one Markdown table.

    python benchmarks/run.py                  all but the long ones: about ten minutes
    python benchmarks/run.py one bulk         only these
    python benchmarks/run.py --pairs 40 one   more runs, for a machine that is busy with other things
    python benchmarks/run.py minutes million  the long ones
    python benchmarks/run.py machines         several machines that share a database

It needs Python 3.9 or later with venv and pip, and installs this project, requests, HTTPie and the published client
into environments of their own, which are kept between runs.
"""

from __future__ import annotations

import argparse
import getpass
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cases_bulk
import cases_machines
import cases_size
import cases_start
from setting import Setting, say
from table import Row, markdown

CASES = {
    "one": cases_start.one,
    "https": cases_start.https,
    "moments": cases_start.moments,
    "bulk": cases_bulk.bulk,
    "slow": cases_bulk.slow,
    "pace": cases_bulk.pace,
    "check": cases_size.check,
    "history": cases_size.history,
    "growth": cases_size.growth,
    "million": cases_size.million,
    "minutes": cases_bulk.minutes,
    "shared-staging": cases_machines.shared_staging,
    "machines": cases_machines.machines,
    "machine-minutes": cases_machines.machine_minutes,
}
LONG = ("growth", "million", "minutes", "shared-staging", "machines", "machine-minutes")


def main() -> None:
    """Run the selected cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--pairs", type=int, default=11, help="runs of each, in turn (default 11)")
    default = Path(tempfile.gettempdir()) / f"cms-benchmarks-{getpass.getuser()}"
    parser.add_argument("--folder", type=Path, default=default, help="where the environments are kept")
    given = parser.parse_args()
    unknown = set(given.names) - CASES.keys()
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    given.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    setting = Setting(given.folder)
    setting.prepare()
    rows: list[Row] = []
    for name in given.names or [name for name in CASES if name not in LONG]:
        say(f"{name}: {(CASES[name].__doc__ or '').splitlines()[0]}")
        pairs = given.pairs if name in ("one", "https", "moments") else min(given.pairs, 5)
        for row in CASES[name](setting, pairs):
            say(f"  {' | '.join(row)}")
            rows.append(row)
    print(markdown(rows))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"\n{python}, {platform.system()}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
