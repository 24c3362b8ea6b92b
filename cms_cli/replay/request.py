"""The request for a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.sending.options import Delivery
from cms_python import EventKind


@dataclass(frozen=True)
class Request:
    """A replay as it was asked for.

    Attributes:
        kind: Lead or sale.
        path: The input, or ``-`` for stdin; for a run that goes on without it, its name.
        shape: The options that shape the events.
        delivery: The options for sending them.
        host: The name by which the journal knows the host.
        account: The account's key in the journal; "" if a dry run has no token.
        state_dir: The folder of the journal.
        token_expires: When the token ends, seconds since the epoch, or None.
        save_mapping: The mapping file that a dry run writes, or None.
        state_url: The database that keeps the journal instead of the folder, or None.
        local_account: The account's key in the folder, where that is another one than in the database.
        state_required: Whether the folder has to be one that was initialised.
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

    @property
    def outputs(self) -> tuple[tuple[str, Path | None], ...]:
        """The output files by their flags."""
        rows = ("--failures", self.delivery.failures), ("--results", self.delivery.results)
        return *rows, ("--save-mapping", self.save_mapping)
