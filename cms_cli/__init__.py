"""The ``cms`` command line, built on the public names of :mod:`cms_python`."""
