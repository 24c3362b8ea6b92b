"""Access to the service: tokens, accounts, hosts, and the check that a host answers."""
