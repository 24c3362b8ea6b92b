"""What is kept in the state folder: runs and their rows, the ledger, and what is in doubt."""
