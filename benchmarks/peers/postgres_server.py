"""Runs a PostgreSQL with durable commits, as in production, or uses the one that CMS_TEST_POSTGRES names.

Needs psycopg and the server's binaries. Writes the URL of a new database to stdout.
"""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from postgres import open_server

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = open_server(durable=True)
try:
    url = server.new_database()
    print(url, flush=True)
    try:
        signal.pause()
    finally:
        server.drop_database(url)
finally:
    server.close()
