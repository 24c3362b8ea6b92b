"""A dry run decides as the run would: the same rows, the same refusals, the same files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, json_reply
from replays import SALE_HEADER, Bench, Notes, as_csv, counted, leads_csv, read_results, sale, sales_csv

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal.identity import RunConflictError
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError
from cms_cli.replay.run import rehearse
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.watcher import Watcher

NO = json_reply(422, {"error": "it said no"})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Run a service that accepts everything unless a test scripts its answers."""
    with FaultServer() as server:
        yield server


def dry(bench: Bench, path: Path, shape: Shape | None = None, **how: object) -> Preview:
    """Rehearse a replay, check that it writes nothing to the state folder, and return its preview."""
    before = {each: each.read_bytes() for each in bench.state.glob("**/*") if each.suffix == ".rows"}
    runs = bench.runs() if bench.state.exists() else []
    preview, report = rehearse(bench.request(path, shape, **how), Watcher())
    assert (preview.counts, preview.blocked) == (report.counts, report.blocked)
    assert {each: each.read_bytes() for each in before} == before
    assert (bench.runs() if bench.state.exists() else []) == runs
    return preview


def shown_by_the_run(bench: Bench, path: Path, **how: object) -> Preview:
    """Return the preview of the real run, which is then declined."""
    notes = Notes(yes=False)
    with pytest.raises(RunConflictError, match="you answered no"):
        bench.replay(path, notes=notes, **how)
    found = notes.previews[0]
    assert isinstance(found, Preview)
    return found


def test_refused_rows_are_not_pending(tmp_path: Path, server: FaultServer) -> None:
    """A dry run counts refused rows as final until --retry-refused, as the run does."""
    server.script(SUCCESS, NO)
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(5)))
    report = bench.replay(path, concurrency=1, limit=3)
    assert counted(report) == {"accepted": 2, "refused": 1, "pending": 2}
    assert dry(bench, path).counts == report.counts == shown_by_the_run(bench, path).counts
    again = dry(bench, path, retry_refused=True)
    assert (again.pending, again.sums) == (3, {"EUR": 101 + 103 + 104})
    assert again.counts == shown_by_the_run(bench, path, retry_refused=True).counts


def test_a_finished_run_is_finished_in_a_dry_run_too(tmp_path: Path, server: FaultServer) -> None:
    """A dry run of a finished file has the run's counts and exit code, and still shows the mapping."""
    server.script(SUCCESS, NO)
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    first = bench.replay(path, concurrency=1)
    preview, report = rehearse(bench.request(path), Watcher())
    assert (report.counts, report.exit_code) == (first.counts, first.exit_code) == (first.counts, ExitCode.REFUSED)
    assert [column.field for column in preview.columns] == list(SALE_HEADER)
    assert report.exit_code == bench.replay(path).exit_code


def test_rows_that_a_killed_run_left_in_flight(tmp_path: Path, server: FaultServer) -> None:
    """A dry run counts a lead that was in flight at a kill as unknown, as the run does."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time())
    expected = dry(bench, path).counts
    assert {status: count for status, count in expected.items() if count} == {
        "accepted": 1,
        "unknown": 1,
        "pending": 1,
    }
    assert expected == shown_by_the_run(bench, path).counts


def test_the_same_leads_with_other_flags_are_refused(tmp_path: Path, server: FaultServer) -> None:
    """A dry run refuses leads sent under other flags with the run's own message."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    bench.replay(path)
    other = Shape(constants=(("customer_name", "Ann"),))
    said = []
    for way in (lambda: dry(bench, path, other), lambda: bench.replay(path, other)):
        with pytest.raises(RunConflictError, match="other flags") as caught:
            way()
        said.append((caught.value.message, caught.value.hint))
    assert said[0] == said[1]


def test_fresh_and_an_unfinished_run(tmp_path: Path, server: FaultServer) -> None:
    """A dry run refuses --fresh while a run of the file is unfinished."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, limit=1)
    with pytest.raises(RunConflictError, match="is not finished"):
        dry(bench, path, fresh=True)
    bench.replay(path)
    assert dry(bench, path, fresh=True).pending == 3


def test_what_the_ledger_has_as_unknown(tmp_path: Path, server: FaultServer) -> None:
    """A dry run counts a lead that another file left unknown as unknown, as the run does."""
    server.script(SUCCESS, DROP)
    bench = Bench(tmp_path, server.url, "lead")
    bench.replay(bench.file(leads_csv(range(3))))
    path = bench.file(leads_csv(range(4)), "next.csv")
    expected = dry(bench, path)
    assert expected.counts["unknown"] == 1
    assert expected.counts == shown_by_the_run(bench, path).counts
    assert counted(bench.replay(path)) == {"accepted": 1, "duplicate": 2, "unknown": 1}


@pytest.mark.parametrize("skip_invalid", [False, True])
def test_output_files_are_written(tmp_path: Path, server: FaultServer, skip_invalid: bool) -> None:
    """A dry run writes the failures and results files that a blocked run writes."""
    bench = Bench(tmp_path, server.url)
    rows = [sale(0), sale(1, amount=-1), sale(0), sale(2), sale(3), sale(3, amount=9)]
    path = bench.file(as_csv(SALE_HEADER, rows))
    failures, results = tmp_path / "f.csv", tmp_path / "r.jsonl"
    dry(bench, path, failures=failures, results=results, skip_invalid=skip_invalid)
    assert not bench.state.exists()
    expected = ["pending", "invalid", "duplicate", "pending", "invalid", "invalid"]
    assert [row["_status"] for row in read_results(results)] == expected
    assert [row["_line"] for row in read_results(failures)] == ["3", "6", "7"]
    written = failures.read_bytes(), results.read_bytes()
    failures.unlink()
    bench.replay(path, failures=failures, results=results)
    assert (failures.read_bytes(), results.read_bytes()) == written
    assert not server.requests


@pytest.mark.parametrize("flag", ["failures", "results"])
def test_an_output_that_is_the_input_is_refused(tmp_path: Path, server: FaultServer, flag: str) -> None:
    """A dry run refuses an output that is the input, by whatever name."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(InputError, match="is the input"):
            dry(bench, path, **{flag: name})
    assert path.read_text() == sales_csv(range(3))


def test_without_a_token_it_says_what_was_not_looked_at(tmp_path: Path, server: FaultServer) -> None:
    """A dry run without a token warns that earlier runs were not checked."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path)
    assert "not checked" not in " ".join(dry(bench, path).warnings)
    bench.account = ""
    preview, report = rehearse(bench.request(path), Watcher())
    assert preview.pending == 3
    assert [warning for warning in preview.warnings if "earlier runs" in warning and "not checked" in warning]
    assert report.warnings == preview.warnings
