"""Rows into the journal: compared with each other and with the ledger, counted, previewed."""
