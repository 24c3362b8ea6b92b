"""The pytest fixture as other projects use it: in a pytest process and a project of its own."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cms_cli

ROOT = Path(cms_cli.__file__).parent.parent
PLUGIN = "cms_cli.pytest_plugin"
SHOP = ROOT / "examples" / "shop"


def run_pytest(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, without plugins that happen to be installed."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CMS_", "PYTHON"))
    }
    given = [str(each) for each in (path, ROOT) if each]
    autoload = {} if path else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**inherited, **autoload, "PYTHONPATH": os.pathsep.join(given)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def project(folder: Path, tests: str) -> Path:
    """Write a project with one test file and return its folder."""
    folder.mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    (folder / "test_it.py").write_text(tests)
    return folder


def installed(folder: Path) -> Path:
    """Create a folder for the path with the project's real entry points, as if it were installed."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = text.split("[project.entry-points.pytest11]\n")[1].split("\n\n")[0].replace('"', "")
    parser = configparser.ConfigParser(delimiters="=")
    parser.read_string(f"[pytest11]\n{table}")
    entries = folder / "cms_of_these_tests-1.dist-info"
    entries.mkdir(parents=True)
    (entries / "METADATA").write_text("Metadata-Version: 2.1\nName: cms-of-these-tests\nVersion: 1\n")
    with (entries / "entry_points.txt").open("w") as file:
        parser.write(file)
    return folder


THREE_LINES = """
from cms_python import CMSClient

def test_a_sale_is_tracked(cms_sandbox):
    with CMSClient(cms_sandbox.token, cms_sandbox.url) as client:
        client.track_sale("clk_1", "bought", "user_42", "inv_1", 1999, "EUR")
    assert [(sale.click_id, sale.amount) for sale in cms_sandbox.sales()] == [("clk_1", 1999)]
"""


def test_the_example_project_passes_its_tests(tmp_path: Path) -> None:
    """A copy of examples/shop passes its tests."""
    folder = shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    result = run_pytest(folder, "-p", PLUGIN)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "7 passed" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [pytest.param((), marks=pytest.mark.slow, id="found"), pytest.param(("-p", PLUGIN), id="found and named")],
)
def test_pytest_finds_the_plugin_where_it_is_installed(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The entry point loads the plugin, and an additional ``-p`` does not load it twice."""
    folder = project(tmp_path / "project", THREE_LINES)
    result = run_pytest(folder, *arguments, path=installed(tmp_path / "site"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_test_has_a_sandbox_of_its_own_and_the_marker_sets_its_options(tmp_path: Path) -> None:
    """Each test has an empty sandbox with the options of the nearest marker; its store is removed."""
    folder = project(
        tmp_path / "project",
        """
import pytest
from pathlib import Path
from cms_python import CMSClient

stores = []
pytestmark = pytest.mark.cms_sandbox(token="good", answer="status")

@pytest.mark.parametrize("number", [1, 2])
def test_it_is_empty(cms_sandbox, number):
    assert cms_sandbox.token == "good"
    assert cms_sandbox.events() == []
    with CMSClient("good", cms_sandbox.url) as client:
        assert client.track_lead("signup", "user", "clk")["success"]
    assert [lead.click_id for lead in cms_sandbox.leads()] == ["clk"]
    assert all(not store.exists() for store in stores)
    stores.append(cms_sandbox.db)

@pytest.mark.cms_sandbox(token="better")
def test_another_token(cms_sandbox):
    assert cms_sandbox.token == "better"
    with CMSClient("good", cms_sandbox.url) as client:
        assert client.track_lead("signup", "user", "clk")["status_code"] == 401
""",
    )
    result = run_pytest(folder, "-p", PLUGIN)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_marker_whose_options_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """A marker option without a name, of an unknown name or a wrong value is an error that says what is known."""
    folder = project(
        tmp_path / "project",
        """
import pytest

@pytest.mark.cms_sandbox("sale.5xx")
def test_when_the_service_is_down(cms_sandbox):
    pass

@pytest.mark.cms_sandbox(fault="sale.5xx")
def test_with_a_name_that_is_none(cms_sandbox):
    pass

@pytest.mark.cms_sandbox(faults="sale.9xx")
def test_with_a_fault_that_is_none(cms_sandbox):
    pass
""",
    )
    result = run_pytest(folder, "-p", PLUGIN)
    assert result.returncode == 1
    assert "takes options by name" in result.stdout
    assert "has no option fault; it has db, port" in result.stdout
    assert "no such fault: '9xx'; there are latency" in result.stdout
    assert "Traceback" not in result.stdout
    assert "pytest_plugin.py" not in result.stdout


def test_a_proxy_in_the_environment_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reaches the sandbox despite a proxy, and NO_PROXY is restored after the test."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "intranet.example")
    code = (
        f"{THREE_LINES}\ndef test_then():\n    import os\n    assert os.environ['NO_PROXY'] == 'intranet.example'\n"
    )
    result = run_pytest(project(tmp_path / "project", code), "-p", PLUGIN)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_sandbox_that_fails_itself_fails_the_test(tmp_path: Path) -> None:
    """A 500 caused by the sandbox itself is an error of the test."""
    code = """
import sqlite3
from cms_python import CMSClient

def test_with_a_broken_store(cms_sandbox):
    connection = sqlite3.connect(cms_sandbox.db)
    connection.execute("DROP TABLE events")
    connection.close()
    with CMSClient(cms_sandbox.token, cms_sandbox.url) as client:
        assert client.track_lead("signup", "user", "clk")["status_code"] == 500
"""
    result = run_pytest(project(tmp_path / "project", code), "-p", PLUGIN)
    assert result.returncode == 1
    assert "the sandbox itself failed" in result.stdout
    assert "1 passed, 1 error" in result.stdout


def test_the_plugin_imports_nothing_until_its_fixture_is_used() -> None:
    """Loading the plugin imports nothing else, since every pytest run loads it."""
    code = (
        "import sys, pytest; before = set(sys.modules); import cms_cli.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cms_cli", "cms_cli.pytest_plugin"]


@pytest.mark.slow
def test_the_fixture_is_listed_with_what_it_is_for(tmp_path: Path) -> None:
    """``pytest --fixtures`` and ``pytest --markers`` describe the fixture and its marker."""
    folder = project(tmp_path / "project", THREE_LINES)
    assert "A stand-in for the CutMeShort API" in run_pytest(folder, "-p", PLUGIN, "--fixtures").stdout
    assert "@pytest.mark.cms_sandbox(**options)" in run_pytest(folder, "-p", PLUGIN, "--markers").stdout


@pytest.mark.parametrize("name", ["no_proxy", pytest.param("NO_PROXY", marks=pytest.mark.slow)])
@pytest.mark.parametrize("exceptions", ["intranet.example", pytest.param("*", marks=pytest.mark.slow)])
def test_other_hosts_stay_exceptions_from_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, exceptions: str
) -> None:
    """Hosts in no_proxy or NO_PROXY stay exempt from the proxy during a test."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for each in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, exceptions)
    code = f"""{THREE_LINES}
from urllib.request import proxy_bypass_environment

def test_other_hosts(cms_sandbox):
    assert proxy_bypass_environment("intranet.example")
    assert proxy_bypass_environment("127.0.0.1")
"""
    result = run_pytest(project(tmp_path / "project", code), "-p", PLUGIN)
    assert result.returncode == 0, result.stdout + result.stderr
