"""The journal's file: private, recognised, and refused with a message where it cannot be trusted."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cms_cli.replay.journal import runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.journal.schema import SCHEMA_VERSION
from cms_cli.replay.journal.sqlite_file import FILE_NAME, LOCKS, JournalError

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX matter")


def begin_run(journal: Journal, *, kind: str = "sale", sha256: str = "aa", shape: str = "{}") -> Run:
    scope = runs.scope_of(journal, "https://host", "jwt acc")
    return runs.create(journal, RunKey(scope, kind, sha256, shape), file="in.csv", header=("a",), now=1.0)


def fill(folder: Path, rows: int = 2000) -> Path:
    """Write a journal with many rows and return its path."""
    with Journal.open(folder) as journal:
        run = begin_run(journal)
        with journal.hold(run.key), journal.transaction() as db:
            db.executemany(
                "INSERT INTO rows (run, row, line, status, customer, error) VALUES (?, ?, ?, 'pending', ?, ?)",
                [(run.id, n, n + 1, n * 7919, "e" * 200) for n in range(1, rows + 1)],
            )
    return folder / FILE_NAME


def refused(folder: Path) -> JournalError:
    with pytest.raises(JournalError) as caught:
        Journal.open(folder)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


@POSIX
def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """The journal's files have mode 0600 and its folder 0700."""
    folder = tmp_path / "new" / "state"
    with Journal.open(folder) as journal:
        begin_run(journal)
        files = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert folder.stat().st_mode & 0o777 == 0o700
        assert files == {FILE_NAME: 0o600, f"{FILE_NAME}-wal": 0o600, f"{FILE_NAME}-shm": 0o600}


@POSIX
def test_an_existing_journal_is_made_private(tmp_path: Path) -> None:
    """A new folder and an existing journal file that others could read are made private."""
    tmp_path.chmod(0o755)
    Journal.open(tmp_path).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    (tmp_path / FILE_NAME).chmod(0o644)
    Journal.open(tmp_path).close()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@POSIX
def test_a_folder_with_other_things_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    """The mode of a folder with other files in it is not changed."""
    tmp_path.chmod(0o755)
    (tmp_path / "other").touch()
    Journal.open(tmp_path).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_reading_creates_no_journal(tmp_path: Path) -> None:
    """Opening a journal to read creates nothing."""
    assert Journal.open_to_read(tmp_path / "state") is None
    assert not (tmp_path / "state").exists()


_KILLED_WHILE_MAKING = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN")
db.execute("CREATE TABLE t (x)")
db.executemany("INSERT INTO t VALUES (?)", (("x" * 1000,) for _ in range(1000)))
os._exit(9)
"""


def test_a_journal_whose_maker_was_killed_is_read_as_none(tmp_path: Path) -> None:
    """A journal whose creation was interrupted counts as missing and is created again."""
    path = tmp_path / FILE_NAME
    subprocess.run([sys.executable, "-c", _KILLED_WHILE_MAKING, str(path)], check=False)
    assert path.with_name(path.name + "-journal").stat().st_size
    assert Journal.open_to_read(tmp_path) is None
    with Journal.open(tmp_path) as journal:
        begin_run(journal)


def test_a_newer_version(tmp_path: Path) -> None:
    """A journal of a newer version is refused, to commands that only read too, and is not changed."""
    path = fill(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    assert "newer version" in refused(tmp_path).message
    with pytest.raises(JournalError, match="newer version"):
        Journal.open_to_read(tmp_path)
    assert path.read_bytes() == before


def test_somebody_elses_database(tmp_path: Path) -> None:
    """Another program's database is refused and not changed."""
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    assert "not a journal of cms" in refused(tmp_path).message
    assert path.read_bytes() == before


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(20_000))


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _overwritten(path: Path) -> None:
    size = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in range(2, size, 3):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)


def _text(path: Path) -> None:
    path.write_text("run,row\n1,2\n")


@pytest.mark.parametrize("damage", [_garbage, _cut, _emptied, _overwritten, _text])
def test_a_damaged_journal_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A damaged journal is refused with a message that says so."""
    damage(fill(tmp_path))
    error = refused(tmp_path)
    assert "damaged" in error.message
    assert "backup" in error.hint


def test_a_journal_that_was_moved_away(tmp_path: Path) -> None:
    """A new journal is created after a damaged one was moved away, as its message advises."""
    path = fill(tmp_path)
    assert any((tmp_path / LOCKS).iterdir())
    path.unlink()
    with Journal.open(tmp_path) as journal:
        assert list(runs.all_runs(journal)) == []


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    """A folder in place of the journal's file is named in the error."""
    (tmp_path / FILE_NAME).mkdir()
    assert FILE_NAME in refused(tmp_path).message


def test_a_state_folder_that_cannot_be(tmp_path: Path) -> None:
    """A state folder below a file is an error that names it."""
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(tmp_path / "file" / "state").message


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A read-only state folder is refused before anything else happens."""
    tmp_path.chmod(0o500)
    assert "denied" in refused(tmp_path).message.lower()


def test_names_with_meaning_in_a_uri(tmp_path: Path) -> None:
    """A folder's name may hold characters that mean something in a URI."""
    folder = tmp_path / "50% off?mode=ro#x"
    with Journal.open(folder) as journal:
        begin_run(journal)
    assert (folder / FILE_NAME).stat().st_size
    with Journal.open(folder) as journal:
        assert len(list(runs.all_runs(journal))) == 1


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """A failed transaction leaves nothing behind, and the journal stays usable."""
    with Journal.open(tmp_path) as journal:
        with pytest.raises(JournalError, match="UNIQUE"), journal.transaction() as db:
            db.executemany("INSERT INTO scopes (host, account) VALUES ('h', ?)", [("a",), ("b",), ("a",)])
        assert runs.find_scope(journal, "h", "a") is None
        assert runs.scope_of(journal, "h", "a")


_FULL = """
import resource, signal, sys
from pathlib import Path
from cms_cli.replay.journal import runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.sqlite_file import JournalError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal.open(Path(sys.argv[1])) as journal:
    for number in range(100):
        runs.scope_of(journal, "before", str(number))
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    written = 0
    try:
        while True:
            with journal.transaction() as db:
                for _ in range(20):
                    written += 1
                    db.execute("INSERT INTO scopes (host, account) VALUES (?, ?)", ("x" * 500, str(written)))
    except JournalError as error:
        print(error.message, "|", error.hint)
    whole = journal.db.execute("SELECT count(*) FROM scopes WHERE host <> 'before'").fetchone()[0]
    assert whole % 20 == 0, whole
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert runs.scope_of(journal, "after", "1")
    print(whole)
"""


@POSIX
def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """A full disk loses whole transactions only, and the journal works again once there is room."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    message, whole = done.stdout.splitlines()
    assert "room" in message
    with Journal.open(tmp_path) as journal:
        found = journal.db.execute("SELECT count(*) FROM scopes WHERE host LIKE 'x%'").fetchone()[0]
        assert found == int(whole)


def test_two_that_begin_at_once(tmp_path: Path) -> None:
    """Processes that start without a journal at the same time create one together."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Journal.open(tmp_path / "state") as journal:
                runs.scope_of(journal, "h", str(number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with Journal.open(tmp_path / "state") as journal:
        assert journal.db.execute("SELECT count(*) FROM scopes").fetchone()[0] == 12


def test_reading_while_another_process_writes(tmp_path: Path) -> None:
    """A reader sees what was committed while another process writes, and does not wait for it."""
    with Journal.open(tmp_path) as writer:
        begin_run(writer)
        with writer.transaction() as db:
            db.execute("UPDATE runs SET file = 'other.csv'")
            reader = Journal.open_to_read(tmp_path)
            assert reader is not None
            with reader:
                assert [run.file for run in runs.all_runs(reader)] == ["in.csv"]
