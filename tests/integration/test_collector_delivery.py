"""A record that the broker rejects: set aside alone, the rest delivered by a new producer."""

import json
import threading
import time
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from tests.integration.collector_bench import eventually
from tests.support.kafka_cluster import KafkaCluster

from common.clock import SystemClock
from common.kafka import make_consumer
from common.lifecycle import Deadline
from data_collector.delivery import Delivery, Topics
from data_collector.parts import producer_of
from data_collector.settings import CollectorSettings
from data_collector.spool import Entry, Kind, Spool, SpoolOptions

pytestmark = pytest.mark.integration

TOPICS = Topics("rejected-prices", "rejected-dlq")


def read(kafka: KafkaCluster, topic: str) -> list[bytes]:
    consumer = make_consumer([kafka.bootstrap], "test")
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = consumer.end_offsets([place])[place]
        consumer.seek_to_beginning(place)
        found: list[bytes] = []
        while consumer.position(place) < end:
            found += [record.value for record in consumer.poll(500).get(place, [])]
        return found
    finally:
        consumer.close()


def test_a_rejected_record_stops_nothing(kafka: KafkaCluster, tmp_path: Path) -> None:
    kafka.start()
    kafka.create_topics(list(TOPICS))
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        limit = {"max.message.bytes": "20000"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPICS.ticks, limit)])
    settings = CollectorSettings(kafka_bootstrap_servers=(kafka.bootstrap,))
    spool = Spool(SpoolOptions(tmp_path), SystemClock())
    values = [b"value %03d %s" % (number, b"x" * 300) for number in range(300)]
    too_large_for_the_topic, too_large_for_the_client = b"y" * 30_000, b"z" * 1_048_000
    for number, value in enumerate(values):
        if number in (100, 200):
            poison = too_large_for_the_topic if number == 100 else too_large_for_the_client
            spool.append(Entry(Kind.TICK, b"BTC-USD", poison))
        spool.append(Entry(Kind.TICK, b"BTC-USD", value))
    fatal = threading.Event()
    delivery = Delivery(lambda: producer_of(settings), TOPICS, SystemClock(), fatal.set)
    delivery.add(spool)
    delivery.start()
    started = time.monotonic()
    eventually(lambda: spool.pending == 0, "everything delivered or set aside")
    took = time.monotonic() - started
    delivery.stop(Deadline(SystemClock(), 5))
    spool.close()
    assert not fatal.is_set()
    assert took < 30
    assert list(dict.fromkeys(read(kafka, TOPICS.ticks))) == values
    letters = [json.loads(payload) for payload in read(kafka, TOPICS.dead_letters)]
    assert {letter["reason"] for letter in letters} == {"rejected_by_kafka"}
    assert {letter["payload"][:1] for letter in letters} == {"y", "z"}
