"""Settings: what can be set, where each comes from, and the config file."""
