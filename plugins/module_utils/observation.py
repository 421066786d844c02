"""Looking at a running instance without touching it; every answer may be missing."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
import urllib.error
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from ansible.module_utils.loopback import ask

_REQUEST_S = 5.0  # a page of a busy machine is slow, not gone
_COUNT_BUDGET_S = 1.0  # counting a week's rows may take longer; then the number is left out
_RATE_WINDOW_MS = 60_000
_STARTED = re.compile(r"supervisord started with pid")
_CRASHED = re.compile(r"exited: (\S+?)(?:_\d)? \(.*not expected\)")
_TABLES = ("ticks", "predictions", "scores")
_OF_SERIES = "WHERE feed = ? AND symbol = ?"
_LAST_TICK = f"SELECT event_time FROM ticks {_OF_SERIES} ORDER BY sequence DESC LIMIT 1"  # noqa: S608
_LAST_PREDICTION = (
    f"SELECT issue_time, model_version FROM predictions {_OF_SERIES} "  # noqa: S608
    "AND horizon_s = 1 ORDER BY issue_time DESC LIMIT 1"
)


def fetch(url: str) -> tuple[int, Any]:
    """Return (HTTP status, JSON or None); status 0 when nobody answers."""
    try:
        with ask(url, _REQUEST_S) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    except OSError:
        return 0, None
    try:
        return status, json.loads(body)
    except ValueError:
        return status, None


def restarts(log: Path) -> Counter[str]:
    """Return how often each program ended unasked since its supervisor started."""
    counts: Counter[str] = Counter()
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return counts
    for line in lines:
        if _STARTED.search(line):
            counts.clear()
        elif match := _CRASHED.search(line):
            counts[match.group(1)] += 1
    return counts


def usage(
    processes: Mapping[str, list[psutil.Process]], interval_s: float
) -> dict[str, dict[str, Any]]:
    """Return pid, uptime, CPU (percent of one core over ``interval_s``) and memory by service."""
    before = {name: _cpu_seconds(group) for name, group in processes.items()}
    time.sleep(interval_s)
    found = {}
    for name, group in processes.items():
        oldest = min(group, key=lambda process: process.create_time())
        found[name] = {
            "pid": oldest.pid,
            "uptime_s": time.time() - oldest.create_time(),  # noqa: TID251 - a process's start is wall time
            "cpu_percent": 100 * (_cpu_seconds(group) - before[name]) / interval_s,
            "memory_bytes": sum(_memory(process) for process in group),
        }
    return found


def _cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes if process.is_running())


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def directory_bytes(directory: Path) -> int:
    """Return what the files below ``directory`` take on the disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            total += getattr(status, "st_blocks", 0) * 512 or status.st_size
    return total


def store_facts(file: Path, feed: str, symbols: list[str]) -> dict[str, Any]:
    """Return rows by table, and the newest tick, prediction and model, read without a lock."""
    if not file.exists():
        return {}
    facts: dict[str, Any] = {"rows": {}}
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1)) as store:
            for table in _TABLES:
                count = _one(store, f"SELECT count(*) FROM {table}")  # noqa: S608 - fixed names
                facts["rows"][table] = count and count[0]
            series = [(feed, symbol) for symbol in symbols]
            ticks = [row for each in series if (row := _one(store, _LAST_TICK, each))]
            forecasts = [row for each in series if (row := _one(store, _LAST_PREDICTION, each))]
    except sqlite3.Error as error:
        return {**facts, "error": str(error)}
    facts["last_tick_us"] = max(ticks)[0] if ticks else None
    facts["last_prediction_us"], facts["model_version"] = max(forecasts, default=(None, None))
    return facts


def _one(store: sqlite3.Connection, query: str, values: tuple[str, ...] = ()) -> Any:
    """Return the first row of ``query``; None when there is none or it takes too long."""
    deadline = time.monotonic() + _COUNT_BUDGET_S
    store.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        return store.execute(query, values).fetchone()
    except sqlite3.OperationalError:
        return None


def kafka_facts(client: Any, topics: list[str], now_ms: int) -> dict[str, Any]:
    """Return messages, rate and partitions by topic, and lag by consumer group."""
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    partitions = [
        TopicPartition(topic["name"], part["partition_index"])
        for topic in client.describe_topics(topics)
        if not topic.get("error_code")
        for part in topic["partitions"]
    ]

    def offsets(spec: Any) -> dict[Any, int]:
        found = client.list_partition_offsets(dict.fromkeys(partitions, spec)) if partitions else {}
        return {where: int(at.offset) for where, at in found.items()}

    ends, starts = offsets(OffsetSpec.LATEST), offsets(OffsetSpec.EARLIEST)
    recent = offsets(now_ms - _RATE_WINDOW_MS)
    by_topic: dict[str, dict[str, Any]] = {}
    for where, end in ends.items():
        facts = by_topic.setdefault(where.topic, {"partitions": 0, "messages": 0, "recent": 0})
        facts["partitions"] += 1
        facts["messages"] += end - starts[where]
        facts["recent"] += end - recent[where] if recent.get(where, -1) >= 0 else 0
    for facts in by_topic.values():
        facts["rate"] = facts.pop("recent") / (_RATE_WINDOW_MS / 1000)
    return {"topics": by_topic, "groups": group_lags(client, ends)}


def group_lags(client: Any, ends: Mapping[Any, int]) -> dict[str, int]:
    """Return by how many messages each consumer group is behind on our topics."""
    groups = [group["group_id"] for group in client.list_groups()]
    lags = {}
    for group, committed in (client.list_group_offsets(groups) if groups else {}).items():
        ours = {
            where: at.offset for where, at in committed.items() if where in ends and at.offset >= 0
        }
        if ours:  # what was committed since the ends were asked for is not ahead of them
            lags[group] = sum(max(0, ends[where] - offset) for where, offset in ours.items())
    return lags
