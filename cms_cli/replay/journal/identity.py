"""Finds the run that a command resumes, and refuses a new run that would count events twice."""

from __future__ import annotations

from cms_cli.access.account import is_token_alone
from cms_cli.replay.journal import lifecycle, runs
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.row_reports import any_sent
from cms_cli.replay.journal.rows import SAFE_TO_RESEND
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.model import ReplayError


class RunConflictError(ReplayError):
    """Earlier runs forbid what was requested, such as sending leads again; nothing was sent."""


def known_run(journal: Journal, key: RunKey, *, host: str, fresh: bool, clear: bool = True) -> Run | None:
    """Return the run that a command resumes; None to begin a new one. Call this while the run is held.

    Args:
        journal: The journal.
        key: The key that a new run would have.
        host: The host.
        fresh: Whether to begin a new run even if there is one (``--fresh``).
        clear: Whether to remove runs whose staging was interrupted; False for a dry run.

    Raises:
        RunConflictError: Sending the input like this would count events twice.
    """
    alike = [run for run in runs.of_file(journal, key.sha256) if run.kind == key.kind and run.host == host]
    for run in alike if clear else ():
        if run.state is RunState.STAGING and run.key.lock == key.lock:
            lifecycle.delete(journal, run)  # left by a crash; nothing of it was sent
    alike = [run for run in alike if run.state is not RunState.STAGING]
    ours = [run for run in alike if run.scope == key.scope]
    same = next((run for run in ours if run.shape == key.shape), None)
    if same is not None and not fresh:
        return same
    unfinished = next((run for run in ours if run.state is RunState.UNFINISHED), None)
    if fresh and unfinished is not None:
        raise RunConflictError(
            f"{unfinished.name}, a run of this file, is not finished, and --fresh would forget what it has sent",
            f"Resume it: cms runs resume {unfinished.name}",
        )
    others = next((run for run in alike if run.scope != key.scope and run.state is RunState.UNFINISHED), None)
    if others is not None:
        raise RunConflictError(
            f"{others.name}, a run of this file under another account, is not finished",
            f"Resume it under a renewed token: cms runs resume {others.name}",
        )
    if not fresh:
        _refuse_what_another_token_sent(journal, key.scope, [run for run in alike if run.scope != key.scope])
    if key.kind == "lead" and not fresh:
        sent = next((run for run in ours if any_sent(journal, run)), None)
        if sent is not None:
            raise RunConflictError(
                f"leads of this file were sent with other flags in {sent.name}, and would be counted twice",
                f"Resume it: cms runs resume {sent.name}"
                if sent.state is RunState.UNFINISHED  # for which --fresh is refused
                else f"See cms runs show {sent.name}; to send them again anyway, pass --fresh.",
            )
    return None


def _refuse_what_another_token_sent(journal: Journal, scope: int, others: list[Run]) -> None:
    """Refuse to send a file again that was sent with another token of what may be the same account.

    A token that is not a JWT and belongs to no profile does not name its account, so a renewed one has a new
    ledger. Sales are allowed for a day, since the service still dedupes them.

    Raises:
        RunConflictError: The file was sent with such a token.
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
    """Remove runs of the same file of leads with other flags that have sent nothing.

    If they were resumed later, they would send the leads again. Call this while the run is held, before it sends.
    """
    if run.kind == "lead":
        for other in runs.of_file(journal, run.sha256):
            alike = other.kind == run.kind and other.scope == run.scope and other.id != run.id
            if alike and other.state is RunState.UNFINISHED and not any_sent(journal, other):
                lifecycle.delete(journal, other)
