"""Leads without a time: identified by their place in their file, and ambiguous in any other file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, json_reply
from replays import Bench, Notes, as_csv, counted
from replays import lead as timed

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal import lifecycle
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.run import rehearse
from cms_cli.replay.staging.digests import Digests, rows_known
from cms_cli.replay.watcher import Watcher

HEADER = ("event_name", "customer_external_id", "note")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Run a service that accepts everything unless a test scripts its answers."""
    with FaultServer() as server:
        yield server


def leads(text: str, note: str = "") -> str:
    """Return a file with a lead for each letter of a text."""
    return as_csv(HEADER, [["signup", customer, note] for customer in text])


def received(server: FaultServer) -> Counter[str]:
    return Counter(request.json["customerExternalId"] for request in server.requests)


@pytest.mark.parametrize("pruned", [False, True])
def test_a_file_that_has_grown_sends_its_new_rows_and_nothing_else(
    tmp_path: Path, server: FaultServer, pruned: bool
) -> None:
    """A file that has only grown sends its new rows and no others, even after its runs were pruned."""
    bench = Bench(tmp_path, server.url, "lead")
    rows = [["signup", "a", "1"], ["signup", "b", "2"], ["signup", "b", "3"]]
    assert counted(bench.replay(bench.file(as_csv(HEADER, rows)))) == {"accepted": 3}
    for number, customer in enumerate("cab", 4):
        if pruned:
            with Journal.open(bench.state) as journal:
                lifecycle.prune(journal, None, ledger_too=False)
        rows.append(["signup", customer, str(number)])
        path = bench.file(as_csv(HEADER, rows))
        preview, _ = rehearse(bench.request(path), Watcher())
        assert (preview.pending, preview.counts["duplicate"]) == (1, len(rows) - 1)
        report = bench.replay(path)
        assert counted(report) == {"accepted": 1, "duplicate": len(rows) - 1}
    assert received(server) == {"a": 2, "b": 3, "c": 1}


def test_a_json_lines_file_that_has_grown_by_a_key(tmp_path: Path, server: FaultServer) -> None:
    """A JSON Lines file whose new line has a new key is still known as a file that has grown."""
    bench = Bench(tmp_path, server.url, "lead")
    lines = [json.dumps({"event_name": "signup", "customer_external_id": each}) for each in "ab"]
    shape = Shape(format="jsonl")
    bench.replay(bench.file("\n".join(lines), "in.jsonl"), shape)
    lines.append(json.dumps({"event_name": "signup", "customer_external_id": "a", "note": "again"}))
    report = bench.replay(bench.file("\n".join(lines) + "\n", "in.jsonl"), shape)
    assert counted(report) == {"accepted": 1, "duplicate": 2}


@pytest.mark.parametrize("change", ["a row before", "a row changed", "another file"])
def test_in_any_other_file_a_look_alike_is_invalid(tmp_path: Path, server: FaultServer, change: str) -> None:
    """A lead of another file that looks like a sent one is invalid until --repeats decides."""
    bench = Bench(tmp_path, server.url, "lead")
    bench.replay(bench.file(leads("abc")))
    text = {"a row before": leads("xabc"), "a row changed": leads("axbc"), "another file": leads("cbax")}[change]
    path = bench.file(text, "next.csv")
    likely = 2 if change == "a row changed" else 3
    same_place = 3 - likely
    preview, _ = rehearse(bench.request(path), Watcher())
    blocked = bench.replay(path)
    assert (blocked.blocked, preview.blocked) == (True, True)
    assert blocked.counts == preview.counts
    assert {problem.code for problem in blocked.problems} == {"looks_sent"}
    assert "--repeats" in preview.problems[0].problem.hint
    assert counted(blocked) == {
        "invalid": likely,
        "pending": 1,
        **({"duplicate": same_place} if same_place else {}),
    }
    skipped = bench.replay(path, repeats="skip")
    assert skipped.exit_code == ExitCode.OK
    assert (skipped.counts["accepted"], skipped.counts["skipped"]) == (1, likely)
    assert received(server) == {"a": 1, "b": 1, "c": 1, "x": 1}
    sent = bench.replay(bench.file(text + "\n", "third.csv"), repeats="send")
    assert sent.exit_code == ExitCode.OK
    assert sum(received(server).values()) == 4 + sent.counts["accepted"]


def test_a_look_alike_of_an_unknown_lead(tmp_path: Path, server: FaultServer) -> None:
    """A lead that looks like an unknown one needs --repeats; one that looks like a refused one does not."""
    server.script(SUCCESS, DROP, json_reply(422, {"error": "no"}))
    bench = Bench(tmp_path, server.url, "lead")
    report = bench.replay(bench.file(leads("abc")), concurrency=1)
    assert counted(report) == {"accepted": 1, "unknown": 1, "refused": 1}
    blocked = bench.replay(bench.file(leads("cb"), "next.csv"))
    assert [(problem.line, problem.code) for problem in blocked.problems] == [(3, "looks_sent")]


def test_rows_of_a_failures_file_are_exempt(tmp_path: Path, server: FaultServer) -> None:
    """The rows of a failures file fed back are sent without --repeats."""
    server.script(SUCCESS, json_reply(422, {"error": "no"}))
    bench = Bench(tmp_path, server.url, "lead")
    failures = tmp_path / "f.csv"
    bench.replay(bench.file(as_csv(HEADER, [["signup", "a", "1"], ["signup", "a", "2"]])), failures=failures)
    assert counted(bench.replay(failures)) == {"accepted": 1}
    assert received(server) == {"a": 3}


@pytest.mark.parametrize("then", ["send", "skip"])
def test_look_alikes_that_are_learned_while_sending_stay_pending(
    tmp_path: Path, server: FaultServer, then: str
) -> None:
    """Look-alikes found only while sending stay pending until --repeats decides."""
    bench = Bench(tmp_path, server.url, "lead")
    other = bench.file(leads("b"), "other.csv")

    class Meanwhile(Notes):
        def confirm(self, preview: object) -> bool:
            del preview
            assert counted(Bench(tmp_path, server.url, "lead").replay(other)) == {"accepted": 1}
            return True

    report = bench.replay(bench.file(leads("abc")), notes=Meanwhile())
    assert (report.exit_code, counted(report)) == (ExitCode.UNAVAILABLE, {"accepted": 2, "pending": 1})
    assert "--repeats" in report.reason
    assert report.run
    again = bench.resume(report.run)
    assert (again.exit_code, again.counts["pending"]) == (ExitCode.UNAVAILABLE, 1)
    ended = bench.resume(report.run, repeats=then)
    outcome = {"accepted": 3} if then == "send" else {"accepted": 2, "skipped": 1}
    assert (ended.exit_code, counted(ended)) == (ExitCode.OK, outcome)
    assert received(server)["b"] == (2 if then == "send" else 1)


def test_two_look_alikes_of_one_file_are_two_events(tmp_path: Path, server: FaultServer) -> None:
    """Two rows of one file that give the same lead are two events if their cells differ."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(as_csv(HEADER, [["signup", "a", "1"], ["signup", "a", "2"]]))
    assert counted(bench.replay(path)) == {"accepted": 2}


def test_leads_with_a_time_need_no_decision(tmp_path: Path, server: FaultServer) -> None:
    """Leads with a time are known by their fields and need no --repeats."""
    bench = Bench(tmp_path, server.url, "lead")
    header = ("click_id", "event_name", "customer_external_id", "timestamp")
    bench.replay(bench.file(as_csv(header, [timed(1)])))
    report = bench.replay(bench.file(as_csv(header, [timed(2), timed(1)]), "next.csv"))
    assert counted(report) == {"accepted": 1, "duplicate": 1}


def test_fresh_needs_no_decision(tmp_path: Path, server: FaultServer) -> None:
    """--fresh sends a whole file again without --repeats."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads("ab"))
    bench.replay(path)
    assert counted(bench.replay(path, fresh=True)) == {"accepted": 2}


def test_the_place_of_a_row_is_all_that_comes_before_it() -> None:
    """A row's place depends on all cells before it, except empty cells at the end of a row."""
    rows = [["a", "b"], ["c", ""], ["d", "e"]]
    digests = Digests()
    ends = [digests.after(row) for row in rows]
    assert len(set(ends)) == 3
    assert rows_known([["a", "b", ""], ["c"], ["d", "e"], ["f"]], {ends[2]})
    assert not rows_known([["a,b"], ["c"], ["d", "e"]], {ends[2]})
    assert not rows_known([["c"], ["a", "b"], ["d", "e"]], {ends[2]})
    assert not rows_known(rows[:2], {ends[2]})
