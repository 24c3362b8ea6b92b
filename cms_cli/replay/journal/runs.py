"""Runs: one file of events, sent to one account, with flags that shape the events one way."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from cms_cli.replay.journal.contents import ENDING
from cms_cli.replay.journal.journal import LOCKS, Journal, JournalError, private_folder
from cms_cli.replay.journal.ledger import allow_unknown, keep_in_doubt
from cms_cli.replay.journal.ledger import clear as clear_ledger
from cms_cli.replay.journal.ledger import forget as forget_in_ledger

_NAME_LETTERS = "bcdfghjkmnpqrstvwxz23456789"  # no vowels, and nothing that reads as something else
_NAME_LENGTH = 5


class RunState(str, Enum):
    """How far a run has come."""

    STAGING = "staging"
    """Its rows are being written; nothing was sent. What a crash leaves like this is staged anew."""
    UNFINISHED = "unfinished"
    """Staged, and some rows may still have to be sent."""
    FINISHED = "finished"
    """Every row has an outcome."""


@dataclass(frozen=True)
class Run:
    """A run, as the journal has it.

    Attributes:
        id: Its number in the journal.
        name: What people call it by, ``sale-7kq3m``.
        scope: The number of its host and account, to which ledger and rate limit belong.
        host: The API's base URL, or ``sandbox``.
        account: The key of the account.
        kind: ``lead`` or ``sale``.
        sha256: Of the input's bytes, hexadecimal.
        shape: The flags that shape events, as :meth:`cms_cli.replay.mapping.shape.Shape.to_json` writes them.
        file: The input's path as it was given, for people.
        header: The input's column names.
        state: How far it has come.
        latest: Whether it is the one that the same command goes on with: not before it is staged to its end and
            nobody said no, and not once ``--fresh`` began another.
        created: Seconds since the epoch.
        touched: Seconds since the epoch at which it last changed.
        exit_code: The exit code of the last invocation, or None.
        counts: Of a finished run its rows by outcome, so that nobody has to go through them again; else None.
        contents: The file that holds what its rows say, in the folder of the journal.
        contents_size: How many bytes it has; 0 while rows are staged.
    """

    id: int
    name: str
    scope: int
    host: str
    account: str
    kind: str
    sha256: str
    shape: str
    file: str
    header: tuple[str, ...]
    state: RunState
    latest: bool
    created: float
    touched: float
    exit_code: int | None
    counts: dict[str, int] | None
    contents: str
    contents_size: int


class RunBusyError(Exception):
    """Another process is at work on this run."""


_SELECT = (
    "SELECT runs.id, name, scope, host, account, kind, sha256, shape, file, header, state, latest, created,"
    " touched, exit_code, counts, contents, contents_size FROM runs JOIN scopes ON scopes.id = runs.scope "
)


def scope_of(journal: Journal, host: str, account: str) -> int:
    """Give the number of a host and account, and make one where there is none."""
    with journal.transaction() as db:
        db.execute("INSERT OR IGNORE INTO scopes (host, account) VALUES (?, ?)", (host, account))
        found = db.execute("SELECT id FROM scopes WHERE host = ? AND account = ?", (host, account)).fetchone()
    return int(found[0])


def find_scope(journal: Journal, host: str, account: str) -> int | None:
    """Give the number of a host and account, or None; writes nothing."""
    found = journal.db.execute("SELECT id FROM scopes WHERE host = ? AND account = ?", (host, account)).fetchone()
    return int(found[0]) if found else None


def create(
    journal: Journal,
    *,
    scope: int,
    kind: str,
    sha256: str,
    shape: str,
    file: str,
    header: Iterable[str],
    now: float,
) -> Run:
    """Begin a run, in state STAGING. Until :func:`begin_sending`, no other run is touched by it."""
    with journal.transaction() as db:
        while True:
            name = f"{kind}-{''.join(secrets.choice(_NAME_LETTERS) for _ in range(_NAME_LENGTH))}"
            if not db.execute("SELECT 1 FROM runs WHERE name = ?", (name,)).fetchone():
                break
        db.execute(
            "INSERT INTO runs (name, scope, kind, sha256, shape, file, header, state, latest, created,"
            " touched, contents) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
            (
                *(name, scope, kind, sha256, shape, file, json.dumps(list(header)), RunState.STAGING.value),
                *(now, now, name + ENDING),
            ),
        )
    run = by_name(journal, name)
    assert run is not None
    return run


def by_name(journal: Journal, name: str) -> Run | None:
    """Give the run of a name, or None."""
    return next(_runs(journal, "WHERE name = ?", (name,)), None)


def of_file(journal: Journal, sha256: str) -> list[Run]:
    """Give every latest run of an input's bytes, oldest first, whatever its account and shape.

    Those whose staging was cut off are among them, for whoever holds their lock to clear away.
    """
    where = "WHERE sha256 = ? AND (latest OR state = 'staging') ORDER BY runs.id"
    return list(_runs(journal, where, (sha256,)))


def all_runs(journal: Journal) -> Iterator[Run]:
    """Give every run, the newest first."""
    return _runs(journal, "ORDER BY runs.id DESC", ())


def begin_sending(journal: Journal, run: Run, now: float, *, fresh: bool, unknown_again: bool = False) -> None:
    """Make a run the one that the same command goes on with: from here on its rows may be sent.

    Args:
        journal: The journal.
        run: The run; staged to its end.
        now: The time, seconds since the epoch.
        fresh: Whether the ledger is to forget what it has of the run's rows, should this be its beginning.
        unknown_again: Whether what may have arrived is to be sent all the same.
    """
    with journal.transaction() as db:
        if run.state is RunState.STAGING:
            db.execute(
                "UPDATE runs SET latest = 0 WHERE scope = ? AND kind = ? AND sha256 = ? AND shape = ?",
                (run.scope, run.kind, run.sha256, run.shape),
            )
            db.execute("UPDATE runs SET latest = 1 WHERE id = ?", (run.id,))
            if fresh:
                forget_in_ledger(db, run.scope, run.kind, run.id)
        if unknown_again:
            allow_unknown(db, run.scope, run.kind, run.id)
        db.execute(
            "UPDATE runs SET state = ?, touched = ?, counts = NULL WHERE id = ?",
            (RunState.UNFINISHED.value, now, run.id),
        )


def end_sending(
    journal: Journal, run: Run, now: float, exit_code: int, counts: dict[str, int], *, finished: bool
) -> None:
    """Write how far a run has come, and how the invocation ended."""
    state = RunState.FINISHED if finished else RunState.UNFINISHED
    with journal.transaction() as db:
        db.execute(
            "UPDATE runs SET state = ?, touched = ?, exit_code = ?, counts = ? WHERE id = ?",
            (state.value, now, exit_code, json.dumps(counts) if finished else None, run.id),
        )


def delete(journal: Journal, run: Run) -> None:
    """Remove a run with its rows; what it wrote into the ledger stays, and what it left in doubt goes there."""
    with journal.transaction() as db:
        if run.kind == "lead" or run.latest:  # not a run of sales that --fresh has replaced: those were sent again
            keep_in_doubt(db, run.scope, run.kind, run.id)
        db.execute("DELETE FROM rows WHERE run = ?", (run.id,))
        db.execute("DELETE FROM runs WHERE id = ?", (run.id,))
    journal.forget_contents(run.name)


def prune(journal: Journal, names: Iterable[str] | None, *, ledger: bool) -> int:
    """Remove runs, and every trace of them in the file.

    Args:
        journal: The journal.
        names: Those to remove, whatever their state; None for all that are finished, and for what is left of
            those that never began.
        ledger: Whether to forget what was accepted, too.

    Returns:
        How many were removed.

    Raises:
        RunBusyError: Another process is at work on one of those named.
        JournalError: It cannot be written, or traces may be left because another process reads it.
    """
    wanted = None if not names else set(names)
    gone = 0
    for run in list(all_runs(journal)):
        if wanted is not None and run.name not in wanted:
            continue
        try:
            with locked(journal, run.scope, run.kind, run.sha256, run.shape):
                held = by_name(journal, run.name)
                if held is not None and (wanted is not None or held.state is not RunState.UNFINISHED):
                    delete(journal, held)
                    gone += 1
        except RunBusyError:
            if wanted is not None:
                raise
    if ledger:
        with journal.transaction() as db:
            clear_ledger(db)
    journal.forget_strays()
    journal.compact()
    return gone


@contextmanager
def locked(journal: Journal, scope: int, kind: str, sha256: str, shape: str) -> Iterator[None]:
    """Hold a run, which need not have begun, for this process. The system frees it however the process ends.

    Nothing dedupes leads, so a file of leads is held whatever the flags that shape them: two processes with
    different flags would not see in time what the other has sent.

    Raises:
        RunBusyError: Another process holds it.
        JournalError: The folder of locks cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = journal.folder / LOCKS
    identity = f"{scope} {kind} {sha256} {shape if kind == 'sale' else ''}"
    file = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.lock"
    lock = FileLock(str(file), timeout=0, mode=0o600)
    try:
        private_folder(folder)
        lock.acquire()
    except Timeout:
        raise RunBusyError from None
    except (OSError, NotImplementedError) as error:
        raise JournalError(
            f"{file}: {getattr(error, 'strerror', None) or error}",
            "Check that the state folder can be written and locked, or name another with --state-dir.",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()


def _runs(journal: Journal, where: str, values: tuple[object, ...]) -> Iterator[Run]:
    for row in journal.db.execute(_SELECT + where, values):
        number, name, scope, host, account, kind, sha256, shape, file, header, state, latest, *rest = row
        created, touched, exit_code, counts, contents, contents_size = rest
        yield Run(
            number,
            name,
            scope,
            host,
            account,
            kind,
            sha256,
            shape,
            file,
            tuple(json.loads(header)),
            RunState(state),
            bool(latest),
            created,
            touched,
            exit_code,
            json.loads(counts) if counts else None,
            contents,
            contents_size,
        )
