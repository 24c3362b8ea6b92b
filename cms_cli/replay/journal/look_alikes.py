"""The tables of leads without a time that were sent: the hashes of their fields ("looks"), and their files.

Two such leads with the same fields may be one event or two. Within a file, each is identified by its digest. A lead
of another file that looks like one that was sent is sent or skipped as ``--repeats`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cms_cli.replay.journal.database import Database, in_parts, insert_together, marks


def add(db: Database, scope: int, look: bytes, run: int, row: int) -> None:
    """Add the look of a lead that is about to be sent. Part of the transaction that writes its intent."""
    db.execute(
        "INSERT INTO lead_looks (scope, look, run, row) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (scope, look, run, row) DO NOTHING",
        (scope, look, run, row),
    )


def remove(db: Database, scope: int, look: bytes, run: int, row: int) -> None:
    """Delete the look of a lead that surely did not arrive."""
    db.execute(
        "DELETE FROM lead_looks WHERE scope = ? AND look = ? AND run = ? AND row = ?", (scope, look, run, row)
    )


def sent(db: Database, scope: int, looks: Sequence[bytes]) -> set[bytes]:
    """Return the looks of leads that were sent or may have been."""
    return ask(db, scope, looks)()


def ask(db: Database, scope: int, looks: Sequence[bytes], *, but: int | None = None) -> Callable[[], set[bytes]]:
    """Send the queries of :func:`sent`; return a function that reads the result.

    Args:
        db: The database.
        scope: The journal's id of host and account.
        looks: The looks to search for.
        but: The id of a run whose leads do not count, or None.
    """
    query = "SELECT look FROM lead_looks WHERE scope = ? AND run <> ? AND look IN"
    others = (scope, -1 if but is None else but)
    cursors = [db.execute(f"{query} ({marks(some)})", (*others, *some)) for some in in_parts(looks)]
    return lambda: {bytes(look) for cursor in cursors for (look,) in cursor}


def add_file(db: Database, scope: int, end: bytes) -> None:
    """Add a file whose leads are about to be sent, by the digest of its last row."""
    db.execute(
        "INSERT INTO lead_files (scope, place) VALUES (?, ?) ON CONFLICT (scope, place) DO NOTHING", (scope, end)
    )


def files(db: Database, scope: int) -> set[bytes]:
    """Return the digest of the last row of each file whose leads were sent."""
    return {bytes(digest) for (digest,) in db.execute("SELECT place FROM lead_files WHERE scope = ?", (scope,))}


def copy(source: Database, scope: int, db: Database, to: int, numbers: Mapping[int, int]) -> None:
    """Copy the looks and files of a host and account into another database.

    Args:
        source: The database to copy from.
        scope: The id of host and account in ``source``.
        db: The database to copy to.
        to: The id of host and account in ``db``.
        numbers: The id in ``db`` of each run, by its id in ``source``. A run that is missing gets 0, which no run
            has.
    """
    looks = source.execute("SELECT look, run, row FROM lead_looks WHERE scope = ?", (scope,))
    insert_together(
        db,
        "lead_looks",
        "scope, look, run, row",
        ((to, look, numbers.get(run, 0), row) for look, run, row in looks),
        "(scope, look, run, row) DO NOTHING",
    )
    digests = source.execute("SELECT place FROM lead_files WHERE scope = ?", (scope,))
    insert_together(
        db, "lead_files", "scope, place", ((to, *digest) for digest in digests), "(scope, place) DO NOTHING"
    )


def clear(db: Database, scope: int) -> None:
    """Delete the looks and files of a host and account."""
    for table in ("lead_looks", "lead_files"):
        db.execute(f"DELETE FROM {table} WHERE scope = ?", (scope,))
