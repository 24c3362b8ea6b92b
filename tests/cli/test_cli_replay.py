"""``cms sale`` and ``cms lead`` with a file: output, questions, exit codes, and what ``cms runs`` shows."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from faultserver import FaultServer, json_reply
from program import Program

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"


def row(number: int, **changes: object) -> str:
    """Return a valid CSV line of a sale, with some values changed."""
    values = {
        "click_id": f"clk_{number}",
        "event_name": "purchase",
        "customer_external_id": f"user_{number}",
        "invoice_id": f"inv_{number}",
        "amount": 100 + number,
        "currency": "USD",
        **changes,
    }
    return ",".join(str(value) for value in values.values()) + "\n"


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """Return a file of five valid sales."""
    path = tmp_path / "sales.csv"
    path.write_text(HEADER + "".join(row(number) for number in range(5)), encoding="utf-8")
    return path


def test_the_json_report_has_these_keys(online: Program, sales: Path) -> None:
    """``--json`` writes one report object with the documented keys, and nothing else."""
    result = online("sale", "--from-csv", str(sales), "--json", "--rate", "none")
    assert result.code == 0, result.stderr
    assert list(result.json) == [
        "schema_version",
        "run",
        "file",
        "counts",
        "total",
        "seconds",
        "problems",
        "warnings",
    ]
    assert result.json["counts"] == {
        "pending": 0,
        "accepted": 5,
        "duplicate": 0,
        "refused": 0,
        "unknown": 0,
        "invalid": 0,
        "skipped": 0,
    }
    assert result.json["total"] == 5
    assert result.json["run"].startswith("sale-")
    assert result.json["problems"] == []


def test_json_lines_have_these_keys(online: Program, sales: Path) -> None:
    """``--output jsonl`` writes an object per row as it settles, and the summary last."""
    result = online("sale", "--from-csv", str(sales), "--output", "jsonl", "--rate", "none")
    *rows, summary = result.json_lines
    assert [list(each) for each in rows] == [
        ["row", "line", "status", "invoice_id", "status_code", "attempts", "error"]
    ] * 5
    assert {(each["row"], each["line"], each["invoice_id"]) for each in rows} == {
        (number + 1, number + 2, f"inv_{number}") for number in range(5)
    }
    assert all(each["status"] == "accepted" and each["status_code"] == 200 for each in rows)
    assert summary["counts"]["accepted"] == 5


def test_the_example_is_tracked_in_the_sandbox(program: Program) -> None:
    """The README's example records 40 sales and reports the repeated one as a duplicate."""
    result = program("sale", "--from-csv", str(EXAMPLES / "sales.csv"), "--sandbox")
    assert result.code == 0, result.stderr
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        ["accepted", "40"],
        ["duplicate", "1"],
        ["total", "41"],
    ]
    events = program("sandbox", "events", "--json").json
    assert len(events) == 40
    assert {event["event"]["currency"] for event in events} == {"USD", "EUR", "GBP", "JPY", "KWD", "INR", "SEK"}


def test_everything_wrong_is_said_at_once_and_nothing_is_sent(
    online: Program, service: FaultServer, tmp_path: Path
) -> None:
    """A file with bad rows exits with 2, names every problem with its lines, and sends nothing."""
    path = tmp_path / "bad.csv"
    bad = [row(1, amount="n/a"), row(2, currency="dollars"), row(3), row(4, amount="n/a"), row(5, click_id="")]
    path.write_text(HEADER + "".join(bad), encoding="utf-8")
    failures = tmp_path / "failures.csv"
    result = online("sale", "--from-csv", str(path), "--json", "--failures", str(failures))
    assert result.code == 2
    assert result.json["counts"]["invalid"] == 4
    assert result.json["counts"]["pending"] == 1
    assert [list(problem) for problem in result.json["problems"]] == [
        ["row", "line", "column", "code", "message"]
    ] * 4
    assert 'amount "n/a" is not a number (lines 2, 5)' in result.stderr
    assert "dollars" in result.stderr
    assert "click_id is empty" in result.stderr
    assert not service.requests
    assert online("runs", "list", "--json").json == []
    with failures.open(encoding="utf-8", newline="") as file:
        assert [each["_line"] for each in csv.DictReader(file)] == ["2", "3", "5", "6"]


def test_the_good_rows_go_on_request(online: Program, service: FaultServer, tmp_path: Path) -> None:
    """``--skip-invalid`` sends the good rows and exits with 1."""
    path = tmp_path / "mixed.csv"
    path.write_text(HEADER + row(1, amount="-5") + row(2), encoding="utf-8")
    result = online("sale", "--from-csv", str(path), "--json", "--skip-invalid", "--rate", "none")
    assert result.code == 1
    assert (result.json["counts"]["accepted"], result.json["counts"]["invalid"]) == (1, 1)
    assert len(service.requests) == 1


def test_a_finished_run_sends_nothing_and_repeats_its_code(
    online: Program, service: FaultServer, sales: Path
) -> None:
    """Repeating the command of a finished run sends nothing and exits with the same code."""
    first = online("sale", "--from-csv", str(sales), "--rate", "none")
    sent = len(service.requests)
    again = online("sale", "--from-csv", str(sales), "--rate", "none")
    assert (first.code, again.code) == (0, 0)
    assert len(service.requests) == sent
    assert "finished before" in again.stderr


def test_a_dry_run_needs_no_token_and_leaves_no_trace(program: Program, sales: Path) -> None:
    """A dry run needs no token, reports counts and sums, and creates no state folder."""
    result = program("sale", "--from-csv", str(sales), "--dry-run", "--json")
    assert result.code == 0, result.stderr
    assert result.json["dry_run"] is True
    assert result.json["sums"] == {"USD": sum(100 + number for number in range(5))}
    assert result.json["counts"]["pending"] == 5
    assert "service will date all of them" in result.stderr
    assert not program.state.exists()


def test_a_terminal_is_asked_and_no_means_no(online: Program, service: FaultServer, sales: Path) -> None:
    """On a terminal a replay asks; after "n" it exits with 2, and nothing is sent or stored."""
    screen = online.on_terminal("sale", "--from-csv", str(sales), typed=[("[y/N]", "n\n")])
    assert re.search("to send +5 rows", screen.text)
    host = online.env["CMS_HOST"].partition("//")[2]
    assert f"Send 5 sales to {host}? [y/N]" in screen.text
    assert screen.code == 2
    assert not service.requests
    assert online("runs", "list", "--json").json == []


def test_ctrl_c_at_the_question(online: Program, service: FaultServer, sales: Path) -> None:
    """Ctrl-C at the question exits with 130 on a new line; nothing is sent or stored."""
    screen = online.on_terminal("sale", "--from-csv", str(sales), typed=[("[y/N]", "\x03")])

    assert screen.code == 130
    assert screen.text.endswith("\n")
    assert not service.requests
    assert online("runs", "list", "--json").json == []


def test_a_terminal_that_says_yes_sees_the_table(online: Program, service: FaultServer, sales: Path) -> None:
    """After "y" the rows are sent and the report is drawn."""
    screen = online.on_terminal("sale", "--from-csv", str(sales), "--rate", "none", typed=[("[y/N]", "y\n")])
    assert screen.code == 0
    assert "accepted" in screen.text
    assert len(service.requests) == 5


def test_the_same_bytes_on_stdin_are_sent_once(online: Program, service: FaultServer, sales: Path) -> None:
    """``--from-csv -`` reads stdin and sends the same bytes only once."""
    data = sales.read_bytes()
    assert online("sale", "--from-csv", "-", "--rate", "none", stdin=data).code == 0
    assert online("sale", "--from-csv", "-", "--rate", "none", stdin=data).code == 0
    assert len(service.requests) == 5


def test_refused_rows_can_be_fed_back(online: Program, service: FaultServer, sales: Path) -> None:
    """``cms runs failures`` writes refused rows in the input's columns, and they can be fed back."""
    service.script(json_reply(422, {"success": False, "error": "no such click", "statusCode": 422}))
    result = online("sale", "--from-csv", str(sales), "--json", "--rate", "none", "--concurrency", "1")
    assert result.code == 1
    assert result.json["problems"][0]["message"] == "no such click"
    failures = online("runs", "failures", result.json["run"])
    assert failures.stdout.splitlines()[0] == HEADER.strip() + ",_line,_status,_error"
    fixed = online.home / "fixed.csv"
    fixed.write_text(failures.stdout, encoding="utf-8")
    again = online("sale", "--from-csv", str(fixed), "--json", "--rate", "none")
    assert again.json["counts"]["accepted"] == 1
    assert again.json["total"] == 1


@pytest.mark.parametrize("encoding", ["", "cp1252", "utf-16"])
def test_failures_are_written_as_the_input_is_read(online: Program, service: FaultServer, encoding: str) -> None:
    """``cms runs failures`` writes in the encoding of the input, whatever the locale."""
    service.script(json_reply(422, {"success": False, "error": "größer \u2192"}))
    text = HEADER.replace("\n", ",customer_name\n") + row(1, currency="EUR,Jürgen")
    (online.home / "in.csv").write_text(text, encoding=encoding or "utf-8")
    flags = ("--json", *(("--encoding", encoding) if encoding else ()))
    name = online("sale", "--from-csv", "in.csv", *flags).json["run"]
    with (online.home / "failures.csv").open("wb") as out:
        env = {**online.env, "PYTHONIOENCODING": "latin-1"}
        subprocess.run([sys.executable, "-m", "cms_cli", "runs", "failures", name], stdout=out, env=env, check=True)
    assert online("sale", "--from-csv", "failures.csv", *flags).json["counts"]["accepted"] == 1
    assert service.requests[-1].json["customerName"] == "Jürgen"


def test_a_run_whose_file_is_still_being_read(online: Program) -> None:
    """``cms runs show`` shows the problems found so far of a run whose file is still being read."""
    bad = "".join(row(number, currency="EURO") for number in range(7))
    (online.home / "in.csv").write_text(HEADER + bad + row(9))
    name = online("sale", "--from-csv", "in.csv", "--skip-invalid", "--json").json["run"]
    with closing(sqlite3.connect(online.state / "journal.sqlite3")) as db, db:
        # Until all rows are staged, the journal does not hold the final size of the file with the row texts.
        db.execute("UPDATE runs SET state = 'staging', latest = 0, counts = NULL, texts_size = 0")
    shown = online("runs", "show", name)
    assert shown.code == 0, shown.stderr
    assert "invalid" in shown.stdout
    assert "line 2: currency" in shown.stderr
    assert "2 more so far" in shown.stderr
    assert len(online("runs", "show", name, "--json").json["problems"]) == 7
    failures = online("runs", "failures", name)
    assert (failures.code, failures.stdout) == (2, "")
    assert "still being read" in failures.stderr


def test_runs_are_listed_shown_and_pruned(online: Program, sales: Path) -> None:
    """``cms runs`` lists and shows finished runs, and ``prune`` removes them."""
    name = online("sale", "--from-csv", str(sales), "--json", "--rate", "none").json["run"]
    assert [run["run"] for run in online("runs", "list", "--json").json] == [name]
    shown = online("runs", "show", name, "--json").json
    assert (shown["state"], shown["total"], shown["counts"]["accepted"]) == ("finished", 5, 5)
    assert online("runs", "show", "sale-none0").code == 2
    assert online("runs", "prune", "--json").json == {"removed": 1, "ledger_cleared": False}
    assert online("runs", "list", "--json").json == []


def test_a_decimal_sign_that_is_none_is_refused(program: Program, sales: Path) -> None:
    """An invalid ``--decimal`` is an error, even for a file of whole numbers."""
    wrong = program("sale", "--from-csv", str(sales), "--decimal", "x", "--dry-run")
    right = program("sale", "--from-csv", str(sales), "--decimal", ",", "--dry-run")

    assert (wrong.code, right.code) == (2, 0)
    assert '--decimal "x" is no decimal mark' in wrong.stderr


def test_flags_of_a_file_are_for_a_file(online: Program) -> None:
    """Replay flags without a file exit with 2 and are named."""
    result = online("sale", "--limit", "5", "--fresh")
    assert result.code == 2
    assert "--limit, --fresh" in result.stderr


@pytest.mark.parametrize("flag", ["--failures", "--results", "--save-mapping"])
@pytest.mark.parametrize("spelled", ["./sales.csv", "link.csv", "other-name.csv"])
def test_the_input_is_never_written_to(
    online: Program, service: FaultServer, sales: Path, flag: str, spelled: str
) -> None:
    """An output path that is the input, however it is spelled or linked, exits with 2 before anything is sent."""
    sales.with_name("link.csv").symlink_to(sales)
    os.link(sales, sales.with_name("other-name.csv"))
    before = sales.read_bytes()
    dry = ("--dry-run",) if flag == "--save-mapping" else ()
    result = online("sale", "--from-csv", str(sales), flag, str(sales.parent / spelled), *dry)
    assert result.code == 2
    assert f"{flag} {sales.parent / spelled} is the input" in result.stderr
    assert sales.read_bytes() == before
    assert not service.requests


def test_leads_of_a_file_keep_their_order(online: Program, service: FaultServer, tmp_path: Path) -> None:
    """A customer's deferred lead is sent before the follow-ups of the same file."""
    path = tmp_path / "leads.csv"
    lines = ["event_name,customer_external_id,click_id,mode,timestamp"]
    for customer in range(6):
        lines.append(f"captured,u{customer},c{customer},deferred,2026-01-01T00:00:00Z")
        lines.append(f"verified,u{customer},,,2026-01-02T00:00:00Z")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = online("lead", "--from-csv", str(path), "--json", "--rate", "none", "--concurrency", "8")
    assert result.code == 0, result.stderr
    order: dict[str, list[str]] = {}
    for request in service.requests:
        body = json.loads(request.body)
        order.setdefault(body["customerExternalId"], []).append(body["eventName"])
    assert list(order.values()) == [["captured", "verified"]] * 6


def test_the_next_command_can_be_copied(program: Program, sales: Path) -> None:
    """The printed resume command repeats the flags that it needs and works when copied."""
    folder = ("--state-dir", str(sales.parent / "my state"))
    first = program("sale", "--from-csv", str(sales), "--yes", "--sandbox", "--limit", "1", *folder)
    left = next(line for line in first.stderr.splitlines() if "resume with: " in line)
    command = shlex.split(left.partition("resume with: ")[2])
    assert (command[0], *command[-2:]) == ("cms", *folder)
    done = program(*command[1:], "--json")
    assert (done.code, done.json["counts"]["accepted"]) == (0, 5)


@pytest.mark.parametrize("flags", [(), ("--skip-invalid",)])
def test_an_unreadable_row_stays_invalid_in_a_failures_file(
    online: Program, service: FaultServer, flags: tuple[str, ...]
) -> None:
    """A row that is too short or badly quoted stays invalid in a failures file until it is fixed."""
    broken = ["c,buy,u,i1,100,USD,2026-01-01,Jo\n", 'c,"buy"er,u,i2,100,USD,2026-01-01,Jo,\n']
    (online.home / "in.csv").write_text(
        HEADER.strip() + ",timestamp,customer_name,note\n" + "".join(broken), encoding="utf-8"
    )
    sale = ("sale", "--yes", "--rate", "none", *flags)
    for source, target in (("in.csv", "f1.csv"), ("f1.csv", "f2.csv"), ("f2.csv", "f3.csv")):
        assert online(*sale, "--from-csv", source, "--failures", target).code == (1 if flags else 2)
    assert not service.requests
    text = (online.home / "f3.csv").read_text(encoding="utf-8")
    notes = re.findall(",\\(the row .*: correct it and remove this cell\\)$", text, re.MULTILINE)
    assert [note[10:-34] for note in notes] == [
        "has 8 cells where the header has 9",
        "has text after a closing quote",
    ]
    for broken_text, fixed_text in [*((note, "") for note in notes), ('"""buy""er"', "buyer")]:
        text = text.replace(broken_text, fixed_text)
    (online.home / "fixed.csv").write_text(text, encoding="utf-8")
    assert online(*sale, "--from-csv", "fixed.csv").code == 0
    assert [each.json["eventName"] for each in service.requests] == ["buy", "buyer"]


def test_a_profile_with_a_state_folder_of_its_own(program: Program, sales: Path) -> None:
    """Every command that uses the state folder takes ``--profile``, and printed commands repeat it."""
    program.config.write_text('[profiles.shop]\nstate_dir = "shop-state"\ntoken = "tok_12345"\n')
    del program.env["CMS_STATE_DIR"]
    shop = ("--profile", "shop")
    sales.write_text(sales.read_text() + row(9, amount="x"))
    replay = ("sale", "--from-csv", str(sales), "--sandbox", "--skip-invalid", *shop)
    first, fresh = program(*replay, "--limit", "1"), program(*replay, "--fresh")
    copied = re.findall(r": (cms .+)$", first.stderr, re.MULTILINE)

    assert [command.split()[1:3] for command in copied] == [
        *(["runs", "resume"], ["runs", "failures"], ["sandbox", "events"])
    ]
    assert fresh.stderr.splitlines()[-1] == f"Resume it: {copied[0]}"
    for command in copied:
        assert program(*shlex.split(command)[1:]).stdout, command
    (run,) = program("runs", "list", "--json", *shop).json
    assert program("runs", "show", run["run"], *shop).code == 0
    for command in ("report", "reset"):
        assert program("sandbox", command, *shop).code == 0
    assert program("runs", "prune", *shop).code == 0
    assert not list(program.state.glob("*"))


def test_quiet_leaves_only_the_exit_code(online: Program, sales: Path) -> None:
    """``-q`` leaves a dry run and a replay without output, unless ``--json`` is given."""
    for flags in (("--dry-run",), ("--yes",)):
        result = online("sale", "--from-csv", str(sales), *flags, "-q")
        assert (result.code, result.stdout, result.stderr) == (0, "", "")
        assert online("sale", "--from-csv", str(sales), *flags, "-q", "--json").json["total"]
