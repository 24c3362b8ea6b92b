"""Running a command again: what is sent, what is not, and what is reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, Reply, html_reply, json_reply
from replays import (
    LEAD_HEADER,
    SALE_HEADER,
    Bench,
    Notes,
    as_csv,
    counted,
    lead,
    leads_csv,
    sale,
    sales_csv,
)

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal import lifecycle
from cms_cli.replay.journal.identity import RunConflictError
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.watcher import Watcher

pytestmark = pytest.mark.usefixtures("engine")

NO = json_reply(422, {"error": "it said no"})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Run a service that accepts everything unless a test scripts its answers."""
    with FaultServer() as server:
        yield server


def received(server: FaultServer) -> list[str]:
    return [each.json["clickId"] for each in server.requests]


# The same command


def test_a_finished_run_sends_nothing_and_repeats_its_exit_code(tmp_path: Path, server: FaultServer) -> None:
    """A finished run sends nothing, reports that it was finished before and repeats its exit code."""
    server.script(SUCCESS, NO)
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(5)))
    first = bench.replay(path)
    assert (first.exit_code, first.finished_before) == (ExitCode.REFUSED, False)
    again = bench.replay(path)
    assert (again.exit_code, again.finished_before, again.counts) == (first.exit_code, True, first.counts)
    assert again.run == first.run
    assert len(server.requests) == 5


def test_delivery_flags_are_not_part_of_a_run(tmp_path: Path, server: FaultServer) -> None:
    """Another limit, concurrency or output continues the same run; another shape begins a new one."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(6)))
    names = {bench.replay(path, limit=2, concurrency=n, results=tmp_path / f"{n}.csv").run for n in (1, 2, 3)}
    assert len(names) == 1
    assert bench.replay(path, Shape(constants=(("customer_name", "x"),))).run not in names


def test_the_same_bytes_under_another_name_are_the_same_run(tmp_path: Path, server: FaultServer) -> None:
    """A run is identified by the bytes of its file and not by the file's name."""
    bench = Bench(tmp_path, server.url)
    first = bench.replay(bench.file(sales_csv(range(3))))
    assert bench.replay(bench.file(sales_csv(range(3)), "copy.csv")).run == first.run
    assert len(server.requests) == 3


def test_another_account_is_told_to_resume(tmp_path: Path, server: FaultServer) -> None:
    """An unfinished run of the file under another account blocks a new one; resuming sends what is left."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(4)))
    first = bench.replay(path, limit=1)
    bench.account = "jwt renamed"
    with pytest.raises(RunConflictError, match="another account"):
        bench.replay(path)
    assert first.run is not None
    report = bench.resume(first.run)
    assert counted(report) == {"accepted": 4}
    assert len(server.requests) == 4


def test_leads_under_other_flags(tmp_path: Path, server: FaultServer) -> None:
    """Once leads of a file were sent, the same file is refused under other flags."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(4)))
    bench.replay(path, limit=1)
    with pytest.raises(RunConflictError, match="other flags") as caught:
        bench.replay(path, Shape(constants=(("customer_name", "x"),)))
    # The hint cannot be --fresh, which an unfinished run refuses too.
    assert "cms runs resume lead-" in caught.value.hint
    assert len(server.requests) == 1
    bench.replay(path)
    with pytest.raises(RunConflictError, match="other flags") as caught:
        bench.replay(path, Shape(constants=(("customer_name", "x"),)))
    assert "--fresh" in caught.value.hint


@pytest.mark.parametrize("reply", [json_reply(401, {"error": "no"}), html_reply(200), json_reply(503, {})])
def test_leads_under_other_flags_when_none_arrived(tmp_path: Path, server: FaultServer, reply: Reply) -> None:
    """Flags can be changed as long as no lead has arrived, and the first run then sends nothing more."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    server.default = reply
    first = bench.replay(path, max_wait=0.1)
    assert counted(first) == {"pending": 3}
    in_vain = len(server.requests)
    server.default = SUCCESS
    mended = Shape(constants=(("customer_name", "x"),))
    with pytest.raises(RunConflictError, match="you answered no"):
        bench.replay(path, mended, notes=Notes(yes=False))
    assert [run.name for run in bench.runs()] == [first.run]
    second = bench.replay(path, mended, limit=1)
    assert counted(second) == {"accepted": 1, "pending": 2}
    assert [run.name for run in bench.runs()] == [second.run]
    with pytest.raises(RunConflictError, match="other flags"):
        bench.replay(path)
    assert counted(bench.replay(path, mended)) == {"accepted": 3}
    assert received(server)[in_vain:] == ["clk_0", "clk_1", "clk_2"]


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_no_at_the_question_leaves_no_trace(tmp_path: Path, server: FaultServer, kind: str) -> None:
    """Answering no leaves the journal as it was, and a later yes sends the file."""
    bench = Bench(tmp_path, server.url, kind)
    path = bench.file(sales_csv(range(3)) if kind == "sale" else leads_csv(range(3)))
    with pytest.raises(RunConflictError, match="you answered no"):
        bench.replay(path, notes=Notes(yes=False))
    assert bench.runs() == []
    assert counted(bench.replay(path)) == {"accepted": 3}


def test_now_is_when_a_row_was_staged(tmp_path: Path, server: FaultServer) -> None:
    """Rows timestamped "now" carry the time at which they were staged, however late they are sent."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(as_csv(LEAD_HEADER, [lead(number, timestamp="") for number in range(3)]))
    shape = Shape(constants=(("timestamp", "now"),))
    bench.replay(path, shape, limit=1)
    time.sleep(0.05)
    bench.replay(path, shape)
    assert len(server.requests) == 3
    assert len({each.json["timestamp"] for each in server.requests}) == 1


# The ledger


def test_an_invoice_in_another_file(tmp_path: Path, server: FaultServer) -> None:
    """An accepted invoice is a duplicate in any other file; another amount or currency gets a warning."""
    bench = Bench(tmp_path, server.url)
    bench.replay(bench.file(sales_csv(range(3))))
    rows = [sale(0), sale(1, amount=7), [*sale(2)[:5], "USD"], sale(3)]
    path = bench.file(as_csv(SALE_HEADER, rows), "other.csv")
    report = bench.replay(path)
    assert (report.exit_code, counted(report)) == (ExitCode.OK, {"accepted": 1, "duplicate": 3})
    assert [row.code for row in bench.settled() if row.status == "duplicate"] == [
        "in_ledger",
        "amount_changed",
        "amount_changed",
    ]
    warning = report.warnings[-1]
    assert warning.startswith("2 rows have invoices that were accepted before with another amount")
    assert "line 3: invoice inv_1 was accepted before with 101 EUR" in warning
    assert report.to_dict()["warnings"] == list(report.warnings)
    assert bench.notes.previews[0].warnings[-1] == warning
    assert bench.replay(path).warnings[-1] == warning
    assert len(server.requests) == 4


def test_the_ledger_is_per_host_and_account(tmp_path: Path, server: FaultServer) -> None:
    """An invoice known for one host and account is sent to another host or account."""
    for account, host in (("a", server.url), ("b", server.url), ("a", "https://other")):
        bench = Bench(tmp_path, server.url, account=account, host=host)
        assert counted(bench.replay(bench.file(sales_csv(range(2)), f"{account}.csv"))) == {"accepted": 2}
    bench = Bench(tmp_path, server.url, account="a", host="https://other")
    assert counted(bench.replay(bench.file(sales_csv(range(1)), "again.csv"))) == {"duplicate": 1}


def test_leads_with_a_time_are_known_in_other_files(tmp_path: Path, server: FaultServer) -> None:
    """A lead with a time is a duplicate in another file only if all its fields are equal."""
    bench = Bench(tmp_path, server.url, "lead")
    bench.replay(bench.file(leads_csv(range(3))))
    rows = [
        lead(0),
        lead(1, timestamp="2026-04-11"),
        lead(2, customer="x"),
        lead(2, timestamp="2026-04-10 14:00+02:00"),
    ]
    report = bench.replay(bench.file(as_csv(LEAD_HEADER, rows), "other.csv"))
    assert counted(report) == {"accepted": 2, "duplicate": 2}


def test_leads_without_a_time_are_known_only_in_their_run(tmp_path: Path, server: FaultServer) -> None:
    """A lead without a time that looks like a sent one blocks another file until --repeats decides."""
    bench = Bench(tmp_path, server.url, "lead")
    bench.replay(bench.file(leads_csv(range(2), timestamp="")))
    text = as_csv(LEAD_HEADER, [lead(0, timestamp=""), lead(0, timestamp=""), lead(5, timestamp="")])
    other = bench.file(text, "other.csv")
    assert bench.replay(other).blocked
    assert counted(bench.replay(other, repeats="send")) == {"accepted": 2, "duplicate": 1}


def test_a_lead_that_may_have_arrived_is_not_sent_by_another_file(tmp_path: Path, server: FaultServer) -> None:
    """A lead that got no answer is not sent by another file unasked, and holds no other row up."""
    server.script(SUCCESS, DROP)
    bench = Bench(tmp_path, server.url, "lead")
    assert counted(bench.replay(bench.file(leads_csv(range(3))))) == {"accepted": 2, "unknown": 1}
    path = bench.file(leads_csv(range(4)), "next.csv")
    report = bench.replay(path)
    assert (report.exit_code, counted(report)) == (ExitCode.UNKNOWN, {"accepted": 1, "duplicate": 2, "unknown": 1})
    assert [problem.code for problem in report.problems] == ["unknown_elsewhere"]
    assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 2, "duplicate": 2}
    third = bench.replay(bench.file(leads_csv(range(4)) + "\n", "third.csv"))
    assert counted(third) == {"duplicate": 4}


def test_the_ledger_without_the_runs(tmp_path: Path, server: FaultServer) -> None:
    """Accepted events stay known after their runs are pruned."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path)
    with bench.journal() as journal:
        assert lifecycle.prune(journal, None, ledger_too=False) == 1
    assert counted(bench.replay(path)) == {"duplicate": 3}


# --fresh


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_fresh_sends_it_all_again(tmp_path: Path, server: FaultServer, kind: str) -> None:
    """--fresh forgets the ledger entries of its file and no others, and the new run replaces the old one."""
    bench = Bench(tmp_path, server.url, kind)
    make = sales_csv if kind == "sale" else leads_csv
    bench.replay(bench.file(make(range(10, 12)), "other.csv"))
    path = bench.file(make(range(3)))
    first = bench.replay(path)
    second = bench.replay(path, fresh=True)
    assert first.run != second.run
    assert counted(second) == {"accepted": 3}
    assert Counter(Counter(received(server)).values()) == {1: 2, 2: 3}
    assert bench.replay(path).run == second.run
    assert counted(bench.replay(bench.file(make(range(10, 12)) + "\n", "again.csv"))) == {"duplicate": 2}


def test_fresh_and_an_unfinished_run(tmp_path: Path, server: FaultServer) -> None:
    """--fresh is refused while a run of the file is unfinished."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    name = bench.replay(path, limit=1).run
    with pytest.raises(RunConflictError) as caught:
        bench.replay(path, fresh=True)
    assert f"cms runs resume {name}" in caught.value.hint


class _Fails(Watcher):
    def confirm(self, preview: object) -> bool:
        del preview
        raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["no", "interrupt", "invalid"])
def test_fresh_that_does_not_come_to_sending_forgets_nothing(tmp_path: Path, server: FaultServer, how: str) -> None:
    """--fresh forgets nothing if it ends before sending: by a no, by Ctrl-C or because of invalid rows."""
    bench = Bench(tmp_path, server.url, "lead")
    rows = [lead(0), lead(1), lead(2, timestamp="no time")] if how == "invalid" else [lead(0), lead(1)]
    path = bench.file(as_csv(LEAD_HEADER, rows))
    first = bench.replay(path, skip_invalid=True)
    if how == "no":
        with pytest.raises(RunConflictError):
            bench.replay(path, fresh=True, notes=Notes(yes=False))
    elif how == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            bench.replay(path, fresh=True, notes=_Fails())  # type: ignore[arg-type]
    else:
        assert bench.replay(path, fresh=True).blocked
    again = bench.replay(path)
    assert (again.run, again.finished_before) == (first.run, True)
    assert counted(bench.replay(bench.file(leads_csv(range(2)) + "\n", "copy.csv"))) == {"duplicate": 2}
    assert len(server.requests) == 2


# --retry-unknown, --retry-refused


def test_only_retry_unknown_sends_an_unknown_lead_again(tmp_path: Path, server: FaultServer) -> None:
    """An unknown lead is sent again by --retry-unknown only: not by the same command, resume or --retry-refused."""
    server.script(SUCCESS, DROP)
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    first = bench.replay(path)
    assert counted(first) == {"accepted": 2, "unknown": 1}
    assert first.run is not None
    for report in (bench.replay(path), bench.replay(path, retry_refused=True), bench.resume(first.run)):
        assert counted(report) == {"accepted": 2, "unknown": 1}
    assert len(server.requests) == 3
    assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 3}
    assert len(server.requests) == 4


def test_only_retry_refused_sends_what_was_refused_again(tmp_path: Path, server: FaultServer) -> None:
    """A refused row is sent again by --retry-refused only."""
    server.script(SUCCESS, NO, NO)
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(4)))
    first = bench.replay(path)
    assert counted(first) == {"accepted": 2, "refused": 2}
    bench.replay(path)
    bench.replay(path, retry_unknown=True)
    assert len(server.requests) == 4
    assert first.run is not None
    assert counted(bench.resume(first.run, retry_refused=True)) == {"accepted": 4}


@pytest.mark.parametrize("flag", ["retry_unknown", "retry_refused"])
def test_answering_no_to_a_retry_changes_nothing(tmp_path: Path, server: FaultServer, flag: str) -> None:
    """Answering no to --retry-unknown or --retry-refused leaves the rows as they were."""
    server.script(SUCCESS, DROP if flag == "retry_unknown" else NO)
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    first = bench.replay(path)
    with pytest.raises(RunConflictError, match="you answered no"):
        bench.replay(path, notes=Notes(yes=False), **{flag: True})
    assert bench.notes.previews[0].counts["pending"] == 1
    assert bench.replay(path).counts == first.counts
    assert len(server.requests) == 3


def test_a_lead_that_another_file_has_sent_is_not_sent_again(tmp_path: Path, server: FaultServer) -> None:
    """--retry-unknown and --retry-refused do not resend a lead that another file has sent successfully since."""
    server.script(SUCCESS, DROP, NO)
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    assert counted(bench.replay(path, concurrency=1)) == {"accepted": 1, "unknown": 1, "refused": 1}
    other = bench.file(leads_csv(range(1, 3)), "other.csv")
    assert counted(bench.replay(other, retry_unknown=True)) == {"accepted": 2}
    report = bench.replay(path, retry_unknown=True, retry_refused=True)
    assert counted(report) == {"accepted": 1, "duplicate": 2}
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("hours", "becomes"), [(23.9, "accepted"), (24.1, "unknown"), (-23.9, "accepted"), (-24.1, "unknown")]
)
def test_a_sale_is_repeated_for_a_day(tmp_path: Path, server: FaultServer, hours: float, becomes: str) -> None:
    """An unanswered sale is resent for 24 hours and is unknown after that.

    The service may forget an invoice after a day. If the attempt lies in the future because a wrong clock was
    set back, its age is taken to be that distance.
    """
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time() - hours * 3600)
    report = bench.replay(path)
    assert counted(report) == +Counter({"accepted": 2}) + Counter({becomes: 1})
    assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 3}


@pytest.mark.parametrize("resumed", [False, True])
def test_an_unknown_sale_and_the_next_export(tmp_path: Path, server: FaultServer, resumed: bool) -> None:
    """An unanswered sale that is too old to resend is not sent by another file unasked."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(4)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time() - 30 * 86400)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 3", time.time() - 60)
    if resumed:
        assert counted(bench.replay(path, limit=1)) == {"accepted": 2, "unknown": 1, "pending": 1}
    following = bench.file(sales_csv(range(5)), "next.csv")
    report = bench.replay(following)
    assert report.counts["unknown"] == 1
    assert "clk_1" not in received(server)
    assert counted(bench.replay(following, retry_unknown=True))["accepted"] == report.counts["accepted"] + 1
    assert sorted(received(server)) == [f"clk_{number}" for number in range(5)]


def test_fresh_sends_an_unknown_sale(tmp_path: Path, server: FaultServer) -> None:
    """--fresh sends an unknown sale again, also when the same command continues without --fresh."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time() - 30 * 86400)
    assert counted(bench.replay(path)) == {"accepted": 2, "unknown": 1}
    assert counted(bench.replay(path, fresh=True, limit=1)) == {"accepted": 1, "pending": 2}
    assert counted(bench.replay(path)) == {"accepted": 3}


def test_a_lead_that_was_interrupted(tmp_path: Path, server: FaultServer) -> None:
    """A lead with an intent and no outcome is unknown, is reported once and is sent by --retry-unknown."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time())
    report = bench.replay(path, limit=1)
    assert counted(report) == {"accepted": 2, "unknown": 1}
    assert [(row.row, row.status) for row in bench.notes.rows] == [(2, "unknown"), (3, "accepted")]
    assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 3}
    assert received(server) == ["clk_0", "clk_2", "clk_1"]


# Unknown leads and other runs


def test_a_lead_that_another_run_lost_meanwhile(tmp_path: Path, server: FaultServer) -> None:
    """A staged lead that another run has since sent without an answer is unknown until --retry-unknown."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv([9, 1]))
    bench.replay(path, limit=1)
    server.script(SUCCESS, DROP)
    assert counted(bench.replay(bench.file(leads_csv(range(3)), "other.csv"), concurrency=1))["unknown"] == 1
    assert counted(bench.replay(path)) == {"accepted": 1, "unknown": 1}
    assert [row.code for row in bench.notes.rows] == ["unknown_elsewhere"]
    assert received(server).count("clk_1") == 1
    assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 2}
    assert received(server).count("clk_1") == 2


def test_a_yes_to_sending_unknown_leads_again_is_kept(tmp_path: Path, server: FaultServer) -> None:
    """Rows that --retry-unknown did not reach are sent when the run is resumed, and by no other file."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(4)))
    server.script(SUCCESS, DROP, DROP)
    name = bench.replay(path, concurrency=1).run
    assert name is not None
    bench.replay(path, retry_unknown=True, limit=1)
    assert counted(bench.resume(name)) == {"accepted": 4}
    assert counted(bench.replay(bench.file(leads_csv(range(1, 4)), "other.csv"))) == {"duplicate": 3}
    assert len(server.requests) == 6


def test_pruning_a_run_keeps_its_unknown_leads(tmp_path: Path, server: FaultServer) -> None:
    """A lead that was in flight when its run was killed stays unknown to other files after the run is pruned."""
    bench = Bench(tmp_path, server.url, "lead")
    name = bench.replay(bench.file(leads_csv(range(3))), limit=1).run
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time())
    with bench.journal() as journal:
        assert lifecycle.prune(journal, [str(name)], ledger_too=False) == 1
    report = bench.replay(bench.file(leads_csv(range(4)), "other.csv"))
    assert counted(report) == {"accepted": 2, "duplicate": 1, "unknown": 1}
    assert [(problem.line, problem.code) for problem in report.problems] == [(3, "unknown_elsewhere")]


@pytest.mark.parametrize(("hours", "finished", "becomes"), [(1, False, 0), (25, False, 1), (25, True, 1)])
def test_pruning_a_run_keeps_its_unknown_sales(
    tmp_path: Path, server: FaultServer, hours: int, finished: bool, becomes: int
) -> None:
    """An unanswered sale stays known after its run is pruned, and other files do not send it after a day."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    name = bench.replay(path, limit=1).run
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time() - hours * 3600)
    if finished:
        assert counted(bench.replay(path)) == {"accepted": 2, "unknown": 1}
    with bench.journal() as journal:
        assert lifecycle.prune(journal, None if finished else [str(name)], ledger_too=False) == 1
    following = bench.file(sales_csv(range(4)), "next.csv")
    assert bench.replay(following).counts["unknown"] == becomes
    assert ("clk_1" in received(server)) is not bool(becomes)
    # Pruning the run that reported it as unknown does not forget it either.
    with bench.journal() as journal:
        assert lifecycle.prune(journal, None, ledger_too=False) == 1
    assert bench.replay(following).counts["unknown"] == becomes
    assert bench.replay(following, retry_unknown=True).counts["unknown"] == 0
    assert sorted(received(server)) == [f"clk_{number}" for number in range(4)]
    third = bench.file(sales_csv(range(4)) + "\n", "third.csv")
    assert counted(bench.replay(third)) == {"duplicate": 4}
    assert counted(bench.replay(third, fresh=True)) == {"accepted": 4}


def test_going_on_with_amounts_that_add_up_to_more_than_64_bits(tmp_path: Path, server: FaultServer) -> None:
    """The preview sums the remaining amounts exactly, even beyond 64 bits."""
    bench = Bench(tmp_path, server.url)
    most = 2**53 - 1
    path = bench.file(sales_csv(range(1100), amount=most))
    bench.replay(path, limit=1)
    notes = Notes(yes=False)
    with pytest.raises(RunConflictError, match="you answered no"):
        bench.replay(path, notes=notes)
    assert notes.previews[0].sums == {"EUR": 1099 * most}
