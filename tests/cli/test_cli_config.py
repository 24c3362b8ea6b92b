"""The config file: its location, its contents, and how commands change it."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest
from program import Program

LEAD = ("lead", "--event-name", "a", "--customer-external-id", "b", "--click-id", "c", "--dry-run", "--json")


def test_path_is_where_it_would_be(program: Program) -> None:
    """``cms config path`` names the file given by ``--config``, CMS_CONFIG or the platform, in that order."""
    assert program("config", "path").stdout == f"{program.config}\n"
    assert program("config", "path", "--config", "other.toml").stdout == "other.toml\n"
    del program.env["CMS_CONFIG"]
    assert program("config", "path").stdout.endswith("config.toml\n")


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(program: Program) -> None:
    """A setting comes from its flag, its variable, the profile, the file or the default, in that order."""

    def host(*flags: str, **env: str) -> str:
        return str(program(*LEAD, *flags, env=env).json["url"]).replace("/track/lead", "")

    assert host() == "https://www.cutmeshort.com"
    program.config.write_text('host = "https://top.example"\n[profiles.shop]\nhost = "https://shop.example"\n')
    assert host() == "https://top.example"
    assert host("--profile", "shop") == "https://shop.example"
    assert host(CMS_PROFILE="shop") == "https://shop.example"
    assert host(CMS_HOST="https://variable.example", CMS_PROFILE="shop") == "https://variable.example"
    assert host("--host", "https://flag.example", CMS_HOST="https://variable.example") == "https://flag.example"


def test_list_tells_every_origin(program: Program) -> None:
    """``cms config list --json`` has fixed keys, each with its value and origin, and shows no token."""
    program.config.write_text(
        'profile = "shop"\ntoken = "tok_on_top"\n'
        '[profiles.shop]\nhost = "https://shop.example"\ntoken = "tok_in_shop"\n'
    )

    result = program("config", "list", "--json", env={"CMS_OUTPUT": "table"})

    value = result.json
    assert list(value) == ["path", "exists", "profiles", "settings"]
    assert list(value["settings"]) == [
        *("profile", "host", "output", "timezone", "timeout", "max_wait", "state_dir"),
        *("state_url", "account", "state_required", "token"),
    ]
    path = str(program.config)
    assert value["settings"]["host"] == {
        "value": "https://shop.example",
        "origin": {"kind": "file", "name": "profiles.shop.host", "path": path},
    }
    assert value["settings"]["profile"]["origin"] == {"kind": "file", "name": "profile", "path": path}
    assert value["settings"]["output"] == {"value": "json", "origin": {"kind": "flag", "name": "--output"}}
    assert value["settings"]["state_dir"]["origin"] == {"kind": "env", "name": "CMS_STATE_DIR"}
    assert value["settings"]["timezone"] == {"value": "UTC", "origin": {"kind": "default"}}
    assert value["settings"]["token"]["origin"]["name"] == "profiles.shop.token"
    assert "tok_" not in result.stdout


def test_set_get_unset(program: Program) -> None:
    """``set``, ``get`` and ``unset`` change and read one setting, and keep comments and all other lines."""
    program.config.write_text('# mine\noutput = "jsonl"  # for jq\n')

    assert program("config", "set", "host", "https://api.cme.sh").code == 0
    stored = program("config", "set", "timeout", "2.5", "--profile", "shop")
    assert (stored.code, "set timeout of profile shop in " in stored.stderr) == (0, True)
    assert program("config", "get", "host", "--output", "table").stdout == "https://api.cme.sh\n"
    assert program("config", "get", "profiles.shop.timeout").json["value"] == 2.5
    text = program.config.read_text()
    assert program("config", "unset", "host").code == 0

    assert text == (
        '# mine\noutput = "jsonl"  # for jq\nhost = "https://api.cme.sh"\n\n[profiles.shop]\ntimeout = 2.5\n'
    )
    assert "host" not in program.config.read_text()
    assert "# for jq" in program.config.read_text()


def test_get_prints_what_set_takes(program: Program) -> None:
    """A value is printed as it is written, true and false included."""
    for key, value in (("state_required", "true"), ("timeout", "2.5"), ("host", "https://api.cme.sh")):
        assert program("config", "set", key, value).code == 0
        assert program("config", "get", key).stdout == f"{value}\n"


def test_get_of_what_is_not_set(program: Program) -> None:
    """``config get`` of a setting without a value prints nothing and exits with 1, as git does."""
    result = program("config", "get", "token_command")

    assert (result.code, result.stdout, result.stderr) == (1, "", "")
    assert program("config", "get", "profiles.shop.host").code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_files_are_written_for_their_owner_only(program: Program) -> None:
    """A config file is written with mode 0600 in a folder of mode 0700, and a symlink stays one."""
    folder = program.home / "new"
    target = folder / "cms.toml"
    link = program.home / "link.toml"
    link.symlink_to(target)

    assert program("config", "set", "output", "json", "--config", str(link)).code == 0
    first = stat.S_IMODE(target.stat().st_mode)
    target.chmod(0o644)
    assert program("config", "set", "output", "table", "--config", str(link)).code == 0

    assert (first, stat.S_IMODE(target.stat().st_mode)) == (0o600, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert link.is_symlink()
    assert [file.name for file in folder.iterdir() if not file.name.endswith(".lock")] == ["cms.toml"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_token_that_others_can_read(program: Program) -> None:
    """A config file with a token that others can read gets one warning; with ``-q`` or without a token, none."""
    program.config.write_text('token = "tok_12345"\n')
    program.config.chmod(0o644)
    warned, quiet = program(*LEAD), program(*LEAD, "-q")
    (program.home / "s.csv").write_text("click_id,event_name,customer_external_id\nc,e,u\nc,e,v\n")
    replay = program("lead", "--from-csv", "s.csv", "--sandbox", "--limit", "1", "--json")
    resumed = program("runs", "resume", replay.json["run"])
    spaced = program.home / "Application Support.toml"
    program.config.rename(spaced)
    assert f"chmod 600 '{spaced}'\n" in program(*LEAD, "--config", str(spaced)).stderr
    program.config.write_text('output = "json"\n')
    harmless = program(*LEAD)

    for each in (warned, replay, resumed):
        assert each.code == 0
        assert each.stderr.count(f"chmod 600 {program.config}") == 1
    assert (quiet.stderr, harmless.stderr) == ("", "")


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('output = "json"\nhots = "x"\n', "line 2", "unknown key hots; did you mean host?"),
        ("[profiles.shop]\n\ntimeot = 3\n", "line 3", "unknown key profiles.shop.timeot; did you mean timeout?"),
        ('output = "xml"\n', "line 1", "output must be table, json or jsonl"),
        ("# \n[profiles.shop]\nhost = 3\n", "line 3", "profiles.shop.host must be a URL"),
        ("timeout = true\n", "line 1", "timeout must be a number of seconds"),
        ('timezone = "Berlin"\n', "line 1", "Europe/Berlin"),
        ('host = "https://u:hunter22@a.b"\n', "line 1", "must not contain"),
        ("profiles = 3\n", "line 1", "profiles must be a table"),
        ("[profiles]\nshop = 3\n", "line 2", "profiles.shop must be a table"),
        ('[profiles.shop]\nprofile = "x"\n', "line 2", "unknown key profiles.shop.profile"),
        ('\n[profile.shop]\ntoken = "x"\n', "line 2", "unknown table profile; did you mean profiles?"),
        ('[profil]\nshop = {host = "x"}\n', "line 1", "unknown table profil; did you mean profiles?"),
        ("host.name = 3\n", "line 1", "unknown table host; there are profiles, mappings"),
        ("output = \n", "line 1", "is not TOML"),
    ],
)
def test_a_wrong_config_file_is_told_by_file_line_and_key(
    program: Program, text: str, where: str, what: str
) -> None:
    """A mistake in the config file exits with 2 and names file, line and key, but no password."""
    program.config.write_text(text)

    result = program(*LEAD)

    assert (result.code, result.json["exit_code"]) == (2, 2)
    assert str(program.config) in result.stderr
    assert where in result.stderr
    assert what in result.stderr
    assert "hunter22" not in result.stderr


def test_all_mistakes_of_a_file_are_told_at_once(program: Program) -> None:
    """Every wrong key of a config file is named at once."""
    program.config.write_text('hots = "a"\noutptu = "b"\n')

    stderr = program(*LEAD).stderr

    assert "hots" in stderr
    assert "outptu" in stderr


def test_a_misspelled_key_can_be_removed(program: Program) -> None:
    """``cms config unset`` works on a file that every other command rejects."""
    program.config.write_text('hots = "a"\n')

    assert program("config", "unset", "hots").code == 0
    assert program(*LEAD).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "hots", "x"), "did you mean host?"),
        (("set", "output", "xml"), "must be table, json or jsonl"),
        (("set", "timeout", "nan"), "above 0"),
        (("set", "token", "tok_123"), "cms auth login"),
        (("set", "profile", "a b"), "letters, digits"),
        (("set", "profiles.shop.profile", "a"), "unknown key"),
        (("set", "profiles", "a"), "did you mean profile?"),
        (("set", "profile.shop.host", "https://a.b"), "written profiles.NAME.KEY"),
        (("get", "hots"), "did you mean host?"),
        (("set", "host"), "VALUE"),
    ],
)
def test_what_cannot_be_set(program: Program, arguments: tuple[str, ...], said: str) -> None:
    """An unknown key or invalid value exits with 2, and no config file is created."""
    result = program("config", *arguments)

    assert (result.code, result.stdout) == (2, "")
    assert said in result.stderr
    assert not program.config.exists()


@pytest.mark.parametrize("text", ["Bearer abc", "two words", ""])
def test_set_checks_a_token_as_login_does(program: Program, text: str) -> None:
    """``config set token -`` exits with 4 and stores nothing if the text cannot be a token."""
    assert program("config", "set", "token", "-", stdin=text).code == 4
    assert not program.config.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes stdin")
@pytest.mark.parametrize(("key", "code"), [("token", 4), ("host", 2)])
def test_set_from_a_stdin_that_is_closed(program: Program, key: str, code: int) -> None:
    """A closed stdin counts as an empty value and causes no internal error."""
    command = f'"{sys.executable}" -m cms_cli config set {key} - <&-'
    done = subprocess.run(
        ["sh", "-c", command], env=program.env, cwd=program.home, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == code
    assert "itself failed" not in done.stderr


def test_set_tells_that_a_profile_is_still_to_be_made(program: Program) -> None:
    """A profile that does not exist yet can be selected, with a hint how to create it."""
    chosen = program("config", "set", "profile", "shop")
    made = program("auth", "login", "--profile", "shop", stdin="tok_12345")
    again = program("config", "set", "profile", "shop")

    assert (chosen.code, made.code, again.code) == (0, 0, 0)
    assert "there is no profile shop yet; make it with: cms auth login --profile shop" in chosen.stderr
    assert "no profile" not in again.stderr


def test_set_tells_what_wins(program: Program) -> None:
    """Setting a key that a variable overrides says so."""
    result = program("config", "set", "host", "https://api.cme.sh", env={"CMS_HOST": "https://a.example"})

    assert result.code == 0
    assert "CMS_HOST is also set, and takes precedence" in result.stderr


@pytest.mark.parametrize("env", [{}, {"CMS_PROFILE": "shpo"}], ids=["flag", "variable"])
def test_no_such_profile(program: Program, env: dict[str, str]) -> None:
    """An unknown profile exits with 2, naming the config file and the closest profile."""
    program.config.write_text('[profiles.shop]\nhost = "https://shop.example"\n')

    result = program(*LEAD, *(() if env else ("--profile", "shpo")), env=env)

    assert result.code == 2
    assert str(program.config) in result.stderr
    assert "Did you mean shop?" in result.stderr


def test_a_named_config_file_that_is_not_there(program: Program) -> None:
    """``--config`` with a missing file exits with 2 and names it."""
    result = program(*LEAD, "--config", "nowhere.toml")

    assert result.code == 2
    assert "nowhere.toml" in result.stderr


@pytest.mark.parametrize("flag", ["--config", "--profile", "--host", "--token-file", "--state-dir", "--timezone"])
def test_an_empty_flag_value_is_an_error(program: Program, flag: str) -> None:
    """An empty value, as from an unset shell variable, is an error rather than the default account or host."""
    program.config.write_text('token = "tok_12345"\n')

    result = program(*LEAD[:-2], "--host", "http://127.0.0.1:1", flag, "")

    assert result.code in (2, 4)
    assert result.stdout == ""
    assert flag in result.stderr


def test_a_wrong_variable_is_named(program: Program) -> None:
    """An environment variable with an invalid value exits with 2 and is named."""
    result = program(*LEAD[:-1], env={"CMS_OUTPUT": "xml"})

    assert result.code == 2
    assert "CMS_OUTPUT must be table, json or jsonl" in result.stderr


def test_two_forms_of_output_contradict(program: Program) -> None:
    """``--json`` together with another ``--output`` exits with 2."""
    assert program(*LEAD, "--output", "jsonl").code == 2


def test_changes_at_once_are_all_kept(program: Program) -> None:
    """Processes that change the config file at the same time lose none of each other's changes."""
    names = [f"shop{number}" for number in range(5)]
    running = [program.start("config", "set", "output", "json", "--profile", name) for name in names]
    for process in running:
        process.communicate(timeout=30)

    assert [process.returncode for process in running] == [0] * len(names)
    assert program("config", "list", "--json").json["profiles"] == names


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/null")
def test_what_is_no_file_is_never_replaced(program: Program) -> None:
    """A device given as config file is not overwritten."""
    result = program("config", "set", "output", "json", "--config", "/dev/null")

    assert result.code == 2
    assert "not a regular file" in result.stderr
