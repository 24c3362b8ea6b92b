"""What other runs of the account have sent without knowing yet, or ever, what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rowbook import SAFE_TO_RESEND
from cms_cli.replay.journal.runs import Run

_OTHERS = "(SELECT id FROM runs WHERE scope = ? AND kind = ? AND latest AND id <> ?)"


def in_flight_elsewhere(journal: Journal, run: Run, keys: Sequence[bytes]) -> dict[bytes, float]:
    """Return when events of other runs left that have some of these keys and no answer yet."""
    found = journal.db.execute(
        "SELECT key, sent_at FROM rows INDEXED BY rows_sent WHERE status = 'pending' AND sent_at IS NOT NULL"
        f" AND code IS NULL AND key IN ({','.join('?' * len(keys))}) AND run IN {_OTHERS}",
        (*keys, run.scope, run.kind, run.id),
    )
    return dict(found.fetchall())


def sales_too_long_ago(journal: Journal, run: Run, now: float) -> set[bytes]:
    """Give the sales of other runs, removed ones too, that had no answer and can no longer be repeated; few.

    A run that was killed and given up, and the next month's export with the same orders in it: the service may have
    them, and may have forgotten that it does.
    """
    others = (run.scope, "sale", run.id)
    found = journal.db.execute(
        "SELECT key FROM rows INDEXED BY rows_by_status WHERE status = 'unknown' AND key IS NOT NULL"
        f" AND run IN {_OTHERS} UNION ALL"
        " SELECT key FROM rows INDEXED BY rows_sent WHERE status = 'pending' AND sent_at IS NOT NULL"
        f" AND abs(? - sent_at) > ? AND key IS NOT NULL AND run IN {_OTHERS} UNION ALL"
        " SELECT invoice FROM sales_in_doubt WHERE scope = ? AND abs(? - sent_at) > ?",
        (*others, now, SAFE_TO_RESEND, *others, run.scope, now, SAFE_TO_RESEND),
    )
    return {key for (key,) in found}
