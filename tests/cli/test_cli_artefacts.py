"""Files with what spreadsheets, databases and wrong flags leave in them: each message says what it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from program import Program

HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
MAJOR = ("--amount-unit", "major", "--dry-run")


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ("c,p,#REF!,i,1.00,USD", ['customer_external_id "#REF!" is what a spreadsheet shows']),
        ('c,p, "u",i,1.00,USD', ['customer_external_id ""u"" has quotation marks', "right after the delimiter"]),
        ("c,p,u,\u201ci\u201d,1.00,USD", ["has quotation marks that are part of it"]),
        ('c,p,u,i, "1,000.00",USD', ["has 7 cells", "follow the delimiter without a space"]),
        ("1,c,p,u,i,1.00,USD", ["has 7 cells", "if every row has one more, the header lacks a name"]),
        ("c,p,u,i,1.23E+05,USD", ['"1.23E+05" is in scientific notation']),
        ("c,p,u,i,+5.00,USD", ['"+" marks a difference']),
        ("c,p,u,i,-0.00,USD", ['"-0.00" is negative', "Write 0 for a free order"]),
        ("c,p,u,i,5.00,$", ['currency "$" must be a three-letter']),
        ("c,p,u,i,5.00,", ["currency is empty"]),
        ('c,p,u,"{""$oid"":""a""}",5.00,USD', ["is JSON, and not a single value", "'invoice_id=invoice_id[$oid]'"]),
    ],
)
def test_a_cell_that_is_no_value_is_called_what_it_is(program: Program, row: str, messages: list[str]) -> None:
    """Each cell has one problem, which says what the cell is and what to do."""
    (program.home / "s.csv").write_text(f"{HEADER}{row}\n", encoding="utf-8")
    result = program("sale", "--from-csv", "s.csv", *MAJOR)
    assert result.code == 2
    assert result.stderr.count("error: ") == 1
    assert all(message in result.stderr for message in messages), result.stderr


def test_braces_and_brackets_are_no_json(program: Program) -> None:
    """A GUID in braces, a number in brackets and an order number with a # are ids."""
    (program.home / "s.csv").write_text(f"{HEADER}{{3F2504E0-4F89}},p,[12],#1001,5.00,USD\n")
    (event,) = program("sale", "--from-csv", "s.csv", *MAJOR, "--json").json["events"]
    assert (event["clickId"], event["customerExternalId"], event["invoiceId"]) == (
        "{3F2504E0-4F89}",
        "[12]",
        "#1001",
    )


def test_a_nested_value_of_an_optional_field_is_left_out(program: Program) -> None:
    """A list in place of a name costs no sale."""
    line = (
        '{"click_id":"c","event_name":"p","customer_external_id":"u","invoice_id":"i","amount":1,"currency":"USD"'
    )
    (program.home / "s.jsonl").write_text(f'{line},"customer_name":["Ada","Ben"]}}\n')
    found = program("sale", "--from-jsonl", "s.jsonl", *MAJOR, "--json").json
    assert "customerName" not in found["events"][0]
    assert any("is JSON, and not a single value" in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    ("text", "flags", "hint"),
    [
        (HEADER, ("--delimiter", ";"), "Correct --delimiter ;, or leave that out"),
        (HEADER, ("--encoding", "utf-16"), "Correct --encoding utf-16, or leave that out"),
        (HEADER, ("--header-line", "2"), "Is the header on line 2, as --header-line says?"),
        (HEADER.replace("click_id", "amount"), (), "Rename one of them"),
        (HEADER.replace("click_id", "Amount"), (), '--map "amount=Amount"'),
    ],
)
def test_a_header_that_does_not_fit_names_the_flag_that_is_wrong(
    program: Program, text: str, flags: tuple[str, ...], hint: str
) -> None:
    """A header of one column is laid to the flag that was given; two columns of one name are called that."""
    (program.home / "s.csv").write_text(text + "c,p,u,i,1.00,USD\n" * 2)
    result = program("sale", "--from-csv", "s.csv", *flags, *MAJOR)
    assert result.code == 2
    assert hint in result.stderr


def test_what_nobody_sees_in_a_header_is_no_difference(program: Program) -> None:
    """A zero-width space or a no-break space in a column's name does not hide the field."""
    text = HEADER.replace("click_id", "click\u00a0id").replace("currency", "currency\u200b")
    (program.home / "s.csv").write_text(f"{text}c,p,u,i,1.00,USD\n", encoding="utf-8")
    assert program("sale", "--from-csv", "s.csv", *MAJOR).code == 0


def test_an_input_of_the_other_kind_or_place_is_named(program: Program) -> None:
    """A table read as JSON Lines names --from-csv, and a quoted ~ is explained."""
    (program.home / "s.csv").write_text(HEADER)
    assert "a table is read with --from-csv" in program("sale", "--from-jsonl", "s.csv", *MAJOR).stderr
    for name, hint in (
        ("~/s.csv", "--from-csv ~/sales.csv"),
        ("https://x.example/a?b&c", "curl -fsSL 'https://x.example/a?b&c' | cms sale --from-csv -"),
        ("", "the name of the file is empty"),
        ("a" * 300, "Check the path"),
    ):
        result = program("sale", "--from-csv", name, *MAJOR)
        assert (result.code, hint in result.stderr) == (2, True), result.stderr


def test_the_last_line_that_is_no_footer(program: Program) -> None:
    """A single footer line that looks like a row is called the last line."""
    (program.home / "s.csv").write_text(f"{HEADER}c,p,u,i,1.00,USD\n")
    result = program("sale", "--from-csv", "s.csv", "--footer-lines", "1", *MAJOR)
    assert "is the last line, and has as many cells as the header" in result.stderr
    assert "If it is a row, leave out --footer-lines" in result.stderr


@pytest.mark.skipif(shutil.which("sed") is None, reason="the command is for a POSIX shell")
def test_lines_in_quotation_marks_can_be_read_as_the_hint_says(program: Program) -> None:
    """Where each line is quoted as a whole, the hint has the command that reads the file."""
    text = f'"{HEADER.strip()},customer_name"\r\n"c,p,u,i,1.00,USD,""Doe, Jane"""\r\n'
    (program.home / "s.csv").write_bytes(text.encode())
    command = program("sale", "--from-csv", "s.csv", *MAJOR).stderr.splitlines()[-1]
    unquote, _, replay = command.replace("FILE", "s.csv").rpartition(" | ")
    lines = subprocess.run(["sh", "-c", unquote], cwd=program.home, capture_output=True, check=True).stdout
    (event,) = program(*replay.split()[1:], *MAJOR, "--json", stdin=lines).json["events"]
    assert event["customerName"] == "Doe, Jane"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n", "git lfs pull"),
        ("<Error><Code>AccessDenied</Code></Error>", "a web page or XML"),
        ("{\\rtf1\\ansi c,p", "a document (.rtf)"),
        ("bash: psql: command not found\n", "It has to have the names of the columns"),
        (HEADER.replace(",", "','").replace("click", "'click").replace("\n", "'\n"), "in single quotation marks"),
    ],
)
def test_a_file_that_is_no_table_is_called_what_it_is(program: Program, content: str, message: str) -> None:
    """What came in place of the file is named, instead of the columns that it lacks."""
    (program.home / "s.csv").write_text(content)
    result = program("sale", "--from-csv", "s.csv", *MAJOR)
    assert (result.code, message in result.stderr) == (2, True), result.stderr


def test_what_is_asked_of_the_wrong_command_or_flag_is_told(program: Program) -> None:
    """Sales sent as leads are warned of; a preset named as a mapping, and the reverse, name the right flag."""
    (program.home / "s.csv").write_text(HEADER + "c,p,u,i,100,USD\n")
    (program.home / "m.toml").write_text("")
    warnings = program("lead", "--from-csv", "s.csv", "--dry-run", "--json").json["warnings"]
    assert any("looks like a file of sales" in warning for warning in warnings)
    sale = ("sale", "--from-csv", "s.csv", "--dry-run")
    assert "It is a preset: --preset shopify" in program(*sale, "--mapping", "shopify").stderr
    assert "A mapping file is named with --mapping m.toml" in program(*sale, "--preset", "m.toml").stderr
    assert "Is it an export of Stripe?" in program(*sale, "--preset", "stripe").stderr
    assert "no argument s.csv; did you mean --from-csv s.csv?" in program("sale", "s.csv").stderr
    assert "takes no argument sales\n" in program("sale", "sales").stderr


@pytest.mark.parametrize("flag", ["--results", "--failures"])
def test_an_output_is_not_called_what_it_is_not(program: Program, flag: str) -> None:
    """A name that promises another format is refused before anything is sent."""
    (program.home / "s.csv").write_text(HEADER + "c,p,u,i,100,USD\n")
    result = program("sale", "--from-csv", "s.csv", "--sandbox", "--yes", flag, "out.xlsx")
    assert (result.code, "Name it .csv or .jsonl." in result.stderr) == (2, True)
    assert not (program.home / "out.xlsx").exists()
    assert program("sale", "--from-csv", "s.csv", "--sandbox", "--yes", flag, "out.txt").code == 0


def test_a_place_in_which_no_row_has_a_click_is_named(program: Program) -> None:
    """Where no row has a click, the warning says where it was looked for: a mistyped key is empty everywhere."""
    line = '{"event":"signup","user":"u%d","page":{"url":"https://x.example/?cms_rf=%s"}}\n'
    (program.home / "s.jsonl").write_text(line % (1, "clk_1") + line % (2, ""))
    for key, more, named in (
        ("rf", (), True),
        ("rf", ("--skip-unattributed",), True),
        ("cms_rf", (), False),
        ("cms_rf", ("--skip-unattributed",), False),
    ):
        where = f"page[url][{key}]"
        maps = ("--map", "event_name=event", "--map", "customer_external_id=user", "--map", f"click_id={where}")
        result = program("lead", "--from-jsonl", "s.jsonl", *maps, *more, "--dry-run", "--json")
        warnings = result.json["warnings"]
        assert any(f'no row has a click in "{where}"' in warning for warning in warnings) is named, warnings


@pytest.mark.parametrize("nothing", ["\\N", "NULL", "NaT", "0000-00-00 00:00:00"])
@pytest.mark.parametrize("flags", [(), ("--date-format", "%d.%m.%Y")])
def test_a_word_for_no_time_can_be_read_as_the_hint_says(
    program: Program, nothing: str, flags: tuple[str, ...]
) -> None:
    """A database's word for no time is a problem, and the line of the hint makes it empty."""
    (program.home / "s.csv").write_text(f"{HEADER.strip()},timestamp\nc,p,u,i,100,USD,{nothing}\n")
    sale = ("sale", "--from-csv", "s.csv", *flags, "--dry-run")
    result = program(*sale)
    assert result.code == 2
    line = result.stderr.partition("--mapping file: ")[2].partition(" under [nothing]")[0]
    (program.home / "m.toml").write_text(f"[nothing]\n{line}\n")
    assert program(*sale, "--mapping", "m.toml").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_mapping_file_for_which_there_is_no_room_is_a_failure_of_the_machine(program: Program) -> None:
    """A full disk is exit 3 for --save-mapping, as for other outputs."""
    (program.home / "s.csv").write_text(f"{HEADER}c,p,u,i,1.00,USD\n")
    result = program("sale", "--from-csv", "s.csv", *MAJOR, "--save-mapping", "/dev/full")
    assert (result.code, "Make room" in result.stderr) == (3, True), result.stderr
    assert Path("/dev/full").exists()
