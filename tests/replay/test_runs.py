"""Runs in the journal: names, locks, which run a command continues, and pruning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_journal import begin_run

from cms_cli.replay.journal import ledger, lifecycle, runs
from cms_cli.replay.journal import sqlite_journal as journal_module
from cms_cli.replay.journal.identity import RunConflictError, known_run
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.locks import RunBusyError
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.journal.sqlite_file import FILE_NAME, JournalError


def known(
    journal: Journal, run: Run, *, shape: str = "{}", account: str = "jwt acc", fresh: bool = False
) -> Run | None:
    scope = runs.scope_of(journal, run.host, account)
    return known_run(journal, run.key._replace(scope=scope, shape=shape), host=run.host, fresh=fresh)


def sent(journal: Journal, run: Run, *, finished: bool = False) -> Run:
    """Mark a run as one that has sent a row, and return it."""
    lifecycle.begin_sending(journal, run, 2.0, fresh=False)
    with journal.transaction() as db:
        db.execute(
            "INSERT OR IGNORE INTO rows (run, row, line, status, attempts) VALUES (?, 1, 2, 'accepted', 1)",
            (run.id,),
        )
    runs.end_sending(journal, run, 3.0, 0, {"accepted": 1}, finished=finished)
    found = runs.by_name(journal, run.name)
    assert found is not None
    return found


@pytest.mark.parametrize("finished", [True, False])
def test_the_same_command_goes_on(tmp_path: Path, finished: bool) -> None:
    """The same bytes, flags, host and account are the same run, finished or not."""
    with Journal.open(tmp_path) as journal:
        run = sent(journal, begin_run(journal), finished=finished)
        assert known(journal, run) == run


def test_another_account(tmp_path: Path) -> None:
    """An unfinished run of the file under another account is an error that names it; a finished one is not."""
    with Journal.open(tmp_path) as journal:
        run = sent(journal, begin_run(journal))
        with pytest.raises(RunConflictError) as caught:
            known(journal, run, account="jwt other")
        assert f"cms runs resume {run.name}" in caught.value.hint
        sent(journal, run, finished=True)
        assert known(journal, run, account="jwt other") is None


@pytest.mark.parametrize(("kind", "refused"), [("lead", True), ("sale", False)])
def test_other_flags(tmp_path: Path, kind: str, refused: bool) -> None:
    """Leads sent from the file under other flags block a new run; sales do not, since invoices are deduplicated."""
    with Journal.open(tmp_path) as journal:
        run = sent(journal, begin_run(journal, kind=kind), finished=True)
        if refused:
            with pytest.raises(RunConflictError, match="other flags"):
                known(journal, run, shape="other")
        else:
            assert known(journal, run, shape="other") is None
        assert known(journal, run, shape="other", fresh=True) is None


def test_other_flags_before_anything_was_sent(tmp_path: Path) -> None:
    """A run of leads that has sent nothing does not block other flags."""
    with Journal.open(tmp_path) as journal:
        run = begin_run(journal, kind="lead")
        lifecycle.begin_sending(journal, run, 2.0, fresh=False)
        assert known(journal, run, shape="other") is None


def test_a_fresh_run_under_other_flags_is_continued(tmp_path: Path) -> None:
    """A run begun with --fresh under other flags is continued by the same command without --fresh."""
    with Journal.open(tmp_path) as journal:
        sent(journal, begin_run(journal, kind="lead"), finished=True)
        other = sent(journal, begin_run(journal, kind="lead", shape="other"))
        assert known(journal, other, shape="other") == other


@pytest.mark.parametrize("shape", ["{}", "other"])
def test_fresh_with_an_unfinished_run(tmp_path: Path, shape: str) -> None:
    """--fresh is refused while a run of the file is unfinished, and names the command that resumes it."""
    with Journal.open(tmp_path) as journal:
        run = sent(journal, begin_run(journal))
        with pytest.raises(RunConflictError) as caught:
            known(journal, run, shape=shape, fresh=True)
        assert f"cms runs resume {run.name}" in caught.value.hint


def test_staging_that_was_cut_off_leaves_the_earlier_run_in_place(tmp_path: Path) -> None:
    """A --fresh that ended before sending leaves the finished run as the file's run."""
    with Journal.open(tmp_path) as journal:
        run = sent(journal, begin_run(journal, kind="lead"), finished=True)
        cut_off = begin_run(journal, kind="lead")
        assert known(journal, run) == run
        assert runs.by_name(journal, cut_off.name) is None


def test_fresh_takes_over_when_it_begins_to_send(tmp_path: Path) -> None:
    """A --fresh run replaces the old run when it begins to send."""
    with Journal.open(tmp_path) as journal:
        old = sent(journal, begin_run(journal), finished=True)
        new = begin_run(journal)
        lifecycle.begin_sending(journal, new, 4.0, fresh=True)
        found = known(journal, old)
        assert found is not None
        assert found.name == new.name


_HOLD = """
import sys
from pathlib import Path
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.run_key import RunKey

with Journal.open(Path(sys.argv[1])) as journal, journal.hold(RunKey(1, sys.argv[2], "aa", "{}")):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("kind", "other_shape_is_busy"), [("lead", True), ("sale", False)])
def test_one_process_a_run(tmp_path: Path, kind: str, other_shape_is_busy: bool) -> None:
    """A second process is kept off a run, and for leads off the file under any flags, until the first one ends."""
    with Journal.open(tmp_path) as journal:
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(tmp_path), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(RunBusyError), journal.hold(RunKey(1, kind, "aa", "{}")):
                pass
            try:
                with journal.hold(RunKey(1, kind, "aa", "other")):
                    busy = False
            except RunBusyError:
                busy = True
            assert busy is other_shape_is_busy
        finally:
            holder.kill()
            holder.communicate()
        with journal.hold(RunKey(1, kind, "aa", "{}")):
            pass


def test_locks_that_cannot_be(tmp_path: Path) -> None:
    """A folder of locks that cannot be created is an error of this machine."""
    with Journal.open(tmp_path) as journal:
        (tmp_path / "locks").write_text("a file")
        with pytest.raises(JournalError, match="locks"), journal.hold(RunKey(1, "sale", "aa", "{}")):
            pass


def test_names(tmp_path: Path) -> None:
    """A run's name begins with its kind and is short enough to type."""
    with Journal.open(tmp_path) as journal:
        names = {begin_run(journal, sha256=str(number)).name for number in range(50)}
    assert len(names) == 50
    assert all(name.startswith("sale-") and len(name) == 10 and name.isascii() for name in names)


def test_prune_takes_what_is_finished_and_what_never_began(tmp_path: Path) -> None:
    """Prune removes finished runs and those that sent nothing; unfinished runs only by name."""
    with Journal.open(tmp_path) as journal:
        finished = sent(journal, begin_run(journal, sha256="1"), finished=True)
        unfinished = sent(journal, begin_run(journal, sha256="2"))
        begin_run(journal, sha256="3")
        assert lifecycle.prune(journal, None, ledger_too=False) == 2
        assert [run.name for run in runs.all_runs(journal)] == [unfinished.name]
        assert runs.by_name(journal, finished.name) is None
        assert lifecycle.prune(journal, [unfinished.name], ledger_too=False) == 1
        assert list(runs.all_runs(journal)) == []


def test_prune_and_a_run_at_work(tmp_path: Path) -> None:
    """Prune skips a run that another process is sending; by name, or with the ledger, it refuses."""
    with Journal.open(tmp_path) as journal, Journal.open(tmp_path) as other:
        run = begin_run(journal)
        with other.hold(run.key):
            assert lifecycle.prune(journal, None, ledger_too=False) == 0
            with pytest.raises(RunBusyError):
                lifecycle.prune(journal, [run.name], ledger_too=False)
            with journal.transaction() as db:
                db.execute("INSERT INTO sent_leads VALUES (1, x'00', 1)")
            with pytest.raises(RunBusyError):
                lifecycle.prune(journal, None, ledger_too=True)
            assert ledger.sizes(journal.db) == (0, 1)
        assert run.state is RunState.STAGING


@pytest.mark.parametrize("ledger", [False, True])
def test_prune_and_the_ledger(tmp_path: Path, ledger: bool) -> None:
    """Prune clears the ledger only if asked to."""
    with Journal.open(tmp_path) as journal:
        assert runs.scope_of(journal, "https://host", "account") == 1
        with journal.transaction() as db:
            db.execute("INSERT INTO accepted_sales VALUES (1, x'00', 1, 'EUR')")
            db.execute("INSERT INTO sent_leads VALUES (1, x'00', 1)")
            db.execute("INSERT INTO sales_in_doubt VALUES (1, x'01', 1.0)")
        lifecycle.prune(journal, None, ledger_too=ledger)
        left = [
            journal.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("accepted_sales", "sent_leads", "sales_in_doubt")
        ]
        assert left == ([0, 0, 0] if ledger else [1, 1, 1])


def test_prune_says_when_traces_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prune reports data that it cannot remove while another process reads; the next prune removes it."""
    monkeypatch.setattr(journal_module, "_TIDY_SECONDS", 0.1)
    with Journal.open(tmp_path) as journal:
        with journal.transaction() as db:
            db.execute("INSERT INTO scopes (host, account) VALUES ('h', 'private-trace')")
        with Journal.open(tmp_path) as reader:
            reader.db.execute("BEGIN")
            reader.db.execute("SELECT * FROM scopes").fetchall()
            with journal.transaction() as db:
                db.execute("DELETE FROM scopes")
            with pytest.raises(JournalError, match="another cms"):
                lifecycle.prune(journal, None, ledger_too=False)
        lifecycle.prune(journal, None, ledger_too=False)
        for path in (tmp_path / FILE_NAME, tmp_path / f"{FILE_NAME}-wal"):
            assert b"private-trace" not in path.read_bytes()
