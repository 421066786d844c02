"""The arguments of ``python -m common.store``, and what each command does."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from common.clock import SystemClock, to_micros
from common.store.backup import back_up, inspect_backup, require_newest, restore
from common.store.earlier import import_earlier
from common.store.engine import make_engine
from common.store.export import Format, export_file
from common.store.migrate import check_schema, upgrade_schema
from common.store.rebuild import compare_bars
from common.store.selection import EXPORTED, Selection
from common.wire import Feed

__all__ = ["Answer", "parse"]

Answer = dict[str, Any]
_MOST_LINES = 20  # of what is wrong
_RETRY_S = 0.5
_NAMED = "env:"  # command lines are read by everyone on a machine, and an address holds a password
_URL = f"sqlite:////path, postgresql://..., or {_NAMED}NAME: what the variable NAME holds"


def parse(arguments: list[str]) -> Callable[[], Answer]:
    """Return the command that ``arguments`` name; exits with 2 and what to type otherwise."""
    parser = argparse.ArgumentParser(prog="python -m common.store", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], Answer], what: str) -> Any:
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("url", metavar="URL", type=_url, help=_URL)
        command.set_defaults(run=run)
        return command

    upgrade = add("upgrade", _upgrade, "bring the store to the newest schema")
    upgrade.add_argument("--wait", action="store_true", help="until the database answers")
    add("check", _check, "tell the store's schema")
    add("verify", _verify, "compare the bars with the ticks; fails where they differ")
    for name, run, what in (
        ("backup", _back_up, "write everything to FILE, while the system runs"),
        ("restore", _restore, "replace everything by what FILE holds; the old is kept"),
    ):
        add(name, run, what).add_argument("file", metavar="FILE", type=Path)
    inspect = commands.add_parser("inspect", help="tell what a backup holds, or why it is none")
    inspect.add_argument("file", metavar="FILE", type=Path)
    inspect.set_defaults(run=_inspect)
    export = add("export", _export, "write a range of time to OUT")
    export.add_argument("out", metavar="OUT", type=Path)
    export.add_argument("--table", choices=sorted(EXPORTED), default="ticks")
    export.add_argument("--format", choices=get_args(Format), default="csv")
    export.add_argument("--from", dest="start", type=_moment, metavar="TIME")
    export.add_argument("--to", dest="end", type=_moment, metavar="TIME", help="not included")
    export.add_argument("--feed")
    export.add_argument("--symbol")
    earlier = add("import", _import, "bring in the earlier system's CSV files from DIR")
    earlier.add_argument("folder", metavar="DIR", type=Path)
    earlier.add_argument("--feed", choices=get_args(Feed), default="live")
    earlier.add_argument("--symbol", type=_symbol, default="BTC-USD")
    earlier.add_argument(
        "--skip-refused", action="store_true", help="import the other lines where some are refused"
    )
    earlier.add_argument(
        "--check", action="store_true", help="write nothing: tell what would be imported"
    )
    options = parser.parse_args(arguments)
    return lambda: options.run(options)


def _url(value: str) -> str:
    if not value.startswith(_NAMED):
        return value
    name = value.removeprefix(_NAMED)
    if not os.environ.get(name):
        raise argparse.ArgumentTypeError(f"the environment has no {name!r}, or nothing in it")
    return os.environ[name]


def _moment(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        message = f"{value!r} is no time; for example 2026-01-31T12:00:00 (UTC)"
        raise argparse.ArgumentTypeError(message) from error
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _symbol(value: str) -> str:
    if re.fullmatch("[A-Z0-9]{2,10}-[A-Z0-9]{2,10}", value) is None:
        raise argparse.ArgumentTypeError(f"{value!r} is no symbol; for example BTC-USD")
    return value


@contextmanager
def _open(url: str, *, read_only: bool = False) -> Iterator[Engine]:
    engine = make_engine(url, read_only=read_only)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _read(url: str) -> Iterator[Engine]:
    """Yield an engine that reads a store of this version, and makes none."""
    require_newest(url)
    with _open(url, read_only=True) as engine:
        yield engine


def _schema(before: str | None, now: str) -> Answer:
    return {"before": before, "now": now, "changed": before != now}


def _upgrade(options: argparse.Namespace) -> Answer:
    with _open(options.url) as engine:
        while True:
            try:
                return _schema(*upgrade_schema(engine))
            except OperationalError as error:
                if not options.wait:
                    raise
                sys.stderr.write(f"waiting for the database: {error.orig}\n")
                time.sleep(_RETRY_S)


def _check(options: argparse.Namespace) -> Answer:
    with _open(options.url, read_only=True) as engine:
        return _schema(*check_schema(engine))


def _verify(options: argparse.Namespace) -> Answer:
    with _read(options.url) as engine, engine.connect() as connection:
        wrong = list(compare_bars(connection))
    return {"failed": bool(wrong), "wrong": len(wrong), "first": wrong[:_MOST_LINES]}


def _back_up(options: argparse.Namespace) -> Answer:
    rows = back_up(options.url, options.file)
    return {"file": str(options.file), "bytes": options.file.stat().st_size, "rows": rows}


def _inspect(options: argparse.Namespace) -> Answer:
    return {"file": str(options.file), **inspect_backup(options.file)}


def _restore(options: argparse.Namespace) -> Answer:
    rows, kept = restore(options.url, options.file, SystemClock())
    return {"rows": rows, "kept": kept}


def _export(options: argparse.Namespace) -> Answer:
    selection = Selection(options.table, options.start, options.end, options.feed, options.symbol)
    with _read(options.url) as engine:
        rows = export_file(engine, selection, options.format, options.out)
    return {"file": str(options.out), "rows": rows}


def _import(options: argparse.Namespace) -> Answer:
    if options.check:
        require_newest(options.url)
    with _open(options.url, read_only=options.check) as engine:
        if not options.check:
            upgrade_schema(engine)
        found, kept = import_earlier(
            engine,
            options.folder,
            SystemClock(),
            options.feed,
            options.symbol,
            skip_refused=options.skip_refused,
            only_check=options.check,
        )
    files = {
        path: {
            "new": report.new,
            "known": report.known,
            "refused": len(report.refused),
            "first": [f"line {line}: {why}" for line, why in report.refused[:_MOST_LINES]],
        }
        for path, report in found.items()
    }
    new = sum(report.new for report in found.values())
    return {"failed": not kept, "imported": kept and not options.check, "new": new, "files": files}
