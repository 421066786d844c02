"""The Kafka and ZooKeeper jars for tests: the same locked files that the roles install."""

import os
from pathlib import Path

__all__ = ["provide_jars"]


def provide_jars() -> Path:
    """Return a directory with the jars, named by BITCOIN_PREDICTION_TEST_JARS."""
    named = os.environ.get("BITCOIN_PREDICTION_TEST_JARS")
    if named and list(Path(named).glob("kafka_*.jar")):
        return Path(named)
    raise RuntimeError("set BITCOIN_PREDICTION_TEST_JARS to a directory with the Kafka jars")
