"""Settings: their keys, their origins and the config file."""
