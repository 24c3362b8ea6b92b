"""Prints the path of a CPython of the given version, from the PATH or from pyenv; fails if there is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

version = sys.argv[1]
candidates = [shutil.which(f"python{version}")]
pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
candidates += [str(folder / "bin" / "python") for folder in sorted(pyenv.glob(f"{version}.*"), reverse=True)]
check = "import sys, venv, ensurepip; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
for candidate in candidates:
    if candidate is None or not Path(candidate).exists():
        continue
    # A pyenv shim is on the PATH even for versions that are not selected, and then fails.
    answer = subprocess.run([candidate, "-c", check], capture_output=True, text=True, check=False)
    if answer.stdout.strip() == f"cpython {version}":
        print(candidate)
        sys.exit(0)
sys.exit(1)
