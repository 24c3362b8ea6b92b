"""Access to the service: whose token, which account, which host, and whether it answers."""
