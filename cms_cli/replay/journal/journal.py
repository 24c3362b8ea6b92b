"""The interface of the journal, which SQLite and PostgreSQL implement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.run_key import RunKey

if TYPE_CHECKING:
    from cms_cli.replay.journal.row_texts import RowText
    from cms_cli.replay.journal.runs import Run

Result = TypeVar("Result")


class TextsWriter(Protocol):
    """Writes the row texts of a run.

    Attributes:
        size: The size of the texts, in the unit of the engine (bytes or rows), as are offsets.
    """

    size: int

    def add(self, content: RowText, /) -> int:
        """Append a row and return its offset, by which it can be read."""
        ...


class TextsReader(Protocol):
    """Reads the row texts of a run."""

    def read(self, offset: int, /) -> RowText:
        """Return the row at an offset."""
        ...


class Patience(NamedTuple):
    """How long to wait for a database that does not answer.

    Attributes:
        seconds: The longest wait, in seconds.
        hurry: Returns True to give up at once.
        tell: Called now and then with the reason for waiting, for people.
    """

    seconds: float
    hurry: Callable[[], bool]
    tell: Callable[[str], None]


class Journal(ABC):
    """An open journal, to be used from one thread.

    Attributes:
        db: The connection for reads outside a transaction; to write, use :meth:`transaction`.
    """

    db: Database

    @staticmethod
    def open(folder: Path, url: str | None = None) -> Journal:
        """Open the journal in a database or, without a URL, in a state folder.

        Args:
            folder: The state folder; it and the journal's file are created if they are missing.
            url: The URL of the database, which must have the tables; or None.

        Raises:
            JournalError: The journal cannot be used.
        """
        if url is not None:
            from cms_cli.replay.journal.postgres_journal import PostgresJournal

            return PostgresJournal(url)
        from cms_cli.replay.journal.sqlite_journal import SqliteJournal

        return SqliteJournal.open_folder(folder)

    @staticmethod
    def open_to_read(folder: Path, url: str | None = None) -> Journal | None:
        """Open the journal to read it; return None if the folder has none yet.

        Args:
            folder: The state folder.
            url: The URL of the database, or None to use the folder.

        Raises:
            JournalError: The journal cannot be used.
        """
        if url is not None:
            return Journal.open(folder, url)
        from cms_cli.replay.journal.sqlite_journal import SqliteJournal

        return SqliteJournal.open_folder_to_read(folder)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the journal."""

    @abstractmethod
    def transaction(self, *, held: bool = True) -> AbstractContextManager[Database]:
        """Run the block's statements as one transaction, while no other process writes for the account.

        Args:
            held: Whether the run must still be held. To record an answer it need not be.

        Raises:
            RunBusyError: The run must be held, and another process has taken it over.
            JournalError: The transaction was not committed or, if the database is gone, may not have been.
        """

    def repeat(self, work: Callable[[Database], Result], *, held: bool = True) -> Result:
        """Run ``work`` in a transaction and return its result; repeat it if the database goes away meanwhile.

        Args:
            work: Runs the statements; it may be called several times.
            held: As for :meth:`transaction`.

        Raises:
            RunBusyError: As for :meth:`transaction`.
            JournalError: As for :meth:`transaction`; or the database stays away.
        """
        with self.transaction(held=held) as db:
            return work(db)

    def be_patient(self, patience: Patience) -> None:
        """Wait for a database that is gone, from now on. Does nothing for a journal in a folder."""
        del patience

    def ahead(self) -> float | None:
        """Return the seconds by which the server's clock is ahead of :func:`steady`; None if there is no server."""
        return None

    def time(self, now: float) -> float:
        """Return the server's time of the current transaction, or ``now`` without a server; in epoch seconds."""
        return now

    def identity(self) -> str | None:
        """Return the unique id of the shared state; None for a state folder."""
        return None

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Make several reads consistent with each other while another process may write."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Wrap reads, so that their errors become JournalError."""

    @abstractmethod
    def hold(self, key: RunKey, *, waiting: Callable[[float], None] = ...) -> AbstractContextManager[None]:
        """Hold a run for this process, even before it exists, so that no other process works on it.

        Args:
            key: The run's key.
            waiting: Called about once a second while another process holds the run and may be dead, with the
                seconds until it counts as dead.

        Raises:
            RunBusyError: Another process holds the run.
            JournalError: The run cannot be held.
        """

    @abstractmethod
    def insert_rows(self, db: Database, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows of runs. Part of a transaction.

        Args:
            db: The database.
            columns: The names of the columns, separated by commas.
            rows: The values, in the order of the columns.
        """

    @abstractmethod
    def row_texts(self, run: Run) -> TextsReader:
        """Return a reader of a run's row texts.

        Raises:
            JournalError: The texts are missing or damaged.
        """

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[TextsWriter]:
        """Write row texts under a name: they are durable once the block ends, and removed if it fails."""

    @abstractmethod
    def forget_row_texts(self, run: str, *, keep: str = "") -> None:
        """Remove the row texts of a run, except those under the name ``keep``."""

    @abstractmethod
    def forget_strays(self) -> None:
        """Remove what a crash left of runs that no longer exist."""

    @abstractmethod
    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Choose whether commits wait for the disk (for leads) or only for the operating system (for sales)."""

    @abstractmethod
    def compact(self) -> None:
        """Release the space of deleted rows and erase what is left of their content.

        Raises:
            JournalError: Deleted content may still be on disk.
        """
