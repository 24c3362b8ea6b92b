"""Misleading values, and hints that work when typed as printed."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from program import Program, Result

HEADER = ("click_id", "event_name", "customer_external_id", "invoice_id", "amount", "currency")


def _file(program: Program, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
    with (program.home / "sales.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _replay(program: Program, *flags: str) -> Result:
    return program("sale", "--from-csv", "sales.csv", *flags)


def _sent(program: Program, *flags: str) -> list[dict[str, Any]]:
    """Replay into the sandbox and return the events that arrived."""
    result = _replay(program, "--sandbox", "--yes", *flags)
    assert result.code == 0, result.stderr
    return [each["event"] for each in program("sandbox", "events", "--json").json]


def _flags_in(text: str, flag: str) -> list[tuple[str, ...]]:
    """Return each occurrence of a flag in a message, with its value as a shell reads it."""
    return [tuple(shlex.split(found)) for found in re.findall(rf"""{flag} (?:"[^"]*"|'[^']*'|[^\s;,]+)""", text)]


def test_a_databases_words_for_nothing_are_no_click(program: Program) -> None:
    """NULL and its like count as empty in columns of ids, and as text elsewhere."""
    words = ("NULL", "\\N", "None", "nan", "NaN", "undefined", "(null)", "N/A", "#N/A", "null", "")
    rows = [(word, "purchase", f"u{at}", f"i{at}", "100", "USD") for at, word in enumerate(words)]
    _file(program, [*rows, ("clk_1", "None", "u", "i", "4999", "USD")])
    refused = _replay(program, "--dry-run", "--json")
    assert refused.code == 2
    assert {each["code"] for each in refused.json["problems"]} == {"click_id_missing"}
    preview = _replay(program, "--skip-unattributed", "--dry-run")
    assert "  empty: click_id: 10 cells (NULL, \\N, None, nan," in preview.stderr
    counted = _replay(program, "--skip-unattributed", "--dry-run", "--json").json["empty"]
    assert counted == {"click_id": dict.fromkeys(words[:-1], 1)}
    (event,) = _sent(program, "--skip-unattributed")
    assert (event["clickId"], event["eventName"]) == ("clk_1", "None")


def test_words_of_a_mapping_file_are_added_to_those_of_databases(program: Program) -> None:
    """Words under ``[nothing]`` add to those of databases and turn no check off."""
    (program.home / "m.toml").write_text(
        'amount_unit = "minor"\nskip_unattributed = true\n[nothing]\nclick_id = ["-"]\n',
        encoding="utf-8",
    )
    rows = [(click, "p", f"u{at}", f"i{at}", "100", "USD") for at, click in enumerate(("-", "NULL", "clk_1"))]
    _file(program, rows)
    assert [event["clickId"] for event in _sent(program, "--mapping", "m.toml")] == ["clk_1"]
    _file(program, [("4.68769E+17", "p", "u", "i", "100", "USD")])
    assert _replay(program, "--mapping", "m.toml", "--dry-run").code == 2


@pytest.mark.parametrize("field", ["click_id", "customer_external_id", "invoice_id"])
def test_an_id_that_a_spreadsheet_shortened_is_a_problem_and_no_duplicate(program: Program, field: str) -> None:
    """Ids shortened by a spreadsheet are problems, even where they are alike."""
    row = dict(zip(HEADER, ("clk_1", "purchase", "u1", "inv_1", "4999", "USD")))
    short = tuple({**row, field: "4.68769E+17"}.values())
    comma = tuple({**row, field: "4,69E+17", "invoice_id": "4,69E+17" if field == "invoice_id" else "i3"}.values())
    _file(program, [short, short, comma])
    result = _replay(program, "--dry-run", "--json")
    assert result.code == 2
    assert result.json["counts"]["invalid"] == 3
    assert [(each["row"], each["code"], each["column"]) for each in result.json["problems"]][:3] == [
        (at, "id_shortened", field) for at in (1, 2, 3)
    ]
    _file(program, [tuple({**row, field: "1E5"}.values())])
    assert _replay(program, "--dry-run").code == 0


def test_each_currency_of_a_column_has_its_own_decimals(program: Program) -> None:
    """Each currency in a column is converted by its own number of decimals."""
    rows = [
        ("c1", "p", "u1", "i1", "5000.00", "JPY"),
        ("c2", "p", "u2", "i2", "10.00", "USD"),
        ("c3", "p", "u3", "i3", "12.50", "KWD"),
        ("c4", "p", "u4", "i4", "1,500", "JPY"),
    ]
    _file(program, rows)
    sent = {event["invoiceId"]: event["amount"] for event in _sent(program, "--amount-unit", "major")}
    assert sent == {"i1": 5000, "i2": 1000, "i3": 12500, "i4": 1500}


@pytest.mark.parametrize(
    ("amount", "unit"), [("90071992547409.92", "major"), ("9007199254740992", "minor"), ("9" * 30 + ".00", "major")]
)
def test_an_amount_above_the_largest_is_a_problem_in_any_column(program: Program, amount: str, unit: str) -> None:
    """An amount beyond what JSON numbers hold exactly is a problem."""
    other = "10.00" if unit == "major" else "1000"
    _file(program, [("c1", "p", "u1", "i1", other, "USD"), ("c2", "p", "u2", "i2", amount, "USD")])
    result = _replay(program, "--amount-unit", unit, "--dry-run", "--json")
    assert result.code == 2
    assert [(each["row"], each["code"]) for each in result.json["problems"]] == [(2, "amount_too_large")]


def test_a_foreign_amount_is_not_taken_for_cents(program: Program) -> None:
    """A whole number in another program's amount column needs a unit, and both suggested flags work."""
    header = ("ID", "Amount", "Customer Email", "Order No.", "Affiliate", "Currency")
    _file(program, [("1", "197", "a@example.com", "K-1", "clk_1", "USD")], header)
    flags = ("--map", "customer_external_id=Customer Email", "--map", "invoice_id=Order No.")
    flags += ("--map", "click_id=Affiliate", "--event-name", "purchase", "--dry-run")
    result = _replay(program, *flags)
    assert result.code == 2
    assert '"Amount" may hold 49.99 or 4999' in result.stderr
    readings = {}
    for said in _flags_in(result.stderr, "--amount-unit"):
        readings[said[1]] = _replay(program, *flags, *said, "--json").json["sums"]
    assert readings == {"major": {"USD": 19700}, "minor": {"USD": 197}}


def test_both_readings_of_a_programs_whole_number_are_shown_and_work(program: Program) -> None:
    """4999.0 without a unit is an error that shows both readings; each named flag means what it says."""
    _file(program, [("clk_1", "p", "u1", "i1", "4999.0", "USD")])
    result = _replay(program, "--dry-run")
    assert result.code == 2
    said = re.findall(r"[Ii]f it is ([\d.]+) USD, say (--amount-unit \w+)", result.stderr)
    assert [money for money, _ in said] == ["49.99", "4999.00"]
    for money, flag in said:
        sums = _replay(program, "--dry-run", "--json", *flag.split()).json["sums"]
        assert sums == {"USD": int(money.replace(".", ""))}


def test_what_looks_like_money_in_a_column_of_cents_needs_to_be_let_pass(program: Program) -> None:
    """4999.00 in minor units is an error that names ``zero_decimals``, which works."""
    _file(program, [("clk_1", "p", "u1", "i1", "4999.00", "USD")])
    result = _replay(program, "--amount-unit", "minor", "--dry-run")
    assert result.code == 2
    [key] = re.findall(r"by (zero_decimals = true) in a --mapping file", result.stderr)
    (program.home / "m.toml").write_text(f'amount_unit = "minor"\n{key}\n', encoding="utf-8")
    assert _replay(program, "--mapping", "m.toml", "--dry-run", "--json").json["sums"] == {"USD": 4999}


def test_the_header_that_a_file_lacks_can_be_given_as_the_message_says(program: Program) -> None:
    """The command suggested for a file without a header sends every row, the first included."""
    (program.home / "unload.csv").write_text(
        "clk_1,purchase,u1,inv_1,4999,USD\nclk_2,purchase,u2,inv_2,100,USD\n", encoding="utf-8"
    )
    result = program("sale", "--from-csv", "unload.csv", "--dry-run")
    assert result.code == 2
    assert "the first line seems to be data" in result.stderr
    [names] = re.findall(r"\{ echo (\S+); cat FILE; \} \| cms sale --from-csv -", result.stderr)
    text = f"{names}\n{(program.home / 'unload.csv').read_text(encoding='utf-8')}"
    assert program("sale", "--from-csv", "-", "--dry-run", "--json", stdin=text).json["sums"] == {"USD": 5099}


@pytest.mark.parametrize(
    "time", ["03/04/2026 9:05 PM", "Sep-30-26", "12-Mar-26 09:14", "13.04.2026 09:05:01", "10/05/2026 2:30:00 PM"]
)
def test_each_date_format_that_is_named_reads_the_time(program: Program, time: str) -> None:
    """Each suggested ``--date-format`` reads the time when typed as printed."""
    _file(program, [("clk_1", "p", "u1", "i1", "4999", "USD", time)], (*HEADER, "timestamp"))
    result = _replay(program, "--dry-run")
    assert result.code == 2
    formats = _flags_in(result.stderr, "--date-format")
    assert formats
    for said in formats:
        assert _replay(program, "--dry-run", *said).code == 0, said


def test_the_zone_that_is_named_for_an_abbreviation_reads_it(program: Program) -> None:
    """The suggested ``--timezone`` reads a time with an abbreviation such as PDT."""
    _file(
        program, [("clk_1", "p", "u1", "i1", "4999", "USD", "Jul 4, 2026 9:03:11 PM PDT")], (*HEADER, "timestamp")
    )
    result = _replay(program, "--dry-run")
    assert result.code == 2
    [zone] = re.findall(r"such as (\S+)", result.stderr)
    assert _replay(program, "--dry-run", "--timezone", zone).code == 0


def test_a_column_in_two_forms_is_read_with_two_formats(program: Program) -> None:
    """Several date formats are tried in turn, from flags or a mapping file; ISO 8601 needs none."""
    times = ("03/12/2026", "03/12/2026 09:14", "2026-03-12T09:14:02Z")
    rows = [("clk", "p", f"u{at}", f"i{at}", "100", "USD", time) for at, time in enumerate(times)]
    _file(program, rows, (*HEADER, "timestamp"))
    formats = ("%m/%d/%Y", "%m/%d/%Y %H:%M")
    assert _replay(program, "--dry-run", "--date-format", formats[1]).code == 2
    (program.home / "m.toml").write_text(f"date_format = {list(formats)}\n", encoding="utf-8")
    sent = _sent(program, *(word for each in formats for word in ("--date-format", each)))
    assert [event["timestamp"] for event in sorted(sent, key=lambda event: event["invoiceId"])] == [
        "2026-03-12T00:00:00.000Z",
        "2026-03-12T09:14:00.000Z",
        "2026-03-12T09:14:02.000Z",
    ]
    assert _replay(program, "--dry-run", "--mapping", "m.toml").code == 0
    wrong = _replay(program, "--dry-run", "--date-format", formats[0], "--date-format", "%m/%Y")
    assert wrong.code == 2
    assert '"%m/%Y" leaves out the day' in wrong.stderr


ROWS = [
    {"click_id": f"clk_{at}", "event_name": "p", "customer_external_id": "u", "invoice_id": f"i{at}", "amount": 100}
    for at in range(2)
]
LIST = {"object": "list", "has_more": False, "data": ROWS}


def _jq(expression: str, document: str) -> str:
    """Return the output of ``jq -c``, or the same lines where jq is not installed."""
    if shutil.which("jq"):
        command = ["jq", "-c", expression]
        return subprocess.run(command, input=document, capture_output=True, text=True, check=True).stdout
    [key] = re.findall(r"\.(\w*)\[\]", expression)
    found = json.loads(document)
    return "".join(f"{json.dumps(row)}\n" for row in (found[key] if key else found))


@pytest.mark.parametrize(
    "document", [json.dumps(LIST, indent=2), json.dumps(LIST), json.dumps(ROWS), json.dumps(ROWS, indent=2)]
)
def test_a_whole_json_document_becomes_lines_as_the_message_says(program: Program, document: str) -> None:
    """The suggested jq expression turns a JSON array, or an object with rows under a key, into JSON Lines."""
    (program.home / "list.json").write_text(document, encoding="utf-8")
    result = program("sale", "--from-jsonl", "list.json", "--currency", "USD", "--dry-run")
    assert result.code == 2
    [expression] = re.findall(r"jq -c '([^']+)' FILE", result.stderr)
    lines = _jq(expression, document)
    flags = ("--currency", "USD", "--dry-run", "--json")
    assert program("sale", "--from-jsonl", "-", *flags, stdin=lines).json["sums"] == {"USD": 200}


def test_a_single_order_with_its_items_is_a_row(program: Program) -> None:
    """A single JSON object with an array of items is one row."""
    order = {**ROWS[0], "currency": "USD", "items": [{"sku": "T-1", "price": "1.00"}]}
    (program.home / "order.jsonl").write_text(json.dumps(order), encoding="utf-8")
    assert program("sale", "--from-jsonl", "order.jsonl", "--dry-run", "--json").json["sums"] == {"USD": 100}


def test_when_every_row_is_left_out_the_values_that_did_it_are_named(program: Program) -> None:
    """If every row is skipped, a warning names the condition and the values seen; the exit code is 0."""
    header = ("order_number", "status", "order_total", "order_currency", "billing_email", "meta:click_id")
    rows = [(str(at), status, "49.90", "EUR", "a@b.co", "clk") for at, status in enumerate(("Fertig", "Offen"))]
    _file(program, rows, header)
    flags = ("--preset", "woocommerce", "--timezone", "UTC", "--json")
    for run in (("--dry-run",), ("--sandbox", "--yes")):
        result = _replay(program, *flags, *run)
        assert result.code == 0
        [warning] = [each for each in result.json["warnings"] if "all rows" in each]
        assert warning == 'all rows were left out: not paid (2); the column "status" has "Fertig", "Offen"'
    _file(program, [(f"clk_{at}", f"p{at}", "u", f"i{at}", "1", "USD") for at in range(9)])
    result = _replay(program, "--dry-run", "--json", "--where", "event_name=p10")
    [warning] = [each for each in result.json["warnings"] if "all rows" in each]
    assert (
        '--where event_name=p10 (9); the column "event_name" has "p0", "p1", "p2", "p3", "p4" and 4 more' in warning
    )
    kept = _replay(program, "--dry-run", "--json", "--where", "event_name=p1")
    assert not [each for each in kept.json["warnings"] if "all rows" in each]


def test_ids_that_a_program_made_numbers_of_get_a_warning(program: Program) -> None:
    """A field whose ids all end in .0 gets a warning."""
    rows = [(f"clk_{at}", "p", f"{at}.0", f"{1000 + at}.0", "4999.0", "USD") for at in (1, 2, 3)]
    _file(program, [*rows, ("clk_4", "p", "4.0", "inv_4", "1.0", "USD")])
    result = _replay(program, "--amount-unit", "minor", "--dry-run", "--json")
    assert result.code == 0
    found = [each for each in result.json["warnings"] if "ends in .0" in each]
    assert [each.split(":")[0] for each in found] == ['every customer_external_id ends in .0, as "1.0" does']


@pytest.mark.parametrize("column", ["Amount", "Total ($)", "Paid > now"])
def test_negative_rows_are_left_out_as_the_message_says(program: Program, column: str) -> None:
    """The suggested condition skips negative amounts and nothing else."""
    amounts = ("$60.00", "-$45.00", "($12.50)", "'-3.00", "$4.50", "0.00")
    rows = [(f"clk_{at}", "p", f"u{at}", f"i{at}", amount, "USD") for at, amount in enumerate(amounts)]
    _file(program, rows, (*HEADER[:4], column, "currency"))
    flags = ("--map", f"amount={column}", "--amount-unit", "major", "--dry-run", "--json")
    result = _replay(program, *flags)
    assert result.code == 2
    [said] = set(_flags_in(result.stderr, "--where"))
    kept = _replay(program, *flags, *said)
    assert kept.code == 0, kept.stderr
    assert (kept.json["sums"], kept.json["counts"]["skipped"]) == ({"USD": 6450}, 3)
