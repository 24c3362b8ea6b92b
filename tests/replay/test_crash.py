"""The real program killed at random moments, against a server in another process that records every attempt."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from subprocess import TimeoutExpired

import pytest
from program import Program
from replays import leads_csv, sales_csv
from services import served

from cms_cli.replay.journal.journal import Journal
from cms_cli.sandbox import Attempt, read_attempts, read_events

KILLS = int(os.environ.get("CMS_TEST_KILLS", "2"))
"""How often sales, and how often leads, are killed: .ci/run takes 6. CMS_TEST_KILLS=60 adds faults as well."""

FEW_FAULTS = "503:0.03,500:0.01,drop-before:0.02,drop-after:0.03,502-after:0.01,429:0.002@0,latency@8~7"
MANY_FAULTS = "503:0.1,500:0.03,drop-before:0.06,drop-after:0.06,502-after:0.04,429:0.01@0,latency@8~7"
FAULTS = FEW_FAULTS if KILLS < 20 else MANY_FAULTS
SURELY_NOT = (429, 503)


@dataclass
class Story:
    """The history of a file until it was finished.

    Attributes:
        kills: Number of times that the program was killed.
        in_flight: Rows that were in flight at any of the kills.
    """

    kills: int = 0
    in_flight: set[int] = field(default_factory=set)


def until_done(program: Program, kind: str, path: Path, kills: int, seed: int) -> Story:
    """Run a command until it ends, killing it up to so many times on the way.

    Every other kill waits for some rows to settle; the rest may come while the program starts or reads.
    """
    dice = random.Random(seed)
    story = Story()
    command = (kind, "--from-csv", str(path), "--yes", "--output", "jsonl", "--rate", "none", "--concurrency", "6")
    while story.kills < kills:
        process = program.start(*command)
        if story.kills % 2:
            assert process.stdout is not None
            for _ in islice(process.stdout, dice.randint(1, 100)):
                pass
            time.sleep(dice.uniform(0, 0.02))
        else:
            with suppress(TimeoutExpired):
                process.wait(dice.uniform(0.1, 0.9))
        process.kill()
        process.communicate()
        if process.returncode >= 0:  # it had ended before the kill
            break
        story.kills += 1
        story.in_flight |= in_flight(program.state)
    result = program.spawn(*command, timeout=1800)
    assert result.code in (0, 6), result.stderr
    assert story.in_flight or kills < 6
    return story


def in_flight(state: Path) -> set[int]:
    journal = Journal.open_to_read(state)
    if journal is None:
        return set()
    with journal:
        found = journal.db.execute("SELECT row FROM rows WHERE status = 'pending' AND sent_at IS NOT NULL")
        return {row for (row,) in found}


def rows_of(state: Path) -> dict[int, tuple[str, int, str]]:
    """Return the status, attempts and code of every row."""
    journal = Journal.open_to_read(state)
    assert journal is not None
    with journal:
        found = journal.db.execute("SELECT row, status, attempts, code FROM rows")
        return {row: (status, attempts, code) for row, status, attempts, code in found}


def by_subject(db: Path) -> dict[str, list[Attempt]]:
    attempts: dict[str, list[Attempt]] = {}
    with closing(read_attempts(db)) as found:
        for attempt in found:
            if attempt.subject:  # a request that a kill cut off names no event
                attempts.setdefault(attempt.subject, []).append(attempt)
    return attempts


def check_sales(program: Program, db: Path, rows: int, kills: int, seed: int) -> dict[str, int]:
    path = program.home / "sales.csv"
    path.write_text(sales_csv(range(1, rows + 1)))
    with served(program, db, "--rate-limit", "none", "--fault", FAULTS, "--seed", str(seed)):
        story = until_done(program, "sale", path, kills, seed)
    recorded = Counter(event.invoice_id for event in read_events(db))
    # No sale is missing, and none is there twice.
    assert recorded == {f"inv_{number}": 1 for number in range(1, rows + 1)}
    assert Counter(status for status, _, _ in rows_of(program.state).values()).keys() <= {"accepted", "duplicate"}
    repeated = 0
    for invoice, attempts in by_subject(db).items():
        # A sale is sent again after a clean 200 only if a kill lost that answer.
        sure = [at for at, attempt in enumerate(attempts) if attempt.status == 200 and attempt.fault is None]
        if sure and sure[0] < len(attempts) - 1:
            repeated += 1
            assert int(invoice[4:]) in story.in_flight
            assert all(attempt.status == 409 or attempt.fault for attempt in attempts[sure[0] + 1 :])
    return figures(db, story, repeated=repeated)


def check_leads(program: Program, db: Path, rows: int, kills: int, seed: int) -> dict[str, int]:
    path = program.home / "leads.csv"
    path.write_text(leads_csv(range(1, rows + 1)))
    with served(program, db, "--rate-limit", "none", "--fault", FAULTS, "--seed", str(seed)):
        story = until_done(program, "lead", path, kills, seed)
        recorded = Counter(event.click_id for event in read_events(db))
        ended = rows_of(program.state)
        # No lead is ever sent again after an attempt that may have arrived.
        for attempts in by_subject(db).values():
            assert all(attempt.status in SURELY_NOT for attempt in attempts[:-1]), attempts
        assert set(recorded.values()) == {1}
        for number in range(1, rows + 1):
            status = ended[number][0]
            assert status in ("accepted", "unknown")
            assert status == "unknown" or recorded[f"clk_{number}"] == 1
        # Only rows that were in flight at a kill are unknown because of one.
        assert {number for number, row in ended.items() if row[2] == "interrupted"} <= story.in_flight
        unknown = {number for number, row in ended.items() if row[0] == "unknown"}
        before = len(list(read_attempts(db)))
        assert program.spawn("lead", "--from-csv", str(path), "--yes", "--rate", "none").code == 6
        assert len(list(read_attempts(db))) == before
        lost = len([number for number in unknown if not recorded[f"clk_{number}"]])
        # Only --retry-unknown sends them again.
        program.spawn("lead", "--from-csv", str(path), "--yes", "--rate", "none", "--retry-unknown", timeout=1800)
        again = {attempt.subject for attempt in list(read_attempts(db))[before:]}
        assert again == {f"cus_{number}" for number in unknown}
    return figures(db, story, unknown=len(unknown), unknown_and_not_there=lost)


def figures(db: Path, story: Story, **more: int) -> dict[str, int]:
    attempts = list(read_attempts(db))
    faults = sum(attempt.fault is not None for attempt in attempts)
    found = {
        "kills": story.kills,
        "in_flight": len(story.in_flight),
        "requests": len(attempts),
        "faults": faults,
        **more,
    }
    print("crash figures:", json.dumps(found))
    return found


def test_killed_while_sending_sales(program: Program, tmp_path: Path) -> None:
    """No sale is lost or doubled by kills, and only sales that were in flight at a kill are sent again."""
    check_sales(program, tmp_path / "book.db", rows=150 * KILLS, kills=KILLS, seed=1)


def test_killed_while_sending_leads(program: Program, tmp_path: Path) -> None:
    """No lead is sent twice because of a kill; those in flight at one are unknown until --retry-unknown."""
    check_leads(program, tmp_path / "book.db", rows=150 * KILLS, kills=KILLS, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_two_processes_that_both_hold_a_run_send_no_row_twice(program: Program, tmp_path: Path, kind: str) -> None:
    """No row is sent twice by two processes on one run after a cleaner has deleted its lock."""
    path, db = program.home / "in.csv", tmp_path / "book.db"
    path.write_text(sales_csv(range(1, 401)) if kind == "sale" else leads_csv(range(1, 401)))
    command = (kind, "--from-csv", str(path), "--yes", "--json", "--rate", "none", "--concurrency", "4")
    with served(program, db, "--rate-limit", "none", "--latency", "20"):
        first = program.start(*command)
        while sum(1 for _ in read_attempts(db)) < 20 and first.poll() is None:
            time.sleep(0.02)
        shutil.rmtree(program.state / "locks")
        second = program.start(*command)
        codes = []
        for process in (first, second):
            _, stderr = process.communicate(timeout=120)
            codes.append(process.returncode)
            assert "Traceback" not in stderr
        # A process stops when another one began its row first, or when its lock is gone.
        assert any(code in (3, 5) for code in codes), codes
        assert all(code in (0, 3, 5, 6) for code in codes), codes
        assert program.spawn(*command).code in (0, 6)
        attempts = by_subject(db)
    assert len(attempts) == 400
    if kind == "lead":
        assert {len(made) for made in attempts.values()} == {1}
    assert Counter(event.event["customerExternalId"] for event in read_events(db)) == {
        f"cus_{number}": 1 for number in range(1, 401)
    }


@pytest.mark.slow
def test_killed_side_by_side(program: Program, tmp_path: Path) -> None:
    """No lead is sent twice by two processes that are killed while they send files with leads in common."""
    dice = random.Random(8)
    (program.home / "a.csv").write_text(leads_csv(range(1, 201)))
    (program.home / "b.csv").write_text(leads_csv(range(100, 301)))
    commands = [("lead", "--from-csv", f"{name}.csv", "--yes", "--skip-invalid", "--rate", "none") for name in "ab"]
    db = tmp_path / "book.db"
    with served(program, db, "--rate-limit", "none", "--fault", "503:0.03,latency@5~5", "--seed", "8"):
        for _ in range(3):
            both = [program.start(*command) for command in commands]
            time.sleep(dice.uniform(0.4, 0.8))
            for process in both:
                process.kill()
                process.communicate()
        both = [program.start(*command) for command in commands]
        for process in both:
            _, stderr = process.communicate(timeout=120)
            # A file staged after a kill does not send the leads that the other process left without an answer.
            assert process.returncode in (0, 1, 6), stderr
        attempts = by_subject(db)
    assert len(attempts) > 250
    for number, made in attempts.items():
        assert all(attempt.status in SURELY_NOT for attempt in made[:-1]), number


def whole_rows(path: Path) -> dict[int, str]:
    """Return the status by line of a results or failures file, of which every line must be whole."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    assert text == "" or text.endswith("\n")
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
    else:
        rows = list(csv.DictReader(text.splitlines(), strict=True))
        assert not any(None in row or None in row.values() for row in rows)
    assert len({int(row["_line"]) for row in rows}) == len(rows)
    return {int(row["_line"]): row["_status"] for row in rows}


@pytest.mark.slow
def test_killed_while_writing_results(program: Program, tmp_path: Path) -> None:
    """Results and failures files hold only whole rows after a kill, and all rows in the end."""
    dice = random.Random(6)
    path, results, failures = (program.home / name for name in ("sales.csv", "r.csv", "f.jsonl"))
    path.write_text(sales_csv(range(600)))
    command = ("sale", "--from-csv", str(path), "--yes", "--json", "--rate", "none")
    command += ("--results", str(results), "--failures", str(failures))
    with served(program, tmp_path / "book.db", "--rate-limit", "none", "--fault", "422:0.2", "--seed", "6"):
        assert program.spawn(*command, "--limit", "100").code in (0, 1)
        for _ in range(4):
            process = program.start(*command)
            with suppress(TimeoutExpired):
                process.wait(dice.uniform(0.3, 0.6))
            process.kill()
            process.communicate()
            known = {row + 1: status for row, (status, _, _) in rows_of(program.state).items()}
            assert whole_rows(results).items() <= known.items()
            assert whole_rows(failures).items() <= known.items()
        report = program.spawn(*command).json
    known = {row + 1: status for row, (status, _, _) in rows_of(program.state).items()}
    assert whole_rows(results) == known
    assert whole_rows(failures) == {line: status for line, status in known.items() if status == "refused"}
    assert report["counts"]["refused"] == len(whole_rows(failures)) > 0


@pytest.mark.slow
def test_killed_while_staging(program: Program, tmp_path: Path) -> None:
    """A kill while the file is being read sends nothing and does not get in the way of the next command."""
    dice = random.Random(5)
    path = program.home / "sales.csv"
    path.write_text(sales_csv(range(20_000)))
    command = ("sale", "--from-csv", str(path), "--yes", "--json", "--limit", "5")
    db = tmp_path / "book.db"
    with served(program, db):
        staging = 0
        for _ in range(2):
            process = program.start(*command)
            time.sleep(dice.uniform(0.4, 1.2))
            process.kill()
            process.communicate()
            listed = program.spawn("runs", "list", "--json").json
            assert len(listed) <= 1
            staging += bool(listed and listed[0]["state"] == "staging")
            if listed and listed[0]["state"] != "staging":
                break
        done = program.spawn(*command)
        assert done.code == 0, done.stderr
        assert done.json["total"] == 20_000
        [run] = program.spawn("runs", "list", "--json").json
        assert run["total"] == 20_000
        invoices = [event.invoice_id for event in read_events(db)]
        # A sale that was in flight at the kill is a duplicate when it is sent again.
        there = run["counts"]["accepted"] + run["counts"]["duplicate"]
        assert len(set(invoices)) == len(invoices) >= there >= 5
