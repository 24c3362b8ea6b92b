"""The PostgreSQL of the tests is a real one, and each test has its own database."""

from __future__ import annotations

import psycopg
from postgres import Postgres


def test_what_one_test_writes_another_does_not_see(postgres: Postgres) -> None:
    urls = [postgres.new_database() for _ in range(2)]
    try:
        with psycopg.connect(urls[0]) as first, psycopg.connect(urls[1]) as second:
            first.execute("CREATE TABLE things (id INTEGER)")
            assert first.execute("SELECT to_regclass('things')").fetchone() == ("things",)
            assert second.execute("SELECT to_regclass('things')").fetchone() == (None,)
    finally:
        for url in urls:
            postgres.drop_database(url)
