"""Failures and results files: whole lines, the original columns untouched, harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import table

from cms_cli.replay.journal.rows import SettledRow
from cms_cli.replay.model import ADDED, Dialect, InputError, SourceRow
from cms_cli.replay.outputs import Layout, RowFile, check_outputs

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12)


def row(cells: list[str], error: str = "it said no", number: int = 1) -> SettledRow:
    body = '{"invoiceId":"inv"}'
    return SettledRow(
        number, number + 1, "refused", body, 422, 1, "validation_error", error, json.dumps(cells), None
    )


@given(cells=st.lists(TEXT, min_size=2, max_size=4), delimiter=st.sampled_from([",", ";", "\t"]))
def test_cells_come_back_as_they_were(cells: list[str], delimiter: str) -> None:
    """Any cell is read back as it was written, quotes and line ends included."""
    layout = Layout([f"c{place}" for place in range(len(cells))], Dialect(delimiter))
    text = layout.heading() + layout.line(row(cells))
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert found[1][: len(cells)] == cells


def test_a_lone_carriage_return_is_quoted() -> None:
    """A cell with a bare carriage return is quoted, since our reader ends a line at one."""
    layout = Layout(["a", "b"])
    [found] = table(layout.heading() + layout.line(row(["x\ry", "z"])))
    assert isinstance(found, SourceRow)
    assert found.cells[:2] == ["x\ry", "z"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_formulas_in_what_we_add_are_harmless(start: str) -> None:
    """The service's texts cannot begin a formula, and the file's own cells stay as they are."""
    error = f"{start}HYPERLINK(1)"
    line = next(csv.reader(io.StringIO(Layout(["a"]).line(row([error], error)), newline="")))
    assert line == [error, "2", "refused", "'" + error]


def test_fed_back_columns_are_written_once() -> None:
    """A failures file of a failures file has the added columns once, with the current values."""
    layout = Layout(["a", *ADDED, "b"])
    heading, line = csv.reader(io.StringIO(layout.heading() + layout.line(row(["1", "9", "invalid", "old", "2"]))))
    assert heading == ["a", "b", *ADDED]
    assert line == ["1", "2", "2", "refused", "it said no"]


def test_surplus_cells_of_a_ragged_row_are_kept() -> None:
    """The surplus cells of a ragged row are kept."""
    layout = Layout(["a", "b"])
    line = next(csv.reader(io.StringIO(layout.line(row(["1", "2", "3", "4"])))))
    assert line == ["1", "2", "2", "refused", "it said no", "3", "4"]
    assert json.loads(Layout(["a", "b"], Dialect(json_lines=True)).line(row(["1", "2", "3"])))["_surplus"] == ["3"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "cp1252"])
def test_the_encoding_of_the_flags(tmp_path: Path, encoding: str) -> None:
    """A failures file is written in the input's encoding, whatever the service's text holds."""
    file = RowFile(tmp_path / "f.csv", Layout(["a"], Dialect(encoding=encoding)), "--failures")
    file.add([row(["é"], "déjà"), row(["é"], "\N{SNOWMAN}")])
    file.close()
    lines = list(csv.reader((tmp_path / "f.csv").read_text(encoding).splitlines()))
    assert [line[0] for line in lines] == ["a", "é", "é"]
    assert lines[1][3] == "déjà"


def test_jsonl(tmp_path: Path) -> None:
    """A results file whose name ends in .jsonl or .ndjson is JSON Lines."""
    for name in ("f.jsonl", "f.NDJSON"):
        file = RowFile(tmp_path / name, Layout(["a"]).of_file(tmp_path / name, to_feed_back=False), "--results")
        file.add([row(["1"]), row(["2"], number=2)])
        file.close()
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        assert lines[1] == {"a": "2", "_line": 3, "_status": "refused", "_error": "it said no"}


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX matter")
def test_others_cannot_read_it(tmp_path: Path) -> None:
    """A results file is readable by its owner only."""
    RowFile(tmp_path / "f.csv", Layout(["a"]), "--results").close()
    assert (tmp_path / "f.csv").stat().st_mode & 0o777 == 0o600


_FULL = """
import resource, signal, sys
from pathlib import Path
from test_exports import Layout, RowFile, row
from cms_cli.replay.model import MachineError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = RowFile(Path(sys.argv[1]), Layout(["a"]), "--results")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    for number in range(1000):
        file.add([row(["cell"] , number=number), row(["cell"], number=number)])
except MachineError as error:
    print(error.message)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path: Path) -> None:
    """A full disk leaves no half-written line."""
    path = tmp_path / "r.csv"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        # The size limit would cut off coverage's data file as well.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COVERAGE_PROCESS_CONFIG": ""},
    )
    assert str(path) in done.stdout
    lines = path.read_text().splitlines(keepends=True)
    assert 10 < len(lines) < 100
    assert all(line.endswith("it said no\n") for line in lines[1:])


def test_outputs_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    """An output that is the input, another output, a folder or in a missing folder is refused by its flag."""
    source = tmp_path / "in.csv"
    source.touch()
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source) if sys.version_info >= (3, 10) else os.link(
        source, tmp_path / "hard.csv"
    )
    for name, why in (
        ("in.csv", "is the input"),
        ("link.csv", "is the input"),
        ("hard.csv", "is the input"),
        ("../" + tmp_path.name + "/in.csv", "is the input"),
        ("", "is a folder"),
        ("no/f.csv", "there is no folder"),
    ):
        with pytest.raises(InputError, match=f"--failures .*{why}"):
            check_outputs((("--failures", tmp_path / name), ("--results", None)), source.samefile)
    with pytest.raises(InputError, match=r"--results .* is --failures"):
        check_outputs((("--failures", tmp_path / "x.csv"), ("--results", tmp_path / "x.csv")), source.samefile)
    check_outputs((("--failures", tmp_path / "x.csv"), ("--results", tmp_path / "y.csv")), source.samefile)
