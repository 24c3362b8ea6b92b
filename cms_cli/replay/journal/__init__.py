"""The journal, in a state folder or a shared database: runs and their rows, the ledger, the rate window."""
