"""The token that is sent, and the hosts that it may be sent to."""

from __future__ import annotations

import sys

import pytest
from faultserver import FaultServer
from program import Program

LEAD = ("lead", "--event-name", "signup", "--customer-external-id", "user_42", "--click-id", "id_1")
PRINTS = f"'{sys.executable}' -c \"print('from_command')\""


@pytest.fixture
def local(program: Program, service: FaultServer) -> Program:
    program.env["CMS_HOST"] = service.url
    return program


def sent_by(service: FaultServer) -> str:
    return str(service.requests[-1].headers["Authorization"]).replace("Bearer ", "")


def test_no_token(local: Program, service: FaultServer) -> None:
    """Without a token, a command exits with 4, says what to do and sends nothing."""
    result = local(*LEAD, "--json")

    assert (result.code, result.json["exit_code"]) == (4, 4)
    assert "cms auth login" in result.stderr
    assert "CMS_BEARER_TOKEN" in result.stderr
    assert service.connections == []


def test_the_order_of_tokens(local: Program, service: FaultServer) -> None:
    """``--token-file`` wins over ``--profile``, CMS_BEARER_TOKEN, CMS_PROFILE and the default profile."""
    local.config.write_text('token = "from_default"\n[profiles.shop]\ntoken = "from_shop"\n')
    local.config.chmod(0o600)
    (local.home / "token.txt").write_text("from_file\n")
    variable = {"CMS_BEARER_TOKEN": "from_variable"}

    order = [
        (local(*LEAD, "--token-file", "token.txt", "--profile", "shop", env=variable), "from_file"),
        (local(*LEAD, "--profile", "shop", env=variable), "from_shop"),
        (local(*LEAD, env={**variable, "CMS_PROFILE": "shop"}), "from_variable"),
        (local(*LEAD, env={"CMS_PROFILE": "shop"}), "from_shop"),
        (local(*LEAD), "from_default"),
        (local(*LEAD, env={"CMS_BEARER_TOKEN": ""}), "from_default"),
    ]

    assert [result.code for result, _ in order] == [0] * len(order)
    assert [str(r.headers["Authorization"]).replace("Bearer ", "") for r in service.requests] == [
        token for _, token in order
    ]


def test_a_profile_without_a_token_does_not_borrow_the_default_one(local: Program, service: FaultServer) -> None:
    """A profile without a token exits with 4 and does not use the default profile's."""
    local.config.write_text('token = "from_default"\n[profiles.shop]\noutput = "json"\n')

    result = local(*LEAD, "--profile", "shop")

    assert result.code == 4
    assert "profile shop" in result.stderr
    assert service.requests == []


def test_a_token_from_stdin(local: Program, service: FaultServer) -> None:
    """``--token-file -`` reads the token from stdin and strips the line break."""
    assert local(*LEAD, "--token-file", "-", stdin="from_stdin\r\n").code == 0
    assert sent_by(service) == "from_stdin"


@pytest.mark.parametrize("form", ["text", "list"])
def test_a_token_command(local: Program, service: FaultServer, form: str) -> None:
    """``token_command`` runs as a shell text or a list of words, and its output is the token."""
    words = f'[{sys.executable!r}, "-c", "print(\'from_command\')"]'
    local.config.write_text(f"token_command = {words if form == 'list' else repr(PRINTS)}\n".replace("\\'", "'"))
    if form == "text":
        local.config.write_text(f"token_command = '''{PRINTS}'''\n")

    result = local(*LEAD)

    assert result.code == 0, result.stderr
    assert sent_by(service) == "from_command"


def test_a_token_command_is_not_run_where_another_token_wins(local: Program, service: FaultServer) -> None:
    """``token_command`` does not run if a token with precedence is set."""
    local.config.write_text('token_command = "touch ran"\n')

    assert local(*LEAD, env={"CMS_BEARER_TOKEN": "from_variable"}).code == 0
    assert not (local.home / "ran").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo secret-on-stdout; echo locked >&2; exit 3", "locked"),
        ("true", "printed no token"),
        ("echo one; echo secret-on-stdout", "more than one line"),
    ],
    ids=["fails", "says nothing", "says too much"],
)
def test_a_token_command_that_fails(local: Program, command: str, said: str) -> None:
    """A failing ``token_command`` exits with 4 and shows its stderr, never its stdout."""
    local.config.write_text(f'token_command = "{command}"\n')

    result = local(*LEAD)

    assert result.code == 4
    assert "token_command" in result.stderr
    assert said in result.stderr
    assert "secret-on-stdout" not in result.stderr.replace(command, "")


@pytest.mark.parametrize("stream", ["", " >&2; yes"], ids=["stdout", "stderr too"])
def test_a_token_command_that_does_not_end(local: Program, stream: str) -> None:
    """A ``token_command`` with endless output is stopped: exit 4."""
    local.config.write_text(f'token_command = "yes{stream and " | head -c 9000000"}{stream}"\n')

    result = local.spawn(*LEAD)

    assert result.code == 4
    assert "token_command: the command printed more than 64 KiB" in result.stderr


def test_a_token_command_does_not_get_the_token_of_the_environment(local: Program, service: FaultServer) -> None:
    """``token_command`` does not see the CMS_BEARER_TOKEN of another account."""
    local.config.write_text("[profiles.shop]\ntoken_command = 'echo \"got-$CMS_BEARER_TOKEN-\"'\n")

    assert local(*LEAD, "--profile", "shop", env={"CMS_BEARER_TOKEN": "secret_of_another"}).code == 0
    assert sent_by(service) == "got--"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"tok_1"', "in quotation marks"),
        ("'tok_1'\n", "in quotation marks"),
        ("\u201ctok_1\u201d", "in quotation marks"),
        ("CMS_BEARER_TOKEN=tok_1\n", "begins with CMS_BEARER_TOKEN="),
        ('CMS_BEARER_TOKEN="tok_1"', "begins with CMS_BEARER_TOKEN="),
    ],
)
def test_a_token_with_something_around_it_is_named(local: Program, text: str, said: str) -> None:
    """A token in quotation marks or with "CMS_BEARER_TOKEN=" before it exits with 4 and is explained."""
    (local.home / "token.txt").write_text(text, encoding="utf-8")

    for result in (local(*LEAD, "--token-file", "token.txt"), local(*LEAD, env={"CMS_BEARER_TOKEN": text})):
        assert result.code == 4
        assert said in result.stderr
        assert "tok_1" not in result.stderr


def test_a_missing_file_is_said_before_a_missing_token(local: Program) -> None:
    """A missing input file is reported before the token command runs."""
    local.config.write_text('token_command = "touch ran"\n')

    result = local("sale", "--from-csv", "none.csv")

    assert (result.code, "none.csv: No such file" in result.stderr) == (2, True)
    assert not (local.home / "ran").exists()


@pytest.mark.parametrize("text", ["", "  \n", "two words", "Bearer abc", "caf\u00e9", "a\nb"])
def test_what_cannot_be_a_token(local: Program, service: FaultServer, text: str) -> None:
    """A file without a valid token exits with 4, and its content is not shown."""
    (local.home / "token.txt").write_text(text, encoding="utf-8")

    result = local(*LEAD, "--token-file", "token.txt")

    assert result.code == 4
    assert service.requests == []
    assert not text.strip() or text.strip() not in result.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_token_file_that_a_shell_of_windows_wrote(local: Program, service: FaultServer, encoding: str) -> None:
    """A token file is read in UTF-16 or with a byte order mark, as PowerShell writes it."""
    (local.home / "token.txt").write_bytes("from_powershell\r\n".encode(encoding))

    result = local(*LEAD, "--token-file", "token.txt")
    assert result.code == 0, result.stderr
    assert sent_by(service) == "from_powershell"


def test_a_missing_token_file(local: Program) -> None:
    """A missing token file exits with 4 and is named."""
    result = local(*LEAD, "--token-file", "nowhere.txt")

    assert result.code == 4
    assert "nowhere.txt" in result.stderr


def test_no_flag_takes_the_token(local: Program) -> None:
    """``--token`` exits with 2 and names ``--token-file``, since a token would show in process lists."""
    result = local(*LEAD, "--token", "abc")

    assert result.code == 2
    assert "--token-file" in result.stderr


@pytest.mark.parametrize("host", ["http://api.example.com", "http://10.0.0.1:8080", "http://localhost.evil.com"])
def test_plain_http_to_another_machine_is_refused(program: Program, host: str) -> None:
    """Plain http to another machine exits with 2 unless ``--allow-http`` is given."""
    env = {"CMS_BEARER_TOKEN": "abcdefgh"}
    refused = program(*LEAD, "--host", host, env=env)
    allowed = program(*LEAD, "--host", host, "--allow-http", "--dry-run", env=env)

    assert refused.code == 2
    assert "--allow-http" in refused.stderr
    assert allowed.code == 0


@pytest.mark.parametrize(
    "host",
    [
        "https://user:hunter22@api.cme.sh",
        "https://abc@api.cme.sh",
        "api.cme.sh",
        "ftp://api.cme.sh",
        "https://",
        "https://a?t=b",
    ],
)
def test_a_host_that_cannot_be(program: Program, host: str) -> None:
    """An invalid host, or one with credentials, exits with 2 and shows no password."""
    result = program(*LEAD, "--dry-run", env={"CMS_HOST": host})

    assert result.code == 2
    assert "CMS_HOST" in result.stderr
    assert "hunter22" not in result.stderr
