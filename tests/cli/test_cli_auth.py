"""``cms auth``: storing a token, removing it, and reporting which one is used."""

from __future__ import annotations

import stat
import sys
import time

import pytest
from faultserver import DROP, FaultServer, Reply, html_reply, json_reply
from program import TOKEN, Program
from tokens import jwt


def test_login_keeps_a_token_from_stdin(program: Program) -> None:
    """Without a terminal, login reads the token from stdin, stores it with mode 0600 and does not show it."""
    result = program("auth", "login", stdin=f"{TOKEN}\n")

    assert (result.code, result.stdout) == (0, "")
    assert program.config.read_text() == f'token = "{TOKEN}"\n'
    assert TOKEN not in result.stderr
    assert str(program.config) in result.stderr
    if sys.platform != "win32":
        assert stat.S_IMODE(program.config.stat().st_mode) == 0o600


def test_login_makes_a_profile(program: Program) -> None:
    """``--profile`` stores token and host in a profile, creates it if missing, and keeps the rest of the file."""
    program.config.write_text('# mine\noutput = "json"\n')

    result = program("auth", "login", "--profile", "shop", "--host", "https://api.cme.sh/", stdin=TOKEN)

    assert result.code == 0, result.stderr
    assert program.config.read_text() == (
        f'# mine\noutput = "json"\n\n[profiles.shop]\ntoken = "{TOKEN}"\nhost = "https://api.cme.sh"\n'
    )


def test_login_says_whose_a_jwt_is_and_until_when(program: Program) -> None:
    """Login shows a JWT's subject, issuer and expiry, and warns about an expired one."""
    soon = program("auth", "login", stdin=jwt(sub="user_1", iss="cms", exp=time.time() + 5 * 86400 + 60))
    over = program("auth", "login", stdin=jwt(sub="user_1", exp=1_700_000_000))

    assert "user_1 at cms" in soon.stderr
    assert "in 5 days" in soon.stderr
    assert "warning: it has expired: 2023-11-14 22:13:20 UTC" in over.stderr


@pytest.mark.parametrize("text", ["", "\n", "two words", "Bearer abc"])
def test_login_checks_the_shape(program: Program, text: str) -> None:
    """A text that cannot be a token is not stored; login exits with 4."""
    assert program("auth", "login", stdin=text).code == 4
    assert not program.config.exists()


def test_login_tells_what_wins_over_it(program: Program) -> None:
    """Login says that a token in the environment takes precedence over the one just stored."""
    result = program("auth", "login", stdin=TOKEN, env={"CMS_BEARER_TOKEN": "other_token"})

    assert "CMS_BEARER_TOKEN is also set, and takes precedence" in result.stderr


def test_login_from_a_file_has_nothing_to_win_over_it(program: Program) -> None:
    """Login does not warn that the file it just read the token from takes precedence."""
    (program.home / "token.txt").write_text(TOKEN)

    result = program("auth", "login", "--token-file", "token.txt")

    assert result.code == 0
    assert "wins" not in result.stderr


def test_logout_drops_the_token_only(program: Program) -> None:
    """Logout removes the profile's token, keeps all other settings, and names tokens that are still set."""
    program.config.write_text(
        'token = "a_token"\nhost = "https://api.cme.sh"\n[profiles.shop]\ntoken = "b_token"\n'
    )
    program.config.chmod(0o600)

    result = program("auth", "logout", env={"CMS_BEARER_TOKEN": "c_token"})
    again = program("auth", "logout")

    assert program.config.read_text() == 'host = "https://api.cme.sh"\n[profiles.shop]\ntoken = "b_token"\n'
    assert result.code == 0
    assert "still a token: CMS_BEARER_TOKEN" in result.stderr
    assert again.code == 0
    assert "has no token" in again.stderr


def test_status_tells_which_token_wins(program: Program, service: FaultServer) -> None:
    """Status reports the token in use, those it shadows, the host and the JWT's claims, under fixed JSON keys."""
    program.config.write_text('token = "from_file"\n')
    program.config.chmod(0o600)
    token = jwt(sub="user_1", iss="cms", exp=4_000_000_000)
    service.script(json_reply(405, {"success": False, "error": "Method not allowed"}))

    result = program("auth", "status", "--json", env={"CMS_BEARER_TOKEN": token, "CMS_HOST": service.url})

    assert result.code == 0, result.stderr
    assert result.json == {
        "profile": {"value": "default", "origin": {"kind": "default"}},
        "token": {
            "usable": True,
            "origin": {"kind": "env", "name": "CMS_BEARER_TOKEN"},
            "shadowed": [{"kind": "file", "name": "token", "path": str(program.config)}],
            "problem": None,
            "jwt": True,
            "subject": "user_1",
            "issuer": "cms",
            "expires_at": "2096-10-02T07:06:40+00:00",
            "expired": False,
        },
        "host": {
            "value": service.url,
            "origin": {"kind": "env", "name": "CMS_HOST"},
            "answers": True,
            "like_api": True,
            "detail": "answers as an API does (405)",
        },
    }


def test_status_sends_neither_event_nor_token(program: Program, service: FaultServer) -> None:
    """Status probes the host with a GET that carries no token and no password from ~/.netrc."""
    netrc = program.home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)

    program("auth", "status", env={"CMS_BEARER_TOKEN": TOKEN, "CMS_HOST": service.url, "NETRC": str(netrc)})

    (request,) = service.requests
    assert request.method == "GET"
    assert request.headers["Authorization"] is None


@pytest.mark.parametrize(
    ("answer", "like_api", "said"),
    [
        (html_reply(404), False, "web page"),
        (Reply(302, headers=(("Location", "/login"),)), False, "redirect"),
        (Reply(405), None, "answers (405)"),
    ],
)
def test_status_tells_what_answers(
    program: Program, service: FaultServer, answer: Reply, like_api: bool | None, said: str
) -> None:
    """Status distinguishes a host that answers like a website from one that answers like an API."""
    service.script(answer)

    host = program("auth", "status", "--json", env={"CMS_BEARER_TOKEN": TOKEN, "CMS_HOST": service.url}).json[
        "host"
    ]

    assert (host["answers"], host["like_api"]) == (True, like_api)
    assert said in host["detail"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Reply(200, raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"), "answers (200)"),
        (
            Reply(200, b"<p>" * 900, (("Content-Type", "text/html"),), drip=0.5, drip_from="body"),
            "a web page (200)",
        ),
    ],
    ids=["broken", "endless"],
)
def test_status_of_a_host_that_breaks_off(program: Program, service: FaultServer, answer: Reply, said: str) -> None:
    """A host whose answer is malformed or never ends counts as answering, and status exits with 0."""
    service.script(answer)

    result = program("auth", "status", env={"CMS_BEARER_TOKEN": TOKEN, "CMS_HOST": service.url})

    assert (result.code, result.stderr) == (0, "")
    assert said in result.stdout


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (DROP, "the connection was lost before an answer came"),
        (Reply(raw=b"SSH-2.0\r\n"), "the connection was lost"),
    ],
    ids=["dropped", "no HTTP"],
)
def test_status_of_a_host_that_hangs_up(program: Program, service: FaultServer, answer: Reply, said: str) -> None:
    """Status reports a connection that was dropped or speaks another protocol, and exits with 5."""
    service.script(answer)

    result = program("auth", "status", env={"CMS_BEARER_TOKEN": TOKEN, "CMS_HOST": service.url})

    assert result.code == 5
    assert said in result.stdout


def test_status_with_a_ca_bundle_that_is_not_there(program: Program) -> None:
    """A CA bundle variable that names a missing file is blamed, rather than the host."""
    env = {"CMS_BEARER_TOKEN": TOKEN, "CMS_HOST": "https://127.0.0.1:1", "REQUESTS_CA_BUNDLE": "/nowhere.pem"}
    result = program("auth", "status", env=env)

    assert result.code == 5
    assert "CA bundle variables" in result.stdout


def test_status_codes(program: Program) -> None:
    """Status exits with 4 if the token is missing or expired, and with 5 if the host does not answer."""
    dead = {"CMS_HOST": "http://127.0.0.1:1"}
    none = program("auth", "status", "--offline")
    over = program("auth", "status", "--offline", env={"CMS_BEARER_TOKEN": jwt(sub="a", exp=1)})
    silent = program("auth", "status", env={**dead, "CMS_BEARER_TOKEN": TOKEN})

    assert [none.code, over.code, silent.code] == [4, 4, 5]
    assert "token    none" in none.stdout
    assert "EXPIRED" in over.stdout
    assert "nothing answers there" in silent.stdout


def test_status_runs_a_token_command(program: Program) -> None:
    """Status shows what a failing token command wrote to stderr, and exits with 4."""
    program.config.write_text('token_command = "echo locked >&2; exit 1"\n')

    result = program("auth", "status", "--offline", "--json")

    assert result.code == 4
    assert result.json["token"]["usable"] is False
    assert "locked" in result.json["token"]["problem"]


def test_login_without_a_token_says_how_to_give_one(program: Program) -> None:
    """With an empty stdin, login says how to pipe a token in, and suggests no variable that it ignores."""
    result = program("auth", "login")

    assert result.code == 4
    assert "stdin: the token is empty" in result.stderr
    assert "cms auth login < token.txt" in result.stderr
    assert "CMS_BEARER_TOKEN" not in result.stderr + program("auth", "login", "--help").stdout
