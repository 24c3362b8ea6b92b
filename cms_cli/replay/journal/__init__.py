"""The contents of the state folder: runs and their rows, the ledger, and events in doubt."""
