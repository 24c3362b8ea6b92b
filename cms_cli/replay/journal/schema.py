"""The schema of the journal, in SQL that SQLite and PostgreSQL share except for the types.

Each table has one module that reads and writes it: ``scopes`` and ``runs`` (:mod:`runs`), ``rows``
(:mod:`row_table`, and for whole runs :mod:`row_moves`), ``accepted_sales`` and ``sent_leads`` (:mod:`ledger`),
``lead_looks`` and ``lead_files`` (:mod:`look_alikes`), ``sales_in_doubt`` (:mod:`in_doubt`), ``slots``
(:mod:`slots`), ``turns`` (:mod:`high_water`).
"""

from __future__ import annotations

SCHEMA_VERSION = 2
"""The version of the schema, to be raised when it changes. A journal with a newer version is refused."""

ROWS_A_BLOCK = 14
"""The size of the blocks in the index of customers: 2 to this power rows.

Without blocks, new entries would go to random places in an index of the whole run, which does not fit into SQLite's
cache of 2 MB. A row of a file of a million then took three times as long to stage as one of ten thousand.
"""

SCHEMA = f"""
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    account TEXT NOT NULL,
    UNIQUE (host, account)
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    scope INTEGER NOT NULL REFERENCES scopes (id),
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    shape TEXT NOT NULL,
    file TEXT NOT NULL,
    header TEXT NOT NULL,
    state TEXT NOT NULL,
    latest INTEGER NOT NULL DEFAULT 1,
    created REAL NOT NULL,
    touched REAL NOT NULL,
    exit_code INTEGER,
    counts TEXT,
    texts TEXT NOT NULL,
    texts_size INTEGER NOT NULL DEFAULT 0,
    dialect TEXT NOT NULL DEFAULT '',
    repeats TEXT NOT NULL DEFAULT ''
);
CREATE INDEX runs_by_file ON runs (sha256);
CREATE TABLE rows (
    run INTEGER NOT NULL,
    row INTEGER NOT NULL,
    line INTEGER NOT NULL,
    status TEXT NOT NULL,
    customer INTEGER,
    key BLOB,
    amount INTEGER,
    currency TEXT,
    place INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    sent_at REAL,
    status_code INTEGER,
    code TEXT,
    error TEXT,
    fault TEXT,
    look BLOB,
    PRIMARY KEY (run, row)
) WITHOUT ROWID;
CREATE INDEX rows_by_status ON rows (run, status, row);
CREATE INDEX rows_sent ON rows (run, row) WHERE status = 'pending' AND sent_at IS NOT NULL;
CREATE INDEX rows_pending_by_customer ON rows (run, (row >> {ROWS_A_BLOCK}), customer, row)
    WHERE status = 'pending';
CREATE TABLE accepted_sales (
    scope INTEGER NOT NULL,
    invoice BLOB NOT NULL,
    amount INTEGER,
    currency TEXT,
    PRIMARY KEY (scope, invoice)
) WITHOUT ROWID;
CREATE TABLE sent_leads (
    scope INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    arrived INTEGER NOT NULL,
    PRIMARY KEY (scope, fingerprint)
) WITHOUT ROWID;
CREATE TABLE lead_looks (
    scope INTEGER NOT NULL,
    look BLOB NOT NULL,
    run INTEGER NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (scope, look, run, row)
) WITHOUT ROWID;
CREATE TABLE lead_files (
    scope INTEGER NOT NULL,
    place BLOB NOT NULL,
    PRIMARY KEY (scope, place)
) WITHOUT ROWID;
CREATE TABLE sales_in_doubt (
    scope INTEGER NOT NULL,
    invoice BLOB NOT NULL,
    sent_at REAL NOT NULL,
    PRIMARY KEY (scope, invoice)
) WITHOUT ROWID;
CREATE TABLE slots (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    left_at REAL,
    ends REAL NOT NULL
);
CREATE INDEX slots_by_end ON slots (scope, ends);
CREATE TABLE turns (
    committed INTEGER NOT NULL
);
INSERT INTO turns (committed) VALUES (0);
"""

UPGRADES = {
    1: f"""
ALTER TABLE runs RENAME COLUMN contents TO texts;
ALTER TABLE runs RENAME COLUMN contents_size TO texts_size;
DROP INDEX rows_pending_by_customer;
CREATE INDEX rows_pending_by_customer ON rows (run, (row >> {ROWS_A_BLOCK}), customer, row)
    WHERE status = 'pending';
ALTER TABLE accepted_sales RENAME TO accepted_before;
CREATE TABLE accepted_sales (
    scope INTEGER NOT NULL,
    invoice BLOB NOT NULL,
    amount INTEGER,
    currency TEXT,
    PRIMARY KEY (scope, invoice)
) WITHOUT ROWID;
INSERT INTO accepted_sales SELECT scope, invoice, amount, currency FROM accepted_before;
DROP TABLE accepted_before;
ALTER TABLE slots ADD COLUMN left_at REAL;
ALTER TABLE runs ADD COLUMN dialect TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN repeats TEXT NOT NULL DEFAULT '';
ALTER TABLE rows ADD COLUMN look BLOB;
CREATE TABLE lead_looks (
    scope INTEGER NOT NULL,
    look BLOB NOT NULL,
    run INTEGER NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (scope, look, run, row)
) WITHOUT ROWID;
CREATE TABLE lead_files (
    scope INTEGER NOT NULL,
    place BLOB NOT NULL,
    PRIMARY KEY (scope, place)
) WITHOUT ROWID;
CREATE TABLE turns (
    committed INTEGER NOT NULL
);
INSERT INTO turns (committed) VALUES (0);
"""
}
"""The statements that migrate each older format to the next."""
