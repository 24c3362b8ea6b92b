"""Reads a CSV file and does nothing with it: the floor of whatever checks one."""

import csv
import sys
from pathlib import Path

with Path(sys.argv[1]).open(newline="", encoding="utf-8") as file:
    for _row in csv.reader(file):
        pass
