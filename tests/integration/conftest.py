"""What integration tests share: one real Kafka for the session."""

from collections.abc import Iterator

import pytest
from tests.support.jars import provide_jars
from tests.support.kafka_cluster import KafkaCluster


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Yield a running broker; a test that stops it must start it again."""
    cluster = KafkaCluster(provide_jars(), tmp_path_factory.mktemp("kafka"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
