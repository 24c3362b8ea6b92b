"""Leads without a time: hashes of their fields, and the files that they came from.

Two leads that look alike may be one event or two. Within its file each is known by its place; a lead of another
file that looks like one that was sent needs ``--repeats``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cms_cli.replay.journal.database import Database, in_parts, insert_together, marks


def add(db: Database, scope: int, look: bytes, run: int, row: int) -> None:
    """Enter the look of a lead that is about to leave. Part of the transaction that writes its intent."""
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
    """Return those looks whose leads were sent or may have been."""
    return ask(db, scope, looks)()


def ask(db: Database, scope: int, looks: Sequence[bytes], *, but: int | None = None) -> Callable[[], set[bytes]]:
    """Ask for :func:`sent`, and return a function that reads the answer.

    Args:
        db: The database.
        scope: The number of host and account.
        looks: The looks to search for.
        but: The number of a run whose leads do not count, or None.
    """
    query = "SELECT look FROM lead_looks WHERE scope = ? AND run <> ? AND look IN"
    others = (scope, -1 if but is None else but)
    asked = [db.execute(f"{query} ({marks(some)})", (*others, *some)) for some in in_parts(looks)]
    return lambda: {bytes(look) for part in asked for (look,) in part}


def add_file(db: Database, scope: int, end: bytes) -> None:
    """Enter a file whose leads are about to be sent, by the place at its end."""
    db.execute(
        "INSERT INTO lead_files (scope, place) VALUES (?, ?) ON CONFLICT (scope, place) DO NOTHING", (scope, end)
    )


def files(db: Database, scope: int) -> set[bytes]:
    """Return the places at the ends of the files whose leads were sent."""
    return {bytes(place) for (place,) in db.execute("SELECT place FROM lead_files WHERE scope = ?", (scope,))}


def copy(source: Database, scope: int, db: Database, to: int, numbers: Mapping[int, int]) -> None:
    """Copy everything of a host and account into another database.

    Args:
        source: The database to copy from.
        scope: The number of host and account there.
        db: The database to copy to.
        to: The number of host and account there.
        numbers: The numbers that runs have there; one that was removed gets 0, which no run has.
    """
    looks = source.execute("SELECT look, run, row FROM lead_looks WHERE scope = ?", (scope,))
    insert_together(
        db,
        "lead_looks",
        "scope, look, run, row",
        ((to, look, numbers.get(run, 0), row) for look, run, row in looks),
        "(scope, look, run, row) DO NOTHING",
    )
    places = source.execute("SELECT place FROM lead_files WHERE scope = ?", (scope,))
    insert_together(
        db, "lead_files", "scope, place", ((to, *place) for place in places), "(scope, place) DO NOTHING"
    )


def clear(db: Database, scope: int) -> None:
    """Delete everything of a host and account."""
    for table in ("lead_looks", "lead_files"):
        db.execute(f"DELETE FROM {table} WHERE scope = ?", (scope,))
