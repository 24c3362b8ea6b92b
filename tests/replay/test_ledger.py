"""The ledger: it keeps the weightiest word about an event, under keys that stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import pytest
from faultserver import FaultServer, json_reply
from replays import LEAD_HEADER, SALE_HEADER, Bench, as_csv, counted, lead, sale, sales_csv

from cms_cli.replay.journal import ledger, runs
from cms_cli.replay.journal.journal import Journal

pytestmark = pytest.mark.usefixtures("engine")

ARRIVED, UNKNOWN, REFUSED = WORDS = ("arrived", "unknown", "refused")  # the weightiest first
KEY, OTHER = ledger.key_of("key"), ledger.key_of("other")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Open an empty journal."""
    with Bench(tmp_path, "http://host").journal() as journal:
        yield journal


def add(journal: Journal, scope: int, word: str, key: bytes = KEY) -> None:
    with journal.transaction() as db:
        if word == REFUSED:
            ledger.add_refused_lead(db, scope, key)
        else:
            ledger.add_lead(db, scope, key, arrived=word == ARRIVED)


def word_for(journal: Journal, scope: int, key: bytes = KEY) -> str | None:
    """Return what the ledger has of a lead."""
    arrived = ledger.known_leads(journal.db, scope, [key]).get(key)
    refused = key in ledger.refused_leads(journal.db, scope, [key])
    assert not (refused and arrived is not None)
    return REFUSED if refused else {True: ARRIVED, False: UNKNOWN, None: None}[arrived]


@pytest.mark.parametrize("words", [*permutations(WORDS), *permutations(WORDS, 2)])
def test_the_weightiest_word_about_a_lead_is_kept(journal: Journal, words: tuple[str, ...]) -> None:
    """A lead that arrived stays so, and one that may have arrived is never taken for refused, in whatever order."""
    scope = runs.scope_of(journal, "http://host", "account")
    for word in words:
        add(journal, scope, word)
    assert word_for(journal, scope) == min(words, key=WORDS.index)


def test_only_unknown_leads_are_forgotten_to_be_sent_again(journal: Journal) -> None:
    """--retry-unknown forgets the unknown ones among the run's leads, of its own account only."""
    ours, theirs = (runs.scope_of(journal, "http://host", account) for account in ("ours", "theirs"))
    for word in WORDS:
        for scope in (ours, theirs):
            add(journal, scope, word, ledger.key_of(word))
            add(journal, scope, word, ledger.key_of("other", word))
    keys = [ledger.key_of(word) for word in WORDS]
    with journal.transaction() as db:
        ledger.forget_unknown_leads(db, ours, keys)
    assert [word_for(journal, ours, key) for key in keys] == [ARRIVED, None, REFUSED]
    assert [word_for(journal, theirs, key) for key in keys] == [ARRIVED, UNKNOWN, REFUSED]
    assert word_for(journal, ours, ledger.key_of("other", UNKNOWN)) == UNKNOWN


def test_an_amount_is_kept_once_it_is_known(journal: Journal) -> None:
    """A 409 adds an invoice without an amount, and takes none away; a sale that is accepted adds it."""
    scope = runs.scope_of(journal, "http://host", "account")
    with journal.transaction() as db:
        ledger.add_known_sale(db, scope, KEY)
        ledger.add_sale(db, scope, OTHER, 100, "EUR")
    assert ledger.known_sales(journal.db, scope, [KEY, OTHER]) == {KEY: (None, None), OTHER: (100, "EUR")}
    with journal.transaction() as db:
        ledger.add_sale(db, scope, KEY, 0, "USD")
        ledger.add_known_sale(db, scope, OTHER)
    assert ledger.known_sales(journal.db, scope, [KEY, OTHER]) == {KEY: (0, "USD"), OTHER: (100, "EUR")}


def test_sizes_count_what_arrived_or_may_have(journal: Journal) -> None:
    """The ledger's size is that of an account or of all; refused leads do not count."""
    ours, theirs = (runs.scope_of(journal, "http://host", account) for account in ("ours", "theirs"))
    for word in WORDS:
        add(journal, ours, word, ledger.key_of(word))
    with journal.transaction() as db:
        ledger.add_known_sale(db, theirs, KEY)
    assert [ledger.sizes(journal.db, scope) for scope in (ours, theirs, None)] == [(0, 2), (1, 0), (1, 2)]


def test_entries_are_forgotten_of_one_account_only(journal: Journal) -> None:
    """Forgetting some events, or all, leaves other events, the other kind and other accounts alone."""
    ours, theirs = (runs.scope_of(journal, "http://host", account) for account in ("ours", "theirs"))
    for scope in (ours, theirs):
        for key in (KEY, OTHER):
            add(journal, scope, ARRIVED, key)
            with journal.transaction() as db:
                ledger.add_sale(db, scope, key, 1, "EUR")
    for kind, left in (("sale", (1, 2)), ("lead", (1, 1))):
        with journal.transaction() as db:
            ledger.forget(db, ours, kind, [KEY])
        assert (ledger.sizes(journal.db, ours), ledger.sizes(journal.db, theirs)) == (left, (2, 2))
    assert [*ledger.known_sales(journal.db, ours, [KEY, OTHER])] == [OTHER]
    assert [*ledger.known_leads(journal.db, ours, [KEY, OTHER])] == [OTHER]
    add(journal, ours, REFUSED, KEY)
    assert word_for(journal, theirs) == ARRIVED
    with journal.transaction() as db:
        ledger.clear(db, ours)
    assert (ledger.sizes(journal.db, ours), ledger.sizes(journal.db, theirs)) == ((0, 0), (2, 2))
    assert word_for(journal, ours) is None


def test_of_two_entries_a_copy_keeps_the_weightier(tmp_path: Path, journal: Journal) -> None:
    """A copy adds what is missing, keeps what is known, and takes nothing from other accounts."""
    scope = runs.scope_of(journal, "http://host", "account")
    leads = [*product((None, *WORDS), repeat=2)]
    amounts: list[tuple[int | None, int | None]] = [(None, None), (None, 7), (5, None), (5, 7)]
    with Journal.open(tmp_path / "own") as own:
        others, ours = (runs.scope_of(own, "http://host", account) for account in ("other", "account"))
        for at, (there, here) in enumerate(leads):
            for target, number, word in ((journal, scope, there), (own, ours, here)):
                if word is not None:
                    add(target, number, word, ledger.key_of(f"{at}"))
        for at, pair in enumerate(amounts):
            for target, number, amount in zip((journal, own), (scope, ours), pair):
                with target.transaction() as db:
                    ledger.add_known_sale(db, number, ledger.key_of(f"{at}"))
                    if amount is not None:
                        ledger.add_sale(db, number, ledger.key_of(f"{at}"), amount, "EUR" if amount == 5 else "USD")
        with own.transaction() as db:
            ledger.add_sale(db, others, OTHER, 9, "EUR")
            ledger.add_lead(db, others, OTHER, arrived=True)
        for _ in range(2):
            with journal.transaction() as db:
                ledger.copy(own.db, ours, db, scope)
            for at, pair in enumerate(leads):
                known = [word for word in pair if word is not None]
                expected = min(known, key=WORDS.index) if known else None
                assert word_for(journal, scope, ledger.key_of(f"{at}")) == expected
            keys = [ledger.key_of(f"{at}") for at in range(len(amounts))]
            sales = ledger.known_sales(journal.db, scope, keys)
            assert [sales[key] for key in keys] == [(None, None), (7, "USD"), (5, "EUR"), (5, "EUR")]
            assert ledger.sizes(journal.db) == (4, 12)


def test_an_invoice_that_the_service_had_already(tmp_path: Path, service: FaultServer) -> None:
    """A sale that was answered 409 is not sent from another file, whatever the amount there."""
    service.script(json_reply(409, {"error": "it is there"}))
    bench = Bench(tmp_path, service.url)
    assert counted(bench.replay(bench.file(sales_csv([0])))) == {"duplicate": 1}
    report = bench.replay(bench.file(as_csv(SALE_HEADER, [sale(0, amount=7), sale(1)]), "other.csv"))
    assert counted(report) == {"duplicate": 1, "accepted": 1}
    assert [row.code for row in bench.settled() if row.status == "duplicate"] == ["in_ledger"]
    assert len(service.requests) == 2


def test_keys_are_the_same_in_every_version(tmp_path: Path, service: FaultServer) -> None:
    """Another key for the same event would send it again after an upgrade."""
    sales, leads = (Bench(tmp_path, service.url, kind) for kind in ("sale", "lead"))
    sales.replay(sales.file(sales_csv([0])))
    leads.replay(leads.file(as_csv(LEAD_HEADER, [lead(0), lead(1, timestamp="")]), "leads.csv"))
    tables = ("accepted_sales.invoice", "sent_leads.fingerprint", "lead_looks.look", "lead_files.place")
    with sales.journal() as journal:
        found = {
            each: [bytes(key).hex() for (key,) in journal.db.execute(f"SELECT {column} FROM {table} ORDER BY 1")]
            for each in tables
            for table, column in [each.split(".")]
        }
    assert found == {
        "accepted_sales.invoice": ["3934e52c9689ad1d66ba95bbed7ab682"],
        "sent_leads.fingerprint": ["3e96ee2e6f9e202b4734a55042c41f7b", "e7b43da1ccc43d48e6595ff448c38211"],
        "lead_looks.look": ["74e4dc022f89007dc8bcc8c91d5913e2"],
        "lead_files.place": ["ad3e832794f887169a5bac899bfa8ebf"],
    }
