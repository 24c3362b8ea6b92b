"""Finds the run that a command continues, and refuses a new one that would count events twice."""

from __future__ import annotations

from cms_cli.access.account import is_token_alone
from cms_cli.replay.journal import lifecycle, runs
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.row_table import any_sent
from cms_cli.replay.journal.rows import SAFE_TO_RESEND
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.model import ReplayError


class RunConflictError(ReplayError):
    """The input conflicts with an earlier run and must not be sent like this; nothing was sent."""


def known_run(
    journal: Journal, *, scope: int, host: str, kind: str, sha256: str, shape: str, fresh: bool, clear: bool = True
) -> Run | None:
    """Return the run that a command continues; None if a new one is to begin. Call with the run's lock held.

    Args:
        journal: The journal.
        scope: The number of the host and account.
        host: The host.
        kind: ``lead`` or ``sale``.
        sha256: Of the input's bytes.
        shape: The flags that shape events, as JSON.
        fresh: Whether a new one is wanted whatever is known of the input.
        clear: Whether to remove runs whose staging was cut off; a dry run removes nothing.

    Raises:
        RunConflictError: Going on, or beginning, would count events twice.
    """
    alike = [run for run in runs.of_file(journal, sha256) if run.kind == kind and run.host == host]
    for run in alike if clear else ():
        if run.state is RunState.STAGING and run.scope == scope and (run.shape == shape or kind == "lead"):
            lifecycle.delete(journal, run)  # left by a crash; nothing of it was sent
    alike = [run for run in alike if run.state is not RunState.STAGING]
    ours = [run for run in alike if run.scope == scope]
    same = next((run for run in ours if run.shape == shape), None)
    if same is not None and not fresh:
        return same
    unfinished = next((run for run in ours if run.state is RunState.UNFINISHED), None)
    if fresh and unfinished is not None:
        raise RunConflictError(
            f"{unfinished.name}, a run of this file, is not finished, and --fresh would forget what it has sent",
            f"Resume it: cms runs resume {unfinished.name}",
        )
    others = next((run for run in alike if run.scope != scope and run.state is RunState.UNFINISHED), None)
    if others is not None:
        raise RunConflictError(
            f"{others.name}, a run of this file under another account, is not finished",
            f"Resume it under a renewed token: cms runs resume {others.name}",
        )
    if not fresh:
        _refuse_what_another_token_sent(journal, scope, [run for run in alike if run.scope != scope])
    if kind == "lead" and not fresh:
        sent = next((run for run in ours if any_sent(journal, run)), None)
        if sent is not None:
            raise RunConflictError(
                f"leads of this file were sent with other flags in {sent.name}, and would be counted twice",
                f"Resume it: cms runs resume {sent.name}"
                if sent.state is RunState.UNFINISHED  # which --fresh does not take
                else f"See cms runs show {sent.name}; to send them again anyway, pass --fresh.",
            )
    return None


def _refuse_what_another_token_sent(journal: Journal, scope: int, others: list[Run]) -> None:
    """Refuse to send a finished file again only because its token was renewed.

    A token that is no JWT and of no profile does not say whose it is, so its ledger is its own: whether the account
    is another one only its owner knows. A young sale's invoice the service still has.

    Raises:
        RunConflictError: There is such a run.
    """
    account = runs.account_of(journal, scope)
    for run in others:
        unclear = is_token_alone(account) or is_token_alone(run.account)
        lasting = run.kind == "sale" and abs(Clock(journal.ahead).now() - run.touched) <= SAFE_TO_RESEND
        if unclear and not lasting and any_sent(journal, run):
            raise RunConflictError(
                f"{run.name} has sent this file with another token, which may be of the same account",
                f"It is finished: see cms runs show {run.name}; with --retry-refused or --retry-unknown use "
                f"cms runs resume {run.name}. If the account is another one, pass --fresh.",
            )


def clear_the_way(journal: Journal, run: Run) -> None:
    """Remove runs of the same leads under other flags that sent nothing; ``run`` replaces them.

    Gone on with later, they would send the leads once more. Call with the run's lock held, before it sends.
    """
    if run.kind == "lead":
        for other in runs.of_file(journal, run.sha256):
            alike = other.kind == run.kind and other.scope == run.scope and other.id != run.id
            if alike and other.state is RunState.UNFINISHED and not any_sent(journal, other):
                lifecycle.delete(journal, other)
