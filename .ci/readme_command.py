"""Prints the README's command with the given name: the code block below its marker comment."""

import re
import sys
from pathlib import Path

name = sys.argv[1]
readme = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
found = re.search(rf"<!-- command: {name} -->\s*```\w*\n(.+?)\n```", readme, re.DOTALL)
if not found:
    sys.exit(f"the README has no command marked {name}")
print(found[1])
