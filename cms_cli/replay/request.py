"""The request for a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.sending.options import Delivery
from cms_python import EventKind


@dataclass(frozen=True)
class Request:
    """A request to replay a file, to rehearse that, or to resume a run.

    Attributes:
        kind: Lead or sale.
        path: The path of the input, or ``-`` for stdin; to resume a run without its input, the input's name.
        shape: The options that determine which events the rows become.
        delivery: The options for sending them.
        host: The host's name in the journal.
        account: The account's key in the journal; "" for a dry run without a token.
        state_dir: The state folder.
        token_expires: The token's expiry in seconds since the epoch, or None.
        save_mapping: The mapping file that a dry run is to write, or None.
        state_url: The URL of the database for shared state, or None to use the folder.
        local_account: The account's key in the state folder, which may differ from ``account`` with shared state.
        state_required: Whether the state folder must have been initialised.
    """

    kind: EventKind
    path: str
    shape: Shape
    delivery: Delivery
    host: str
    account: str
    state_dir: Path
    token_expires: float | None = None
    save_mapping: Path | None = None
    state_url: str | None = None
    local_account: str | None = None
    state_required: bool = False

    def key(self, scope: int, sha256: str) -> RunKey:
        """Return the key of its run, given the journal's id of host and account and the input's SHA-256."""
        return RunKey(scope, self.kind.value, sha256, self.shape.to_json())

    @property
    def outputs(self) -> tuple[tuple[str, Path | None], ...]:
        """Each output file with its flag; None if the flag was not given."""
        rows = ("--failures", self.delivery.failures), ("--results", self.delivery.results)
        return *rows, ("--save-mapping", self.save_mapping)
