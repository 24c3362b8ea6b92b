"""Prints constraints that pin every dependency of the project to the lower end of its range."""

import re
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text(encoding="utf-8")
block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
for line in block[1].splitlines() if block else ():
    found = re.match(r'\s*"([a-z0-9-]+)>=([0-9.]+)[^;"]*(;[^"]*)?"', line)
    if found:
        print(f"{found[1]}=={found[2]}{'.*' if found[2].count('.') < 2 else ''}{found[3] or ''}")
