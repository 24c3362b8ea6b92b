"""Short commands, such as one event: whole processes, whose time is nearly all start-up."""

from __future__ import annotations

from collections.abc import Iterator

from measure import Cost, in_turn, median, ratio, run
from setting import Setting
from table import Row, milliseconds, times

EVENT = ["--click-id", "c", "--event-name", "a", "--customer-external-id", "b", "--json"]
BODY = ["clickId=c", "eventName=a", "customerExternalId=b"]


def one(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send one lead over http, compared with other programs."""
    with setting.sandbox() as url:
        commands = _senders(setting, url)
        yield from _compared(setting, "one lead, http", commands, pairs, {})


def https(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send one lead over https, all programs with the same CA bundle."""
    with setting.https() as url:
        bundle = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(setting.bundle))
        commands = _senders(setting, url)
        yield from _compared(setting, "one lead, https", commands, pairs, bundle)


def moments(setting: Setting, pairs: int) -> Iterator[Row]:
    """Run commands that send nothing: the version, a help page, TAB."""
    cms, python = setting.program("cms", "cms"), setting.program("cms")
    tab = {"_CMS_COMPLETE": "complete_bash", "COMP_WORDS": "cms lead --cust", "COMP_CWORD": "2"}
    costs = in_turn(
        {
            "requests": lambda: run([python, "-c", "import requests"], setting.env, cwd=setting.folder),
            "bare": lambda: run([python, "-c", "pass"], setting.env, cwd=setting.folder),
            "version": lambda: run([cms, "--version"], setting.env, cwd=setting.folder),
            "help": lambda: run([cms, "--help"], setting.env, cwd=setting.folder),
            "lead help": lambda: run([cms, "lead", "--help"], setting.env, cwd=setting.folder),
            "tab": lambda: run([cms], {**setting.env, **tab}, cwd=setting.folder),
        },
        pairs,
    )
    against = f"`import requests`, {milliseconds(costs['requests'])}"
    yield Row(
        "`cms --version`", milliseconds(costs["version"]), against, times(costs["version"], costs["requests"])
    )
    bare = f"an empty Python, {milliseconds(costs['bare'])}"
    for name, what in (("help", "`cms --help`"), ("lead help", "`cms lead --help`"), ("tab", "TAB")):
        yield Row(what, milliseconds(costs[name]), bare, times(costs[name], costs["bare"]))


def _senders(setting: Setting, url: str) -> dict[str, list[str]]:
    return {
        "cms": [setting.program("cms", "cms"), "lead", *EVENT, "--host", url],
        "two lines of requests": [*setting.peer("cms", "two_line.py"), url],
        "the published client": [*setting.peer("published", "published_one.py"), url],
        "HTTPie": [
            setting.program("httpie", "http"),
            *("--ignore-stdin", "--check-status", "POST", f"{url}/track/lead"),
            *("Authorization: Bearer benchmark-token", *BODY),
        ],
    }


def _compared(
    setting: Setting, what: str, commands: dict[str, list[str]], pairs: int, extra: dict[str, str]
) -> Iterator[Row]:
    env = {**setting.env, **extra}

    def runner(command: list[str]) -> Cost:
        return run(command, env, cwd=setting.folder)

    costs = in_turn({name: (lambda command=command: runner(command)) for name, command in commands.items()}, pairs)
    ours = costs.pop("cms")
    for name, theirs in costs.items():
        cpu = f"CPU {ratio(ours, theirs, 'cpu'):.2f}x, {median(ours).peak:.0f} of {median(theirs).peak:.0f} MiB"
        yield Row(f"{what}", milliseconds(ours), f"{name}, {milliseconds(theirs)}", times(ours, theirs), cpu)
