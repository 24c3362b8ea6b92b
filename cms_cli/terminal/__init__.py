"""The only package that prints: results to stdout, everything else to stderr."""
