"""Runs: one file of events, sent to one account, with flags that shape the events one way."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from cms_cli.replay.journal import Journal, private_folder

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
        shape: The flags that shape events, as :meth:`cms_cli.replay.options.Shape.to_json` writes them.
        file: The input's path as it was given, for people.
        header: The input's column names.
        state: How far it has come.
        latest: Whether it is the one that the same command goes on with; not so once ``--fresh`` began another.
        created: Seconds since the epoch.
        touched: Seconds since the epoch at which it last changed.
        exit_code: The exit code of the last invocation, or None.
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


class RunBusyError(Exception):
    """Another process is at work on this run."""


_SELECT = (
    "SELECT runs.id, name, scope, host, account, kind, sha256, shape, file, header, state, latest, created,"
    " touched, exit_code FROM runs JOIN scopes ON scopes.id = runs.scope "
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
    """Begin a run, in state STAGING. An earlier one of the same identity is no longer the latest."""
    with journal.transaction() as db:
        db.execute(
            "UPDATE runs SET latest = 0 WHERE scope = ? AND kind = ? AND sha256 = ? AND shape = ?",
            (scope, kind, sha256, shape),
        )
        while True:
            name = f"{kind}-{''.join(secrets.choice(_NAME_LETTERS) for _ in range(_NAME_LENGTH))}"
            if not db.execute("SELECT 1 FROM runs WHERE name = ?", (name,)).fetchone():
                break
        db.execute(
            "INSERT INTO runs (name, scope, kind, sha256, shape, file, header, state, created, touched)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (name, scope, kind, sha256, shape, file, json.dumps(list(header)), RunState.STAGING.value, now, now),
        )
    run = by_name(journal, name)
    assert run is not None
    return run


def by_name(journal: Journal, name: str) -> Run | None:
    """Give the run of a name, or None."""
    return next(_runs(journal, "WHERE name = ?", (name,)), None)


def of_file(journal: Journal, sha256: str) -> list[Run]:
    """Give every latest run of an input's bytes, oldest first, whatever its account and shape."""
    return list(_runs(journal, "WHERE sha256 = ? AND latest ORDER BY runs.id", (sha256,)))


def all_runs(journal: Journal) -> Iterator[Run]:
    """Give every run, the newest first."""
    return _runs(journal, "ORDER BY runs.id DESC", ())


def set_state(journal: Journal, run: Run, state: RunState, now: float, exit_code: int | None = None) -> None:
    """Write how far a run has come."""
    with journal.transaction() as db:
        db.execute(
            "UPDATE runs SET state = ?, touched = ?, exit_code = ? WHERE id = ?",
            (state.value, now, exit_code, run.id),
        )


def delete(journal: Journal, run: Run) -> None:
    """Remove a run with its rows; what it wrote into the ledger stays."""
    with journal.transaction() as db:
        db.execute("DELETE FROM rows WHERE run = ?", (run.id,))
        db.execute("DELETE FROM runs WHERE id = ?", (run.id,))


def prune(journal: Journal, names: Iterable[str] | None, *, ledger: bool) -> int:
    """Remove runs, and every trace of them in the file.

    Args:
        journal: The journal.
        names: Those to remove, whatever their state; None for all that are finished.
        ledger: Whether to forget what was accepted, too.

    Returns:
        How many were removed.

    Raises:
        RunBusyError: Another process is at work on one of them.
    """
    wanted = None if not names else set(names)
    chosen = [
        run
        for run in all_runs(journal)
        if (run.name in wanted if wanted is not None else run.state is RunState.FINISHED)
    ]
    for run in chosen:
        with locked(journal, run.scope, run.kind, run.sha256, run.shape):
            delete(journal, run)
    if ledger:
        with journal.transaction() as db:
            db.execute("DELETE FROM accepted_sales")
            db.execute("DELETE FROM accepted_leads")
    journal.compact()
    return len(chosen)


@contextmanager
def locked(journal: Journal, scope: int, kind: str, sha256: str, shape: str) -> Iterator[None]:
    """Hold a run, which need not have begun, for this process. The system frees it however the process ends.

    Raises:
        RunBusyError: Another process holds it.
    """
    from filelock import FileLock, Timeout

    folder = journal.folder / "locks"
    private_folder(folder)
    identity = hashlib.sha256(f"{scope} {kind} {sha256} {shape}".encode()).hexdigest()[:32]
    lock = FileLock(str(folder / f"{identity}.lock"), timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise RunBusyError from None
    try:
        yield
    finally:
        lock.release()


def _runs(journal: Journal, where: str, values: tuple[object, ...]) -> Iterator[Run]:
    for row in journal.db.execute(_SELECT + where, values):
        number, name, scope, host, account, kind, sha256, shape, file, header, state, latest, *rest = row
        created, touched, exit_code = rest
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
        )
