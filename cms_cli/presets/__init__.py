"""The known exports: one data file each, in the form that ``--mapping`` takes too."""
