"""Identifies a run: commands with the same key are invocations of the same run."""

from __future__ import annotations

from typing import NamedTuple


class RunKey(NamedTuple):
    """The key of a run.

    Attributes:
        scope: The journal's id of host and account.
        kind: ``lead`` or ``sale``.
        sha256: The SHA-256 of the input's bytes, in hexadecimal.
        shape: The flags that shape events, as :meth:`cms_cli.replay.mapping.shape.Shape.to_json` writes them.
    """

    scope: int
    kind: str
    sha256: str
    shape: str

    @property
    def lock(self) -> str:
        """The name under which the run is held.

        A file of leads is held regardless of the flags that shape its events: nothing dedupes leads, and a process
        with other flags would not see in time what this one has sent.
        """
        return f"{self.scope} {self.kind} {self.sha256} {self.shape if self.kind == 'sale' else ''}"
