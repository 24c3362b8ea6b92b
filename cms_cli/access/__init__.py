"""Access to the service: the token, its account, the host, and whether the host answers."""
