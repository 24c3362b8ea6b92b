"""The interface of the journal that every part of a replay uses, whichever engine keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.schema import SCHEMA_VERSION
from cms_cli.replay.journal.sqlite_file import FILE_NAME, LOCKS, JournalError, private_folder

if TYPE_CHECKING:
    from cms_cli.replay.journal.row_texts import RowText
    from cms_cli.replay.journal.runs import Run

__all__ = ["FILE_NAME", "LOCKS", "SCHEMA_VERSION", "Journal", "JournalError", "private_folder"]

Result = TypeVar("Result")


class TextsWriter(Protocol):
    """A writer of the row texts of a run."""

    size: int

    def add(self, content: RowText, /) -> int:
        """Append a row; returns its place."""
        ...


class TextsReader(Protocol):
    """A reader of the row texts of a run."""

    def read(self, place: int, /) -> RowText:
        """Return the row at a place."""
        ...


class Patience(NamedTuple):
    """The limits on waiting for a database that does not answer.

    Attributes:
        seconds: The longest time to wait.
        hurry: Whether to wait no longer.
        tell: Called with what is waited for, now and then.
    """

    seconds: float
    hurry: Callable[[], bool]
    tell: Callable[[str], None]


class Journal(ABC):
    """An open journal. Use from one thread.

    Attributes:
        db: For reading outside a transaction; to write, use :meth:`transaction`.
    """

    db: Database

    @staticmethod
    def open(folder: Path, url: str | None = None) -> Journal:
        """Open the journal of a database, or else of a state folder, and make both file and folder where missing.

        Raises:
            JournalError: It cannot be used.
        """
        if url is not None:
            from cms_cli.replay.journal.postgres_journal import PostgresJournal

            return PostgresJournal(url)
        from cms_cli.replay.journal.sqlite_journal import SqliteJournal

        return SqliteJournal.open_folder(folder)

    @staticmethod
    def open_to_read(folder: Path, url: str | None = None) -> Journal | None:
        """Open the journal without writing, or return None if there is none yet.

        Raises:
            JournalError: It cannot be used.
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
        """Close it; what was committed stays."""

    @abstractmethod
    def transaction(self, *, held: bool = True) -> AbstractContextManager[Database]:
        """Run statements as one transaction, alone among those of the account: all of them happen or none.

        Args:
            held: Whether the run must still be held. An answer is a fact, whoever holds the run by now.

        Raises:
            RunBusyError: Another process has taken the run over.
            JournalError: They did not happen; or, where the database is gone, that is not known.
        """

    def repeat(self, work: Callable[[Database], Result], *, held: bool = True) -> Result:
        """Run a transaction, and repeat it if the database went away meanwhile.

        Raises:
            JournalError: As :meth:`transaction`; or the database stays away.
        """
        with self.transaction(held=held) as db:
            return work(db)

    def be_patient(self, patience: Patience) -> None:
        """Wait from now on for a database that is gone. A journal in a file does nothing."""
        del patience

    def ahead(self) -> float | None:
        """Return how far a server's clock is ahead of this machine's steady clock; None if there is no server."""
        return None

    def time(self, now: float) -> float:
        """Return the time of a transaction in seconds since the epoch: ``now``, unless a server says otherwise."""
        return now

    def identity(self) -> str | None:
        """Return the unique id of a shared state; None for a state folder."""
        return None

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Make several reads consistent with each other while another process may write."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Wrap reads, so that their errors become JournalError."""

    @abstractmethod
    def hold(
        self, scope: int, kind: str, sha256: str, shape: str, *, waiting: Callable[[float], None] = ...
    ) -> AbstractContextManager[None]:
        """Hold a run, which need not have begun, for this process.

        Nothing dedupes leads, so a file of leads is held whatever the flags that shape them: two processes with
        different flags would not see in time what the other has sent.

        Args:
            scope: The number of host and account.
            kind: ``lead`` or ``sale``.
            sha256: Of the input's bytes.
            shape: The flags that shape the events.
            waiting: Called about once a second while it is not clear whether the process that holds the run is
                alive, with the seconds after which it counts as dead.

        Raises:
            RunBusyError: Another process holds it.
            JournalError: It cannot be held.
        """

    @abstractmethod
    def insert_many(self, db: Database, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows. Part of a transaction.

        Args:
            db: The database.
            table: The table.
            columns: Their names, with commas between.
            rows: The values, in the order of the columns.
        """

    @abstractmethod
    def row_texts(self, run: Run) -> TextsReader:
        """Return a reader of a run's row texts.

        Raises:
            JournalError: It is missing or damaged.
        """

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[TextsWriter]:
        """Write row texts under a name; they are durable when the block ends, and removed if it fails."""

    @abstractmethod
    def forget_row_texts(self, run: str, *, keep: str = "") -> None:
        """Remove the row texts of a run, under all names but one."""

    @abstractmethod
    def forget_strays(self) -> None:
        """Remove what a crash has left of runs that no longer exist."""

    @abstractmethod
    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Choose whether a commit waits for the disk (leads) or for the system only (sales)."""

    @abstractmethod
    def compact(self) -> None:
        """Release the space of deleted rows and erase their traces.

        Raises:
            JournalError: Traces may be left.
        """
