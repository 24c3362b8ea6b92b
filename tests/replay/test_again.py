"""Running a command again: what is sent, what is not, and what is said of it."""

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
    """A service that takes everything, unless its script says otherwise."""
    with FaultServer() as server:
        yield server


def received(server: FaultServer) -> list[str]:
    return [each.json["clickId"] for each in server.requests]


# The same command


def test_a_finished_run_sends_nothing_and_repeats_its_exit_code(tmp_path: Path, server: FaultServer) -> None:
    """Whatever it ended with, and says that it was finished before."""
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
    """Another limit, concurrency or output goes on with the same run; another shape is another one."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(6)))
    names = {bench.replay(path, limit=2, concurrency=n, results=tmp_path / f"{n}.csv").run for n in (1, 2, 3)}
    assert len(names) == 1
    assert bench.replay(path, Shape(constants=(("customer_name", "x"),))).run not in names


def test_the_same_bytes_under_another_name_are_the_same_run(tmp_path: Path, server: FaultServer) -> None:
    """A run is known by what is in its file."""
    bench = Bench(tmp_path, server.url)
    first = bench.replay(bench.file(sales_csv(range(3))))
    assert bench.replay(bench.file(sales_csv(range(3)), "copy.csv")).run == first.run
    assert len(server.requests) == 3


def test_another_account_is_told_to_resume(tmp_path: Path, server: FaultServer) -> None:
    """An unfinished run of the file under another account is in the way; resuming it sends only what is left."""
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
    """Once leads of a file were sent, its bytes are not sent under other flags."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(4)))
    bench.replay(path, limit=1)
    with pytest.raises(RunConflictError, match="other flags") as caught:
        bench.replay(path, Shape(constants=(("customer_name", "x"),)))
    # Not --fresh, which would be refused as well as long as the run is not finished.
    assert "cms runs resume lead-" in caught.value.hint
    assert len(server.requests) == 1
    bench.replay(path)
    with pytest.raises(RunConflictError, match="other flags") as caught:
        bench.replay(path, Shape(constants=(("customer_name", "x"),)))
    assert "--fresh" in caught.value.hint


@pytest.mark.parametrize("reply", [json_reply(401, {"error": "no"}), html_reply(200), json_reply(503, {})])
def test_leads_under_other_flags_when_none_arrived(tmp_path: Path, server: FaultServer, reply: Reply) -> None:
    """A rejected token or a wrong host sent nothing: the flags can be mended, and the first run sends no more."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    server.default = reply
    first = bench.replay(path, max_wait=0.1)
    assert counted(first) == {"pending": 3}
    in_vain = len(server.requests)
    server.default = SUCCESS
    mended = Shape(constants=(("customer_name", "x"),))
    with pytest.raises(RunConflictError, match="as you said"):
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
    """Who says no has a journal as before, and can say yes later."""
    bench = Bench(tmp_path, server.url, kind)
    path = bench.file(sales_csv(range(3)) if kind == "sale" else leads_csv(range(3)))
    with pytest.raises(RunConflictError, match="as you said"):
        bench.replay(path, notes=Notes(yes=False))
    assert bench.runs() == []
    assert counted(bench.replay(path)) == {"accepted": 3}


def test_now_is_when_a_row_was_staged(tmp_path: Path, server: FaultServer) -> None:
    """However much later a row is sent, it has the time at which the file was read, and is known by it."""
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
    """Another account's invoices, and another host's, are none of its business."""
    for account, host in (("a", server.url), ("b", server.url), ("a", "https://other")):
        bench = Bench(tmp_path, server.url, account=account, host=host)
        assert counted(bench.replay(bench.file(sales_csv(range(2)), f"{account}.csv"))) == {"accepted": 2}
    bench = Bench(tmp_path, server.url, account="a", host="https://other")
    assert counted(bench.replay(bench.file(sales_csv(range(1)), "again.csv"))) == {"duplicate": 1}


def test_leads_with_a_time_are_known_in_other_files(tmp_path: Path, server: FaultServer) -> None:
    """By all their fields: the same lead at another time, or by another name, is another lead."""
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
    """Two that look alike may be two events on two days."""
    bench = Bench(tmp_path, server.url, "lead")
    bench.replay(bench.file(leads_csv(range(2), timestamp="")))
    text = as_csv(LEAD_HEADER, [lead(0, timestamp=""), lead(0, timestamp=""), lead(5, timestamp="")])
    other = bench.file(text, "other.csv")
    assert bench.replay(other).blocked
    assert counted(bench.replay(other, repeats="send")) == {"accepted": 2, "duplicate": 1}


def test_a_lead_that_may_have_arrived_is_not_sent_by_another_file(tmp_path: Path, server: FaultServer) -> None:
    """Exports overlap: a lead of which nobody knows is not sent by the next one, and holds no other row up."""
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
    """Pruning the runs keeps what was accepted from being sent again."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path)
    with bench.journal() as journal:
        assert lifecycle.prune(journal, None, ledger_too=False) == 1
    assert counted(bench.replay(path)) == {"duplicate": 3}


# --fresh


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_fresh_sends_it_all_again(tmp_path: Path, server: FaultServer, kind: str) -> None:
    """The ledger forgets the file's rows, and only those; the new run is the one that is gone on with."""
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
    """--fresh refuses to forget what an unfinished run has sent."""
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
    """A "no", Ctrl-C at the question, or invalid rows: the same command without --fresh still sends nothing."""
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
    """Nothing else does: not the same command, not --retry-refused, not resume."""
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
    """A refusal is final until somebody asks again."""
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
def test_no_to_sending_again_is_no(tmp_path: Path, server: FaultServer, flag: str) -> None:
    """Who looks at the question and says no has not made the rows due."""
    server.script(SUCCESS, DROP if flag == "retry_unknown" else NO)
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    first = bench.replay(path)
    with pytest.raises(RunConflictError, match="as you said"):
        bench.replay(path, notes=Notes(yes=False), **{flag: True})
    assert bench.notes.previews[0].counts["pending"] == 1
    assert bench.replay(path).counts == first.counts
    assert len(server.requests) == 3


def test_a_lead_that_another_file_brought_is_not_sent_again(tmp_path: Path, server: FaultServer) -> None:
    """--retry-unknown and --retry-refused heed the ledger."""
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
    """After that the service may have forgotten the invoice, and only --retry-unknown sends it again.

    How long ago an attempt was that lies ahead, since a wrong clock was set back, nobody knows.
    """
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time() - hours * 3600)
    report = bench.replay(path)
    assert counted(report) == +Counter({"accepted": 2}) + Counter({becomes: 1})
    assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 3}


@pytest.mark.parametrize("resumed", [False, True])
def test_a_sale_in_doubt_and_the_next_export(tmp_path: Path, server: FaultServer, resumed: bool) -> None:
    """A sale that an abandoned run sent long ago without an answer is not sent by another file unasked either."""
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


def test_fresh_sends_a_sale_in_doubt(tmp_path: Path, server: FaultServer) -> None:
    """--fresh forgets that too, and the command that goes on with it does not take it back."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time() - 30 * 86400)
    assert counted(bench.replay(path)) == {"accepted": 2, "unknown": 1}
    assert counted(bench.replay(path, fresh=True, limit=1)) == {"accepted": 1, "pending": 2}
    assert counted(bench.replay(path)) == {"accepted": 3}


def test_a_lead_that_was_interrupted(tmp_path: Path, server: FaultServer) -> None:
    """With an intent and no outcome it is unknown, and told of once; --retry-unknown sends it."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(3)))
    bench.replay(path, limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time())
    report = bench.replay(path, limit=1)
    assert counted(report) == {"accepted": 2, "unknown": 1}
    assert [(row.row, row.status) for row in bench.notes.rows] == [(2, "unknown"), (3, "accepted")]
    assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 3}
    assert received(server) == ["clk_0", "clk_2", "clk_1"]


# Leads of which another run does not know


def test_a_lead_that_another_run_lost_meanwhile(tmp_path: Path, server: FaultServer) -> None:
    """Staged before another run sent it without an answer, it is unknown here too, until --retry-unknown."""
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


def test_pruning_a_run_keeps_what_it_left_in_doubt(tmp_path: Path, server: FaultServer) -> None:
    """A lead that was under way when its run was killed is not sent by another file because the run was removed."""
    bench = Bench(tmp_path, server.url, "lead")
    name = bench.replay(bench.file(leads_csv(range(3))), limit=1).run
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time())
    with bench.journal() as journal:
        assert lifecycle.prune(journal, [str(name)], ledger_too=False) == 1
    report = bench.replay(bench.file(leads_csv(range(4)), "other.csv"))
    assert counted(report) == {"accepted": 2, "duplicate": 1, "unknown": 1}
    assert [(problem.line, problem.code) for problem in report.problems] == [(3, "unknown_elsewhere")]


@pytest.mark.parametrize(("hours", "finished", "becomes"), [(1, False, 0), (25, False, 1), (25, True, 1)])
def test_pruning_a_run_keeps_its_sales_in_doubt(
    tmp_path: Path, server: FaultServer, hours: int, finished: bool, becomes: int
) -> None:
    """A sale that had no answer is not sent by another file a day later because its run was removed."""
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
    # The run that was told of it is removed as well, and the doubt outlives that too.
    with bench.journal() as journal:
        assert lifecycle.prune(journal, None, ledger_too=False) == 1
    assert bench.replay(following).counts["unknown"] == becomes
    assert bench.replay(following, retry_unknown=True).counts["unknown"] == 0
    assert sorted(received(server)) == [f"clk_{number}" for number in range(4)]
    third = bench.file(sales_csv(range(4)) + "\n", "third.csv")
    assert counted(bench.replay(third)) == {"duplicate": 4}
    assert counted(bench.replay(third, fresh=True)) == {"accepted": 4}


def test_going_on_with_amounts_that_add_up_to_more_than_64_bits(tmp_path: Path, server: FaultServer) -> None:
    """The remaining rows are summed exactly, even beyond 64 bits, as when an id was mapped to the amount."""
    bench = Bench(tmp_path, server.url)
    most = 2**53 - 1
    path = bench.file(sales_csv(range(1100), amount=most))
    bench.replay(path, limit=1)
    notes = Notes(yes=False)
    with pytest.raises(RunConflictError, match="as you said"):
        bench.replay(path, notes=notes)
    assert notes.previews[0].sums == {"EUR": 1099 * most}
