"""Replays within the test's own process, through the same functions that the commands call, over real HTTP."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from program import TOKEN

from cms_cli.replay.journal import row_reports, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.report import ReplayReport
from cms_cli.replay.request import Request
from cms_cli.replay.run import replay, resume
from cms_cli.replay.sending import health
from cms_cli.replay.sending.listener import Progress
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.watcher import Watcher
from cms_python import CMSClient, EventKind, Outcome, WireEvent, _retry

SALE_HEADER = ("click_id", "event_name", "customer_external_id", "invoice_id", "amount", "currency")
LEAD_HEADER = ("click_id", "event_name", "customer_external_id", "timestamp")


class Engine:
    """The engine that keeps the state in the test that runs.

    Attributes:
        url: The database; None where it is in the state folder.
    """

    url: str | None = None


SETTLED = frozenset(RowStatus) - {RowStatus.PENDING}


def sale(
    number: int, customer: str | None = None, amount: int | None = None, invoice: str | None = None
) -> list[str]:
    """Return the cells of a sale; each number makes a different sale."""
    return [
        f"clk_{number}",
        "purchase",
        customer or f"cus_{number}",
        invoice or f"inv_{number}",
        str(100 + number if amount is None else amount),
        "EUR",
    ]


def lead(number: int, customer: str | None = None, timestamp: str = "2026-04-10T12:00:00Z") -> list[str]:
    """Return the cells of a lead; each number makes a different lead."""
    return [f"clk_{number}", f"signup_{number}", customer or f"cus_{number}", timestamp]


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def sales_csv(numbers: Iterable[int], **same: Any) -> str:
    return as_csv(SALE_HEADER, [sale(number, **same) for number in numbers])


def leads_csv(numbers: Iterable[int], **same: Any) -> str:
    return as_csv(LEAD_HEADER, [lead(number, **same) for number in numbers])


class Notes(Watcher):
    """A watcher that records what it is called with."""

    def __init__(self, yes: bool = True) -> None:
        self.every_row = True
        self.yes = yes
        self.rows: list[SettledRow] = []
        self.previews: list[Any] = []
        self.waits: set[str] = set()
        self.progressed: list[Progress] = []
        self.interrupt: Callable[[Stop], None] | None = None

    def staged(self, rows: list[SettledRow]) -> None:
        self.rows += rows

    def settled(self, rows: list[SettledRow]) -> None:
        self.rows += rows

    def progress(self, progress: Progress) -> None:
        self.waits.add(progress.waiting)
        self.progressed.append(progress)

    def confirm(self, preview: Any) -> bool:
        self.previews.append(preview)
        return self.yes

    def on_stop(self, interrupt: Callable[[Stop], None]) -> None:
        self.interrupt = interrupt


class Bench:
    """A state folder, an input, and a service to send it to.

    Attributes:
        notes: The watcher of the last replay.
        sent: How many attempts were made, over all replays.
    """

    def __init__(
        self, folder: Path, url: str, kind: str = "sale", *, account: str = "jwt acc", host: str = ""
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.url = url
        self.kind = EventKind(kind)
        self.account = account
        self.host = host or url
        self.notes = Notes()
        self.sent = 0

    def file(self, text: str | bytes, name: str = "in.csv") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def request(self, path: Path | str, shape: Shape | None = None, **how: Any) -> Request:
        delivery = Delivery(**{"timeout": 5.0, "max_wait": 5.0, **how})
        return Request(
            self.kind,
            str(path),
            shape or Shape(),
            delivery,
            self.host,
            self.account,
            self.state,
            state_url=Engine.url,
        )

    def replay(
        self,
        path: Path | str,
        shape: Shape | None = None,
        *,
        notes: Notes | None = None,
        send: Callable[[WireEvent], Outcome] | None = None,
        **how: Any,
    ) -> ReplayReport:
        self.notes = notes or Notes()
        request = self.request(path, shape, **how)
        with CMSClient(TOKEN, self.url, timeout=request.delivery.timeout, retries=0) as client:
            return replay(request, self._counted(send or client.attempt), self.notes)

    def resume(self, name: str, *, notes: Notes | None = None, **how: Any) -> ReplayReport:
        self.notes = notes or Notes()
        with self.journal() as journal:
            run = runs.by_name(journal, name)
            assert run is not None
            request = self.request(run.file, Shape.from_json(run.shape), **how)
            with CMSClient(TOKEN, self.url, timeout=request.delivery.timeout, retries=0) as client:
                return resume(journal, run, request, self._counted(client.attempt), self.notes)

    def _counted(self, send: Callable[[WireEvent], Outcome]) -> Callable[[WireEvent], Outcome]:
        def counted(event: WireEvent) -> Outcome:
            self.sent += 1
            return send(event)

        return counted

    def journal(self) -> Journal:
        """Open the journal."""
        return Journal.open(self.state, Engine.url)

    def runs(self) -> list[Run]:
        with self.journal() as journal:
            return list(runs.all_runs(journal))

    def rows(self, name: str | None = None) -> dict[int, str]:
        """Return the status of every row of a run (by default the latest one), by row number."""
        with self.journal() as journal:
            run = runs.by_name(journal, name) if name else next(runs.all_runs(journal))
            assert run is not None
            return dict(journal.db.execute("SELECT row, status FROM rows WHERE run = ?", (run.id,)).fetchall())

    def settled(self, name: str | None = None) -> list[SettledRow]:
        with self.journal() as journal:
            run = runs.by_name(journal, name) if name else next(runs.all_runs(journal))
            assert run is not None
            return list(row_reports.settled(journal, run, SETTLED))

    def change(self, statement: str, *values: object) -> None:
        """Change the journal directly, as no command would."""
        with self.journal() as journal, journal.transaction() as db:
            db.execute(statement, values)


def counted(report: ReplayReport | Preview) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {status: count for status, count in report.counts.items() if count}


def read_results(path: Path) -> list[dict[str, str]]:
    """Return the rows of a results file, read as CSV or JSON Lines by its ending."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text, newline="")))


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten every backoff of our own; a Retry-After is still obeyed."""
    monkeypatch.setattr(_retry, "FIRST_BACKOFF", 0.0025)
    for name, seconds in (("LONGEST_ASIDE", 0.05), ("LONGEST_PAUSE", 0.03), ("LONGEST_COSTLY_PAUSE", 0.03)):
        monkeypatch.setattr(health, name, seconds)
