"""The preview of a replay: complete in a pipe, fitted to a terminal, and as JSON."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from program import Program

FIXTURES = Path(__file__).parent.parent / "fixtures"
SHOPIFY = ("sale", "--from-csv", str(FIXTURES / "shopify.csv"), "--preset", "shopify", "--skip-unattributed")


def test_a_pipe_gets_the_whole_preview(program: Program) -> None:
    """In a pipe the preview shows mapping, events, skips, sums, refunds, dates and time, without cuts."""
    result = program(*SHOPIFY, "--dry-run")
    assert result.code == 0
    shown = result.stderr
    assert "Note Attributes[click_id] | Note Attributes[cms_rf]  clk_ada, clk_ben, clk_fay\n" in shown
    assert "  event_name            always" in shown
    assert '"purchase_completed"\n' in shown
    assert '{"clickId":"clk_ada","eventName":"purchase_completed","customerExternalId":"ada@example.com"' in shown
    assert shown.count('{"clickId":') == 3
    for line in (
        "  to send: 3 rows",
        "  skipped: 8 rows",
        "  left out: further line item of an order: 4",
        "            no click id: no link brought this customer: 1",
        "  sum: 53.91 EUR\n       120.00 USD",
        "  refunded: 1 row in part, sent in full\n            20.00 USD",
        "  amount 0: 1 row",
        "  dated: 2026-03-12 to 2026-03-13 (UTC)",
        "  time: at once at 60/m",
        "nothing was sent",
    ):
        assert f"{line}\n" in shown
    assert "…" not in shown
    assert not program.state.exists()


def test_a_terminal_gets_one_that_fits(program: Program) -> None:
    """On a terminal every line of the preview fits into 80 columns, and long values are cut."""
    question = "Send 3 sales to the sandbox? [y/N]"
    screen = program.on_terminal(*SHOPIFY, "--sandbox", typed=[(question, "y\n")])
    assert screen.code == 0
    before = screen.text.split(question)[0].splitlines()
    assert all(len(line.rpartition("\r")[2]) <= 80 for line in before)
    mapping = [line for line in before if line.startswith("customer_external_id ")]
    assert mapping[0].split()[1] == "Email"
    assert mapping[0].rstrip().endswith("…")
    assert any(re.fullmatch(r"│ refunded +1 row in part, sent in full +│", line) for line in before)


def test_programs_get_it_as_json(program: Program) -> None:
    """The JSON preview has fixed keys, events as objects and sums in minor units."""
    found = program(*SHOPIFY, "--dry-run", "--json", "--currency", "EUR").json
    assert list(found)[-13:] == [
        *("seconds", "problems", "warnings", "mapping", "events", "skipped", "empty", "sums", "free", "refunded"),
        *("first", "last", "least_seconds"),
    ]
    assert found["mapping"]["currency"] == {"column": "Currency", "constant": "EUR", "samples": ["EUR", "USD"]}
    assert found["mapping"]["event_name"] == {"column": None, "constant": "purchase_completed", "samples": []}
    assert [event["amount"] for event in found["events"]] == [5391, 12000, 0]


def test_a_run_without_a_terminal_sums_it_up(program: Program) -> None:
    """Without a terminal a replay writes the summary only, without a preview or a question."""
    result = program(*SHOPIFY, "--sandbox")
    assert result.code == 0
    assert "  to send: 3 rows\n  skipped: 8 rows\n  left out: further line item of an order: 4\n" in result.stderr
    assert "clk_ada" not in result.stderr


def test_without_a_limit_the_time_is_what_the_service_takes(program: Program) -> None:
    """Without a rate limit the preview says "as fast as the service answers"."""
    result = program(*SHOPIFY, "--dry-run", "--rate", "none")
    assert "time: as fast as the service answers\n" in result.stderr
    assert "at once" not in result.stderr


def test_values_with_commas_are_told_apart(program: Program) -> None:
    """Sample values are quoted, so that decimal commas do not read as separators."""
    result = program("sale", "--from-csv", str(FIXTURES / "stripe_2020.csv"), "--preset", "stripe", "--dry-run")
    assert '"19,90", "1.200,00"\n' in result.stderr


def test_the_time_at_the_limit_is_told(program: Program) -> None:
    """The estimated time of a file that exceeds one window follows from the rate limit."""
    head = "click_id,event_name,customer_external_id,invoice_id,amount,currency,timestamp\n"
    rows = "".join(f"c,e,u{number},i{number},1,USD,2026-01-01\n" for number in range(181))
    (program.home / "sales.csv").write_text(head + rows, encoding="utf-8")
    result = program("sale", "--from-csv", "sales.csv", "--dry-run", "--json")
    assert 179 <= result.json["least_seconds"] <= 181
    assert [warning.split(":")[0] for warning in result.json["warnings"]] == [
        "without a token the account is not known, so earlier runs were not checked"
    ]


def test_a_limit_is_told(program: Program) -> None:
    """With ``--limit`` the preview counts all pending rows and those of this invocation, also when it resumes."""
    head = "click_id,event_name,customer_external_id,invoice_id,amount,currency,timestamp\n"
    rows = "".join(f"c,e,u{number},i{number},1,USD,2026-01-01\n" for number in range(9))
    (program.home / "sales.csv").write_text(head + rows, encoding="utf-8")
    command = ("sale", "--from-csv", "sales.csv", "--sandbox", "--limit", "4")
    assert "to send: 9 rows, 4 of them now\n" in program(*command).stderr
    assert "to send: 5 rows, 4 of them now\n  accepted: 4 rows\n" in program(*command).stderr
    assert "to send: 1 row\n  accepted: 8 rows\n" in program(*command).stderr


def test_samples_and_events_are_of_what_is_sent(program: Program) -> None:
    """Samples and events are the first three that will be sent, wherever they are in the file."""
    head = "click_id,event_name,customer_external_id,invoice_id,amount,currency,timestamp\n"
    rows = [f"{'' if number % 300 else number // 300},e,u,{number},5,USD,2026-01-01\n" for number in range(1201)]
    text = head + "".join([*rows, rows[0].replace("2026-01-01", "2020-01-01"), rows[300]])
    (program.home / "sales.csv").write_text(text, encoding="utf-8")
    found = program("sale", "--from-csv", "sales.csv", "--dry-run", "--json", "--skip-unattributed").json
    assert found["mapping"]["click_id"]["samples"] == ["0", "1", "2"]
    assert [event["invoiceId"] for event in found["events"]] == ["0", "300", "600"]
    assert (found["first"], found["last"]) == ("2026-01-01", "2026-01-01")
    assert found["skipped"] == {"no click id: no link brought this customer": 1196, "repeats an earlier row": 2}


def test_rows_without_a_time_are_counted(program: Program) -> None:
    """Rows without a time get a warning with their number, since the service dates them now."""
    head = "click_id,event_name,customer_external_id,invoice_id,amount,currency,timestamp\n"
    text = f"{head}c,e,u,i,1,USD,\nc,e,u,j,1,USD,2026-01-01\n"
    (program.home / "sales.csv").write_text(text, encoding="utf-8")
    result = program("sale", "--from-csv", "sales.csv", "--dry-run")
    assert "1 row is without a time: the service will date them now" in result.stderr


def test_terminal_escapes_in_a_file_are_shown_as_text(program: Program) -> None:
    """Escapes in column names and values are shown as text in the preview."""
    text = "click_id,event_name,customer_external_id,invoice_id,amount,currency,\x1b[31mx\nc,e,\x1b[2Ju,i,1,USD,y\n"
    (program.home / "sales.csv").write_text(text, encoding="utf-8")
    result = program("sale", "--from-csv", "sales.csv", "--dry-run", "--map", "customer_name=\x1b[31mx")
    assert result.code == 0, result.stderr
    assert "\x1b" not in result.stderr + result.stdout
    assert "\\u001b[2Ju" in result.stderr


@pytest.mark.parametrize("columns", [50, 60])
def test_a_cut_value_shows_that_it_was_cut(program: Program, columns: int) -> None:
    """On a narrow terminal each field of the preview keeps its line, and a cut value ends in an ellipsis."""
    lines = program.on_terminal(*SHOPIFY, "--dry-run", size=(40, columns)).text.splitlines()
    shown = [line.rstrip() for line in lines if re.match("(click_id|event_name|customer_email|timestamp) ", line)]
    assert len(shown) == 4
    assert all(len(line) <= columns for line in shown)
    assert [line.endswith("\u2026") for line in shown][1:] == [True] * 3
