"""Run one statement: ``sql.py FILE STATEMENT``; print the first column of its rows."""

import sqlite3
import sys
from contextlib import closing


def main(file: str, statement: str) -> None:
    """Commit what the statement changes."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for row in connection.execute(statement):
            sys.stdout.write(f"{row[0]}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
