"""Failures of this machine: full disks, bad state folders and unusable journals, with the real program."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from faultserver import FaultServer
from program import Program
from replays import leads_csv, sales_csv

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs ulimit")


def limited(
    program: Program, blocks: int, *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program with a limit on file size, in blocks of 512 bytes, which acts like a full disk."""
    # The size limit would cut off coverage's data file as well.
    script = f'ulimit -f {blocks}; unset COVERAGE_PROCESS_CONFIG; exec "$@"'
    return by_shell(program, script, *arguments, stdin=stdin)


def by_shell(
    program: Program, script: str, *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program in a shell script, as ``"$@"``."""
    return subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "cms_cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=program.env,
        cwd=program.home,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_disk_that_fills_up_at_any_step(online: Program, service: FaultServer, kind: str) -> None:
    """A full disk ends a replay with exit 3 at any step, and the same command continues once there is room."""
    (online.home / "in.csv").write_text(sales_csv(range(400)) if kind == "sale" else leads_csv(range(400)))
    command = (kind, "--from-csv", "in.csv", "--yes", "--rate", "none", "--results", "r.csv")
    codes = []
    for blocks in (0, 300, 700):
        result = limited(online, blocks, *command)
        codes.append(result.returncode)
        assert result.returncode in (0, 3, 6), result.stderr
        if result.returncode == 3:
            assert "Traceback" not in result.stderr
            assert "report it" not in result.stderr
    assert codes[0] == 3
    assert service.requests
    result = online(*command)
    assert result.code in (0, 6), result.stderr
    sent = Counter(received.json["clickId"] for received in service.requests)
    assert len(sent) == 400
    if kind == "lead":
        assert set(sent.values()) == {1}
    lines = (online.home / "r.csv").read_text().splitlines()
    assert len(lines) == 401


@POSIX
@pytest.mark.parametrize("path", ["in.csv", "-"])
def test_no_room_for_a_temporary_file(program: Program, path: str) -> None:
    """A full temporary folder is exit 3 with what the file was for and a hint to set TMPDIR."""
    text = sales_csv(range(60_000))  # more than the cache of a temporary database holds
    (program.home / "in.csv").write_text(text)
    result = limited(program, 100, "sale", "--from-csv", path, "--dry-run", stdin=text if path == "-" else None)
    assert result.returncode == 3
    assert ("a copy of the input" if path == "-" else "duplicates") in result.stderr
    assert "TMPDIR" in result.stderr
    assert not result.stdout


@POSIX
def test_standard_input_that_is_closed(program: Program) -> None:
    """Closed standard input is exit 2 with a message."""
    result = by_shell(program, 'exec "$@" <&-', "sale", "--from-csv", "-", "--dry-run")
    assert result.returncode == 2
    assert result.stderr.startswith("error: standard input is closed\n")


def test_a_state_folder_that_cannot_be(online: Program, service: FaultServer) -> None:
    """A state folder that cannot be created is exit 3, names its path and sends nothing."""
    (online.home / "file").touch()
    (online.home / "in.csv").write_text(sales_csv(range(3)))
    result = online("sale", "--from-csv", "in.csv", "--state-dir", "file/state")
    assert result.code == 3
    assert "file/state" in result.stderr
    assert "--state-dir" in result.stderr
    assert not service.requests


@pytest.mark.parametrize("damage", ["newer", "garbage", "theirs"])
def test_a_journal_that_cannot_be_used(online: Program, service: FaultServer, damage: str) -> None:
    """A journal that cannot be used is exit 3 from every command, is not changed, and nothing is sent."""
    (online.home / "in.csv").write_text(sales_csv(range(3)))
    assert online("sale", "--from-csv", "in.csv", "--limit", "1").code == 0
    path = online.state / "journal.sqlite3"
    if damage == "newer":
        _execute(path, "PRAGMA user_version = 99")
    elif damage == "theirs":
        _execute(path, "PRAGMA application_id = 7")
    else:
        path.write_bytes(b"\xde\xad" * 30_000)
    before = path.read_bytes()
    for command in (
        ("sale", "--from-csv", "in.csv"),
        ("sale", "--from-csv", "in.csv", "--dry-run"),
        ("runs", "list"),
        ("runs", "resume", "sale-xxxxx"),
        ("runs", "prune"),
    ):
        result = online(*command)
        assert result.code == 3, (command, result)
        assert str(path) in result.stderr
        assert "Traceback" not in result.stderr
    assert path.read_bytes() == before
    assert len(service.requests) == 1


def _execute(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.close()


# getrusage would begin with the peak of the process that this one was forked from.
_MEASURED = """
import sys
from cms_cli.app import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print("peak", next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def _peak(program: Program, *arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *arguments],
        capture_output=True,
        text=True,
        env=program.env,
        cwd=program.home,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stderr.rsplit("peak ", 1)[1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", ["--dry-run", "--limit=1"])
def test_memory_is_flat(online: Program, service: FaultServer, how: str) -> None:
    """Twenty times the rows take no more memory, in a dry run and in a replay."""
    (online.home / "few.csv").write_text(sales_csv(range(10_000)))
    (online.home / "many.csv").write_text(sales_csv(range(200_000)))
    few, many = (_peak(online, "sale", "--from-csv", name, "--yes", how) for name in ("few.csv", "many.csv"))
    print(f"{how}: {few} and {many} kB at their peak")
    assert many < few * 1.3 + 10_000
