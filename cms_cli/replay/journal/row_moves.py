"""Copies the rows and texts of a whole run into another journal, and drops the texts of a finished run."""

from __future__ import annotations

from dataclasses import replace

from cms_cli.replay.journal import runs
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal, TextsWriter
from cms_cli.replay.journal.row_reports import pages
from cms_cli.replay.journal.row_texts import ENDING
from cms_cli.replay.journal.rows import FAILED
from cms_cli.replay.journal.runs import Run

_TOGETHER = 20_000  # rows whose texts are dropped in one transaction, for which other processes have to wait
_PAGE = 1000  # rows copied at a time

_COPIED = (
    "row, line, status, customer, key, amount, currency, attempts, sent_at, status_code, code, error, fault, look,"
    " place"
)


def copy(
    source: Journal, run: Run, journal: Journal, db: Database, number: int, texts: TextsWriter, ahead: float
) -> None:
    """Copy the rows of a run into another journal.

    Args:
        source: The journal to copy from.
        run: The run in ``source``.
        journal: The journal to copy to.
        db: The database of ``journal``, in a transaction.
        number: The id of the run in ``journal``.
        texts: The writer for the row texts.
        ahead: The seconds by which the clock of ``journal`` is ahead of that of ``source``.
    """
    values = _COPIED.replace("sent_at", "sent_at + ?")
    query = f"SELECT {values} FROM rows WHERE run = ? AND row > ? ORDER BY row LIMIT ?"
    after = 0
    while page := source.db.execute(query, (ahead, run.id, after, _PAGE)).fetchall():
        after = page[-1][0]
        copies = []
        for *row, offset in page:
            text = None if offset is None else source.row_texts(run).read(offset)
            copies.append((number, *row, None if text is None else texts.add(text)))
        journal.insert_rows(db, f"run, {_COPIED}", copies)


def drop_personal_data(journal: Journal, run: Run) -> Run:
    """Delete the personal data of a finished run's rows, except that of failed rows.

    Returns:
        The run, with the name and size of the remaining texts.

    Raises:
        JournalError: The disk is full or fails. Then the old texts are kept.
    """
    generation = int(run.texts.split(".")[1]) + 1 if run.texts.count(".") > 1 else 2
    name = f"{run.name}.{generation}{ENDING}"
    offsets: list[tuple[int, int, int]] = []
    with journal.writing(name) as texts:
        for row, *_, offset, _fault in pages(journal.db, run, [status.value for status in FAILED]):
            if offset is not None:
                offsets.append((texts.add(journal.row_texts(run).read(offset)), run.id, row))
    failed = ",".join(f"'{status.value}'" for status in FAILED)
    last = journal.db.execute("SELECT max(row) FROM rows WHERE run = ?", (run.id,)).fetchone()[0] or 0
    for start in range(0, last + 1, _TOGETHER):
        with journal.transaction() as db:
            db.execute(
                "UPDATE rows SET place = NULL, customer = NULL, key = NULL, amount = NULL, currency = NULL"
                f" WHERE run = ? AND row > ? AND row <= ? AND status NOT IN ({failed}) AND place IS NOT NULL",
                (run.id, start, start + _TOGETHER),
            )
    # The old file is removed next; after a power cut, the journal must not refer to it any more.
    journal.make_durable(against_power_cuts=True)
    with journal.transaction() as db:
        db.executemany("UPDATE rows SET place = ? WHERE run = ? AND row = ?", offsets)
        runs.set_texts(db, run, name, texts.size)
    journal.forget_row_texts(run.name, keep=name)
    return replace(run, texts=name, texts_size=texts.size)
