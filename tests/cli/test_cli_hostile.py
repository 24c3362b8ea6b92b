"""Hostile text and the token: neither escapes nor secrets are written anywhere."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from pathlib import Path

import pytest
from faultserver import FaultServer, Reply, json_reply
from program import TOKEN, Program

HARM = "\x1b[31mred\x1b]0;title\x07 [bold]x[/bold] :smile: \u202eevil \x9b2J\x85\x7f"
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
SALE_COLUMNS = [
    "click_id",
    "event_name",
    "customer_external_id",
    "invoice_id",
    "amount",
    "currency",
    "customer_name",
    "customer_email",
    "customer_avatar",
    "timestamp",
]
GOOD = dict(zip(SALE_COLUMNS, ("c", "buy", "u", "i", "100", "USD", "", "", "", "")))
LEAD = ("lead", "--event-name", "signup", "--customer-external-id", "user_42", "--click-id", "id_1")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs file names that Windows has not")


def write_csv(path: Path, *rows: dict[str, str], header: list[str] | None = None) -> Path:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header or SALE_COLUMNS)
    writer.writerows([row.get(name, "") for name in SALE_COLUMNS] for row in rows)
    path.write_bytes(text.getvalue().encode())
    return path


def assert_harmless(text: str, what: object) -> None:
    """Assert that a text holds nothing that a terminal would interpret."""
    assert not UNSEEN.search(text), (what, UNSEEN.search(text))


@posix
def test_every_cell_is_shown_as_text(online: Program, service: FaultServer) -> None:
    """Control characters in any field are escaped in every output, for rows sent, refused and invalid."""
    service.default = json_reply(422, {"success": False, "error": HARM, "type": HARM, "details": {HARM: HARM}})
    rows = [{**GOOD, "invoice_id": f"i{at}", name: HARM} for at, name in enumerate(SALE_COLUMNS)]
    rows += [{**GOOD, "invoice_id": f"s{at}"} for at in range(2)]
    path = write_csv(online.home / f"{HARM.replace('/', '')}.csv", *rows)

    for flags in (("--dry-run",), ("--skip-invalid", "-v"), ("--skip-invalid", "--output", "jsonl"), ("--json",)):
        result = online("sale", "--from-csv", str(path), "--rate", "none", *flags)
        assert_harmless(result.stdout + result.stderr, flags)
    run = online("runs", "list", "--json").json[0]["run"]
    for command in (("runs", "list"), ("runs", "show", run), ("runs", "show", run, "--json")):
        result = online(*command)
        assert result.code == 0, result.stderr
        listed = result.stdout.replace("\t", " ") if "list" in command else result.stdout
        assert_harmless(listed + result.stderr, command)


@pytest.mark.slow
@posix
def test_a_terminal_gets_no_escapes_from_a_file(online: Program, service: FaultServer) -> None:
    """Preview, tables, bar and failures on a terminal contain no escapes from a file or an answer."""
    service.default = json_reply(422, {"success": False, "error": HARM, "type": "no"}, after=0.3)
    rows = [{**GOOD, "invoice_id": f"{HARM}{at}", "customer_name": HARM} for at in range(4)]
    write_csv(online.home / f"{HARM.replace('/', '')}.csv", *rows)
    (path,) = online.home.glob("*.csv")

    wide = (24, 250)
    sale = ("sale", "--from-csv", str(path), "--concurrency", "1")
    screen = online.on_terminal(*sale, size=wide, typed=[("[y/N]", "y\n")])
    assert screen.code == 1
    (run,) = online("runs", "list", "--json").json
    others = [online.on_terminal("runs", *each, size=wide) for each in (("list",), ("failures", run["run"]))]
    for shown in (screen, *others):
        for sequence in ("\x1b[31mred", "\x1b]", "\x07", "\u202e", "\x9b"):
            assert sequence not in shown.raw
        assert ":smile:" in shown.text


@posix
def test_headers_flags_and_settings_are_text(online: Program) -> None:
    """Control characters in headers, arguments, variables and settings are escaped in every error."""
    bad_header = write_csv(online.home / "h.csv", GOOD, header=[HARM, *SALE_COLUMNS[1:]])
    harm = HARM.replace("\x00", "")
    tries: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("sale", "--from-csv", str(bad_header)), {}),
        (("sale", "--from-csv", harm), {}),
        (("sale", "--from-csv", str(bad_header), "--map", harm, "--where", harm), {}),
        (("sale", "--from-csv", str(bad_header), "--map", f"click_id={harm}", "--encoding", harm), {}),
        ((harm,), {}),
        (("lead", harm), {}),
        (("lead", f"--{harm}"), {}),
        ((*LEAD, "--timestamp", harm, "--customer-email", harm, "--mode", harm), {}),
        ((*LEAD, "--host", harm), {}),
        ((*LEAD, "--token-file", harm), {}),
        ((*LEAD, "--state-dir", harm, "--sandbox"), {}),
        (("config", "get", harm), {}),
        (("config", "set", harm, harm), {}),
        (("runs", "show", harm), {}),
        (("auth", "status", "--offline"), {"CMS_PROFILE": harm}),
        (("auth", "status", "--offline"), {"CMS_HOST": harm}),
        (("config", "list"), {"CMS_CONFIG": harm}),
        (("config", "list"), {"CMS_STATE_DIR": harm}),
    ]
    for arguments, env in tries:
        result = online(*arguments, env=env)
        assert result.code in (0, 2, 3, 4), (arguments, result)
        assert_harmless(result.stdout + result.stderr, (arguments, env))
        assert "Traceback" not in result.stderr


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_bytes_that_are_no_text_in_names_and_flags(online: Program, service: FaultServer) -> None:
    """A file with a Latin-1 name is read and shown; a flag that is not UTF-8 is reported as a problem."""
    name = os.fsdecode(b"M\xe4rz.csv")
    write_csv(online.home / name, GOOD)
    assert online("sale", "--from-csv", name, "--yes", "--rate", "none").code == 0
    assert online("runs", "list", "--json").json[0]["file"] == str(online.home / "M\\xe4rz.csv")
    assert len(service.requests) == 1

    write_csv(online.home / "in.csv", GOOD, {**GOOD, "invoice_id": "i2", "event_name": ""})
    byte = os.fsdecode(b"\xff")
    result = online(
        "sale", "--from-csv", "in.csv", "--yes", "--skip-invalid", "--event-name", byte, "--rate", "none"
    )
    assert result.code == 1, result.stderr
    assert 'line 3: event_name "\\udcff" must be text that can be written as UTF-8\n' in result.stderr
    for flag in (
        "--map",
        "--where",
        "--encoding",
        "--delimiter",
        "--timezone",
        "--date-format",
        "--preset",
        "--mapping",
    ):
        result = online("sale", "--from-csv", "in.csv", flag, f"x={byte}" if flag == "--map" else byte, "--dry-run")
        assert result.code == 2, (flag, result.stderr)


def test_a_config_file_is_text(online: Program) -> None:
    """Escapes in keys and values of the config file do not reach the terminal."""
    for line in ('"\\u001b[31mx" = 1', 'host = "\\u001b[31m"', '[profiles."\\u001b]0;"]\nhost = "https://a.b"'):
        online.config.write_text(line, encoding="utf-8")
        result = online("config", "list")
        assert result.code == 2
        assert_harmless(result.stdout + result.stderr, line)
    online.config.write_text('state_dir = "/tmp/\\u001b[31m"\n', encoding="utf-8")
    assert_harmless(online("config", "list").stdout, "state_dir")


def test_headers_of_an_answer_are_text(online: Program, service: FaultServer) -> None:
    """Headers and web pages of a gateway are shown escaped with ``-v``."""
    page = f"<html><title>{HARM}</title></html>".encode()
    service.default = Reply(
        502, page, headers=(("Content-Type", "text/html"), ("Retry-After", "\x1b[31m"), ("Server", "\x9b2J"))
    )
    result = online(*LEAD, "-v", "--max-wait", "0.2")
    assert_harmless(result.stdout + result.stderr, "a page")


def test_formulas_in_our_columns_are_harmless(online: Program, service: FaultServer) -> None:
    """An error that a spreadsheet would run as a formula is defused; the input's own columns stay unchanged."""
    service.default = json_reply(422, {"success": False, "error": '=HYPERLINK("http://evil")', "type": "x"})
    write_csv(online.home / "s.csv", {**GOOD, "customer_name": "=1+1"})
    run = online(
        "sale", "--from-csv", "s.csv", "--rate", "none", "--json", "--failures", "f.csv", "--results", "r.csv"
    ).json["run"]

    texts = [(online.home / name).read_text(encoding="utf-8") for name in ("f.csv", "r.csv")]
    for text in (*texts, online("runs", "failures", run).stdout):
        (row,) = csv.DictReader(io.StringIO(text))
        assert row["customer_name"] == "=1+1"
        assert not row["_error"].startswith(("=", "+", "-", "@", "\t", "\r"))
        assert "HYPERLINK" in row["_error"]


def everything_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_token_is_written_nowhere(online: Program, service: FaultServer) -> None:
    """The token is in no output and no file, even if every answer quotes it, with ``-v`` and CMS_DEBUG."""
    said = f"bad token Bearer {TOKEN}"
    answers = [
        json_reply(200, {"success": True, "message": said, "data": {"token": TOKEN}}),
        json_reply(409, {"success": False, "error": said, "type": said}),
        json_reply(422, {"success": False, "error": said, "type": said, "details": {"token": [TOKEN]}}),
        json_reply(503, {"success": False, "error": said}),
        Reply(502, f"<html>{said}</html>".encode(), headers=(("Content-Type", "text/html"),)),
        Reply(302, b"", headers=(("Location", f"https://elsewhere.example/?token={TOKEN}"),)),
        json_reply(401, {"success": False, "error": said}),
    ]
    files = ("--failures", "f.csv", "--results", "r.jsonl")
    write_csv(online.home / "s.csv", *({**GOOD, "invoice_id": f"i{at}"} for at in range(4)))
    written = []
    for answer in answers:
        service.default = answer
        for command in (
            (*LEAD, "-v", "--max-wait", "0.2"),
            ("sale", "--from-csv", "s.csv", "--rate", "none", "-v", "--max-wait", "0.2", "--retry-refused", *files),
        ):
            result = online(*command, env={"CMS_DEBUG": "1"})
            written.append(result.stdout + result.stderr)
    for run in online("runs", "list", "--json").json:
        for command in ("show", "failures"):
            result = online("runs", command, run["run"])
            written.append(result.stdout + result.stderr)

    assert len(service.requests) > len(answers)
    assert not [text for text in written if TOKEN in text]
    assert TOKEN.encode() not in everything_under(online.home)


@pytest.mark.parametrize("flags", [(), ("--from-csv", "s.csv", "--rate", "none")], ids=["event", "replay"])
def test_the_token_is_in_no_traceback(online: Program, flags: tuple[str, ...]) -> None:
    """A crash exits with 3 and says where to report it; CMS_DEBUG=1 adds a traceback without the token."""
    (online.home / "sitecustomize.py").write_text(
        "import os, cms_python\n"
        "def fail(self, *args, **more):\n"
        "    raise RuntimeError('no luck with Bearer ' + os.environ['CMS_BEARER_TOKEN'])\n"
        "cms_python.CMSClient.send = cms_python.CMSClient.attempt = fail\n"
    )
    write_csv(online.home / "s.csv", GOOD)
    env = {"PYTHONPATH": f"{online.home}{os.pathsep}{online.env['PYTHONPATH']}"}
    command = ("sale", *flags) if flags else LEAD

    for more in ({}, {"CMS_DEBUG": "1"}):
        result = online.spawn(*command, "-v", env={**env, **more})
        assert result.code == 3, result
        assert TOKEN not in result.stdout + result.stderr
        assert "https://github.com/CutMeShort/cms-python-client/issues" in result.stderr
        assert ("Traceback" in result.stderr) == bool(more)
    assert TOKEN.encode() not in everything_under(online.home)


def test_a_token_with_quotes_is_masked_in_json(online: Program, service: FaultServer) -> None:
    """A token that JSON has to escape is masked as well."""
    token = 'quo"ted\\token'
    service.default = json_reply(422, {"success": False, "error": token})

    result = online(*LEAD, "--json", env={"CMS_BEARER_TOKEN": token})

    assert "ted" not in result.stdout.replace("Validation", "")
    assert json.loads(result.stdout)["success"] is False


def test_a_config_file_that_others_can_read_is_warned_about(online: Program) -> None:
    """A config file with a token gets a warning with the chmod to run, unless its mode is 0600."""
    if sys.platform == "win32":
        pytest.skip("Windows has no such modes")
    online.config.write_text('token = "tok_in_file"\n', encoding="utf-8")
    online.config.chmod(0o644)
    assert f"chmod 600 {online.config}" in online(*LEAD).stderr
    online.config.chmod(0o600)
    assert "chmod" not in online(*LEAD).stderr
