"""Fails if the source distribution lacks a file that git tracks, or has one that git does not."""

import subprocess
import sys
import tarfile

# Hatchling always adds the metadata; files that only the repository's host and tools need stay out.
ADDED = {"PKG-INFO"}
LEFT_OUT = (".github/", ".pre-commit-config.yaml")

with tarfile.open(sys.argv[1]) as archive:
    shipped = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
listed = subprocess.run(
    ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    capture_output=True,
    text=True,
    check=True,
)
kept = {name for name in listed.stdout.split("\0") if name and not name.startswith(LEFT_OUT)}
missing, extra = sorted(kept - shipped), sorted(shipped - kept - ADDED)
for word, names in (("missing from", missing), ("only in", extra)):
    for name in names:
        print(f"{word} the sdist: {name}")
print(f"{len(shipped)} files in the sdist, {len(kept)} in the repository")
sys.exit(1 if missing or extra else 0)
