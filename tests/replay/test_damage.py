"""A damaged state folder: nothing is sent twice, and every command reports what is wrong."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from faultserver import FaultServer, json_reply
from program import TOKEN, Program
from replays import leads_csv, sales_csv

from cms_cli.replay.journal import high_water
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.sqlite_file import FILE_NAME, JournalError

LEADS = 40
SLOW = json_reply(200, {"success": True, "message": "ok", "data": {}}, after=0.05)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(default=SLOW) as server:
        yield server


@pytest.fixture
def sender(tmp_path: Path, server: FaultServer) -> Program:
    """Return the program with a file of leads and a file of sales to send to the server."""
    program = Program(tmp_path)
    program.env.update(CMS_HOST=server.url, CMS_BEARER_TOKEN=TOKEN)
    (tmp_path / "leads.csv").write_text(leads_csv(range(LEADS)))
    (tmp_path / "sales.csv").write_text(sales_csv(range(LEADS)))
    return program


def command(kind: str = "lead") -> tuple[str, ...]:
    return (kind, "--from-csv", f"{kind}s.csv", "--yes", "--json", "--rate", "none", "--concurrency", "3")


def killed_in_mid_run(sender: Program, server: FaultServer, kind: str = "lead", after: int = 12) -> None:
    """Kill a replay after that many requests, so that the journal's -wal is left behind."""
    process = sender.start(*command(kind))
    server.wait_for(lambda: len(server.requests) >= after)
    process.kill()
    process.communicate()


def removed(wal: Path) -> None:
    wal.unlink()


def truncated(wal: Path) -> None:
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size // 2)


def flipped(wal: Path) -> None:
    data = bytearray(wal.read_bytes())
    data[len(data) // 3] ^= 1
    wal.write_bytes(data)


def zeroed(wal: Path) -> None:
    wal.write_bytes(bytes(wal.stat().st_size))


@pytest.mark.parametrize("damage", [removed, truncated, flipped, zeroed])
def test_a_journal_that_lost_what_was_sent_is_refused(
    sender: Program, server: FaultServer, damage: Callable[[Path], None]
) -> None:
    """A journal that lost its latest commits is refused, since leads would be sent again."""
    killed_in_mid_run(sender, server)
    damage(sender.state / f"{FILE_NAME}-wal")
    (sender.state / f"{FILE_NAME}-shm").unlink(missing_ok=True)
    before = len(server.requests)

    result = sender(*command())

    assert result.code == 3, result.stderr
    assert "damaged" in result.stderr
    assert "backup" in result.stderr
    assert len(server.requests) == before


def emptied(state: Path) -> None:
    for file in state.glob(f"{FILE_NAME}*"):
        file.unlink() if file.name != FILE_NAME else file.write_bytes(b"")


def lost(state: Path) -> None:
    for file in state.glob(f"{FILE_NAME}*"):
        file.unlink()


def overwritten(state: Path) -> None:
    lost(state)
    (state / FILE_NAME).write_bytes(b"no database " * 1000)


def behind(state: Path) -> None:
    removed(state / f"{FILE_NAME}-wal")
    (state / f"{FILE_NAME}-shm").unlink(missing_ok=True)


@pytest.mark.parametrize("damage", [emptied, lost, overwritten, behind])
def test_every_command_says_the_same_of_a_damaged_journal(
    sender: Program, server: FaultServer, damage: Callable[[Path], None]
) -> None:
    """Every command reports a damaged journal, dry runs and commands that only read it included."""
    killed_in_mid_run(sender, server)
    damage(sender.state)

    sending = sender(*command())
    assert sending.code == 3, sending.stderr
    for reading in (
        (*command(), "--dry-run"),
        ("runs", "list", "--json"),
        ("runs", "show", "lead-x", "--json"),
        ("runs", "failures", "lead-x"),
    ):
        result = sender(*reading)
        assert result.code == 3, (reading, result.stdout, result.stderr)
        assert result.stderr.splitlines()[-2:] == sending.stderr.splitlines()[-2:]


def test_a_power_cut_that_takes_back_intents_of_sales_is_no_damage(sender: Program, server: FaultServer) -> None:
    """Losing unsynced commits of sales is no damage: the sales are sent again and deduplicated."""
    killed_in_mid_run(sender, server, "sale")
    behind(sender.state)

    result = sender(*command("sale"))

    assert result.code == 0, result.stderr
    assert result.json["counts"]["accepted"] == LEADS


def test_the_note_is_never_ahead_of_the_journal(tmp_path: Path) -> None:
    """The high-water mark is written after the commit that it counts, and only for commits synced to disk."""
    with Journal.open(tmp_path) as journal:
        with journal.transaction():
            pass
        assert high_water.noted(tmp_path) == 0
        journal.make_durable(against_power_cuts=True)
        for turns in (1, 2, 3):
            with journal.transaction():
                assert high_water.noted(tmp_path) == turns - 1
            assert high_water.noted(tmp_path) == turns
        with pytest.raises(ZeroDivisionError), journal.transaction():
            raise ZeroDivisionError
        assert high_water.noted(tmp_path) == 3
    with Journal.open(tmp_path):
        pass


def test_an_older_copy_of_the_journal_alone_is_refused(tmp_path: Path) -> None:
    """An older copy of the journal file alone is refused; a folder restored as a whole is accepted."""
    folder, copy = tmp_path / "state", tmp_path / "copy"
    with Journal.open(folder) as journal:
        journal.make_durable(against_power_cuts=True)
        with journal.transaction():
            pass
    shutil.copytree(folder, copy)
    with Journal.open(folder) as journal:
        journal.make_durable(against_power_cuts=True)
        with journal.transaction():
            pass
    for file in copy.glob(f"{FILE_NAME}*"):
        shutil.copy(file, folder)

    with pytest.raises(JournalError, match="lacks the end"):
        Journal.open(folder)
    with Journal.open(copy):
        pass


def test_a_journal_of_the_first_format_is_upgraded(tmp_path: Path) -> None:
    """An upgraded journal keeps its sales and leads, and can hold invoices without an amount."""
    folder = tmp_path / "state"
    with Journal.open(folder):
        pass
    with sqlite3.connect(folder / FILE_NAME) as db:
        db.executescript(
            """
            ALTER TABLE runs RENAME COLUMN texts TO contents;
            ALTER TABLE runs RENAME COLUMN texts_size TO contents_size;
            DROP TABLE accepted_sales;
            CREATE TABLE accepted_sales (scope INTEGER NOT NULL, invoice BLOB NOT NULL, amount INTEGER NOT NULL,
                currency TEXT NOT NULL, PRIMARY KEY (scope, invoice)) WITHOUT ROWID;
            INSERT INTO accepted_sales VALUES (1, x'01', 499, 'USD');
            DROP INDEX slots_by_end;
            ALTER TABLE slots DROP COLUMN left_at;
            ALTER TABLE runs DROP COLUMN dialect;
            ALTER TABLE runs DROP COLUMN repeats;
            ALTER TABLE rows DROP COLUMN look;
            DROP TABLE lead_looks;
            DROP TABLE lead_files;
            DROP TABLE turns;
            PRAGMA user_version = 1;
            """
            if sqlite3.sqlite_version_info >= (3, 35)
            else pytest.skip("this SQLite cannot take a column away, which making an old journal needs")
        )
    db.close()

    for opened in (Journal.open_to_read, Journal.open):
        with opened(folder) as journal:
            assert journal.db.execute("SELECT * FROM accepted_sales").fetchall() == [(1, b"\x01", 499, "USD")]
            with journal.transaction() as written:
                written.execute("UPDATE accepted_sales SET amount = NULL") if opened is Journal.open else None
