"""``python -m common.store COMMAND URL ...``: prints one JSON line; ``--help`` lists the commands.

Exit codes: 0 done, 1 refused or failed, with one message, and nothing changed, 2 wrong arguments.
"""

import json
import sys

from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from common.errors import PlatformError
from common.store.cli import parse

_WRONG_ARGUMENTS = 2


def main(arguments: list[str]) -> int:
    """Run one command; an answer that says ``failed`` is printed and makes the exit code 1."""
    command = parse(arguments)
    try:
        answer = command()
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except ArgumentError as error:
        sys.stderr.write(f"{error}; for example sqlite:////path/to/file\n")
        return _WRONG_ARGUMENTS
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        sys.stderr.write(f"the store cannot be used: {cause}\n")
        return 1
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if answer.get("failed") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
