"""One soak run, from nothing to its table."""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, select
from tests.soak.journal import Journal
from tests.soak.plan import Plan
from tests.soak.served import read_ledger
from tests.soak.stage import PRICES, Stage
from tests.soak.verdict import Line, Taken, Verdict, judge, read_topics
from tests.support.jars import provide_jars
from tests.support.kafka_cluster import KafkaCluster

from bitcoin_forecast_app.worker import GROUP
from common.store import make_engine
from common.store.schema import consumer_offsets

__all__ = ["soak"]

_DAY_S = 86_400.0
_MOST_S = 2.0  # of the market between two polls: further apart, an honest price looks like a jump
_PATIENCE = 2.0  # times the plan: how much longer a slow machine may collect
_CATCH_UP_S = 1_800.0


def soak(
    folder: Path,
    plan: Plan,
    interval_s: float,
    seed: int,
    say: Callable[[str], None],
    database_url: str | None = None,
    least_ticks: int = 0,
) -> Verdict:
    """Run ``plan`` in ``folder``, which is short-lived, and compare the books.

    It goes on collecting after the plan until there are ``least_ticks``. The market goes through a
    whole day meanwhile, or through less in a short run.
    """
    url = database_url or f"sqlite:///{folder}/store.sqlite3"
    cluster = KafkaCluster(provide_jars(), folder)
    speed = min(_DAY_S / plan.seconds, _MOST_S / interval_s)
    stage = Stage(folder, cluster, url, interval_s, speed, seed, say)
    taken = Taken()
    journal = Journal(stage.spools, taken.add)
    engine = make_engine(url, read_only=True)
    try:
        cluster.start()
        journal.start()
        stage.open(plan)
        stage.play(plan)
        patience = time.monotonic() + _PATIENCE * plan.seconds
        while len(taken.ticks) < least_ticks and time.monotonic() < patience:
            time.sleep(1.0)
        say(f"{plan.seconds:7.1f} s  the day is over; emptying the spools")
        stage.stop_collecting()
        journal.stop()
        topics = read_topics(cluster.bootstrap)
        say(f"           {topics.ticks:,} ticks in Kafka; waiting until all are stored")
        began = time.monotonic()
        stage.finish(lambda: _lag(engine, cluster) == 0, _CATCH_UP_S)
        say(f"           stored after {time.monotonic() - began:.0f} s more")
        topics = read_topics(cluster.bootstrap)
        verdict = judge(
            read_ledger(stage.ledger),
            taken,
            topics,
            engine,
            stage.happened,
            stage.collector_logs,
            round(interval_s * 1e6),
            stage.rubbish,
        )
        enough = len(taken.ticks) >= least_ticks
        verdict.lines.insert(0, Line("ticks asked for, at least", least_ticks, ok=enough))
        return verdict
    finally:
        stage.close()
        cluster.close()
        engine.dispose()


def _lag(engine: Engine, cluster: KafkaCluster) -> int:
    table = consumer_offsets
    with engine.connect() as connection:
        rows = connection.execute(
            select(table.c.next_offset).where(
                table.c.consumer_group == GROUP, table.c.topic == PRICES
            )
        )
        stored = sum(int(row.next_offset) for row in rows)
    return sum(cluster.end_offsets(PRICES).values()) - stored
