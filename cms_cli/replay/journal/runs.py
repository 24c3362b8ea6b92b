"""The tables of runs and of their hosts and accounts. A run is one file, sent to one account with one shape."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.row_texts import ENDING
from cms_cli.replay.journal.run_key import RunKey

_NAME_LETTERS = "bcdfghjkmnpqrstvwxz23456789"  # no vowels, so no words; nothing that is easily misread (l, 1, 0)
_NAME_LENGTH = 5


EXEMPT = "exempt"
"""The value of ``Run.repeats`` for a run whose leads are all sent: they are new, or sent again on purpose."""


class RunState(str, Enum):
    """The progress of a run."""

    STAGING = "staging"
    """Rows are being staged and nothing was sent. If the process dies, the file is staged again."""
    UNFINISHED = "unfinished"
    """All rows are staged, and some may still have to be sent."""
    FINISHED = "finished"
    """Every row has an outcome."""


@dataclass(frozen=True)
class Run:
    """A run as it is in the journal.

    Attributes:
        id: Its id in the journal.
        name: Its name for people: ``sale-7kq3m``.
        scope: The journal's id of its host and account, to which ledger and rate limit belong.
        host: The API's base URL, or ``sandbox``.
        account: The account's key.
        kind: ``lead`` or ``sale``.
        sha256: The SHA-256 of the input's bytes, in hexadecimal.
        shape: The flags that shape events, as :meth:`cms_cli.replay.mapping.shape.Shape.to_json` writes them.
        file: The input's path, or another name for it, for people.
        header: The input's column names.
        state: Its progress.
        latest: Whether the same command resumes it: True once it has begun to send, until ``--fresh`` begins
            another.
        created: The time of its creation, in seconds since the epoch.
        touched: The time of its last change, in seconds since the epoch.
        exit_code: The exit code of the last invocation, or None.
        counts: The number of rows by outcome, of a finished run only; else None.
        texts: The name of its row texts: a file in the state folder, or a key in the shared database.
        texts_size: The size of its row texts: bytes of the file, or rows in the database; 0 while it is staged.
        dialect: The dialect of its input, as JSON; "" if an older version did not record it.
        repeats: What to do with leads that look like sent ones: "" (not said), ``send``, ``skip`` or EXEMPT.
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
    texts: str
    texts_size: int
    dialect: str = ""
    repeats: str = ""

    @property
    def key(self) -> RunKey:
        """Its key."""
        return RunKey(self.scope, self.kind, self.sha256, self.shape)

    def repeats_said(self, now: str) -> str:
        """Return what to do with leads that look like sent ones.

        Args:
            now: The value of ``--repeats`` in this invocation, or "" to use that of an earlier one.
        """
        return "send" if self.repeats == EXEMPT else now or self.repeats


_SELECT = (
    "SELECT runs.id, name, scope, host, account, kind, sha256, shape, file, header, state, latest, created,"
    " touched, exit_code, counts, texts, texts_size, dialect, repeats"
    " FROM runs JOIN scopes ON scopes.id = runs.scope "
)


def scope_of(journal: Journal, host: str, account: str) -> int:
    """Return the id of a host and account, which is created if need be."""
    with journal.transaction() as db:
        db.execute(
            "INSERT INTO scopes (host, account) VALUES (?, ?) ON CONFLICT (host, account) DO NOTHING",
            (host, account),
        )
        found = db.execute("SELECT id FROM scopes WHERE host = ? AND account = ?", (host, account)).fetchone()
    return int(found[0])


def find_scope(journal: Journal, host: str, account: str) -> int | None:
    """Return the id of a host and account, or None if the journal does not have it."""
    found = journal.db.execute("SELECT id FROM scopes WHERE host = ? AND account = ?", (host, account)).fetchone()
    return int(found[0]) if found else None


def scopes(journal: Journal) -> list[tuple[int, str, str]]:
    """Return the id, host and account key of every host and account."""
    found = journal.db.execute("SELECT id, host, account FROM scopes ORDER BY id").fetchall()
    return [(int(scope), str(host), str(account)) for scope, host, account in found]


def account_of(journal: Journal, scope: int) -> str:
    """Return the account key of a scope."""
    (account,) = journal.db.execute("SELECT account FROM scopes WHERE id = ?", (scope,)).fetchone()
    return str(account)


def create(
    journal: Journal,
    key: RunKey,
    *,
    file: str,
    header: Iterable[str],
    now: float,
    dialect: str = "",
    repeats: str = "",
) -> Run:
    """Create a run in state STAGING. It replaces no other run until :func:`lifecycle.begin_sending`.

    The parameters are as for :class:`Run`; ``now`` is the time of its creation.
    """
    with journal.transaction() as db:
        name = _free_name(db, key.kind)
        db.execute(
            "INSERT INTO runs (name, scope, kind, sha256, shape, file, header, state, latest, created,"
            " touched, texts, dialect, repeats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (
                *(name, *key, file, json.dumps(list(header)), RunState.STAGING.value),
                *(now, now, name + ENDING, dialect, repeats),
            ),
        )
    run = by_name(journal, name)
    assert run is not None
    return run


def _free_name(db: Database, kind: str) -> str:
    while True:
        name = f"{kind}-{''.join(secrets.choice(_NAME_LETTERS) for _ in range(_NAME_LENGTH))}"
        if not db.execute("SELECT 1 FROM runs WHERE name = ?", (name,)).fetchone():
            return name


def find_copy(db: Database, run: Run, scope: int) -> tuple[int, str] | None:
    """Return id and name of the copy of another journal's run, or None if it was not copied.

    The copy is not found by its name, which differs if the name was taken.
    """
    found = db.execute(
        "SELECT id, name FROM runs WHERE scope = ? AND kind = ? AND sha256 = ? AND shape = ? AND created = ?",
        (scope, run.kind, run.sha256, run.shape, run.created),
    ).fetchone()
    return (int(found[0]), str(found[1])) if found else None


def copy(db: Database, run: Run, scope: int) -> tuple[int, str, str]:
    """Copy another journal's run without its rows; return the copy's id, its name and the name of its texts.

    The copy has the same name unless another run has it.
    """
    taken = db.execute("SELECT 1 FROM runs WHERE name = ?", (run.name,)).fetchone()
    name = _free_name(db, run.kind) if taken else run.name
    texts = name + run.texts[len(run.name) :]
    counts = None if run.counts is None else json.dumps(run.counts)
    db.execute(
        "INSERT INTO runs (name, scope, kind, sha256, shape, file, header, state, latest, created, touched,"
        " exit_code, counts, texts, dialect, repeats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(name, scope, run.kind, run.sha256, run.shape, run.file, json.dumps(list(run.header))),
            *(run.state.value, int(run.latest), run.created, run.touched, run.exit_code, counts),
            *(texts, run.dialect, run.repeats),
        ),
    )
    (number,) = db.execute("SELECT id FROM runs WHERE name = ?", (name,)).fetchone()
    return int(number), name, texts


def by_name(journal: Journal, name: str) -> Run | None:
    """Return the run with a name, or None."""
    return next(_runs(journal, "WHERE name = ?", (name,)), None)


def of_file(journal: Journal, sha256: str) -> list[Run]:
    """Return the latest runs of an input, with any account and shape, the oldest first.

    Runs whose staging was interrupted are included, so that a process that holds them can remove them.
    """
    where = "WHERE sha256 = ? AND (latest = 1 OR state = 'staging') ORDER BY runs.id"
    return list(_runs(journal, where, (sha256,)))


def all_runs(journal: Journal) -> Iterator[Run]:
    """Return every run, the newest first."""
    return _runs(journal, "ORDER BY runs.id DESC", ())


def unfinished_of(journal: Journal, scope: int) -> Iterator[Run]:
    """Return the unfinished runs of a host and account, the oldest first."""
    return _runs(journal, "WHERE scope = ? AND state = 'unfinished' ORDER BY runs.id", (scope,))


OTHERS = "(SELECT id FROM runs WHERE scope = ? AND kind = ? AND latest = 1 AND id <> ?)"
"""A subquery for the other runs of a run's account and kind; :func:`others` returns its values."""

Others = tuple[int, str, int]


def others(run: Run) -> Others:
    """Return the values of :data:`OTHERS`."""
    return run.scope, run.kind, run.id


def any_run(scope: int, kind: str) -> Others:
    """Return values for :data:`OTHERS` that exclude no run."""
    return scope, kind, -1


def make_latest(db: Database, run: Run) -> None:
    """Make a run the one that the same command resumes."""
    db.execute(
        "UPDATE runs SET latest = 0 WHERE scope = ? AND kind = ? AND sha256 = ? AND shape = ?",
        (run.scope, run.kind, run.sha256, run.shape),
    )
    db.execute("UPDATE runs SET latest = 1 WHERE id = ?", (run.id,))


def unfinished(db: Database, run: Run, now: float) -> None:
    """Record that a run begins or continues to send."""
    db.execute(
        "UPDATE runs SET state = ?, touched = ?, counts = NULL WHERE id = ?",
        (RunState.UNFINISHED.value, now, run.id),
    )


def reopen(db: Database, run: Run) -> None:
    """Record that a run has rows to send again."""
    db.execute("UPDATE runs SET counts = NULL, state = ? WHERE id = ?", (RunState.UNFINISHED.value, run.id))


def set_texts(db: Database, run: Run, name: str, size: int) -> None:
    """Record the name and size of a run's row texts."""
    db.execute("UPDATE runs SET texts = ?, texts_size = ? WHERE id = ?", (name, size, run.id))


def set_size(db: Database, number: int, size: int) -> None:
    """Record the size of the row texts of a run that was copied."""
    db.execute("UPDATE runs SET texts_size = ? WHERE id = ?", (size, number))


def staged(journal: Journal, run: Run, size: int) -> Run:
    """Record the size of the texts of a run that is completely staged, and return the updated run."""
    with journal.transaction() as db:
        set_texts(db, run, run.texts, size)
    return replace(run, texts_size=size)


def end_sending(
    journal: Journal, run: Run, now: float, exit_code: int, counts: dict[str, int], *, finished: bool
) -> None:
    """Record the state and counts of a run and the exit code of the invocation."""
    state = RunState.FINISHED if finished else RunState.UNFINISHED
    with journal.transaction() as db:
        db.execute(
            "UPDATE runs SET state = ?, touched = ?, exit_code = ?, counts = ? WHERE id = ?",
            (state.value, now, exit_code, json.dumps(counts) if finished else None, run.id),
        )


def delete(db: Database, run: Run) -> None:
    """Delete a run without its rows. Part of a transaction."""
    db.execute("DELETE FROM runs WHERE id = ?", (run.id,))


def _runs(journal: Journal, where: str, values: tuple[object, ...]) -> Iterator[Run]:
    for row in journal.db.execute(_SELECT + where, values):
        number, name, scope, host, account, kind, sha256, shape, file, header, state, latest, *rest = row
        created, touched, exit_code, counts, texts, texts_size, dialect, repeats = rest
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
            texts,
            texts_size,
            dialect,
            repeats,
        )
