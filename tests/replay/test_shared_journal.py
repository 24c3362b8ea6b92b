"""The journal in PostgreSQL: leases, the server's clock, and a database that goes away."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from faultserver import FaultServer
from postgres import OwnPostgres, Postgres
from replays import Bench, Engine, counted, leads_csv, sales_csv
from slow_line import SlowLine

from cms_cli.replay.journal import leases, postgres_database, postgres_journal, postgres_setup, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.locks import RunBusyError
from cms_cli.replay.journal.postgres_database import PostgresDatabase
from cms_cli.replay.journal.postgres_journal import PostgresJournal
from cms_cli.replay.journal.postgres_server import StateAwayError
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.sqlite_file import JournalError
from cms_cli.replay.sending.pacing import Rate
from cms_cli.replay.sending.turn import Turns
from cms_cli.replay.staging.history import History
from cms_cli.sandbox import SandboxServer
from cms_python import CMSClient, EventKind, Outcome, WireEvent

HELD = ("sale", "00" * 32, "{}")


def test_the_tables_are_made_once(database: str) -> None:
    """A journal needs its tables; creating or upgrading them again changes nothing."""
    with pytest.raises(JournalError) as error:
        PostgresJournal(database)
    assert "cms state init" in error.value.hint

    assert postgres_setup.create(database)
    with PostgresJournal(database) as journal:
        scope = runs.scope_of(journal, "http://host", "account")
    assert not postgres_setup.create(database)
    assert postgres_setup.upgrade(database) == (1, 1)
    with PostgresJournal(database) as journal:
        assert runs.scope_of(journal, "http://host", "account") == scope


def test_a_newer_format_is_refused(shared: str) -> None:
    """Tables of a newer version are refused."""
    with PostgresJournal(shared) as journal, journal.transaction() as db:
        db.execute("UPDATE state SET format = format + 1")

    with pytest.raises(JournalError, match="newer version"):
        PostgresJournal(shared)


def test_a_run_is_held_by_one_process(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process is refused a run while its holder renews the lease, and gets it afterwards."""
    monkeypatch.setattr(leases, "RENEWED_AFTER", 0.3)
    with PostgresJournal(shared) as first, PostgresJournal(shared) as second:
        scope = runs.scope_of(first, "http://host", "account")
        with first.hold(RunKey(scope, *HELD)), pytest.raises(RunBusyError), second.hold(RunKey(scope, *HELD)):
            pass
        with second.hold(RunKey(scope, *HELD)):
            pass


def test_a_silent_process_loses_its_run(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose lease has expired can record answers and no new intents."""
    monkeypatch.setattr(leases, "RENEWED_AFTER", 1000.0)
    monkeypatch.setattr(leases, "SECONDS", 1.0)
    with PostgresJournal(shared) as asleep, PostgresJournal(shared) as other:
        scope = runs.scope_of(asleep, "http://host", "account")
        with asleep.hold(RunKey(scope, *HELD)), other.hold(RunKey(scope, *HELD)):
            with pytest.raises(RunBusyError), asleep.transaction():
                pass
            with asleep.transaction(held=False):
                pass
            with other.transaction():
                pass


def test_the_server_s_clock_counts(shared: str) -> None:
    """A transaction's time is the server's."""
    with PostgresJournal(shared) as journal:
        with journal.transaction():
            now = journal.time(-1.0)
        ahead = journal.ahead()
    assert abs(now - time.time()) < 60  # the server is on this machine
    assert ahead is not None


@pytest.mark.parametrize(("said", "used"), [("off", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_waits_for_the_disk(shared: str, said: str, used: str) -> None:
    """A commit waits for the server's disk even if synchronous_commit is off, and keeps a stricter setting."""
    import psycopg

    with psycopg.connect(shared, autocommit=True) as db:
        db.execute(f"ALTER DATABASE {urlsplit(shared).path[1:]} SET synchronous_commit = {said}")
    with PostgresJournal(shared) as journal:
        with journal.transaction() as transaction:
            assert transaction.execute("SELECT current_setting('synchronous_commit')").fetchone() == (used,)
        assert journal.db.execute("SELECT current_setting('synchronous_commit')").fetchone() == (said,)


def test_a_machine_that_stands_still_in_a_turn_does_not_lock_its_account(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the transaction of a machine that stands still, so that its account is not locked."""
    begin = tuple(each.replace("'20s'", "'1s'") for each in postgres_journal._BEGIN)
    monkeypatch.setattr(postgres_journal, "_BEGIN", begin)
    with PostgresJournal(shared) as asleep, PostgresJournal(shared) as other:
        scope = runs.scope_of(asleep, "http://host", "account")
        with asleep.hold(RunKey(scope, *HELD)), other.hold(RunKey(scope, "lead", *HELD[1:])):
            turn = asleep.transaction()
            turn.__enter__().execute("SELECT 1").fetchone()
            with other.transaction() as db:
                assert db.execute("SELECT 1").fetchone() == (1,)
            with pytest.raises(StateAwayError):
                turn.__exit__(None, None, None)
            with asleep.transaction():
                pass


def test_a_machine_that_is_suspended_while_it_sends_a_turn_does_not_lock_its_account(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that the server waits to hear more from is ended by the machine that waits for the account."""
    import psycopg

    begin = tuple(each.replace("'60s'", "'1s'") for each in postgres_journal._BEGIN)
    monkeypatch.setattr(postgres_journal, "_BEGIN", begin)
    monkeypatch.setattr(
        postgres_journal, "_END_SUSPENDED", postgres_journal._END_SUSPENDED.replace("'20s'", "'0.5s'")
    )
    with PostgresJournal(shared) as journal, psycopg.connect(shared, application_name="cms") as asleep:
        scope = runs.scope_of(journal, "http://host", "account")
        turn = asleep.pipeline()
        turn.__enter__()
        # Fetching flushes, but does not sync.
        asleep.execute("SELECT 1 FROM cms.scopes WHERE id = %s FOR UPDATE", (scope,)).fetchone()
        with journal.hold(RunKey(scope, *HELD)), journal.transaction() as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            turn.__exit__(None, None, None)


def test_a_refused_statement_is_named_however_many_follow_it(shared: str) -> None:
    """A refusal is not taken for a lost connection, even if it arrives before all statements are sent."""
    insert = "INSERT INTO row_texts (texts, place, body, cells) VALUES ('a', ?, ?, '')"

    def write(places: range) -> None:
        with journal.transaction() as db:
            journal.time(0.0)  # as in a turn, which reads before it writes
            db.executemany(insert, [(place, "x" * 20_000) for place in places])

    with PostgresJournal(shared) as journal:
        write(range(1))
        with pytest.raises(JournalError, match="duplicate key") as refused:
            write(range(2_000))
        assert not isinstance(refused.value, StateAwayError)
        write(range(1, 2))


@pytest.mark.parametrize("kind", [pytest.param("sale", marks=pytest.mark.slow), "lead"])
@pytest.mark.parametrize(
    "milliseconds", [0, pytest.param(10, marks=pytest.mark.slow), pytest.param(50, marks=pytest.mark.slow)]
)
def test_machines_share_an_account(
    tmp_path: Path, shared: str, kind: str, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines with overlapping files send every event once within the limit, near the database or far."""
    rows, there = sales_csv if kind == "sale" else leads_csv, urlsplit(shared)
    with (
        SlowLine(there.hostname or "", there.port or 5432, milliseconds / 1000) as line,
        SandboxServer(tmp_path / "s.db", rate_limit="20/1s", latency_ms=5) as server,
    ):
        monkeypatch.setattr(Engine, "url", line.url(shared))
        machines = [tmp_path / name for name in ("one", "two")]
        for folder in machines:
            folder.mkdir()
        benches = [Bench(folder, server.url, kind) for folder in machines]
        paths = [bench.file(rows(numbers)) for bench, numbers in zip(benches, (range(40), range(20, 60)))]
        with ThreadPoolExecutor() as pool:
            replays = [
                pool.submit(bench.replay, path, rate=Rate(20, 1.0), concurrency=4, max_wait=60.0)
                for bench, path in zip(benches, paths)
            ]
            reports = [each.result() for each in replays]
        statuses = Counter(attempt.status for attempt in server.attempts())
    assert [report.pending for report in reports] == [0, 0]
    assert statuses == {200: 60}


def test_a_lead_in_flight_on_another_machine_is_not_unknown(
    tmp_path: Path, service: FaultServer, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The age of another machine's request in flight is measured by the server's clock."""
    monkeypatch.setattr(Engine, "url", shared)
    bench = Bench(tmp_path, service.url, "lead")
    found = []
    with CMSClient("tok", service.url, retries=0) as client:

        def send(event: WireEvent) -> Outcome:
            with PostgresJournal(shared) as other, monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda: 4e9)
                keys = [bytes(key) for (key,) in other.db.execute("SELECT key FROM rows WHERE sent_at IS NOT NULL")]
                scope = runs.find_scope(other, bench.host, bench.account)
                found.append((len(keys), History(other, scope, EventKind.LEAD).known(keys)))
            return client.attempt(event)

        bench.replay(bench.file(leads_csv(range(1))), send=send)

    assert found == [(1, {})]


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_turn_takes_two_round_trips(
    tmp_path: Path, service: FaultServer, shared: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn takes two round trips: one to read, and one to write and commit."""
    did: list[str] = []
    turns: list[int] = []

    def watch(owner: type, name: str, what: str) -> None:
        real = getattr(owner, name)

        def watched(self: Any, *arguments: Any) -> Any:
            did.append(what)
            return real(self, *arguments)

        monkeypatch.setattr(owner, name, watched)

    watch(PostgresDatabase, "execute", "sent")
    for name in ("fetchone", "fetchall"):
        watch(postgres_database._Result, name, "waited")
    for name in ("sync", "leave_pipeline"):
        watch(PostgresDatabase, name, "waited")
    take = Turns.take

    def counted_take(self: Turns, *arguments: Any) -> Any:
        did.clear()
        result = take(self, *arguments)
        turns.append(sum(pair == ("sent", "waited") for pair in zip(did, did[1:])))
        return result

    monkeypatch.setattr(Turns, "take", counted_take)
    monkeypatch.setattr(Engine, "url", shared)
    bench = Bench(tmp_path, service.url, kind)
    text = sales_csv(range(30)) if kind == "sale" else leads_csv(range(30), timestamp="")
    report = bench.replay(bench.file(text), concurrency=4)

    assert counted(report) == {"accepted": 30}
    # The first turn also checks what other runs have left.
    assert set(turns[1:]) == {2}, turns


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_database_that_is_restarted_in_mid_run(
    tmp_path: Path,
    service: FaultServer,
    postgres: Postgres,
    shared: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answers that arrive while the database restarts are recorded once it is back."""
    if not isinstance(postgres, OwnPostgres):
        pytest.skip("the server is not ours to restart")
    monkeypatch.setattr(Engine, "url", shared)
    bench = Bench(tmp_path, service.url, kind)
    path = bench.file(sales_csv(range(12)) if kind == "sale" else leads_csv(range(12)))
    with CMSClient("tok", service.url, retries=0) as client:

        def send(event: WireEvent) -> Outcome:
            outcome = client.attempt(event)
            if bench.sent == 5:
                postgres.stop()
                postgres.start()
            return outcome

        report = bench.replay(path, send=send, concurrency=1, max_wait=60.0)

    assert counted(report) == {"accepted": 12}
    assert set(Counter(request.body for request in service.requests).values()) == {1}
    assert len(service.requests) == 12


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_commits_whose_answers_are_lost(
    tmp_path: Path, service: FaultServer, shared: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn was committed although its answer was lost, and that of the turn that finds it out as well."""
    monkeypatch.setattr(Engine, "url", shared)
    bench = Bench(tmp_path, service.url, kind)
    path = bench.file(sales_csv(range(6)) if kind == "sale" else leads_csv(range(6)))
    leave, lost = PostgresDatabase.leave_pipeline, [0]

    def lose(self: PostgresDatabase) -> None:
        commits = self._pipeline is not None and bench.sent == 3 and lost[0] < 2
        leave(self)
        if commits:
            lost[0] += 1
            self.close()
            raise StateAwayError("the answer was lost", "")

    monkeypatch.setattr(PostgresDatabase, "leave_pipeline", lose)
    report = bench.replay(path, concurrency=1, max_wait=60.0)

    assert (counted(report), lost) == ({"accepted": 6}, [2])
    assert len(service.requests) == 6
    assert {row.attempts for row in bench.settled()} == {1}


def test_a_wait_for_other_machines_does_not_delay_a_request(
    tmp_path: Path, service: FaultServer, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is not late because its turn waited for the account: the lease was extended after that."""
    import psycopg

    monkeypatch.setattr(leases, "SECONDS", 2.0)
    monkeypatch.setattr(leases, "RENEWED_AFTER", 0.2)
    monkeypatch.setattr(Engine, "url", shared)
    bench = Bench(tmp_path, service.url)
    path = bench.file(sales_csv(range(6)))
    with CMSClient("tok", service.url, retries=0) as client, psycopg.connect(shared) as other:

        def send(event: WireEvent) -> Outcome:
            if bench.sent == 3:
                other.execute("SELECT 1 FROM cms.scopes FOR UPDATE")
                threading.Timer(1.5, other.rollback).start()
            return client.attempt(event)

        report = bench.replay(path, send=send, concurrency=1, max_wait=60.0)

    assert counted(report) == {"accepted": 6}
    assert {row.attempts for row in bench.settled()} == {1}


@pytest.mark.slow
def test_a_database_that_stays_away(
    tmp_path: Path, service: FaultServer, postgres: Postgres, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is gone is waited for up to ``max_wait``, and the same command continues later."""
    if not isinstance(postgres, OwnPostgres):
        pytest.skip("the server is not ours to stop")
    monkeypatch.setattr(Engine, "url", shared)
    bench = Bench(tmp_path, service.url)
    path = bench.file(sales_csv(range(6)))
    with CMSClient("tok", service.url, retries=0) as client:

        def send(event: WireEvent) -> Outcome:
            outcome = client.attempt(event)
            if bench.sent == 3:
                postgres.stop()
            return outcome

        try:
            with pytest.raises(StateAwayError):
                bench.replay(path, send=send, concurrency=1, max_wait=1.0)
            with pytest.raises(StateAwayError):
                Journal.open(bench.state, shared)
        finally:
            postgres.start()
    with PostgresJournal(shared) as journal, journal.transaction() as db:
        db.execute("UPDATE leases SET until = 0")  # the lease of the process that gave up is over

    assert bench.replay(path).pending == 0
    sent = Counter(request.body for request in service.requests)
    assert len(sent) == 6
    # The third sale's answer could not be written: it goes once more, and its invoice dedupes it.
    assert sum(sent.values()) <= 7
