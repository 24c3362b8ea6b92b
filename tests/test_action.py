"""The workflow action: what its script runs, outputs and exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from program import Program

from cms_cli.sandbox import SandboxServer

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".ci" / "action.py"
HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the action runs in bash on Linux and macOS")


@pytest.fixture
def action(tmp_path: Path):
    """Return a function that runs the script as the action does, and returns the process and its outputs."""
    env = Program(tmp_path).env
    tools = tmp_path / "bin"
    tools.mkdir()
    cms = tools / "cms"
    cms.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cms_cli "$@"\n', encoding="utf-8")
    cms.chmod(0o755)
    handed_on = tmp_path / "outputs"
    (tmp_path / "sales.csv").write_text(HEADER + "".join(f"c,buy,u{n},inv_{n},100,USD\n" for n in range(4)))

    def run(**inputs: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        handed_on.write_text("")
        done = subprocess.run(
            [sys.executable, str(SCRIPT)],
            cwd=tmp_path,
            env={
                **env,
                "PATH": f"{tools}{os.pathsep}{env['PATH']}",
                "GITHUB_OUTPUT": str(handed_on),
                **{f"INPUT_{name}": value for name, value in inputs.items()},
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done, dict(line.split("=", 1) for line in handed_on.read_text().splitlines())

    return run


def test_a_replay_hands_on_its_counts(action) -> None:
    """The outputs have counts, run id and completeness of the replay."""
    done, outputs = action(FILE="sales.csv", FLAGS="--sandbox")

    assert done.returncode == 0, done.stderr
    assert outputs["exit-code"] == "0"
    assert outputs["complete"] == "true"
    assert outputs["run"]
    assert json.loads(outputs["counts"])["accepted"] == 4
    assert json.loads(done.stdout)["run"] == outputs["run"]


@pytest.mark.slow
def test_a_stop_by_max_duration_is_no_red_job_and_the_next_one_goes_on(action) -> None:
    """A replay stopped by max-duration passes with complete=false, and the next job sends the rest."""
    done, outputs = action(FILE="sales.csv", FLAGS="--sandbox --rate 1/s", MAX_DURATION="1.5")

    assert done.returncode == 0, done.stderr
    assert (outputs["exit-code"], outputs["complete"]) == ("7", "false")
    assert "::notice::" in done.stdout

    done, outputs = action(FILE="sales.csv", FLAGS="--sandbox --rate none", MAX_DURATION="50")

    assert (outputs["exit-code"], outputs["complete"]) == ("0", "true")
    assert json.loads(outputs["counts"])["accepted"] == 4


def test_a_bad_file_fails_the_step(action, tmp_path: Path) -> None:
    """A bad file fails the step with exit 2, and there is no run."""
    (tmp_path / "bad.csv").write_text(HEADER + "c,buy,u,i,one,USD\n")

    done, outputs = action(FILE="bad.csv", FLAGS="--sandbox")

    assert done.returncode == 2
    assert (outputs["exit-code"], outputs["run"], outputs["complete"]) == ("2", "", "false")
    assert json.loads(outputs["counts"])["invalid"] == 1


def test_a_dry_run_needs_no_token(action) -> None:
    """A dry run, as on a pull request, needs no token."""
    done, outputs = action(FILE="sales.csv", DRY_RUN="true")

    assert done.returncode == 0, done.stderr
    assert (outputs["complete"], json.loads(outputs["counts"])["pending"]) == ("false", 4)


@pytest.mark.parametrize("flag", ["--max-failures 1", "--max-failures=1"])
def test_a_stop_by_max_failures_fails_the_step(action, tmp_path: Path, flag: str) -> None:
    """A replay stopped by --max-failures, however it is written, fails the step with exit 7."""
    (tmp_path / "token").write_text("any")
    with SandboxServer(faults="422") as service:
        done, outputs = action(FILE="sales.csv", FLAGS=f"--host {service.url} --token-file token {flag}")

    assert (done.returncode, outputs["exit-code"]) == (7, "7")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"FILE": ""}, "file is empty"),
        ({"KIND": "order"}, "sale or lead"),
        ({"FLAGS": "--where 'Status=paid"}, "flags cannot be read"),
    ],
)
def test_an_input_that_cannot_be_used_is_named(action, inputs: dict[str, str], message: str) -> None:
    """An invalid input is named, and nothing is run."""
    done, outputs = action(**{"FILE": "sales.csv", **inputs})

    assert done.returncode == 2
    assert message in done.stderr
    assert not outputs


def test_the_action_passes_every_input_and_output_on() -> None:
    """Each input of the action reaches a step, and each output is written by the script."""
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    action = yaml.safe_load(text)
    script = SCRIPT.read_text(encoding="utf-8")

    for name in action["inputs"]:
        assert f"inputs.{name}" in text, name
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.replay.outputs.{name} }}}}"
        assert f'"{name}":' in script
    (replay,) = (step for step in action["runs"]["steps"] if step.get("id") == "replay")
    for variable in replay["env"]:
        assert variable == "CMS_BEARER_TOKEN" or variable.removeprefix("INPUT_") in script, variable


def test_the_action_brings_the_driver_where_a_database_is_named() -> None:
    """With CMS_STATE_URL the action installs the database driver and does not cache the state."""
    steps = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
    (install,) = (step["run"] for step in steps if "pip" in step.get("run", ""))
    echoed = install.replace('"$RUNNER_TEMP/cms-venv/bin/pip"', "echo").replace("python3 -m venv", "true")
    for url, package in (("", "/here"), ("postgresql://cms@db/cms", "/here[postgres]")):
        env = {
            "PATH": os.environ["PATH"],
            "GITHUB_ACTION_PATH": "/here",
            "RUNNER_TEMP": "/tmp",
            "CMS_STATE_URL": url,
        }
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", echoed], env=env, capture_output=True, text=True)
        assert done.stdout.split()[-1] == package, done.stderr
    cached = [step for step in steps if "actions/cache" in step.get("uses", "")]
    assert len(cached) == 2
    assert all("env.CMS_STATE_URL == ''" in step["if"] for step in cached)
