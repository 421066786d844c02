"""``python -m common.store upgrade|check DATABASE_URL``: prints one JSON line.

Exit codes: 0 done, 1 the store is newer than this version, 2 wrong arguments.
"""

import json
import sys

from common.errors import SchemaTooNewError
from common.store.engine import make_engine
from common.store.migrate import check_schema, upgrade_schema

_ACTIONS = {"upgrade": upgrade_schema, "check": check_schema}
_ARGUMENTS = 2


def main(arguments: list[str]) -> int:
    """Run one action; the JSON has ``before``, ``now`` and ``changed``."""
    if len(arguments) != _ARGUMENTS or arguments[0] not in _ACTIONS:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    action, url = arguments
    try:
        before, now = _ACTIONS[action](make_engine(url, read_only=action == "check"))
    except SchemaTooNewError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"before": before, "now": now, "changed": before != now}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
