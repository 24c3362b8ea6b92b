"""The version of the distribution; pyproject.toml reads it from here."""

__version__ = "2.0.0"
