"""The contents of the state folder: runs and their rows, the ledger, and unanswered events."""
